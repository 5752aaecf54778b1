//! `restore`: makes the database what a backup holds; no server may run on it.

use std::path::PathBuf;

use super::database::DatabaseArgs;
use super::parse;
use super::progress::Progress;
use crate::store::restore;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// The backup; it is only read
    #[arg(value_name = "SRC", value_parser = parse::copy_path())]
    source: PathBuf,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let progress = Progress::new("pages");
    restore(&args.source, &args.database.path, &mut |done, total| {
        progress.tell(done, total);
    })?;
    Ok(())
}
