//! `org show`: shows one organization.

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, show};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Name or UUID of the organization
    org: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let row = lookup::organization(&store, &args.org)?;
    show(&args.output, &row)
}
