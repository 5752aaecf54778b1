//! Environment variables as values of flags: an empty variable is treated as unset, and a message about a value names
//! the variable that it came from.

use std::env;
use std::ffi::{OsStr, OsString};

use clap::builder::{OsStr as Name, Resettable};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgMatches, Command, ValueHint};

use super::unknown;
use crate::gate::Address;
use crate::store::Location;

/// Parses arguments and variables, and treats empty variables as unset.
pub(super) fn parse(command: Command, args: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let with_empty = command.clone();
    let parsed = without_empty(command).try_get_matches_from(args);
    parsed.or_else(|error| match error.kind() {
        // The help names every variable, and is shown whatever their values are.
        ErrorKind::DisplayHelp => with_empty.try_get_matches_from(args),
        _ => Err(error),
    })
}

fn without_empty(command: Command) -> Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    let without = move |arg: Arg| match arg.get_env().is_some_and(is_empty) {
        true => arg.env(Resettable::<Name>::Reset),
        false => arg,
    };
    command.mut_args(without).mut_subcommands(without_empty)
}

/// The environment variables that are set.
#[derive(Default)]
pub(super) struct Variables {
    /// The variables whose values are used, since their flags are not among the arguments.
    used: Vec<Variable>,
    /// The warnings about unknown variables.
    unknown: Vec<String>,
}

struct Variable {
    name: String,
    /// The flag: `--listen`.
    flag: String,
    /// The flag with its value name: `--listen <ADDRESS>`.
    described: String,
    value: OsString,
    is_path: bool,
    /// The files, addresses and hosts in the value, in the form in which failures name them.
    places: Vec<String>,
}

impl Variables {
    pub(super) fn of(mut command: Command, args: &[OsString]) -> Self {
        command.build();
        let mut variables = Self {
            used: Vec::new(),
            unknown: unknown::warnings(&command),
        };
        variables.add(&command, args);
        variables
    }

    fn add(&mut self, command: &Command, args: &[OsString]) {
        for variable in command.get_arguments().filter_map(Variable::of) {
            let is_known = self.used.iter().any(|known| known.name == variable.name);
            if !is_known && !args.iter().any(|arg| variable.is_overruled_by(arg)) {
                self.used.push(variable);
            }
        }
        for command in command.get_subcommands() {
            self.add(command, args);
        }
    }

    /// One sentence for each unknown variable.
    pub(super) fn unknown(&self) -> &[String] {
        &self.unknown
    }

    /// Names the variables in a text about flags whose values came from them.
    pub(super) fn name_flags(&self, text: &str) -> String {
        self.used.iter().fold(text.to_owned(), |text, variable| {
            let Variable {
                name,
                flag,
                described,
                ..
            } = variable;
            let shown = [described, flag]
                .into_iter()
                .find(|shown| find_word(&text, shown).is_some());
            match shown.and_then(|shown| find_word(&text, shown).map(|at| (shown, at))) {
                Some((shown, at)) => {
                    let (before, after) = (&text[..at], &text[at + shown.len()..]);
                    format!("{before}{name} ({shown}){after}")
                }
                None => text,
            }
        })
    }

    /// Appends the variables whose values a failure names.
    pub(super) fn name_values(&self, mut line: String) -> String {
        for variable in &self.used {
            let is_in_line = |place: &String| find_word(&line, place).is_some();
            if variable.places.iter().any(is_in_line) {
                line.push_str(&format!(" (from {})", variable.name));
            }
        }
        line
    }

    /// Names the variables in an error of clap.
    pub(super) fn explain(&self, mut error: clap::Error, command: &mut Command) -> clap::Error {
        if error.kind() == ErrorKind::InvalidUtf8 {
            return self.blame_invalid_utf8(command).unwrap_or(error);
        }
        for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
            let named = match error.get(kind) {
                Some(ContextValue::String(text)) => ContextValue::String(self.name_flags(text)),
                Some(ContextValue::Strings(texts)) => {
                    ContextValue::Strings(texts.iter().map(|text| self.name_flags(text)).collect())
                }
                _ => continue,
            };
            error.insert(kind, named);
        }
        error
    }

    /// An error that names the variable, since clap does not say which value is not UTF-8.
    fn blame_invalid_utf8(&self, command: &mut Command) -> Option<clap::Error> {
        let blamed = |variable: &&Variable| !variable.is_path && variable.value.to_str().is_none();
        let Variable { name, value, .. } = self.used.iter().find(blamed)?;
        Some(command.error(
            ErrorKind::InvalidUtf8,
            format!("{name}={value:?} is not UTF-8"),
        ))
    }
}

impl Variable {
    fn of(arg: &Arg) -> Option<Self> {
        let name = arg.get_env()?;
        let value = env::var_os(name).filter(|value| !value.is_empty())?;
        let text = value.to_string_lossy();
        let items: Vec<&str> = match arg.get_value_delimiter() {
            Some(delimiter) => text.split(delimiter).map(str::trim).collect(),
            None => vec![&text],
        };
        let is_place = arg.get_value_hint() != ValueHint::Unknown;
        let place = |item: &str| match item.parse::<Address>() {
            Ok(Address::Tcp(address)) => Some(address.to_string()),
            Ok(Address::Unix(path)) => Some(path.display().to_string()),
            Err(_) => (is_place && !item.is_empty()).then(|| as_failures_name_it(item)),
        };
        Some(Self {
            name: name.to_string_lossy().into_owned(),
            flag: format!("--{}", arg.get_long()?),
            described: arg.to_string(),
            places: items.into_iter().filter_map(place).collect(),
            is_path: arg.get_value_hint() == ValueHint::AnyPath,
            value,
        })
    }

    fn is_overruled_by(&self, arg: &OsStr) -> bool {
        let rest = arg.as_encoded_bytes().strip_prefix(self.flag.as_bytes());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
    }
}

/// The form in which failures name a place: a database on servers by its hosts and its name.
fn as_failures_name_it(place: &str) -> String {
    let location = Location::new(place.into(), None);
    location.map_or_else(|_| place.to_owned(), |location| location.to_string())
}

/// The position of a word in a text, but not inside a longer word.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let continues = |char: char| char.is_alphanumeric() || matches!(char, '-' | '_');
    text.match_indices(word).map(|(at, _)| at).find(|at| {
        let (before, after) = (&text[..*at], &text[at + word.len()..]);
        !before.ends_with(continues) && !after.starts_with(continues)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_not_found_inside_a_longer_one() {
        for (text, word, at) in [
            ("--demo goes with it", "--demo", Some(0)),
            ("'--demo'", "--demo", Some(1)),
            ("--allow-remote-demo", "demo", None),
            ("--max-header-fields and --max-head", "--max-head", Some(24)),
            ("/srv/x.db: refused", "x.db", Some(5)),
            ("max.db: refused", "x.db", None),
            ("x.db-wal: refused", "x.db", None),
            ("nothing", "--demo", None),
        ] {
            assert_eq!(find_word(text, word), at, "{text}");
        }
    }
}
