//! `serve`: answers logins until it is told to stop.

mod args;

use std::io::{self, Write};

use anyhow::Context;
use clap::ArgMatches;
use clap::parser::ValueSource;

use super::{logging, signals, wrong_usage};
use crate::Server;

pub(super) use args::Args;

pub(super) fn run(args: Args, matches: &ArgMatches) -> anyhow::Result<()> {
    check_usage(&args, matches);
    let logging = logging::start(&args.logging, matches);
    let config = args.into_config()?;
    let mut signals = signals::catch().context("cannot catch signals")?;
    signals::survive_full_files().context("cannot catch signals")?;
    let server = Server::start(config)?;
    write_ready_lines(&server).context("cannot write to standard output")?;
    logging.begin();
    log_start(&server);
    // There is nothing to reload.
    while let signals::Request::Reload = signals::next(&mut signals) {}
    tracing::info!("stopping");
    server.stop();
    tracing::info!("stopped");
    Ok(())
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
    let is_remote = |address: &&std::net::SocketAddr| !address.ip().to_canonical().is_loopback();
    if let Some(address) = args.listen.iter().find(is_remote)
        && args.demo
        && !args.allow_remote_demo
    {
        wrong_usage(format!(
            "--demo listens on loopback addresses only, since its passwords are public: not on {address} without --allow-remote-demo"
        ));
    }
}

fn write_ready_lines(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in server.addresses() {
        writeln!(out, "listening on http://{address}")?;
    }
    out.flush()
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
