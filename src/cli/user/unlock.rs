//! `user unlock`: removes the effect of a user's failed logins.
//!
//! Increments the number of unlocks in the user's row, which a server reads with each login of that user: failures that
//! were counted before no longer count. The reported failures are those that the server has stored after its answers.
//! Failures that are counted against a client's address remain, since they do not concern the user. The date in the row
//! is only shown, since the clocks of two processes do not give an order.

use anyhow::Context;
use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("user unlock")?;
    let now = Timestamp::now();
    let user = lookup::user(&store, &args.user, now)?;
    let before = store.unlock(user.uuid, now)?;
    let before = before.context(lookup::DELETED_MEANWHILE)?;
    let after = lookup::user_again(&store, &before.uuid, now)?;
    let name = &before.username;
    let done = match (before.lock.described(), before.lock.failed_logins) {
        (Some(lock), _) if before.lock.locked_until.is_some() => {
            format!("unlocked {name}, who was {lock}")
        }
        (Some(failed), 1) => format!("{name} was not locked; {failed} is forgotten"),
        (Some(failed), _) => format!("{name} was not locked; {failed} are forgotten"),
        (None, _) => format!("{name} was not locked, and has no failed logins"),
    };
    report(&args.output, &after, format_args!("{done}"))
}
