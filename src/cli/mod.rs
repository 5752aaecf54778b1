//! The command line: one file per command. Parses flags and environment, calls the other rooms, and turns the result into
//! an exit code: 0 ok, 1 failed (one line on standard error, or one a finding), 2 wrong usage.

mod backup;
mod calibrate;
mod check;
mod completions;
mod database;
mod expensive;
mod healthcheck;
mod init;
mod logging;
mod man;
mod name;
mod new_password;
mod org;
mod output;
mod parse;
mod progress;
mod restore;
mod seed;
mod serve;
mod signals;
mod token;
mod user;

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
    /// Organizations
    #[command(subcommand)]
    Org(Box<org::Command>),
    /// Users
    #[command(subcommand)]
    User(Box<user::Command>),
    /// Tokens
    #[command(subcommand)]
    Token(token::Command),
    /// Look for what an operator should look into; exit code 1 if there is anything
    Check(check::Args),
    /// Copy the database while servers use it; the copy is checked, and gets its name only when it is whole
    Backup(backup::Args),
    /// Make the database what a backup holds; refused while a server runs on it
    Restore(restore::Args),
    /// Print a script that lets a shell complete commands and flags
    Completions(completions::Args),
    /// Print or write the manual pages
    Man(man::Args),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let matches = Cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    match run(cli.command, &matches) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
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
        Command::Org(command) => org::run(&command),
        Command::User(command) => user::run(&command),
        Command::Token(command) => token::run(&command),
        Command::Check(args) => return check::run(&args),
        Command::Backup(args) => backup::run(&args),
        Command::Restore(args) => restore::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Man(args) => man::run(&args),
    }
    .map(|()| ExitCode::SUCCESS)
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
