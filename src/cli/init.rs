//! `init`: makes the database file; one of ours that is there already is left as it is, or migrated.

use std::fs;
use std::path::Path;

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
struct Done<'p> {
    path: &'p Path,
    made: bool,
    /// The version of the schema that it had, if that was an older one.
    migrated_from: Option<i32>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.database.path;
    let made = fs::metadata(path).map_or(true, |file| file.len() == 0);
    let migrated = args.database.make()?;
    let shown = path.display();
    let text = match migrated {
        Some(migrated) => {
            let (from, to) = (migrated.from, migrated.to);
            format!("migrated {shown} from schema {from} to {to}")
        }
        None if made => format!("made {shown}"),
        None => format!("{shown} is there already"),
    };
    let done = Done {
        path,
        made,
        migrated_from: migrated.map(|migrated| migrated.from),
    };
    report(&args.output, &done, format_args!("{text}"))
}
