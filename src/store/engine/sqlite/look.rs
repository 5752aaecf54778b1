//! Looking at all of a database: `check` does it always, and an opening after an unclean end before anything is written.

use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::connect::{BUSY_TIMEOUT, Mode, connect, damage, touch};
use super::database_file::{DatabaseFile, file_bytes};
use super::inspect::with_log;
use crate::store::engine::{OpenError, OpenedBy};

/// Called with how many pages are done, of how many; the numbers are estimates.
pub type Progress = Box<dyn FnMut(u64, u64) + Send>;

/// A log without frames is its header, or less.
const LOG_HEADER_BYTES: u64 = 32;

/// SQLite reports progress after so many steps.
const STEPS_PER_REPORT: u32 = 100;

/// SQLite first walks over all pages, with a step for each, then over all rows, with about so many for each page of users or
/// tokens; that was measured.
const STEPS_PER_PAGE_OF_ROWS: u64 = 1_400;

/// Between two tries to get a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// Everything that is wrong with a database.
#[derive(Debug)]
pub(in crate::store) struct Damage {
    /// What SQLite's `integrity_check` finds, at most as many as asked for.
    pub(in crate::store) lines: Vec<String>,
    /// Rows that refer to rows that are not there.
    pub(in crate::store) dangling: u64,
}

impl Damage {
    /// The first finding.
    pub(in crate::store) fn first(&self) -> Option<String> {
        let dangling =
            || (self.dangling > 0).then(|| format!("{} rows refer to none", self.dangling));
        self.lines.first().cloned().or_else(dangling)
    }
}

/// Reads the whole database.
pub(in crate::store) fn look(
    connection: &Connection,
    limit: u32,
    progress: Progress,
) -> rusqlite::Result<Damage> {
    report_progress(connection, progress)?;
    let lines = damage(connection, &format!("integrity_check({limit})"))?;
    let dangling = "SELECT count(*) FROM pragma_foreign_key_check";
    let dangling: i64 = connection.query_one(dangling, [], |row| row.get(0))?;
    connection.progress_handler(0, None::<fn() -> bool>)?;
    Ok(Damage {
        lines,
        dangling: dangling.unsigned_abs(),
    })
}

fn report_progress(connection: &Connection, mut progress: Progress) -> rusqlite::Result<()> {
    let pages: i64 = connection.query_one("PRAGMA page_count", [], |row| row.get(0))?;
    let pages = pages.unsigned_abs();
    let mut steps = 0;
    let report = move || {
        steps += u64::from(STEPS_PER_REPORT);
        progress(pages_done(steps, pages), pages);
        false
    };
    connection.progress_handler(STEPS_PER_REPORT.cast_signed(), Some(report))
}

/// Each of the two walks is half of the work.
fn pages_done(steps: u64, pages: u64) -> u64 {
    let steps_of_rows = steps.saturating_sub(pages);
    let walked = steps.min(pages) + steps_of_rows / STEPS_PER_PAGE_OF_ROWS;
    (walked / 2).min(pages)
}

/// A log with pages in it that no process has open was left behind by one that was killed. It is trusted to belong to the file
/// by its name only, so the whole is looked at before it becomes one. A refused pair stays as it was. Says whether there was one.
pub(in crate::store) fn look_after_unclean_end(
    file: &DatabaseFile,
    by: OpenedBy,
    progress: Progress,
) -> Result<bool, OpenError> {
    if file_bytes(&file.log()) <= LOG_HEADER_BYTES {
        return Ok(false);
    }
    let failed = |error| with_log(OpenError::new(file.given(), &error), file);
    let alone = lock_if_alone(file).map_err(failed)?;
    let is_unclean = alone.is_some();
    let connection = match alone {
        Some(connection) => connection,
        None if by == OpenedBy::Command => return Ok(false),
        None => connect(file.path(), Mode::Inspect).map_err(failed)?,
    };
    if let Some(reason) = look(&connection, 1, progress).map_err(failed)?.first() {
        return Err(OpenError::MalformedWith {
            path: file.given().to_owned(),
            beside: file.log(),
            reason,
        });
    }
    Ok(is_unclean)
}

/// A connection with the lock that nobody else's connection goes with; `None` when another process has the file open. One
/// that holds this lock itself is waited for: what it finds out is not known yet.
fn lock_if_alone(file: &DatabaseFile) -> rusqlite::Result<Option<Connection>> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match lock(file).map(Some) {
            Err(error) if is_busy(&error) => {}
            result => return result,
        }
        match share(file).map(|()| None) {
            Err(error) if is_busy(&error) && Instant::now() < end => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Closing this connection leaves the log as it is.
fn lock(file: &DatabaseFile) -> rusqlite::Result<Connection> {
    let connection = connect(file.path(), Mode::Write)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.query_one("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    touch(&connection)?;
    Ok(connection)
}

/// What another process that only has the file open does not keep from.
fn share(file: &DatabaseFile) -> rusqlite::Result<()> {
    let connection = connect(file.path(), Mode::Inspect)?;
    connection.busy_timeout(Duration::ZERO)?;
    touch(&connection)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
