//! `user history`: lists the events of one user.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::events::list::PageArgs;
use crate::cli::lookup;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// Username or UUID of the user, who may be deleted
    user: String,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let user = lookup::user_ever(&store, &args.user, Timestamp::now())?;
    args.page.print(&store, Some(user))
}
