//! `user import`: users from a file, all or nothing.
//!
//! First everything is read and checked, then everything hashed, then all of it written in one transaction: whatever ends
//! the process before that leaves the database as it was.

use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use jiff::Timestamp;
use serde::Serialize;

use super::imported::{Resolver, check_passwords};
use crate::accounts::Format;
use crate::cli::WrongUsage;
use crate::cli::database::{CostArgs, DatabaseArgs};
use crate::cli::escape::printable;
use crate::cli::expensive;
use crate::cli::output::{JsonArgs, named, print, report, write_json};
use crate::cli::progress::Progress;
use crate::cli::stream::STDERR;
use crate::fixture::{Fixture, LineFinding, Records, Secret, check_records};
use crate::hashing::{Engine, EngineConfig};
use crate::seed::{PlacedUser, import_fixture, import_users};
use crate::store::{Store, Summary};

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// The file; `-` is standard input
    file: PathBuf,
    /// csv, jsonl or fixture [default: by the file's name]
    #[arg(long, value_parser = named::<Format>(Format::NAMES))]
    format: Option<Format>,
    /// The organization of users for whom the file has none, by its name or UUID
    #[arg(long)]
    org: Option<String>,
    /// Check the file, and change nothing
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
#[derive(Default, Serialize)]
struct Outcome {
    added: usize,
    changed: usize,
    unchanged: usize,
    /// Lines that were bad.
    skipped: usize,
    dry_run: bool,
}

pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<()> {
    let format = args.format.or_else(|| Format::of(&args.file));
    let Some(format) = format else {
        bail!(WrongUsage(format!(
            "{}: neither the name nor --format says what format it has (csv, jsonl or fixture)",
            args.file.display()
        )));
    };
    if matches!(format, Format::Fixture) && (args.org.is_some() || args.skip_bad) {
        bail!(WrongUsage(
            "a fixture has its own organizations and is taken whole: --org and --skip-bad do not go with it"
                .to_owned()
        ));
    }
    let cost = args.cost.real()?;
    let bytes = read(args)?;
    let store = args.database.open()?;
    let outcome = match format {
        Format::Csv => from_records(args, &store, cost, Records::from_csv(&bytes))?,
        Format::JsonLines => from_records(args, &store, cost, Records::from_json_lines(&bytes))?,
        Format::Fixture => from_fixture(args, &store, cost, &bytes)?,
    };
    tell(args, &outcome)
}

fn read(args: &Args) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if args.file.as_os_str() == "-" {
        io::stdin().lock().read_to_end(&mut bytes)
    } else {
        fs::File::open(&args.file).and_then(|mut file| file.read_to_end(&mut bytes))
    }
    .with_context(|| format!("{}: cannot read the file", args.file.display()))?;
    Ok(bytes)
}

fn from_records(
    args: &Args,
    store: &Store,
    cost: crate::hashing::Cost,
    read: Records,
) -> anyhow::Result<Outcome> {
    let Records {
        mut records,
        mut findings,
    } = read;
    // Without a header there is nothing to skip to.
    let unreadable = findings.iter().any(|finding| finding.line == 0);
    for record in &mut records {
        if let Some(identity) = record.identity()
            && let Some(existing) = store.written_user(identity)?
        {
            record.fill_from(&serde_json::to_vec(&existing)?);
        }
    }
    let (good, bad) = check_records(records);
    findings.extend(bad);
    let mut resolver = Resolver::new(store, args.org.as_deref())?;
    let (good, bad) = resolver.place(good)?;
    findings.extend(bad);
    let (good, bad) = if args.no_policy {
        (good, Vec::new())
    } else {
        check_passwords(good)
    };
    findings.extend(bad);
    findings.sort_by_key(|finding| finding.line);
    tell_findings(args, &findings);
    if unreadable || (!findings.is_empty() && !args.skip_bad) {
        let what = match findings.len() {
            1 => "one finding".to_owned(),
            count => format!("{count} findings"),
        };
        return Err(anyhow!("nothing was imported: {what}"));
    }
    let mut lines: Vec<u64> = findings.iter().map(|finding| finding.line).collect();
    lines.dedup();
    let skipped = lines.len();
    let users: Vec<PlacedUser> = good.into_iter().map(|(_, placed)| placed).collect();
    expensive::warn(users.iter().map(|placed| &placed.user), cost);
    if args.dry_run {
        return would_be(store, &users, skipped);
    }
    let progress = Progress::new("users");
    let summary = import_users(
        store,
        &engine()?,
        users,
        cost,
        Timestamp::now(),
        &mut |done, total| progress.tell(done, total),
    )?;
    Ok(Outcome::of(summary, skipped))
}

/// Told without hashing: whether a password in clear is the present one is not found out.
fn would_be(store: &Store, users: &[PlacedUser], skipped: usize) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome {
        skipped,
        dry_run: true,
        ..Outcome::default()
    };
    for placed in users {
        match store.loaded_user(&placed.user.uuid)? {
            None => outcome.added += 1,
            Some(_) => outcome.changed += 1,
        }
    }
    Ok(outcome)
}

fn from_fixture(
    args: &Args,
    store: &Store,
    cost: crate::hashing::Cost,
    bytes: &[u8],
) -> anyhow::Result<Outcome> {
    let fixture = Fixture::parse(bytes).map_err(|findings| findings.in_file(&args.file))?;
    if !args.no_policy {
        check_fixture(&fixture)?;
    }
    let organizations = &fixture.organizations;
    expensive::warn(organizations.iter().flat_map(|each| &each.users), cost);
    if args.dry_run {
        let users = fixture
            .organizations
            .into_iter()
            .flat_map(|organization| organization.users);
        let users: Vec<PlacedUser> = users.map(|user| PlacedUser { org_id: 0, user }).collect();
        return would_be(store, &users, 0);
    }
    let progress = Progress::new("users");
    let (_, users) = import_fixture(
        store,
        &engine()?,
        fixture,
        cost,
        Timestamp::now(),
        &mut |done, total| progress.tell(done, total),
    )?;
    Ok(Outcome::of(users, 0))
}

fn check_fixture(fixture: &Fixture) -> Result<(), crate::fixture::Findings> {
    let mut findings = Vec::new();
    for (index, organization) in fixture.organizations.iter().enumerate() {
        for (number, user) in organization.users.iter().enumerate() {
            if let Secret::Password(password) = &user.secret
                && let Err(fault) =
                    crate::auth::check_new_password(password, Some(&user.username), true)
            {
                findings.push(crate::fixture::Finding {
                    place: format!("organizations[{index}].users[{number}].password"),
                    message: fault.to_string(),
                });
            }
        }
    }
    if findings.is_empty() {
        Ok(())
    } else {
        Err(crate::fixture::Findings(findings))
    }
}

fn engine() -> anyhow::Result<Engine> {
    Ok(Engine::start(EngineConfig::new(Duration::MAX))?)
}

fn tell_findings(args: &Args, findings: &[LineFinding]) {
    let file = args.file.display();
    for LineFinding { line, message } in findings {
        let finding = match line {
            0 => format!("{file}: {message}"),
            _ => format!("{file}:{line}: {message}"),
        };
        STDERR.message(printable(&finding));
    }
}

impl Outcome {
    fn of(summary: Summary, skipped: usize) -> Self {
        Self {
            added: summary.added,
            changed: summary.changed,
            unchanged: summary.unchanged,
            skipped,
            dry_run: false,
        }
    }
}

fn tell(args: &Args, outcome: &Outcome) -> anyhow::Result<()> {
    let Outcome {
        added,
        changed,
        unchanged,
        skipped,
        dry_run,
    } = outcome;
    if *dry_run {
        return print(|out| {
            if args.output.json {
                return write_json(out, outcome);
            }
            writeln!(
                out,
                "users: {added} would be added, {changed} are there already, {skipped} skipped"
            )
        });
    }
    report(
        &args.output,
        outcome,
        format_args!(
            "users: {added} added, {changed} changed, {unchanged} unchanged, {skipped} skipped"
        ),
    )
}
