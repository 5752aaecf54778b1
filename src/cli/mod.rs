//! The command line: one file per command. Parses flags and environment, calls the other modules, and turns the result
//! into an exit code: 0 for success, 1 for a failure (one line on standard error, or one line per finding), 2 for wrong
//! usage.

mod accounts;
mod actor;
mod backup;
mod calibrate;
mod check;
mod completions;
mod confirm;
mod corrections;
mod database;
mod environment;
mod escape;
mod events;
mod expensive;
mod file_error;
mod healthcheck;
mod help;
mod init;
mod input;
mod logging;
mod lookup;
mod man;
mod named;
mod new_password;
mod org;
mod output;
mod parse;
mod person;
mod placement;
mod process_title;
mod progress;
mod restore;
mod seed;
mod serve;
mod signals;
mod stream;
mod terminal;
#[cfg(test)]
mod tests;
mod token;
mod unknown;
mod user;

use std::ffi::OsString;
use std::panic;
use std::process::ExitCode;

use anyhow::Context;
use clap::error::ErrorKind;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use environment::Variables;
use escape::{printable, visible};
use placement::Typed;
use stream::{STDERR, STDOUT};

/// A server for the login call of the Thanos market place, and a stub of it for tests
#[derive(Parser)]
#[command(
    name = "thanos-login",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    /// Print only results and errors, no progress or reports
    #[arg(
        short,
        long,
        global = true,
        overrides_with = "quiet",
        display_order = 998
    )]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the server, or a stub of it with --demo
    Serve(Box<serve::Args>),
    /// Check whether a running server can answer logins; takes the flags and environment of that server
    Healthcheck(Box<serve::Args>),
    /// Create the database, or migrate an older one
    Init(init::Args),
    /// Load accounts from a fixture, by default the demo accounts
    Seed(seed::Args),
    /// Measure how fast this machine hashes, to choose --bcrypt-cost
    Calibrate(calibrate::Args),
    /// Manage organizations
    #[command(subcommand)]
    Org(Box<org::Command>),
    /// Manage users
    #[command(subcommand)]
    User(Box<user::Command>),
    /// Manage tokens
    #[command(subcommand)]
    Token(token::Command),
    /// List logins and changes by commands
    #[command(subcommand)]
    Events(events::Command),
    /// Report problems of the database and the certificate; exit with 1 if there are any
    Check(check::Args),
    /// Copy the database while servers use it; DEST appears only once the copy is complete and checked
    Backup(backup::Args),
    /// Replace the database by a backup; refused while a server runs on it
    Restore(restore::Args),
    /// Print a shell script that completes commands and flags
    Completions(completions::Args),
    /// Print or write the manual pages
    Man(man::Args),
}

/// Runs the command in the arguments of the process. Neither a closed nor a blocked standard stream makes it panic or
/// wait for ever.
pub fn main() -> ExitCode {
    signals::block();
    let code = match process_title::hide_password() {
        Ok(()) => {
            logging::report_panics();
            panic::catch_unwind(run).unwrap_or(ExitCode::FAILURE)
        }
        Err(error) => report(error, &Variables::default(), &[]),
    };
    STDERR.drain();
    STDOUT.drain();
    code
}

fn run() -> ExitCode {
    let typed = Typed::of(&command(), std::env::args_os().collect());
    let variables = Variables::of(command(), &typed.args);
    signals::survive_full_files()
        .context("cannot catch signals")
        .and_then(|()| dispatch(&typed.args, &variables))
        .unwrap_or_else(|error| {
            signals::unblock();
            match error.downcast() {
                Ok(usage) => {
                    let usage = corrections::correct(usage, &typed, &command());
                    print_usage(&variables.explain(usage, &mut command()))
                }
                Err(error) => report(error, &variables, &typed.path),
            }
        })
}

/// The whole command line with its help.
fn command() -> clap::Command {
    help::complete(Cli::command())
}

fn dispatch(args: &[OsString], variables: &Variables) -> anyhow::Result<ExitCode> {
    let matches = environment::parse(command(), args).inspect_err(|error| {
        if error.use_stderr() {
            warn(variables.unknown());
        }
    })?;
    let Cli {
        quiet,
        command: parsed,
    } = Cli::from_arg_matches(&matches)?;
    if quiet {
        STDOUT.leave_out_notes();
        STDERR.leave_out_notes();
    }
    // A server logs these warnings itself.
    if !matches!(parsed, Command::Serve(_)) {
        signals::unblock();
        warn(variables.unknown());
    }
    match parsed {
        Command::Serve(args) => {
            let matches = matches.subcommand_matches("serve").unwrap_or(&matches);
            // Built, so that it includes the global flags.
            let mut command = command();
            command.build();
            let command = command.find_subcommand("serve").unwrap_or(&command);
            serve::run(*args, command, matches, variables)
        }
        Command::Healthcheck(args) => healthcheck::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Org(command) => org::run(&command),
        Command::User(command) => user::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Events(command) => events::run(&command),
        Command::Check(args) => return check::run(&args, variables),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
    .map(|()| ExitCode::SUCCESS)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        STDERR.message(printable(&format!("thanos-login: warning: {warning}")));
    }
}

/// Wrong usage that clap does not detect.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongUsage(String);

/// A failure that has already been logged.
#[derive(Debug, thiserror::Error)]
#[error("the log says why")]
struct Logged;

fn report(error: anyhow::Error, variables: &Variables, path: &[String]) -> ExitCode {
    if error.is::<Logged>() {
        return ExitCode::FAILURE;
    }
    if let Some(WrongUsage(text)) = error.downcast_ref() {
        let text = variables.name_flags(text);
        return print_usage(&usage_error(path, &text));
    }
    for line in failure_lines(&error, variables) {
        STDERR.message(printable(&line));
    }
    ExitCode::FAILURE
}

/// A usage error with the usage of the command at `path`.
fn usage_error(path: &[String], text: &str) -> clap::Error {
    let mut root = command();
    root.build();
    let typed = path
        .iter()
        .try_fold(&mut root, |command, word| command.find_subcommand_mut(word));
    match typed {
        Some(command) => command.error(ErrorKind::ArgumentConflict, text),
        None => command().error(ErrorKind::ArgumentConflict, text),
    }
}

/// Prints help or the version to standard output, and any other error as wrong usage.
fn print_usage(error: &clap::Error) -> ExitCode {
    let text = error.render();
    let stream = if error.use_stderr() { &STDERR } else { &STDOUT };
    let text = if stream.wants_colour() {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if error.use_stderr() {
        STDERR.message(visible(text.trim_end()));
        return ExitCode::from(2);
    }
    match output::print(|out| out.write_all(text.as_bytes())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(error, &Variables::default(), &[]),
    }
}

/// The lines that report a failure: one for each finding of a fixture, or one line with all causes.
fn failure_lines(error: &anyhow::Error, variables: &Variables) -> Vec<String> {
    let findings = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<crate::accounts::Findings>());
    let lines: Vec<String> = match findings {
        Some(findings) => findings.lines().collect(),
        None => vec![format!("thanos-login: {error:#}")],
    };
    lines
        .into_iter()
        .map(|line| variables.name_values(line))
        .collect()
}
