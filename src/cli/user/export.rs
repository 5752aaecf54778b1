//! `user export`: writes users with their hashes, but without tokens. Importing the export changes nothing.

use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::accounts::{Export, FileFormat};
use crate::cli::database::DatabaseArgs;
use crate::cli::file_error::file_error;
use crate::cli::lookup;
use crate::cli::named::named;
use crate::cli::output::{JsonArgs, deliver, report};
use crate::files::{self, Existing};
use crate::text::counted;

#[derive(clap::Args)]
#[group(skip)]
pub(in crate::cli) struct Args {
    /// File to write, with mode 0600 since it contains hashes; `-` is standard output [default: -]
    file: Option<PathBuf>,
    /// Format of the file [default: by the file's name, else csv]
    #[arg(long, value_parser = named::<FileFormat>(FileFormat::NAMES))]
    format: Option<FileFormat>,
    /// Export only users of this organization, by name or UUID
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
        .map(|org| lookup::organization(&store, org))
        .transpose()?;
    let org_id = organization.map(|organization| organization.id);
    let path = args.file.as_deref();
    let path = path.filter(|path| path.as_os_str() != "-");
    let format = args.format.or_else(|| path.and_then(FileFormat::of));
    let export = match format.unwrap_or(FileFormat::Csv) {
        FileFormat::Csv => Export::Csv(store.users_for_export(org_id)?),
        FileFormat::JsonLines => Export::JsonLines(store.users_for_export(org_id)?),
        FileFormat::Fixture => Export::Fixture(store.organizations_for_export(org_id)?),
    };
    match path {
        None => deliver(|out| export.write(out))
            .context("the export is incomplete; run the command again, or name a file to write"),
        Some(path) => {
            write_file(path, &export, args.force)?;
            let (users, path) = (counted(export.users(), "user"), path.display());
            report(
                &JsonArgs::TEXT,
                &(),
                format_args!("wrote {users} to {path}"),
            )
        }
    }
}

fn write_file(path: &Path, export: &Export, force: bool) -> anyhow::Result<()> {
    let existing = if force {
        Existing::Replace
    } else {
        Existing::Keep
    };
    let shown = path.display();
    match files::write_by(path, 0o600, existing, |out| export.write(out)) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            bail!("{shown}: the file already exists (--force replaces it)")
        }
        result => result.map_err(|error| file_error(path, "cannot write the file", error)),
    }
}
