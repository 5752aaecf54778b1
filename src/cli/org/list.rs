//! `org list`: every organization.

use crate::cli::database::DatabaseArgs;
use crate::cli::output::{ListingArgs, Row, list, named};
use crate::store::{OrganizationOrder, OrganizationRow};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// What they are listed by
    #[arg(long, value_name = "FIELD", default_value = "name", value_parser = named::<OrganizationOrder>(OrganizationOrder::NAMES))]
    sort: OrganizationOrder,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let rows = store.organizations(args.listing.by(args.sort))?;
    list(&args.listing.output, &rows)
}

impl Row for OrganizationRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("NAME", "name"),
        ("TYPE", "org_type"),
        ("STATUS", "status"),
        ("USERS", "users"),
        ("CREATED", "created_date"),
        ("UUID", "uuid"),
    ];
}
