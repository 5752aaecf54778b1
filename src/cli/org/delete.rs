//! `org delete`: deletes an organization, and its users with `--with-users`.
//!
//! Many users are deleted in batches, each in a transaction, so that logins can run in between. The first transaction
//! deactivates the organization, the last one deletes it. If the command is interrupted, running it again continues.

use std::thread;
use std::time::Instant;

use anyhow::bail;
use jiff::Timestamp;

use crate::cli::confirm::ConfirmArgs;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};
use crate::cli::progress::Progress;
use crate::store::{OrganizationRow, RemovalOutcome, Store};
use crate::text::counted;

/// How many users a transaction deletes, which takes some tens of milliseconds.
const BATCH: u32 = 500;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    /// Also delete the users of the organization; with more than 500 users it is DEACTIVATED first, and deleted with
    /// the last user
    #[arg(long)]
    with_users: bool,
    #[command(flatten)]
    confirm: ConfirmArgs,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// Deletes the organization, and reports it as it was before.
pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open_for("org delete")?;
    let organization = lookup::organization(&store, &args.org)?;
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

/// Deletes the organization. Returns the number of deleted users.
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
            RemovalOutcome::Gone => bail!(lookup::DELETED_MEANWHILE),
        }
        progress.update(removed, organization.users.max(removed));
        // SQLite gives the lock to the next process that asks for it, and a server asks only now and then. So pause as
        // long as the transaction took.
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
