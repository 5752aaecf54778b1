//! `org show`: one organization.

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{JsonArgs, moment, or_dash, show};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its name or UUID
    org: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let row = name::organization(&store, &args.org)?;
    show(
        &args.output,
        &row,
        &[
            ("uuid", row.uuid.clone()),
            ("name", row.name.clone()),
            ("org_type", row.org_type.to_string()),
            ("status", row.status.to_string()),
            ("retailer_uuid", or_dash(row.retailer_uuid.as_ref())),
            ("supplier_uuid", or_dash(row.supplier_uuid.as_ref())),
            ("created_date", moment(Some(row.created_date))),
            ("active_date", moment(row.active_date)),
            ("users", row.users.to_string()),
        ],
    )
}
