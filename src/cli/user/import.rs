//! `user import`: adds and changes users from a file, all or none.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::accounts::{self, FileFormat, ImportOptions, ParsedAccounts};
use crate::cli::accounts::{Import, counts, report_import, show};
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::file_error::file_error;
use crate::cli::input::Input;
use crate::cli::named::named;
use crate::cli::output::JsonArgs;
use crate::cli::{WrongUsage, lookup};
use crate::store::{Pins, RowCounts};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// File to import; `-` is standard input
    file: PathBuf,
    /// Format of the file [default: by the file's name]
    #[arg(long, value_parser = named::<FileFormat>(FileFormat::NAMES))]
    format: Option<FileFormat>,
    /// Organization of users for which the file has none, by name or UUID
    #[arg(long)]
    org: Option<String>,
    /// Report what would be done without changing anything
    #[arg(long)]
    dry_run: bool,
    /// Report invalid lines and import the others
    #[arg(long)]
    skip_bad: bool,
    /// Accept passwords that are short, easily guessed or the username; for test accounts
    #[arg(long)]
    no_policy: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

/// The result. Its fields are the keys of `--json`, in this order.
#[derive(Serialize)]
struct ImportOutcome {
    #[serde(flatten)]
    users: RowCounts,
    /// The number of invalid lines.
    skipped: usize,
    dry_run: bool,
}

pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<()> {
    let Some(format) = args.format.or_else(|| FileFormat::of(&args.file)) else {
        bail!(WrongUsage(format!(
            "{}: cannot infer the format from the file's name: give --format csv, jsonl or fixture",
            args.file.display()
        )));
    };
    if matches!(format, FileFormat::Fixture) && (args.org.is_some() || args.skip_bad) {
        bail!(WrongUsage(
            "a fixture has its own organizations and is imported as a whole: --org and --skip-bad cannot be used with it"
                .to_owned()
        ));
    }
    let cost = args.cost.real()?;
    let read = ParsedAccounts::of(format, &bytes(args)?);
    let store = args.database.open_for("user import")?;
    let organization = args
        .org
        .as_deref()
        .map(|org| lookup::organization(&store, org));
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
        Ok((imported, skipped)) => report_outcome(args, imported.users, skipped),
        Err(error) => Err(refused(error)),
    }
}

/// Shows the findings of a refused import; the error is the last line, which gives their number.
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
        Input.read_to_end(&mut bytes)
    } else {
        fs::File::open(&args.file).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .map_err(|error| file_error(&args.file, "cannot read the file", error))?;
    Ok(bytes)
}

fn report_outcome(args: &Args, users: RowCounts, skipped: usize) -> anyhow::Result<()> {
    let outcome = ImportOutcome {
        users,
        skipped,
        dry_run: args.dry_run,
    };
    let counts = counts("users", users, args.dry_run);
    let lines = [format!("{counts}, {skipped} skipped")];
    report_import(&args.output, args.dry_run, &outcome, &lines)
}
