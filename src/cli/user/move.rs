//! `user move`: moves a user to another organization.

use anyhow::bail;
use jiff::Timestamp;

use crate::accounts::User;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, refused, report};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    /// New organization of the user, by name or UUID
    #[arg(long)]
    org: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("user move")?;
    let now = Timestamp::now();
    let before = lookup::user(&store, &args.user, now)?;
    let org = lookup::organization(&store, &args.org)?;
    let user = User {
        uuid: Some(before.uuid),
        org: Some(org.uuid),
        ..User::default()
    };
    let edited = match store.edit_user(user, Vec::new(), now)? {
        Err(findings) => return Err(refused(&findings)),
        Ok(None) => bail!(lookup::DELETED_MEANWHILE),
        Ok(Some(edited)) => edited,
    };
    let (username, new) = (&edited.row.username, &edited.row.org);
    let done = match edited.changed.is_empty() {
        true => format!("{username} belongs to {new} already"),
        false => format!(
            "moved {username} from {} to {new}; its tokens stay",
            before.org
        ),
    };
    report(&args.output, &edited.row, format_args!("{done}"))
}
