//! `user unlock`: failed logins counted so far no longer keep a user out.
//!
//! This counts the unlocking in the user's row, which a server reads with each login of that user: failures from before it no
//! longer count. What it reports was written by the server, right after each answer. What was counted against a client's address stays, since that is
//! not about the user. The date that is noted as well is only shown: the clocks of two processes say nothing about order.

use anyhow::Context;
use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
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
    let user = name::user(&store, &args.user, now)?;
    let before = store.unlock(user.uuid, now)?;
    let before = before.context(name::DELETED_MEANWHILE)?;
    let after = name::user_again(&store, &before.uuid, now)?;
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
