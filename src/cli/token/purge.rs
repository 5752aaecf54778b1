//! `token purge`: removes expired tokens.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::database::DatabaseArgs;
use crate::cli::output::{JsonArgs, report};

/// How many tokens a transaction removes, so that logins of a running server can run in between.
const BATCH: u32 = 5000;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Purged {
    purged: usize,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("token purge")?;
    let now = Timestamp::now();
    let mut purged = 0;
    while store.has_expired(now)? {
        purged += store.purge_expired(now, BATCH)?;
    }
    let tokens = if purged == 1 { "token" } else { "tokens" };
    report(
        &args.output,
        &Purged { purged },
        format_args!("removed {purged} expired {tokens}"),
    )
}
