//! `user history`: the events about one user.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::events::list::PageArgs;
use crate::cli::name;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Its username or UUID; of a deleted user, too
    user: String,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let user = name::user_ever(&store, &args.user, Timestamp::now())?;
    args.page.print(&store, Some(user))
}
