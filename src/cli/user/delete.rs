//! `user delete`: removes a user.

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Deletes the user, and reports it as it was before.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("user delete")?;
    let user = lookup::user(&store, &args.user, Timestamp::now())?;
    let (name, org, uuid) = (&user.username, &user.org, &user.uuid);
    args.confirm
        .confirm(&format!("Delete the user {name} of {org} ({uuid})?"))?;
    if !store.remove_user(user.uuid.clone(), Timestamp::now())? {
        bail!(lookup::DELETED_MEANWHILE);
    }
    report(
        &args.output,
        &user,
        format_args!("deleted the user {name} ({uuid}); its tokens are ended"),
    )
}
