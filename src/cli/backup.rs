//! `backup`: copies the database while servers use it.

use std::path::PathBuf;

use super::database::DatabaseArgs;
use super::parse;
use super::progress::Progress;
use crate::store::back_up;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Where the copy is made; a path
    #[arg(value_name = "DEST", value_parser = parse::copy_path())]
    destination: PathBuf,
    /// Replace DEST if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let progress = Progress::new("pages");
    back_up(
        &args.database.path,
        &args.destination,
        args.force,
        &mut |done, total| progress.tell(done, total),
    )?;
    Ok(())
}
