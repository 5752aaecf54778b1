//! Flags that do not go together.

use anyhow::bail;
use clap::ArgMatches;
use clap::parser::ValueSource;

use super::args::Args;
use crate::cli::WrongUsage;
use crate::gate::Address;

/// What no flag can say about itself alone.
pub(super) fn check(args: &Args, matches: &ArgMatches) -> anyhow::Result<()> {
    args.check_tls()?;
    let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if args.demo && is_flag("path") {
        bail!(WrongUsage(
            "--demo serves a throw-away database: it does not go with --db".to_owned()
        ));
    }
    if args.demo && is_flag("db_ca") {
        bail!(WrongUsage(
            "--demo serves a throw-away database: it does not go with --db-ca".to_owned()
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
pub(super) fn is_remote(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    }
}
