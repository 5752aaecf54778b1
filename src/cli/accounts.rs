//! The import of accounts, which `seed` and `user import` share.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::escape::printable;
use super::expensive;
use super::output::{JsonArgs, print, report, write_json};
use super::progress::Progress;
use super::stream::STDERR;
use crate::accounts::{self, Findings, ImportOptions, ParsedAccounts};
use crate::hashing::{Cost, Engine, EngineConfig};
use crate::store::{Imported, RowCounts, Store};

/// The cost of new hashes, and whether anything is written.
#[derive(Clone, Copy)]
pub(super) struct Import {
    pub(super) cost: Cost,
    pub(super) dry_run: bool,
}

impl Import {
    /// Imports accounts and shows the progress. Also returns the number of skipped records.
    pub(super) fn run(
        self,
        store: &Store,
        file: &Path,
        read: ParsedAccounts,
        options: &ImportOptions,
    ) -> anyhow::Result<(Imported, usize)> {
        let checked = accounts::check(store, file, read, options)?;
        show(&checked.skipped);
        let skipped = checked.skipped.records();
        expensive::warn(checked.given_costs(), self.cost);
        let engine = Engine::start(EngineConfig::new(Duration::MAX))?;
        let now = Timestamp::now();
        let progress = Progress::new("users");
        let progress = &mut |done, total| progress.update(done, total);
        let cost = (!self.dry_run).then_some(self.cost);
        let imported = checked.import(store, &engine, cost, now, progress)?;
        Ok((imported, skipped))
    }
}

/// Reports the outcome of an import, as lines of text or one JSON object. For a dry run this is the result.
pub(super) fn report_import(
    output: &JsonArgs,
    dry_run: bool,
    outcome: &impl Serialize,
    lines: &[String],
) -> anyhow::Result<()> {
    if dry_run {
        return print(|out| match output.json {
            true => write_json(out, outcome),
            false => lines.iter().try_for_each(|line| writeln!(out, "{line}")),
        });
    }
    let once = if output.json { &lines[..1] } else { lines };
    once.iter()
        .try_for_each(|line| report(output, outcome, format_args!("{line}")))
}

/// The line for [`report_import`] about one kind of record.
pub(super) fn counts(what: &str, summary: RowCounts, dry_run: bool) -> String {
    let RowCounts {
        added,
        changed,
        unchanged,
    } = summary;
    let would_be = if dry_run { "would be " } else { "" };
    format!("{what}: {added} {would_be}added, {changed} {would_be}changed, {unchanged} unchanged")
}

/// Writes each finding as a line to standard error.
pub(super) fn show(findings: &Findings) {
    for line in findings.lines() {
        STDERR.message(printable(&line));
    }
}
