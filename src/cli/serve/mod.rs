//! `serve`: answers logins until it is told to stop.

mod args;

use std::io::{self, Write};

use anyhow::Context;
use clap::ArgMatches;
use clap::parser::ValueSource;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::progress::Progress;
use super::{logging, signals, wrong_usage};
use crate::Server;
use crate::gate::Address;

pub(super) use args::Args;

pub(super) fn run(args: Args, matches: &ArgMatches) -> anyhow::Result<()> {
    check_usage(&args, matches);
    let logging = logging::start(&args.logging, matches);
    let mut signals = signals::catch().context("cannot catch signals")?;
    let server = start(args).map_err(|error| logging.tell_failure(error))?;
    logging.begin();
    log_start(&server);
    while let signals::Request::Reload = signals::next(&mut signals) {
        reload(&server);
    }
    tracing::info!("stopping");
    server.stop();
    tracing::info!("stopped");
    Ok(())
}

/// Everything up to the ready lines.
fn start(args: Args) -> anyhow::Result<Server> {
    let config = args.into_config()?;
    raise_descriptor_limit();
    let server = Server::start_reporting(config, Progress::new("pages").reporter())?;
    write_ready_lines(&server)?;
    Ok(server)
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

fn reload(server: &Server) {
    match server.reload_tls() {
        Ok(true) => tracing::info!("read the TLS files again"),
        Ok(false) => {}
        Err(error) => {
            let error = format!("{:#}", anyhow::Error::from(error));
            tracing::error!(
                error,
                "cannot use the new TLS files; the old ones stay in use"
            );
        }
    }
}

/// What no flag can say about itself alone.
fn check_usage(args: &Args, matches: &ArgMatches) {
    let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if args.demo && is_flag("path") {
        wrong_usage("--demo serves a throw-away database: it does not go with --db");
    }
    if args.fixture.is_some() && !args.demo {
        wrong_usage(
            "--fixture goes with --demo; `thanos-login seed FILE` loads accounts into a database",
        );
    }
    let is_remote = |address: &&Address| match address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    };
    if let Some(address) = args.listen.iter().find(is_remote)
        && args.demo
        && !args.allow_remote_demo
    {
        wrong_usage(format!(
            "--demo listens on loopback addresses only, since its passwords are public: not on {address} without --allow-remote-demo"
        ));
    }
}

fn write_ready_lines(server: &Server) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    for address in server.addresses() {
        writeln!(out, "listening on {address}").context("cannot write to standard output")?;
    }
    out.flush().context("cannot write to standard output")?;
    if let Some(authority) = server.authority() {
        let path = std::path::absolute(authority).context("cannot tell the present directory")?;
        eprintln!(
            "clients must trust {} as certificate authority",
            path.display()
        );
    }
    Ok(())
}

fn log_start(server: &Server) {
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
