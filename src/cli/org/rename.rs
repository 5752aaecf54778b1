//! `org rename`: changes the name of an organization.

use anyhow::bail;
use jiff::Timestamp;

use super::checked_name;
use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, report};
use crate::store::RenameOutcome;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    /// New name
    #[arg(value_name = "NEW")]
    name: String,
    /// Accept the name of another organization; the two then differ only in their UUIDs
    #[arg(long)]
    same_name: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let new = checked_name(&args.name)?;
    let store = args.database.open_for("org rename")?;
    let before = lookup::organization(&store, &args.org)?;
    let old = &before.name;
    let (uuid, name, now) = (before.uuid.clone(), new.to_owned(), Timestamp::now());
    let done = match store.rename_organization(uuid, name, args.same_name, now)? {
        RenameOutcome::Done => format!("renamed {old} to {new}"),
        RenameOutcome::Same => format!("{new} is its name already"),
        RenameOutcome::Taken => {
            bail!("there is an organization {new:?} already; --same-name accepts it anyway")
        }
        RenameOutcome::Gone => bail!(lookup::DELETED_MEANWHILE),
    };
    let after = lookup::organization_again(&store, &before.uuid)?;
    report(&args.output, &after, format_args!("{done}"))
}
