//! `user rename`: changes the username of a user.

use anyhow::bail;
use jiff::Timestamp;

use crate::account::Username;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};
use crate::cli::parse;
use crate::store::RenameOutcome;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    /// New username; an email address equal to the old username is changed too
    #[arg(value_name = "NEW", value_parser = parse::new_username)]
    username: Username,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("user rename")?;
    let now = Timestamp::now();
    let before = lookup::user(&store, &args.user, now)?;
    let (old, new) = (&before.username, args.username.as_str());
    let done = match store.rename_user(before.uuid.clone(), args.username.clone(), now)? {
        RenameOutcome::Done => format!("renamed {old} to {new}; its tokens are ended"),
        RenameOutcome::Same => format!("{new} is its username already"),
        RenameOutcome::Taken => bail!("there is a user {new:?} already"),
        RenameOutcome::Gone => bail!(lookup::DELETED_MEANWHILE),
    };
    let after = lookup::user_again(&store, &before.uuid, now)?;
    report(&args.output, &after, format_args!("{done}"))
}
