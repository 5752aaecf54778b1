//! `user unlock`: failed logins counted so far no longer keep a user out.
//!
//! The counters are in the server's memory. This counts the unlocking in the user's row, which a server reads with each login
//! of that user: failures from before it no longer count. What was counted against a client's address stays, since that is
//! not about the user. The date that is noted as well is only shown: the clocks of two processes say nothing about order.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{JsonArgs, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its username or UUID
    user: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let now = Timestamp::now();
    let user = name::user(&store, &args.user, now)?;
    store.unlock(user.id, now)?;
    let after = name::user_again(&store, &user.uuid, now)?;
    report(
        &args.output,
        &after,
        format_args!("unlocked {}", user.username),
    )
}
