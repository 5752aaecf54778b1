//! The integrity check, which reads the whole database. `check` always does it; opening a file does it after an unclean
//! shutdown, before anything is written.

use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::connect::{BUSY_TIMEOUT, Mode, connect, damage, read_schema};
use super::database_file::{DatabaseFile, file_bytes};
use super::identity::check_log_belongs;
use super::inspect::with_log;
use crate::store::engine::{OpenError, OpenedBy};

/// Called with the number of pages checked and their total. Both numbers are estimates.
pub type IntegrityProgress = Box<dyn FnMut(u64, u64) + Send>;

/// The size of the header of a log. A log that is not larger contains no frames.
const LOG_HEADER_BYTES: u64 = 32;

/// The number of steps after which SQLite reports progress.
const STEPS_PER_REPORT: u32 = 100;

/// SQLite first walks over all pages, with one step for each, and then over all rows. The second walk was measured to
/// take about this many steps for each page of users or tokens.
const STEPS_PER_PAGE_OF_ROWS: u64 = 1_400;

/// The pause between two attempts to take a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// The damage of a database.
#[derive(Debug)]
pub(in crate::store) struct Damage {
    /// The findings of SQLite's `integrity_check`, up to the requested number.
    pub(in crate::store) lines: Vec<String>,
    /// The number of rows that refer to missing rows.
    pub(in crate::store) dangling: u64,
}

impl Damage {
    /// The first finding.
    pub(in crate::store) fn first(&self) -> Option<String> {
        let dangling =
            || (self.dangling > 0).then(|| format!("{} rows refer to missing rows", self.dangling));
        self.lines.first().cloned().or_else(dangling)
    }
}

/// Checks the whole database, and reports at most `limit` findings.
pub(in crate::store) fn check_integrity(
    connection: &Connection,
    limit: u32,
    progress: IntegrityProgress,
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

fn report_progress(
    connection: &Connection,
    mut progress: IntegrityProgress,
) -> rusqlite::Result<()> {
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

/// Estimates the number of pages that are done. Each of the two walks counts for half.
fn pages_done(steps: u64, pages: u64) -> u64 {
    let steps_of_rows = steps.saturating_sub(pages);
    let walked = steps.min(pages) + steps_of_rows / STEPS_PER_PAGE_OF_ROWS;
    (walked / 2).min(pages)
}

/// Checks the database if a killed process has left a log behind, and returns whether that was the case. Such a log
/// contains pages and no process has it open. SQLite identifies it by its name only, so it may belong to another
/// database: the file and the log are checked together before the log is written back. If they are refused, both are
/// unchanged.
pub(in crate::store) fn check_after_unclean_end(
    file: &DatabaseFile,
    by: OpenedBy,
    progress: IntegrityProgress,
) -> Result<bool, OpenError> {
    if file_bytes(&file.log()) <= LOG_HEADER_BYTES {
        return Ok(false);
    }
    let failed = |error| with_log(OpenError::new(file.given(), &error), file);
    let alone = lock_if_alone(file).map_err(failed)?;
    let is_unclean = alone.is_some();
    let connection = match alone {
        Some(connection) => connection,
        None => connect(file.path(), Mode::Inspect).map_err(failed)?,
    };
    check_log_belongs(file, &connection)?;
    if !is_unclean && by == OpenedBy::Command {
        return Ok(false);
    }
    if let Some(reason) = check_integrity(&connection, 1, progress)
        .map_err(failed)?
        .first()
    {
        return Err(OpenError::MalformedWith {
            path: file.given().to_owned(),
            beside: file.log(),
            reason,
        });
    }
    Ok(is_unclean)
}

/// A connection with an exclusive lock. `None` if another process has the file open. If another process holds the
/// exclusive lock, this waits for it, because the result of that process's check is not known yet.
fn lock_if_alone(file: &DatabaseFile) -> rusqlite::Result<Option<Connection>> {
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match lock_exclusive(file).map(Some) {
            Err(error) if is_busy(&error) => {}
            result => return result,
        }
        match lock_shared(file).map(|()| None) {
            Err(error) if is_busy(&error) && Instant::now() < end => std::thread::sleep(PAUSE),
            result => return result,
        }
    }
}

/// Takes an exclusive lock. Closing this connection leaves the log unchanged.
fn lock_exclusive(file: &DatabaseFile) -> rusqlite::Result<Connection> {
    let connection = connect(file.path(), Mode::Write)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.query_one("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    read_schema(&connection)?;
    Ok(connection)
}

/// Takes a shared lock, which is possible unless another process holds an exclusive one.
fn lock_shared(file: &DatabaseFile) -> rusqlite::Result<()> {
    let connection = connect(file.path(), Mode::Inspect)?;
    connection.busy_timeout(Duration::ZERO)?;
    read_schema(&connection)
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}
