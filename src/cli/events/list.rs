//! `events list`: lists events, page by page.

use jiff::Timestamp;

use crate::cli::database::DatabaseArgs;
use crate::cli::lookup;
use crate::cli::output::{JsonArgs, Row, list_pages};
use crate::cli::parse;
use crate::store::{Event, EventFilter, Store};

/// The maximum number of events in memory.
const PAGE: u32 = 1000;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// List only events of this user, by username or UUID; the user may be deleted
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    #[command(flatten)]
    page: PageArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The selection and the output format of events.
#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct PageArgs {
    /// List only events since this time (2026-11-26T04:00:00Z), day, or duration before now (1d)
    #[arg(long, value_name = "TIME", value_parser = parse::since)]
    since: Option<Timestamp>,
    /// List the newest events first
    #[arg(long)]
    reverse: bool,
    /// Print at most this number of events
    #[arg(long, value_name = "NUMBER", value_parser = parse::count::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    output: JsonArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let user = args.user.as_deref();
    let user = user.map(|user| lookup::user_ever(&store, user, Timestamp::now()));
    args.page.print(&store, user.transpose()?)
}

impl PageArgs {
    /// Prints the events of a user, or all events.
    pub(in crate::cli) fn print(
        &self,
        store: &Store,
        user_uuid: Option<String>,
    ) -> anyhow::Result<()> {
        let filter = EventFilter {
            user_uuid,
            since: self.since,
            reverse: self.reverse,
        };
        let mut left = self.limit.unwrap_or(u32::MAX);
        let mut last = None;
        list_pages(&self.output, || {
            let page = store.events(&filter, last, left.min(PAGE))?;
            left -= u32::try_from(page.len()).unwrap_or(left);
            last = page.last().map(|(number, _)| *number);
            Ok(page.into_iter().map(|(_, event)| event).collect())
        })
    }
}

impl Row for Event {
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("TIME", "time"),
        ("ACTION", "action"),
        ("OUTCOME", "outcome"),
        ("TIMES", "times"),
        ("USER/OBJECT", "object"),
        ("ADDRESS", "address"),
        ("ACTOR", "actor"),
        ("BEFORE", "before"),
        ("AFTER", "after"),
    ];
}
