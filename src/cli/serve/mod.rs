//! `serve`: answers logins until it is stopped.

mod args;
mod parent;
mod warnings;

use anyhow::{Context, bail};
use clap::ArgMatches;
use clap::parser::ValueSource;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::environment::Variables;
use super::progress::Progress;
use super::stream::{STDERR, STDOUT};
use super::{WrongUsage, logging, signals};
use crate::Server;
use crate::gate::Address;

pub(super) use args::Args;
use parent::Parent;

pub(super) fn run(args: Args, matches: &ArgMatches, variables: &Variables) -> anyhow::Result<()> {
    let mut signals = signals::catch().context("cannot catch signals")?;
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
    let mut logging = logging::start(&args.logging, matches)?;
    let (server, warnings) =
        start(args).map_err(|error| logging.report_failure(error, variables))?;
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
fn start(args: Args) -> anyhow::Result<(Server, Vec<String>)> {
    let config = args.into_config()?;
    let warnings = warnings::of(&config);
    for stream in [&STDOUT, &STDERR] {
        stream.start().context("cannot start a thread")?;
    }
    raise_descriptor_limit();
    let progress = Progress::new("pages").reporter();
    Ok((Server::start_reporting(config, progress)?, warnings))
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
    if let Some(migrated) = server.migrated() {
        tracing::info!(
            from = migrated.from,
            to = migrated.to,
            "migrated the database"
        );
    }
    for address in server.addresses() {
        tracing::info!(%address, version = env!("CARGO_PKG_VERSION"), "listening");
    }
}
