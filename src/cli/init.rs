//! `init`: makes the database file; one of ours that is there already is left as it is, or migrated.

use super::database::DatabaseArgs;
use crate::store::{Durability, Store, WhenMissing};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    Store::open(&args.database.path, WhenMissing::Create, Durability::Full)?;
    Ok(())
}
