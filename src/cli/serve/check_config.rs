//! `--check-config`: prints every setting with its value and origin, then the warnings of a start and the errors that
//! would make it fail. Starts nothing, binds no address and writes no file.

use std::ffi::OsStr;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use serde::Serialize;

use super::args::Args;
use super::start::{raise_descriptor_limit, with_next_step};
use super::{usage, warnings};
use crate::Server;
use crate::cli::environment::Variables;
use crate::cli::escape::printable;
use crate::cli::output::{JsonArgs, Row, list};
use crate::cli::stream::STDERR;
use crate::cli::{Logged, failure_lines, logging, warn};
use crate::store::Location;

/// Printed if a setting has no value.
const NONE: &str = "-";

#[derive(Serialize)]
struct Setting {
    flag: String,
    value: String,
    from: String,
}

impl Row for Setting {
    const COLUMNS: &'static [(&'static str, &'static str)] =
        &[("FLAG", "flag"), ("VALUE", "value"), ("FROM", "from")];
}

/// `command` is the command whose flags are in `args` and `matches`.
pub(super) fn run(
    args: Args,
    command: &Command,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    list(&JsonArgs::TEXT, &settings(command, matches))?;
    warn(variables.unknown());
    usage::check(&args, matches)?;
    logging::filter(&args.logging, matches)?;
    let config = args.into_config(matches)?;
    // A start does this too.
    raise_descriptor_limit();
    let of_flags = warnings::of(&config);
    let of_flags = of_flags.iter().map(|text| variables.name_flags(text));
    let (of_files, problems) = Server::check(config);
    warn(&of_flags.chain(of_files).collect::<Vec<_>>());
    let is_ready = problems.is_empty();
    for problem in problems {
        for line in failure_lines(&with_next_step(problem), variables) {
            STDERR.message(printable(&line));
        }
    }
    match is_ready {
        true => Ok(()),
        false => Err(Logged.into()),
    }
}

/// The flags that have a variable, in the order of the help, without `--check-config` itself.
fn settings(command: &Command, matches: &ArgMatches) -> Vec<Setting> {
    let args = command.get_arguments();
    args.filter(|arg| arg.get_id() != "check_config")
        .filter_map(|arg| setting(arg, matches))
        .collect()
}

fn setting(arg: &Arg, matches: &ArgMatches) -> Option<Setting> {
    let (long, variable) = (arg.get_long()?, arg.get_env()?);
    let by_module = (arg.get_id() == logging::LEVEL).then(|| logging::by_module(matches));
    let (value, from) = match by_module.flatten() {
        Some(directives) => (text(&directives), logging::RUST_LOG.to_owned()),
        None => (value(arg, matches), source(arg, variable, matches)),
    };
    Some(Setting {
        flag: format!("--{long}"),
        value,
        from,
    })
}

fn value(arg: &Arg, matches: &ArgMatches) -> String {
    let id = arg.get_id().as_str();
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return matches.get_flag(id).to_string();
    }
    let values = matches.get_raw(id).into_iter().flatten();
    let values: Vec<String> = values.map(text).collect();
    match values.is_empty() {
        true => default_in_words(arg).unwrap_or_else(|| NONE.to_owned()),
        false => values.join(","),
    }
}

fn text(value: &OsStr) -> String {
    Location::shown(value)
}

/// The default as the help describes it, if it is not a single value.
fn default_in_words(arg: &Arg) -> Option<String> {
    let help = arg.get_help()?.to_string();
    let (_, rest) = help.split_once("[default: ")?;
    Some(rest.split_once(']')?.0.to_owned())
}

fn source(arg: &Arg, variable: &OsStr, matches: &ArgMatches) -> String {
    match matches.value_source(arg.get_id().as_str()) {
        Some(ValueSource::CommandLine) => "flag".to_owned(),
        Some(ValueSource::EnvVariable) => text(variable),
        _ => "default".to_owned(),
    }
}
