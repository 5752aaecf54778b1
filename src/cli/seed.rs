//! `seed [FILE]`: loads the accounts of a fixture.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;

use super::database::{CostArgs, DatabaseArgs};
use super::expensive;
use super::stream::STDOUT;
use crate::fixture::{self, Fixture};
use crate::hashing::{Engine, EngineConfig};
use crate::seed::seed;
use crate::store::Summary;

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
    let fixture = read(args.fixture.as_deref())?;
    let store = args.database.open_or_create()?;
    let engine = Engine::start(EngineConfig::new(Duration::MAX))?;
    let organizations = &fixture.organizations;
    expensive::warn(organizations.iter().flat_map(|each| &each.users), cost);
    let (organizations, users) = seed(&store, &engine, fixture, cost, Timestamp::now())?;
    STDOUT.message(summary_line("organizations", organizations));
    STDOUT.message(summary_line("users", users));
    Ok(())
}

/// Reads a fixture file, or the embedded one.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<Fixture> {
    let Some(path) = path else {
        return Ok(Fixture::parse(fixture::DEMO.as_bytes())?);
    };
    let text =
        fs::read(path).with_context(|| format!("{}: cannot read the fixture", path.display()))?;
    Ok(Fixture::parse(&text).map_err(|error| error.in_file(path))?)
}

fn summary_line(what: &str, summary: Summary) -> String {
    let Summary {
        added,
        changed,
        unchanged,
    } = summary;
    format!("{what}: {added} added, {changed} changed, {unchanged} unchanged")
}
