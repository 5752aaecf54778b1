//! `token list`: lists the tokens of one user, or all tokens.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{ListingArgs, Row, list};
use crate::store::{TokenOrder, TokenRow};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// List only tokens of this user, by username or UUID
    #[arg(long)]
    user: Option<String>,
    /// Field to sort by
    #[arg(long, value_name = "FIELD", default_value = "issued_at", value_parser = named::<TokenOrder>(TokenOrder::NAMES))]
    sort: TokenOrder,
    #[command(flatten)]
    listing: ListingArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let now = Timestamp::now();
    let user = args
        .user
        .as_deref()
        .map(|user| lookup::user(&store, user, now))
        .transpose()?;
    let listing = args.listing.by(args.sort);
    let rows = store.tokens(user.map(|user| user.id), listing, now)?;
    list(&args.listing.output, &rows)
}

impl Row for TokenRow {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("ID", "id"),
        ("USERNAME", "username"),
        ("ORG", "org"),
        ("ISSUED", "issued_at"),
        ("EXPIRES", "expires_at"),
        ("PINNED", "pinned"),
    ];
}
