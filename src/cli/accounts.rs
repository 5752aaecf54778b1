//! What `seed` and `user import` do alike.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::escape::printable;
use super::expensive;
use super::progress::Progress;
use super::stream::STDERR;
use crate::accounts::{self, Findings, Options, Read};
use crate::hashing::{Cost, Engine, EngineConfig};
use crate::store::{Imported, Store};

/// How new passwords are hashed and whether anything is written.
#[derive(Clone, Copy)]
pub(super) struct Import {
    pub(super) cost: Cost,
    pub(super) dry_run: bool,
}

impl Import {
    /// Imports accounts, with a bar or lines that say how far it is. Returns also how many records were skipped.
    pub(super) fn run(
        self,
        store: &Store,
        file: &Path,
        read: Read,
        options: &Options,
    ) -> anyhow::Result<(Imported, usize)> {
        let checked = accounts::check(store, file, read, options)?;
        show(&checked.skipped);
        let skipped = checked.skipped.records();
        expensive::warn(checked.given_costs(), self.cost);
        let engine = Engine::start(EngineConfig::new(Duration::MAX))?;
        let now = Timestamp::now();
        let progress = Progress::new("users");
        let progress = &mut |done, total| progress.tell(done, total);
        let cost = (!self.dry_run).then_some(self.cost);
        let imported = checked.import(store, &engine, cost, now, progress)?;
        Ok((imported, skipped))
    }
}

/// Writes a line each to standard error.
pub(super) fn show(findings: &Findings) {
    for line in findings.lines() {
        STDERR.message(printable(&line));
    }
}
