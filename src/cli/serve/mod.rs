//! `serve`: answers logins until it is stopped.

mod args;
mod check_config;
mod next_steps;
mod parent;
mod start;
mod usage;
mod warnings;

use anyhow::Context;
use clap::{ArgMatches, Command};

use super::environment::Variables;
use super::signals::SignalRequest;
use super::stream::{STDERR, STDOUT};
use super::{logging, signals};
use crate::Server;
use crate::store::Migrated;

pub(super) use args::Args;
use next_steps::NextSteps;
use parent::Parent;
use start::{Started, start};

/// `command` is the command whose flags are in `args` and `matches`.
pub(super) fn run(
    args: Args,
    command: &Command,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    if args.check_config {
        signals::unblock();
        return check_config::run(args, command, matches, variables);
    }
    let mut signals = signals::catch().context("cannot catch signals")?;
    let mut logging = logging::start(&args.logging, matches)?;
    for warning in variables.unknown() {
        tracing::warn!("{warning}");
    }
    usage::check(&args, matches)?;
    if args.exit_with_parent {
        let stop = signals.handle();
        let stop = move || {
            tracing::info!("the parent process has ended, or has closed standard input");
            stop.close();
        };
        Parent::find()?
            .on_end(stop)
            .context("cannot start a thread")?;
    }
    let Started {
        server,
        warnings,
        next_steps,
    } = start(args, matches).map_err(|error| logging.report_failure(error, variables))?;
    // Before the ready lines, so that the first request is logged like all others.
    logging.enable();
    for warning in warnings {
        tracing::warn!("{}", variables.name_flags(&warning));
    }
    write_ready_lines(&server).map_err(|error| logging.report_failure(error, variables))?;
    log_start(&server);
    if let Some(next_steps) = next_steps.filter(|_| logging.is_text()) {
        write_next_steps(&server, &next_steps);
    }
    while let SignalRequest::Reload = signals::next(&mut signals) {
        reload(&server, variables);
    }
    tracing::info!("stopping");
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

fn reload(server: &Server, variables: &Variables) {
    match server.reload_tls() {
        Ok(true) => tracing::info!("read the TLS files again"),
        Ok(false) => {}
        Err(error) => {
            let error = variables.name_values(format!("{:#}", anyhow::Error::from(error)));
            tracing::error!(
                error,
                "cannot use the new TLS files; the old ones stay in use"
            );
        }
    }
}

/// Writes the addresses and the authority's certificate. Does not fail if they cannot be written.
fn write_ready_lines(server: &Server) -> anyhow::Result<()> {
    for address in server.addresses() {
        STDOUT.message(format_args!("listening on {address}"));
    }
    if let Some(authority) = server.authority() {
        let path = std::path::absolute(authority).context("cannot read the current directory")?;
        STDERR.message(format_args!(
            "clients must trust {} as certificate authority",
            path.display()
        ));
    }
    Ok(())
}

/// For a person: a program that starts a demo reads the ready lines, and may keep standard error.
fn write_next_steps(server: &Server, next_steps: &NextSteps) {
    if !STDERR.is_terminal() || !STDERR.has_notes() {
        return;
    }
    if let Some(bound) = server.addresses().first() {
        STDOUT.drain();
        STDERR.message(next_steps.text(bound, server.authority()));
    }
}

fn log_start(server: &Server) {
    if server.was_unclean() {
        tracing::warn!(
            "the database was not closed properly; all of it was checked, and it is sound"
        );
    }
    log_database(server);
    for address in server.addresses() {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
}

/// Logs what shows that it is the wrong database: its location, whether it was just created, and the number of
/// accounts.
fn log_database(server: &Server) {
    let counts = server.count_accounts();
    let counts = counts.inspect_err(|error| tracing::warn!(%error, "cannot count the accounts"));
    let counts = counts.ok();
    let (location, migrated) = (server.database(), server.migrated());
    let opened = match (location, migrated) {
        (None, _) => "serving a temporary database".to_owned(),
        (Some(location), Some(Migrated { from, to })) => {
            format!("serving the database {location}, migrated from schema {from} to {to}")
        }
        (Some(location), None) if server.is_new() => {
            format!("serving the database {location}, created just now")
        }
        (Some(location), None) => format!("serving the database {location}"),
    };
    tracing::info!(
        database = location.map(tracing::field::display),
        created = server.is_new(),
        from = migrated.map(|migrated| migrated.from),
        to = migrated.map(|migrated| migrated.to),
        organizations = counts.map(|counts| counts.organizations),
        users = counts.map(|counts| counts.users),
        "{opened}"
    );
}
