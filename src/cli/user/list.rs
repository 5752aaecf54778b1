//! `user list`: users of one organization, or all.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{ListingArgs, Row, list, named};
use crate::store::{UserOrder, UserRow};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Only users of this organization, by its name or UUID
    #[arg(long)]
    org: Option<String>,
    /// What they are listed by
    #[arg(long, value_name = "FIELD", default_value = "username", value_parser = named::<UserOrder>(UserOrder::NAMES))]
    sort: UserOrder,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let organization = args
        .org
        .as_deref()
        .map(|org| name::organization(&store, org))
        .transpose()?;
    let org_id = organization.map(|organization| organization.id);
    let listing = args.listing.by(args.sort);
    let rows = store.users(org_id, listing, Timestamp::now())?;
    list(&args.listing.output, &rows)
}

impl Row for UserRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("USERNAME", "username"),
        ("STATUS", "status"),
        ("ORG", "org"),
        ("LAST LOGIN", "last_login"),
        ("TOKENS", "tokens_live"),
        ("UUID", "uuid"),
    ];
}
