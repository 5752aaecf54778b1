//! `user set`: changes the name, the addresses and the permissions of a user.

use anyhow::bail;
use jiff::Timestamp;

use super::permission::PermissionArgs;
use crate::accounts::User;
use crate::cli::database::DatabaseArgs;
use crate::cli::output::{JsonArgs, refused, report_edit};
use crate::cli::person::{PersonArgs, PersonEdit};
use crate::cli::{WrongUsage, lookup};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    #[command(flatten)]
    person: PersonArgs,
    #[command(flatten)]
    permissions: PermissionArgs,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let person = args.person.edit();
    if person.is_empty() && args.permissions.is_empty() {
        bail!(WrongUsage(
            "nothing to set: give --first-name, --last-name, --email, --phone or --permission"
                .to_owned()
        ));
    }
    let store = args.database.open_for("user set")?;
    let now = Timestamp::now();
    let before = lookup::user(&store, &args.user, now)?;
    let given = args.permissions.find(&store)?;
    let PersonEdit {
        given: fields,
        cleared,
    } = person;
    let user = User {
        uuid: Some(before.uuid),
        person: Some(fields),
        permissions: given.permissions.clone(),
        ..User::default()
    };
    match store.edit_user(user, cleared, now)? {
        Err(findings) => Err(refused(&findings)),
        Ok(None) => bail!(lookup::DELETED_MEANWHILE),
        Ok(Some(edited)) => report_edit(
            &args.output,
            &edited,
            &edited.row.username,
            &given.new_ones(),
        ),
    }
}
