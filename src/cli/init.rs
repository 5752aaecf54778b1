//! `init`: makes the database file; one of ours that is there already is left as it is, or migrated.

use super::database::DatabaseArgs;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    args.database.open_or_create()?;
    Ok(())
}
