//! `serve`: answers logins until it is stopped.

mod args;
mod check_config;
mod parent;
mod warnings;

use std::path::{self, Path};

use anyhow::{Context, anyhow, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::environment::Variables;
use super::progress::Progress;
use super::stream::{STDERR, STDOUT};
use super::{WrongUsage, logging, signals};
use crate::gate::Address;
use crate::store::{Migrated, OpenError};
use crate::{Server, StartError};

pub(super) use args::Args;
use parent::Parent;

/// `command` describes the flags that `args` and `matches` are of.
pub(super) fn run(
    args: Args,
    command: &Command,
    matches: &ArgMatches,
    variables: &Variables,
) -> anyhow::Result<()> {
    if args.check_config {
        signals::let_through();
        return check_config::run(args, command, matches, variables);
    }
    let mut signals = signals::catch().context("cannot catch signals")?;
    let mut logging = logging::start(&args.logging, matches)?;
    for warning in variables.unknown() {
        tracing::warn!("{warning}");
    }
    check_usage(&args, matches)?;
    if args.exit_with_parent {
        let stop = signals.handle();
        let stop = move || {
            tracing::info!("the process that started this one ended, or closed standard input");
            stop.close();
        };
        Parent::find()?
            .on_end(stop)
            .context("cannot start a thread")?;
    }
    let (server, warnings) =
        start(args, matches).map_err(|error| logging.report_failure(error, variables))?;
    // Before anybody knows that there is a server: the first request is logged like all others.
    logging.begin();
    for warning in warnings {
        tracing::warn!("{}", variables.name_flags(&warning));
    }
    write_ready_lines(&server).map_err(|error| logging.report_failure(error, variables))?;
    log_start(&server);
    while let signals::Request::Reload = signals::next(&mut signals) {
        reload(&server, variables);
    }
    tracing::info!("stopping");
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

/// Everything up to the ready lines, and what the operator should know about the flags.
fn start(args: Args, matches: &ArgMatches) -> anyhow::Result<(Server, Vec<String>)> {
    let config = args.into_config(matches)?;
    let warnings = warnings::of(&config);
    for stream in [&STDOUT, &STDERR] {
        stream.start().context("cannot start a thread")?;
    }
    raise_descriptor_limit();
    let progress = Progress::new("pages").reporter();
    let server = Server::start_reporting(config, progress).map_err(with_next_step)?;
    Ok((server, warnings))
}

/// A missing database is mostly a typing error: the whole path shows which.
fn with_next_step(error: StartError) -> anyhow::Error {
    match error {
        StartError::Database(OpenError::Missing(path)) => missing_database(&path),
        error => error.into(),
    }
}

fn missing_database(given: &Path) -> anyhow::Error {
    let path = path::absolute(given).unwrap_or_else(|_| given.to_owned());
    let (path, given) = (path.display(), given.display());
    anyhow!(
        "{path}: no such database; `thanos-login init --db {given}` makes one, or `serve` with --create"
    )
}

/// Every connection needs descriptors, and the limit that a shell sets is meant for programs that need a few.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of file descriptors");
    }
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

/// What no flag can say about itself alone.
fn check_usage(args: &Args, matches: &ArgMatches) -> anyhow::Result<()> {
    args.check_tls()?;
    let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if args.demo && is_flag("path") {
        bail!(WrongUsage(
            "--demo serves a throw-away database: it does not go with --db".to_owned()
        ));
    }
    if args.demo && is_flag("create") {
        bail!(WrongUsage(
            "--demo serves a throw-away database: it does not go with --create".to_owned()
        ));
    }
    if args.fixture.is_some() && !args.demo {
        bail!(WrongUsage(
            "--fixture goes with --demo; `thanos-login seed FILE` loads accounts into a database"
                .to_owned()
        ));
    }
    if let Some(origin) = args.cors_origin.iter().find(|origin| origin.is_shared())
        && !args.demo
    {
        bail!(WrongUsage(format!(
            "--cors-origin {origin} goes with --demo: pages and apps of many have that origin"
        )));
    }
    if let Some(address) = args.listen.iter().find(|address| is_remote(address))
        && args.demo
        && !args.allow_remote_demo
    {
        bail!(WrongUsage(format!(
            "--demo listens on loopback addresses only, since its passwords are public: --listen {address} needs --allow-remote-demo"
        )));
    }
    Ok(())
}

/// Whether other machines reach it.
fn is_remote(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    }
}

/// Whether or not anybody reads them.
fn write_ready_lines(server: &Server) -> anyhow::Result<()> {
    for address in server.addresses() {
        STDOUT.message(format_args!("listening on {address}"));
    }
    if let Some(authority) = server.authority() {
        let path =
            std::path::absolute(authority).context("cannot find out the current directory")?;
        STDERR.message(format_args!(
            "clients must trust {} as certificate authority",
            path.display()
        ));
    }
    Ok(())
}

fn log_start(server: &Server) {
    if server.was_unclean() {
        tracing::warn!(
            "the database was not closed properly; all of it was looked at, and it is sound"
        );
    }
    log_database(server);
    for address in server.addresses() {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
}

/// What shows that it is the wrong one: where it is, whether it was made just now, and how many accounts are in it.
fn log_database(server: &Server) {
    let counts = server.count_accounts();
    let counts = counts.inspect_err(|error| tracing::warn!(%error, "cannot count the accounts"));
    let counts = counts.ok();
    let (path, migrated) = (server.database(), server.migrated());
    let opened = match (path, migrated) {
        (None, _) => "serving a throw-away database".to_owned(),
        (Some(path), Some(Migrated { from, to })) => {
            let path = path.display();
            format!("serving the database {path}, migrated from schema {from} to {to}")
        }
        (Some(path), None) if server.is_new() => {
            format!("serving the database {}, created just now", path.display())
        }
        (Some(path), None) => format!("serving the database {}", path.display()),
    };
    tracing::info!(
        database = path.map(|path| tracing::field::display(path.display())),
        created = server.is_new(),
        from = migrated.map(|migrated| migrated.from),
        to = migrated.map(|migrated| migrated.to),
        organizations = counts.map(|counts| counts.organizations),
        users = counts.map(|counts| counts.users),
        "{opened}"
    );
}
