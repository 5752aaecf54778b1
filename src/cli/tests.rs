//! Checks that apply to every command and every flag.

use clap::error::ErrorKind;
use clap::{Arg, Command};

use super::{command, help};

/// Every command without subcommands, with its words.
fn leaves() -> Vec<(String, Command)> {
    let mut found = Vec::new();
    add_leaves("", &command(), &mut found);
    found
}

fn add_leaves(path: &str, command: &Command, found: &mut Vec<(String, Command)>) {
    if !command.has_subcommands() {
        found.push((path.trim_start().to_owned(), command.clone()));
    }
    for below in command.get_subcommands() {
        add_leaves(&format!("{path} {}", below.get_name()), below, found);
    }
}

#[test]
fn the_help_of_every_command_has_an_example_that_can_be_typed() {
    let commands = leaves();
    for (path, leaf) in &commands {
        let help = leaf
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        let examples: Vec<&str> = help
            .lines()
            .map(str::trim)
            .filter(|line| line.starts_with("thanos-login "))
            .collect();
        assert!(!examples.is_empty(), "{path}: {help}");
        for example in examples {
            assert!(example.contains(path), "{path}: {example}");
            let parsed = command().try_get_matches_from(example.split(' '));
            assert!(parsed.is_ok(), "{example}: {parsed:?}");
        }
        let lists = ["list", "show"].iter().any(|verb| path.ends_with(verb));
        let names = ["Columns", "Fields"].iter().any(|word| help.contains(word));
        assert!(!lists || names, "{path}: {help}");
    }
    for ending in help::ENDINGS {
        let is_there = commands.iter().any(|(path, _)| path == ending.command);
        assert!(is_there, "{}", ending.command);
    }
}

/// Error messages of the parsers of the standard library and of other crates.
const LIBRARY_MESSAGES: [&str; 12] = [
    "invalid digit",
    "invalid character",
    "invalid length",
    "invalid socket",
    "invalid IP",
    "cannot parse",
    "error parsing",
    "number too",
    "is not in ",
    "not a boolean",
    "provided string",
    "unexpected end",
];

#[test]
fn no_error_about_a_value_has_the_message_of_a_library() {
    let takes_value = |arg: &&Arg| arg.get_action().takes_values();
    let mut refused = 0;
    for (path, leaf) in leaves() {
        for arg in leaf.get_arguments().filter(takes_value) {
            let Some(long) = arg.get_long() else { continue };
            for value in ["x", "-1", "1.5", "99999999999999999999", "é", " "] {
                let flag = format!("--{long}={value}");
                let words = ["thanos-login"].into_iter().chain(path.split(' '));
                let error = command()
                    .try_get_matches_from(words.chain([flag.as_str()]))
                    .err();
                let Some(error) = error.filter(|error| error.kind() == ErrorKind::ValueValidation)
                else {
                    continue;
                };
                refused += 1;
                let text = error.to_string();
                let message = LIBRARY_MESSAGES
                    .iter()
                    .find(|message| text.contains(**message));
                assert_eq!(message, None, "{path} {flag}: {text}");
            }
        }
    }
    assert!(refused > 100, "{refused}");
}
