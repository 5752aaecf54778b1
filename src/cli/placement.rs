//! Moves flags that are given before or between the words of a command, as in `thanos-login --db x.db user list`,
//! behind the command, where clap expects them.

use std::ffi::{OsStr, OsString};

use clap::{Arg, Command};

/// The arguments, with the flags behind the words of the command.
pub(super) struct Typed {
    pub(super) args: Vec<OsString>,
    /// The words of the command, without the program. All later elements of `args` are arguments of the command.
    pub(super) path: Vec<String>,
}

impl Typed {
    pub(super) fn of(root: &Command, args: Vec<OsString>) -> Self {
        let mut words = args.into_iter();
        let mut typed = Self {
            args: words.by_ref().take(1).collect(),
            path: Vec::new(),
        };
        let (mut command, mut moved) = (root, Vec::new());
        while command.has_subcommands() {
            let Some(word) = words.next() else { break };
            if let Some(arg) = find_flag(root, &word) {
                let has_value = arg.get_action().takes_values() && !is_joined(&word);
                moved.push(word);
                moved.extend(words.by_ref().take(has_value.into()));
                continue;
            }
            let below = word.to_str().and_then(|word| command.find_subcommand(word));
            typed.args.push(word);
            let Some(below) = below else { break };
            typed.path.push(below.get_name().to_owned());
            command = below;
        }
        typed.args.extend(moved);
        typed.args.extend(words);
        typed
    }

    /// The arguments after the words of the command.
    pub(super) fn rest(&self) -> &[OsString] {
        self.args.get(1 + self.path.len()..).unwrap_or_default()
    }
}

/// Finds a flag of any command. Flags with the same name either all take a value, or none does.
fn find_flag<'c>(command: &'c Command, word: &OsStr) -> Option<&'c Arg> {
    let is_meant = |arg: &&Arg| is_flag(arg, word);
    let mut below = command.get_subcommands();
    let own = command.get_arguments().find(is_meant);
    own.or_else(|| below.find_map(|below| find_flag(below, word)))
}

/// Whether the word is this flag, with or without a value.
pub(super) fn is_flag(arg: &Arg, word: &OsStr) -> bool {
    let word = word.as_encoded_bytes();
    let name = word.split(|byte| *byte == b'=').next().unwrap_or(word);
    let is_long = |long: &str| name.strip_prefix(b"--") == Some(long.as_bytes());
    let is_short = |short: char| word == format!("-{short}").as_bytes();
    arg.get_long().is_some_and(is_long) || arg.get_short().is_some_and(is_short)
}

fn is_joined(word: &OsStr) -> bool {
    word.as_encoded_bytes().contains(&b'=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn flags_follow_the_command_with_their_values() {
        for (typed, placed) in [
            ("--db x user list", "user list --db x"),
            (
                "--db=x user --json list --limit 3",
                "user list --db=x --json --limit 3",
            ),
            ("user --db x list", "user list --db x"),
            ("-q --db x seed a.json", "seed -q --db x a.json"),
            (
                "--demo --listen 127.0.0.1:0 serve --metrics",
                "serve --demo --listen 127.0.0.1:0 --metrics",
            ),
            ("--db user user list", "user list --db user"),
            ("--db list", "--db list"),
            ("user list --db x", "user list --db x"),
            ("--db x --help", "--help --db x"),
            ("--db x help user add", "help --db x user add"),
            ("--colour --db x user list", "--colour --db x user list"),
            ("-- --db x", "-- --db x"),
            ("--db", "--db"),
            ("seed -- --db", "seed -- --db"),
        ] {
            let words = |text: &str| -> Vec<OsString> {
                let words = text.split(' ').map(OsString::from);
                [OsString::from("thanos-login")]
                    .into_iter()
                    .chain(words)
                    .collect()
            };
            let Typed { args, .. } = Typed::of(&command(), words(typed));
            assert_eq!(args, words(placed), "{typed}");
        }
    }

    #[test]
    fn flags_of_one_name_all_take_a_value_or_none_does() {
        fn check<'c>(
            command: &'c clap::Command,
            known: &mut std::collections::HashMap<&'c str, bool>,
        ) {
            for arg in command.get_arguments() {
                let takes = arg.get_action().takes_values();
                if let Some(long) = arg.get_long() {
                    assert_eq!(*known.entry(long).or_insert(takes), takes, "--{long}");
                }
            }
            for below in command.get_subcommands() {
                check(below, known);
            }
        }
        check(&command(), &mut std::collections::HashMap::new());
    }
}
