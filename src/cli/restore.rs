//! `restore`: replaces the database by a backup. No server may run on the database.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use super::actor::actor;
use super::confirm::confirm;
use super::database::DatabaseArgs;
use super::output::{JsonArgs, report};
use super::parse;
use super::progress::Progress;
use crate::store::{Content, ReplacedContent, Restoration};
use crate::text::{counted, moment};

#[derive(clap::Args)]
#[group(skip)]
pub(super) struct Args {
    /// Backup to restore
    #[arg(value_name = "SRC", value_parser = parse::copy_path())]
    source: PathBuf,
    /// Replace the content of the database without asking
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    output: JsonArgs,
    #[command(flatten)]
    database: DatabaseArgs,
}

/// The result. Its fields are the keys of `--json`, in this order.
#[derive(Serialize)]
struct RestoreReport<'p> {
    path: &'p Path,
    users: u64,
    newest_login: Option<Timestamp>,
    /// The path of the replaced database; `None` if there was none.
    kept: Option<&'p Path>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let path = &args.database.file()?;
    let restoration = Restoration::prepare(&args.source, path)?;
    if !args.force
        && let Some(loss) = restoration.replaced_content()?
    {
        ask(args, path, &loss)?;
    }
    let progress = Progress::new("pages");
    let restored = restoration.run(&actor("restore"), Timestamp::now(), &mut |done, total| {
        progress.update(done, total)
    })?;
    drop(progress);
    let Content {
        users,
        newest_login,
    } = restored.content;
    let done = RestoreReport {
        path,
        users,
        newest_login,
        kept: restored.kept.as_deref(),
    };
    let kept = match done.kept {
        Some(kept) => format!("; what it had before is kept as {}", kept.display()),
        None => String::new(),
    };
    let (path, source) = (path.display(), args.source.display());
    let has = described(restored.content);
    report(
        &args.output,
        &done,
        format_args!("restored {path} from {source}: {has}{kept}"),
    )
}

fn ask(args: &Args, path: &Path, loss: &ReplacedContent) -> anyhow::Result<()> {
    let (path, source) = (path.display(), args.source.display());
    let present = match loss.present {
        Some(content) => format!("has {}", described(content)),
        None => "cannot be read".to_owned(),
    };
    let (backup, kept) = (described(loss.backup), loss.kept.display());
    confirm(
        &format!("{path} {present}; {source} has {backup}. Replace it? It is kept as {kept}."),
        &format!("{path}: {present}; give --force to replace it by {source}, which has {backup}"),
        "nothing was restored",
    )
}

fn described(content: Content) -> String {
    let login = content.newest_login;
    let login = login.map_or_else(|| "never".to_owned(), moment);
    let users = counted(content.users, "user");
    format!("{users}, newest login {login}")
}
