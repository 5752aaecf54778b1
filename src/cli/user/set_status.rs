//! `user set-status`: changes the status of a user.

use jiff::Timestamp;

use crate::account::UserStatus;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{JsonArgs, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    /// New status
    #[arg(value_parser = named::<UserStatus>(UserStatus::NAMES))]
    status: UserStatus,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("user set-status")?;
    let now = Timestamp::now();
    let before = lookup::user(&store, &args.user, now)?;
    let changed = store.set_user_status(before.id, args.status, now)?;
    let after = lookup::user_again(&store, &before.uuid, now)?;
    let (name, status) = (&before.username, args.status);
    let done = match changed {
        true => format!(
            "{name} is {status} now, and was {}; its tokens are ended",
            before.status
        ),
        false => format!("{name} is {status} already"),
    };
    report(&args.output, &after, format_args!("{done}"))
}
