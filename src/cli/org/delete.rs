//! `org delete`: removes an organization, and its users if that is said.
//!
//! Many users go in batches, each a transaction, so that logins beside it get their turn. The first one deactivates the
//! organization, the last one removes it; what is cut off in between goes on when the command is given again.

use std::thread;
use std::time::Instant;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{JsonArgs, report};
use crate::cli::progress::Progress;
use crate::store::{OrganizationRow, RemovalOutcome, Store};
use crate::text::counted;

/// How many users a transaction deletes: some tens of milliseconds.
const BATCH: u32 = 500;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    /// Delete the users of the organization, too; one with more than 500 is DEACTIVATED first, and deleted with the last user
    #[arg(long)]
    with_users: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Shows the organization as it was.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("org delete")?;
    let organization = name::organization(&store, &args.org)?;
    let (name, uuid) = (&organization.name, &organization.uuid);
    if organization.users > 0 && !args.with_users {
        bail!(has_users(name, organization.users));
    }
    let users = and_users(organization.users);
    args.confirm
        .confirm(&format!("Delete the organization {name} ({uuid}){users}?"))?;
    let users = remove(&store, &organization, args.with_users)?;
    let users = and_users(users);
    report(
        &args.output,
        &organization,
        format_args!("deleted the organization {name} ({uuid}){users}"),
    )
}

/// Gives how many users went with it.
fn remove(store: &Store, organization: &OrganizationRow, with_users: bool) -> anyhow::Result<u64> {
    let progress = Progress::new("users");
    let mut removed = 0;
    loop {
        let start = Instant::now();
        let uuid = organization.uuid.clone();
        match store.remove_organization(uuid, with_users, BATCH, Timestamp::now())? {
            RemovalOutcome::Done(users) => return Ok(removed + users as u64),
            RemovalOutcome::Started(users) => removed += users as u64,
            RemovalOutcome::HasUsers(users) => bail!(has_users(&organization.name, users)),
            RemovalOutcome::Gone => bail!(name::DELETED_MEANWHILE),
        }
        progress.tell(removed, organization.users.max(removed));
        // SQLite gives the lock to the process that asks next: a server asks again after a while.
        thread::sleep(start.elapsed());
    }
}

fn has_users(name: &str, users: u64) -> String {
    format!(
        "{name} has {}: --with-users deletes them too",
        counted(users, "user")
    )
}

fn and_users(users: u64) -> String {
    match users {
        0 => String::new(),
        users => format!(" and {}", counted(users, "user")),
    }
}
