//! `backup`: copies the database while servers use it.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::database::DatabaseArgs;
use super::output::{JsonArgs, report};
use super::parse;
use super::progress::Progress;
use crate::store::back_up;
use crate::text::counted;

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// File to write the copy to
    #[arg(value_name = "DEST", value_parser = parse::copy_path())]
    destination: PathBuf,
    /// Replace DEST if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The result. Its fields are the keys of `--json`, in this order.
#[derive(Serialize)]
struct BackupReport<'p> {
    path: &'p Path,
    users: u64,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let progress = Progress::new("pages");
    let database = args.database.file()?;
    let content = back_up(
        &database,
        &args.destination,
        args.force,
        &mut |done, total| progress.update(done, total),
    )?;
    drop(progress);
    let copied = BackupReport {
        path: &args.destination,
        users: content.users,
    };
    let (users, path) = (counted(content.users, "user"), args.destination.display());
    report(
        &args.output,
        &copied,
        format_args!("copied {users} to {path}"),
    )
}
