//! `user show`: shows one user.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, show};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user
    user: String,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let row = lookup::user(&store, &args.user, Timestamp::now())?;
    show(&args.output, &row)
}
