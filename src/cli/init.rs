//! `init`: creates the database. An existing database of this program is migrated, or left as it is.

use serde::Serialize;

use super::database::DatabaseArgs;
use super::output::{JsonArgs, report};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The result. Its fields are the keys of `--json`, in this order.
#[derive(Serialize)]
struct InitReport {
    path: String,
    made: bool,
    /// The previous version of the schema, if the database was migrated.
    migrated_from: Option<i32>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let (store, migrated) = args.database.make()?;
    let made = store.is_new();
    let shown = args.database.location()?;
    let text = match migrated {
        Some(migrated) => {
            let (from, to) = (migrated.from, migrated.to);
            format!("migrated {shown} from schema {from} to {to}")
        }
        None if made => format!("created {shown}"),
        None => format!("{shown} already exists"),
    };
    let done = InitReport {
        path: shown.to_string(),
        made,
        migrated_from: migrated.map(|migrated| migrated.from),
    };
    report(&args.output, &done, format_args!("{text}"))
}
