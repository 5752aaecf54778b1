//! The command line: one file per command. Parses flags and environment, calls the other rooms, and turns the result into
//! an exit code: 0 ok, 1 failed (one line on standard error, or one a finding), 2 wrong usage.

mod calibrate;
mod database;
mod healthcheck;
mod init;
mod logging;
mod parse;
mod seed;
mod serve;
mod signals;

use std::process::ExitCode;

use anyhow::Context;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

/// The login call of the Thanos market place: a server on one SQLite file, and a stub of it.
#[derive(Parser)]
#[command(
    name = "thanos-login",
    version,
    propagate_version = true,
    arg_required_else_help = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer logins
    Serve(Box<serve::Args>),
    /// Ask a server whether it can answer logins; takes the flags and environment that it was started with
    Healthcheck(Box<serve::Args>),
    /// Make the database file
    Init(init::Args),
    /// Load accounts from a fixture, the demo accounts without one
    Seed(seed::Args),
    /// Measure what this machine hashes, to choose --bcrypt-cost by
    Calibrate(calibrate::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, matches: &ArgMatches) -> anyhow::Result<()> {
    signals::survive_full_files().context("cannot catch signals")?;
    match command {
        Command::Serve(args) => {
            let matches = matches.subcommand_matches("serve").unwrap_or(matches);
            serve::run(*args, matches)
        }
        Command::Healthcheck(args) => healthcheck::run(&args),
        Command::Init(args) => init::run(&args),
        Command::Seed(args) => seed::run(&args),
        Command::Calibrate(args) => calibrate::run(&args),
    }
}

/// Ends the process as clap does for a flag it does not know: with a text that names the flags, and exit code 2.
fn wrong_usage(message: impl std::fmt::Display) -> ! {
    Cli::command()
        .error(clap::error::ErrorKind::ArgumentConflict, message)
        .exit()
}

/// A failure that the log has been told already.
#[derive(Debug, thiserror::Error)]
#[error("the log says why")]
struct Logged;

fn report(error: &anyhow::Error) {
    if error.is::<Logged>() {
        return;
    }
    for line in failure_lines(error) {
        eprintln!("{line}");
    }
}

/// The findings of a fixture name their places and stand alone; everything else is one line with its causes.
fn failure_lines(error: &anyhow::Error) -> Vec<String> {
    let findings = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<crate::fixture::Findings>());
    match findings {
        Some(findings) => findings.0.iter().map(ToString::to_string).collect(),
        None => vec![format!("thanos-login: {error:#}")],
    }
}
