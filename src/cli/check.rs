//! `check`: what an operator should look into, one line a finding.

use std::process::ExitCode;

use jiff::Timestamp;

use super::database::{CostArgs, DatabaseArgs};
use super::output::{JsonArgs, print, printable, write_json};
use super::progress::Progress;
use crate::audit::audit;

/// Names of the checks, which stay: sqlite, database, integrity, foreign_keys, schema, file_mode, directory_mode,
/// bcrypt_cost, demo_users, pinned_tokens, expired_tokens, wal, disk.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let progress = Progress::new("pages").reporter();
    let now = Timestamp::now();
    let findings = audit(&args.database.path, args.cost.real(), now, progress);
    if args.output.json {
        print(|out| {
            findings
                .iter()
                .try_for_each(|finding| write_json(out, finding))
        })?;
    } else {
        for finding in &findings {
            eprintln!("{}: {}", finding.check, printable(&finding.message));
        }
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
