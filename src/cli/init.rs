//! `init`: makes the database file; one of ours that is there already is left as it is, or migrated.

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

/// The names and the order of the fields are those of `--json`.
#[derive(Serialize)]
struct Done {
    path: String,
    made: bool,
    /// The version of the schema that it had, if that was an older one.
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
        None if made => format!("made {shown}"),
        None => format!("{shown} is there already"),
    };
    let done = Done {
        path: shown.to_string(),
        made,
        migrated_from: migrated.map(|migrated| migrated.from),
    };
    report(&args.output, &done, format_args!("{text}"))
}
