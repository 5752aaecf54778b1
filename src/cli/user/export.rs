//! `user export`: writes users, with hashes and never with tokens, so that importing them again changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::database::DatabaseArgs;
use crate::cli::name;
use crate::cli::output::{deliver, named};
use crate::files::{self, Existing};
use crate::fixture::{Format, write_csv, write_fixture, write_json_lines};
use crate::store::Store;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// The file, which is made with mode 0600 since hashes are worth guessing at [default: standard output]
    file: Option<PathBuf>,
    /// csv, jsonl or fixture [default: by the file's name, else csv]
    #[arg(long, value_parser = named::<Format>(Format::NAMES))]
    format: Option<Format>,
    /// Only users of this organization, by its name or UUID
    #[arg(long)]
    org: Option<String>,
    /// Replace the file if it exists
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    database: DatabaseArgs,
}

pub(in crate::cli) fn run(args: &Args) -> anyhow::Result<()> {
    let store = args.database.open()?;
    let organization = args
        .org
        .as_deref()
        .map(|org| name::organization(&store, org))
        .transpose()?;
    let org_id = organization.map(|organization| organization.id);
    let by_name = args.file.as_deref().and_then(format_of);
    let format = args.format.or(by_name).unwrap_or(Format::Csv);
    let content = content(&store, format, org_id)?;
    let Some(path) = &args.file else {
        return deliver(|out| out.write_all(&content));
    };
    write_file(path, &content, args.force)
}

/// By the end of its name.
pub(super) fn format_of(path: &Path) -> Option<Format> {
    match path.extension()?.to_str()? {
        "csv" => Some(Format::Csv),
        "jsonl" | "ndjson" => Some(Format::JsonLines),
        "json" => Some(Format::Fixture),
        _ => None,
    }
}

fn content(store: &Store, format: Format, org_id: Option<i64>) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    match format {
        Format::Csv => write_csv(&mut content, &store.written_users(org_id)?),
        Format::JsonLines => write_json_lines(&mut content, &store.written_users(org_id)?),
        Format::Fixture => write_fixture(&mut content, &store.written_organizations(org_id)?),
    }
    .context("cannot write the users")?;
    Ok(content)
}

fn write_file(path: &Path, content: &[u8], force: bool) -> anyhow::Result<()> {
    let existing = if force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let shown = path.display();
    match files::write(path, content, 0o600, existing) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{shown}: there is such a file already (--force replaces it)")
        }
        result => result.with_context(|| format!("{shown}: cannot write the file")),
    }
}
