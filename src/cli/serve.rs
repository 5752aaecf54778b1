//! `serve`: answers logins until it is told to stop.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use clap::ArgMatches;
use clap::builder::BoolishValueParser;
use clap::parser::ValueSource;

use super::database::{CostArgs, DatabaseArgs};
use super::{logging, parse, seed, signals, wrong_usage};
use crate::auth::Policy;
use crate::{Config, Database, Server};

#[derive(clap::Args)]
pub(super) struct Args {
    /// Where to listen: IP:PORT or localhost:PORT, port 0 for a free one; repeatable
    #[arg(
        long,
        value_name = "ADDRESS",
        env = "THANOS_LOGIN_LISTEN",
        value_delimiter = ',',
        value_parser = parse::address,
        default_value = "127.0.0.1:8080"
    )]
    listen: Vec<SocketAddr>,
    #[command(flatten)]
    database: DatabaseArgs,
    /// Serve the demo accounts from a throw-away database
    #[arg(long, env = "THANOS_LOGIN_DEMO", value_parser = BoolishValueParser::new())]
    demo: bool,
    /// With --demo: serve the accounts of this fixture instead
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_FIXTURE")]
    fixture: Option<PathBuf>,
    /// With --demo: listen on addresses that other machines reach
    #[arg(long, env = "THANOS_LOGIN_ALLOW_REMOTE_DEMO", value_parser = BoolishValueParser::new())]
    allow_remote_demo: bool,
    /// How long a token lives; 0 is for ever
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_TOKEN_TTL", value_parser = parse::duration, default_value = "2h")]
    token_ttl: Duration,
    /// How many tokens of a user live at once; a further login ends the oldest
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_MAX_TOKENS_PER_USER",
        value_parser = clap::value_parser!(u32).range(1..),
        default_value = "32"
    )]
    max_tokens_per_user: u32,
    #[command(flatten)]
    cost: CostArgs,
    /// The longest request body, in bytes
    #[arg(
        long,
        value_name = "BYTES",
        env = "THANOS_LOGIN_MAX_BODY",
        default_value = "16384"
    )]
    max_body: usize,
    /// How many logins may be in work or waiting; one more is answered 503
    #[arg(
        long,
        value_name = "NUMBER",
        env = "THANOS_LOGIN_HASH_QUEUE",
        default_value = "256"
    )]
    hash_queue: usize,
    /// How long a login may wait for its hashing to begin
    #[arg(long, value_name = "DURATION", env = "THANOS_LOGIN_HASH_WAIT", value_parser = parse::duration, default_value = "30s")]
    hash_wait: Duration,
}

pub(super) fn run(args: Args, matches: &ArgMatches) -> anyhow::Result<()> {
    check_usage(&args, matches);
    let config = config(args)?;
    let mut signals = signals::catch().context("cannot catch signals")?;
    signals::survive_full_files().context("cannot catch signals")?;
    let server = Server::start(config)?;
    write_ready_lines(&server).context("cannot write to standard output")?;
    logging::start();
    // There is nothing to reload.
    while let signals::Request::Reload = signals::next(&mut signals) {}
    server.stop();
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
    let remote = args
        .listen
        .iter()
        .find(|address| !address.ip().to_canonical().is_loopback());
    if let Some(address) = remote
        && args.demo
        && !args.allow_remote_demo
    {
        wrong_usage(format!(
            "--demo listens on loopback addresses only, since its passwords are public: not on {address} without --allow-remote-demo"
        ));
    }
}

fn config(args: Args) -> anyhow::Result<Config> {
    let bcrypt_cost = if args.demo {
        args.cost.demo()
    } else {
        args.cost.real()
    };
    let database = if args.demo {
        Database::Demo(seed::read(args.fixture.as_deref())?)
    } else {
        Database::File(args.database.path)
    };
    Ok(Config {
        listen: args.listen,
        database,
        policy: Policy {
            token_ttl: (!args.token_ttl.is_zero()).then_some(args.token_ttl),
            max_tokens_per_user: args.max_tokens_per_user,
            bcrypt_cost,
        },
        max_body: args.max_body,
        hash_queue: args.hash_queue,
        hash_wait: args.hash_wait,
    })
}

fn write_ready_lines(server: &Server) -> io::Result<()> {
    let mut out = io::stdout().lock();
    for address in server.addresses() {
        writeln!(out, "listening on http://{address}")?;
    }
    out.flush()
}
