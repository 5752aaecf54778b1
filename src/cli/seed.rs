//! `seed [FILE]`: loads the accounts of a fixture.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::accounts::{Import, counts, report_import};
use super::database::{CostArgs, DatabaseArgs};
use super::file_error::file_error;
use super::output::JsonArgs;
use crate::StartError;
use crate::accounts::{DEMO, FileFormat, Findings, ImportOptions, ParsedAccounts};
use crate::scratch::{self, Scratch};
use crate::store::{Durability, Imported, OpenError, RowCounts, Store, WhenMissing};

const COMMAND: &str = "seed";

#[derive(clap::Args)]
pub(super) struct Args {
    /// Fixture to load [default: the demo accounts]
    #[arg(value_name = "FILE")]
    fixture: Option<PathBuf>,
    /// Load the demo accounts, whose passwords are public, into a database with other accounts
    #[arg(long, conflicts_with = "fixture")]
    demo_accounts: bool,
    /// Report what would be done without changing anything
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

/// The result. Its fields are the keys of `--json`, in this order.
#[derive(Serialize)]
struct SeedOutcome {
    organizations: RowCounts,
    users: RowCounts,
    dry_run: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let cost = args.cost.real()?;
    let (file, read) = read(args.fixture.as_deref())?;
    let (_scratch, store) = open(args, file, &read)?;
    if args.fixture.is_none()
        && !args.demo_accounts
        && store.has_others(&read.accounts.identities())?
    {
        bail!(
            "{}: has other accounts than the demo's, whose passwords are public; give a FILE, or --demo-accounts to load them anyway",
            args.database.location()?
        );
    }
    let dry_run = args.dry_run;
    let import = Import { cost, dry_run };
    let (imported, _) = import.run(&store, file, read, &ImportOptions::SEED)?;
    let Imported {
        organizations,
        users,
    } = imported;
    let lines = [
        counts("organizations", organizations, dry_run),
        counts("users", users, dry_run),
    ];
    let outcome = SeedOutcome {
        organizations,
        users,
        dry_run,
    };
    report_import(&args.output, dry_run, &outcome, &lines)
}

/// Opens the database. A file with errors or a dry run does not create one: a dry run without a database uses a
/// temporary one.
fn open(
    args: &Args,
    file: &Path,
    read: &ParsedAccounts,
) -> anyhow::Result<(Option<Scratch>, Store)> {
    let opened = args.database.open_for(COMMAND);
    let is_missing = |error: &anyhow::Error| {
        let error = error.downcast_ref::<OpenError>();
        error.is_some_and(OpenError::is_missing)
    };
    match opened {
        Err(_) if !read.findings.is_empty() => {
            Err(Findings::of(file, read.findings.clone()).into())
        }
        Err(error) if is_missing(&error) && args.dry_run => {
            let location = args.database.location()?;
            let parent = scratch::parent(location.file().unwrap_or(Path::new("")));
            let scratch = Scratch::create_below(&parent)
                .map_err(|source| StartError::Scratch { parent, source })?;
            let path = scratch.path().join("dry-run.db");
            let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None)?;
            Ok((Some(scratch), store))
        }
        Err(error) if is_missing(&error) => Ok((None, args.database.open_or_create_for(COMMAND)?)),
        opened => Ok((None, opened?)),
    }
}

/// Reads a fixture file, or the embedded fixture of the demo accounts.
pub(super) fn read(path: Option<&Path>) -> anyhow::Result<(&Path, ParsedAccounts)> {
    let Some(path) = path else {
        return Ok((
            Path::new("fixture"),
            ParsedAccounts::of(FileFormat::Fixture, DEMO.as_bytes()),
        ));
    };
    let bytes =
        fs::read(path).map_err(|error| file_error(path, "cannot read the fixture", error))?;
    Ok((path, ParsedAccounts::of(FileFormat::Fixture, &bytes)))
}
