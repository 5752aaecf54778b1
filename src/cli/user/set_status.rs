//! `user set-status`: switches a user on or off.

use jiff::Timestamp;

use crate::account::UserStatus;
use crate::cli::database::DatabaseArgs;
use crate::cli::name;
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
    let before = name::user(&store, &args.user, now)?;
    let changed = store.set_user_status(before.id, args.status, now)?;
    let after = name::user_again(&store, &before.uuid, now)?;
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
