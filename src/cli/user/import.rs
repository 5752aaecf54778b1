//! `user import`: users from a file, all or nothing.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::accounts::{self, FileFormat, ImportOptions, ParsedAccounts};
use crate::cli::accounts::{Import, counts, say, show};
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::file_error::file_error;
use crate::cli::named::named;
use crate::cli::output::JsonArgs;
use crate::cli::{WrongUsage, name};
use crate::store::{Pins, RowCounts};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// The file; `-` is standard input
    file: PathBuf,
    /// csv, jsonl or fixture [default: by the file's name]
    #[arg(long, value_parser = named::<FileFormat>(FileFormat::NAMES))]
    format: Option<FileFormat>,
    /// The organization of users for whom the file has none, by name or UUID
    #[arg(long)]
    org: Option<String>,
    /// Report what would be done, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Report bad lines, and import the others
    #[arg(long)]
    skip_bad: bool,
    /// Take passwords that are short, easily guessed or the username; for stubs
    #[arg(long)]
    no_policy: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

/// What became of the users; the names and the order of the fields are those of `--json`.
#[derive(Serialize)]
struct Outcome {
    #[serde(flatten)]
    users: RowCounts,
    /// Lines that were bad.
    skipped: usize,
    dry_run: bool,
}

pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<()> {
    let Some(format) = args.format.or_else(|| FileFormat::of(&args.file)) else {
        bail!(WrongUsage(format!(
            "{}: neither the name nor --format says what format it has (csv, jsonl or fixture)",
            args.file.display()
        )));
    };
    if matches!(format, FileFormat::Fixture) && (args.org.is_some() || args.skip_bad) {
        bail!(WrongUsage(
            "a fixture has its own organizations and is taken whole: --org and --skip-bad do not go with it"
                .to_owned()
        ));
    }
    let cost = args.cost.real()?;
    let read = ParsedAccounts::of(format, &bytes(args)?);
    let store = args.database.open_for("user import")?;
    let organization = args
        .org
        .as_deref()
        .map(|org| name::organization(&store, org));
    let options = ImportOptions {
        policy: !args.no_policy,
        skip_bad: args.skip_bad,
        pins: Pins::Keep,
        default_org: organization
            .transpose()?
            .map(|organization| organization.uuid),
    };
    let import = Import {
        cost,
        dry_run: args.dry_run,
    };
    match import.run(&store, &args.file, read, &options) {
        Ok((imported, skipped)) => say_what_was_done(args, imported.users, skipped),
        Err(error) => Err(refused(error)),
    }
}

/// Findings get a last line that says what they mean.
fn refused(error: anyhow::Error) -> anyhow::Error {
    let Some(accounts::Error::Findings(findings)) = error.downcast_ref() else {
        return error;
    };
    show(findings);
    match findings.count() {
        1 => anyhow!("nothing was imported: one finding"),
        count => anyhow!("nothing was imported: {count} findings"),
    }
}

fn bytes(args: &Args) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::new());
    if args.file.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        fs::File::open(&args.file).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .map_err(|error| file_error(&args.file, "cannot read the file", error))?;
    Ok(bytes)
}

fn say_what_was_done(args: &Args, users: RowCounts, skipped: usize) -> anyhow::Result<()> {
    let outcome = Outcome {
        users,
        skipped,
        dry_run: args.dry_run,
    };
    let counts = counts("users", users, args.dry_run);
    let lines = [format!("{counts}, {skipped} skipped")];
    say(&args.output, args.dry_run, &outcome, &lines)
}
