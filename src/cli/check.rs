//! `check`: reports problems of the database and the certificate, one line per finding.

use std::mem;
use std::path::PathBuf;
use std::process::ExitCode;

use jiff::Timestamp;

use super::database::{CostArgs, DatabaseArgs};
use super::environment::Variables;
use super::escape::printable;
use super::output::{JsonArgs, print, write_json};
use super::progress::Progress;
use super::stream::STDERR;
use crate::audit::audit;

/// The names of the checks are stable: sqlite, database, integrity, foreign_keys, schema, file_mode, directory_mode,
/// bcrypt_cost, demo_users, pinned_tokens, expired_tokens, wal, disk, certificate, durability. A database on servers
/// has the checks database, schema, durability, bcrypt_cost, demo_users, pinned_tokens, expired_tokens, certificate.
#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
    #[command(flatten)]
    cost: CostArgs,
    /// Certificate of the server, with its chain (PEM)
    #[arg(long, value_name = "FILE", env = "THANOS_LOGIN_TLS_CERT")]
    tls_cert: Option<PathBuf>,
}

pub(super) fn run(args: &Args, variables: &Variables) -> anyhow::Result<ExitCode> {
    let mut findings = audit(
        &args.database.location()?,
        args.tls_cert.as_deref(),
        args.cost.real()?,
        Timestamp::now(),
        Progress::new("pages").reporter(),
    );
    for finding in &mut findings {
        finding.message = variables.name_values(mem::take(&mut finding.message));
    }
    if args.output.json {
        print(|out| {
            findings
                .iter()
                .try_for_each(|finding| write_json(out, finding))
        })?;
    } else {
        for finding in &findings {
            let message = printable(&finding.message);
            STDERR.message(format_args!("{}: {message}", finding.check));
        }
    }
    Ok(if findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
