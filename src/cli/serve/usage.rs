//! Checks flags that cannot be used together.

use anyhow::bail;
use clap::ArgMatches;
use clap::parser::ValueSource;

use super::args::Args;
use crate::cli::WrongUsage;
use crate::gate::Address;

/// The checks that concern several flags.
pub(super) fn check(args: &Args, matches: &ArgMatches) -> anyhow::Result<()> {
    args.check_tls()?;
    let is_flag = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    if args.demo && is_flag("path") {
        bail!(WrongUsage(
            "--demo serves a temporary database: it cannot be used with --db".to_owned()
        ));
    }
    if args.demo && is_flag("db_ca") {
        bail!(WrongUsage(
            "--demo serves a temporary database: it cannot be used with --db-ca".to_owned()
        ));
    }
    if args.demo && is_flag("create") {
        bail!(WrongUsage(
            "--demo serves a temporary database: it cannot be used with --create".to_owned()
        ));
    }
    if args.fixture.is_some() && !args.demo {
        bail!(WrongUsage(
            "--fixture requires --demo; `thanos-login seed FILE` loads accounts into a database"
                .to_owned()
        ));
    }
    if let Some(origin) = args.cors_origin.iter().find(|origin| origin.is_shared())
        && !args.demo
    {
        bail!(WrongUsage(format!(
            "--cors-origin {origin} requires --demo: many pages and apps share that origin"
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

/// Whether other machines can reach an address.
pub(super) fn is_remote(address: &Address) -> bool {
    match address {
        Address::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    }
}
