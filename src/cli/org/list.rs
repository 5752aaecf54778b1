//! `org list`: lists organizations, optionally with a status or a text.

use crate::account::OrganizationStatus;
use crate::cli::database::DatabaseArgs;
use crate::cli::named::named;
use crate::cli::output::{ListingArgs, Row, list};
use crate::store::{OrganizationFilter, OrganizationOrder, OrganizationRow};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// List only organizations with this status
    #[arg(long, value_parser = named::<OrganizationStatus>(OrganizationStatus::NAMES))]
    status: Option<OrganizationStatus>,
    /// List only organizations with this text in the name, ignoring case
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Field to sort by
    #[arg(long, value_name = "FIELD", default_value = "name", value_parser = named::<OrganizationOrder>(OrganizationOrder::NAMES))]
    sort: OrganizationOrder,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let filter = OrganizationFilter {
        status: args.status,
        search: args.search.as_deref(),
    };
    let rows = store.organizations(filter, args.listing.by(args.sort))?;
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
