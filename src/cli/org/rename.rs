//! `org rename`: gives an organization another name.

use anyhow::bail;
use jiff::Timestamp;

use super::checked_name;
use crate::cli::database::DatabaseArgs;
use crate::cli::name;
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
    /// Take a name that another organization has; only the UUIDs of the two differ then
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
    let before = name::organization(&store, &args.org)?;
    let old = &before.name;
    let (uuid, name, now) = (before.uuid.clone(), new.to_owned(), Timestamp::now());
    let done = match store.rename_organization(uuid, name, args.same_name, now)? {
        RenameOutcome::Done => format!("renamed {old} to {new}"),
        RenameOutcome::Same => format!("{new} is its name already"),
        RenameOutcome::Taken => bail!(
            "there is an organization {new:?} already; --same-name takes the name all the same"
        ),
        RenameOutcome::Gone => bail!(name::DELETED_MEANWHILE),
    };
    let after = name::organization_again(&store, &before.uuid)?;
    report(&args.output, &after, format_args!("{done}"))
}
