//! `seed [FILE]`: loads the accounts of a fixture.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::accounts::Import;
use super::database::{CostArgs, DatabaseArgs};
use super::stream::STDOUT;
use crate::accounts::{DEMO, Findings, Format, Options, Read};
use crate::store::{Imported, Summary};

#[derive(clap::Args)]
pub(super) struct Args {
    /// The fixture [default: the demo accounts]
    #[arg(value_name = "FILE")]
    fixture: Option<PathBuf>,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cost = args.cost.real()?;
    let (file, read) = read(args.fixture.as_deref())?;
    let store = match args.database.open() {
        // A wrong file makes no database.
        Err(_) if !read.findings.is_empty() => return Err(Findings::of(file, read.findings).into()),
        _ => args.database.open_or_create()?,
    };
    let import = Import {
        cost,
        dry_run: false,
    };
    let (imported, _) = import.run(&store, file, read, &Options::SEED)?;
    let Imported {
        organizations,
        users,
    } = imported;
    STDOUT.message(summary_line("organizations", organizations));
    STDOUT.message(summary_line("users", users));
    Ok(())
}

/// Reads a fixture file, or the embedded one.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<(&Path, Read)> {
    let Some(path) = path else {
        return Ok((
            Path::new("fixture"),
            Read::of(Format::Fixture, DEMO.as_bytes()),
        ));
    };
    let bytes =
        fs::read(path).with_context(|| format!("{}: cannot read the fixture", path.display()))?;
    Ok((path, Read::of(Format::Fixture, &bytes)))
}

fn summary_line(what: &str, summary: Summary) -> String {
    let Summary {
        added,
        changed,
        unchanged,
    } = summary;
    format!("{what}: {added} added, {changed} changed, {unchanged} unchanged")
}
