//! Suggestions for commands and flags of other programs: `adduser`, `list users`, `--port 8080`.
//!
//! None of them is accepted as a command: they remain wrong usage, with a line that suggests the right one.

use std::ffi::OsString;

use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::placement::{Typed, is_flag};
use crate::Config;

/// The nouns of commands, with their synonyms.
const NOUNS: &[(&str, &[&str])] = &[
    (
        "user",
        &["users", "account", "accounts", "member", "members"],
    ),
    (
        "org",
        &[
            "orgs",
            "organization",
            "organizations",
            "organisation",
            "organisations",
            "company",
        ],
    ),
    ("token", &["tokens", "session", "sessions"]),
    ("events", &["event", "audit", "log", "logs"]),
];

/// The verbs of commands, with their synonyms.
const VERBS: &[(&str, &[&str])] = &[
    ("add", &["create", "new", "insert", "register"]),
    ("list", &["ls", "all", "find", "search"]),
    ("show", &["get", "info", "describe", "view", "inspect"]),
    ("delete", &["remove", "rm", "del", "drop"]),
    ("rename", &["mv"]),
    ("set", &["edit", "modify", "mod", "update", "change"]),
    ("set-status", &["status"]),
    (
        "passwd",
        &[
            "password",
            "chpasswd",
            "setpassword",
            "changepassword",
            "resetpassword",
        ],
    ),
    ("unlock", &[]),
    ("move", &["transfer"]),
    ("history", &["events", "audit", "log", "logs"]),
    ("import", &["load"]),
    ("export", &["dump"]),
    ("revoke", &["logout", "expire"]),
    ("purge", &["clean", "prune"]),
];

/// Other names of commands, and the right command.
const COMMANDS: &[(&[&str], &str)] = &[
    (
        &[
            "start",
            "run",
            "server",
            "up",
            "runserver",
            "daemon",
            "listen",
            "launch",
        ],
        "serve",
    ),
    (&["demo", "stub", "mock"], "serve --demo"),
    (&["status", "ping", "health", "ready"], "healthcheck"),
    (
        &[
            "create", "setup", "initdb", "createdb", "migrate", "install",
        ],
        "init",
    ),
    (&["load", "loaddata", "fixture"], "seed FILE"),
    (&["dump", "save", "snapshot"], "backup DEST"),
    (&["doctor", "verify", "fsck", "lint"], "check"),
    (&["bench", "benchmark"], "calibrate"),
    (&["completion"], "completions SHELL"),
    (&["createsuperuser"], "user add USERNAME --org ORG"),
    (
        &["lock", "disable", "deactivate", "block", "ban", "suspend"],
        "user set-status USER DEACTIVATED",
    ),
    (
        &["enable", "activate", "unban"],
        "user set-status USER ACTIVE",
    ),
    (&["log", "logs", "audit", "event"], "events list"),
    (&["history"], "user history USER"),
    (&["locked"], "user list --locked"),
    (&["version"], "--version"),
];

/// Other names of flags, the right flag, and its value, in which `{}` is the given value.
const FLAGS: &[(&[&str], &str, &str)] = &[
    (&["--port", "-p", "--http-port"], "listen", "127.0.0.1:{}"),
    (
        &[
            "--host",
            "--bind",
            "--address",
            "--addr",
            "--hostname",
            "--interface",
            "-H",
        ],
        "listen",
        "{}:8080",
    ),
    (
        &["--socket", "--unix-socket", "--unix"],
        "listen",
        "unix:{}",
    ),
    (
        &[
            "--database",
            "--db-path",
            "--db-file",
            "--dbname",
            "--sqlite",
            "-d",
        ],
        "db",
        "{}",
    ),
    (
        &["--organization", "--organisation", "--company", "-o"],
        "org",
        "{}",
    ),
    (&["--password", "--pass", "-p"], "password-stdin", ""),
    (&["--cost", "--rounds"], "bcrypt-cost", "{}"),
    (&["--cert", "--certificate", "--ssl-cert"], "tls-cert", "{}"),
    (&["--key", "--private-key", "--ssl-key"], "tls-key", "{}"),
    (
        &["--proxy", "--trust-proxy", "--trusted-proxies"],
        "trusted-proxy",
        "{}",
    ),
    (
        &["--cors", "--origin", "--allow-origin"],
        "cors-origin",
        "{}",
    ),
    (&["--verbose", "--debug", "-v"], "log-level", "debug"),
    (&["--stub", "--mock"], "demo", ""),
    (&["--silent"], "quiet", ""),
    (&["--output", "--format", "-o"], "json", ""),
    (
        &["-f", "-y", "--assume-yes", "--noinput", "--no-input"],
        "yes",
        "",
    ),
    (&["-f", "-y", "--yes", "--overwrite"], "force", ""),
];

/// Adds a suggestion to an error, if there is one.
pub(super) fn correct(mut error: clap::Error, typed: &Typed, root: &Command) -> clap::Error {
    let known = match error.kind() {
        ErrorKind::InvalidSubcommand => for_command(typed, root),
        ErrorKind::UnknownArgument => for_argument(&error, typed, root),
        _ => None,
    };
    if let Some(known) = known {
        let _ = error.remove(ContextKind::SuggestedSubcommand);
        let _ = error.remove(ContextKind::SuggestedArg);
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(known)]);
        error.insert(ContextKind::Suggested, tip);
    }
    error
}

fn for_command(typed: &Typed, root: &Command) -> Option<String> {
    let mut words = typed.rest().iter().filter_map(|word| word.to_str());
    let word = words.next()?.to_lowercase();
    let next = words.next().unwrap_or_default().to_lowercase();
    let noun = typed.path.first().map(String::as_str);
    let found = match noun {
        Some(noun) => named(VERBS, &word).and_then(|verb| usage(root, noun, verb)),
        None => of_two(root, &word, &next),
    };
    let own = || {
        let (_, command) = COMMANDS.iter().find(|(names, _)| names.contains(&&*word))?;
        let is_below = |noun| command.split(' ').next() == Some(noun);
        noun.is_none_or(is_below)
            .then(|| format!("thanos-login {command}"))
    };
    let of_any = || of_any_noun(root, named(VERBS, &word).filter(|_| noun.is_none())?);
    let right = found.or_else(own).or_else(of_any)?;
    Some(format!("type `{right}`"))
}

/// The suggestion for a verb alone: `list`.
fn of_any_noun(root: &Command, verb: &str) -> Option<String> {
    let usages = NOUNS.iter().filter_map(|(noun, _)| usage(root, noun, verb));
    let usages: Vec<String> = usages.collect();
    (!usages.is_empty()).then(|| usages.join("` or `"))
}

/// The suggestion for a noun, or for a noun and a verb: `users`, `list users`, `user-add`, `adduser`.
fn of_two(root: &Command, word: &str, next: &str) -> Option<String> {
    let both = |noun, verb| usage(root, named(NOUNS, noun)?, named(VERBS, verb)?);
    if let Some(noun) = named(NOUNS, word) {
        let verb = named(VERBS, next).unwrap_or("list");
        return usage(root, noun, verb);
    }
    let joined = |at: usize| {
        let (first, second) = (word.get(..at)?, word.get(at..)?);
        let second = second.trim_start_matches(['-', '_', ':', '.']);
        both(first, second).or_else(|| both(second, first))
    };
    both(next, word).or_else(|| (1..word.len()).find_map(joined))
}

fn named(table: &[(&'static str, &[&str])], word: &str) -> Option<&'static str> {
    let is_called = |(name, others): &&(&str, &[&str])| *name == word || others.contains(&word);
    table.iter().find(is_called).map(|(name, _)| *name)
}

/// The usage of a command, if it exists.
fn usage(root: &Command, noun: &str, verb: &str) -> Option<String> {
    let mut root = root.clone();
    root.build();
    let command = root.find_subcommand(noun)?.find_subcommand(verb)?;
    let usage = command.clone().render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace(" [OPTIONS]", "");
    Some(usage)
}

fn for_argument(error: &clap::Error, typed: &Typed, root: &Command) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let mut path = typed.path.iter();
    let command = path.try_fold(root, |command, word| command.find_subcommand(word))?;
    let has = |long: &str| {
        let flag = format!("--{long}");
        !owners(command, &flag).is_empty()
            || root.get_arguments().any(|arg| is_flag(arg, flag.as_ref()))
    };
    let name = word.split('=').next().unwrap_or(word);
    let of_another_name = FLAGS
        .iter()
        .find(|(names, flag, _)| names.contains(&name) && has(flag));
    if let Some((_, flag, value)) = of_another_name {
        return Some(flag_to_type(name, flag, value, typed.rest()));
    }
    if word.parse::<u16>().is_ok() && has("listen") {
        return Some(format!("type `--listen 127.0.0.1:{word}`"));
    }
    let mut owners = owners(root, name);
    if owners.len() > 3 {
        owners.truncate(3);
        owners.push("others".to_owned());
    }
    (!owners.is_empty()).then(|| format!("{name} is a flag of {}", owners.join(", ")))
}

fn flag_to_type(name: &str, flag: &str, value: &str, args: &[OsString]) -> String {
    if flag == "password-stdin" {
        return "a password is not accepted as an argument, which other users of this machine could read: leave it out to be asked for it, or pipe it to --password-stdin"
            .to_owned();
    }
    if flag == "listen"
        && let Some(address) = host_and_port(args)
    {
        return format!("type `--listen {address}`");
    }
    let given = value_of(name, args).unwrap_or_else(|| "VALUE".to_owned());
    match value.replace("{}", &given) {
        value if value.is_empty() => format!("type `--{flag}`"),
        value => format!("type `--{flag} {value}`"),
    }
}

/// The address of `--host HOST --port PORT`, in any order. If one of them is missing, its default is used.
fn host_and_port(args: &[OsString]) -> Option<String> {
    let value = |of: usize| FLAGS[of].0.iter().find_map(|name| value_of(name, args));
    let (port, host) = (value(0), value(1));
    if port.is_none() && host.is_none() {
        return None;
    }
    let port = port.unwrap_or_else(|| Config::LISTEN.port().to_string());
    let host = host.unwrap_or_else(|| Config::LISTEN.ip().to_string());
    Some(match host.contains(':') {
        true => format!("[{host}]:{port}"),
        false => format!("{host}:{port}"),
    })
}

fn value_of(name: &str, args: &[OsString]) -> Option<String> {
    let at = args.iter().position(|arg| {
        let arg = arg.to_str().unwrap_or_default();
        arg.split('=').next() == Some(name)
    })?;
    let arg = args[at].to_str()?;
    let joined = arg.split_once('=').map(|(_, value)| value.to_owned());
    let next = || args.get(at + 1)?.to_str().map(str::to_owned);
    joined.or_else(next).filter(|value| !value.starts_with('-'))
}

/// The commands that have a flag: this command and its subcommands.
fn owners(command: &Command, flag: &str) -> Vec<String> {
    let mut owners = Vec::new();
    add_owners(command, flag, "", &mut owners);
    owners
}

fn add_owners(command: &Command, flag: &str, path: &str, owners: &mut Vec<String>) {
    let has = |arg: &Arg| is_flag(arg, flag.as_ref());
    if command.get_arguments().any(has) {
        owners.push(format!("`{}`", path.trim_start()));
    }
    for below in command.get_subcommands() {
        let path = format!("{path} {}", below.get_name());
        add_owners(below, flag, &path, owners);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::command;

    #[test]
    fn every_correction_is_a_command_or_a_flag_of_one() {
        for (names, right) in COMMANDS {
            let mut parsed = command();
            parsed.build();
            let mut words = right.split(' ').filter(|word| !word.starts_with('-'));
            let is_command = words
                .next()
                .is_none_or(|word| parsed.find_subcommand(word).is_some());
            assert!(is_command, "{right}");
            for name in *names {
                assert!(parsed.find_subcommand(name).is_none(), "{name}");
            }
        }
        for (names, flag, _) in FLAGS {
            let owners = owners(&command(), &format!("--{flag}"));
            assert!(!owners.is_empty(), "{names:?}: {flag}");
        }
    }
}
