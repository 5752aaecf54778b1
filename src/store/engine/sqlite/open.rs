//! Opening a database file for writing.
//!
//! The steps in order: the path is resolved, an unfinished transaction of a killed process is rolled back, the file is
//! inspected, and after an unclean shutdown its integrity is checked. A file that is refused by then is unchanged.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use super::connect::{BUSY_TIMEOUT, Mode, connect, run, set};
use super::database_file::{DatabaseFile, file_bytes};
use super::inspect::inspect;
use super::integrity::{IntegrityProgress, check_after_unclean_end};
use super::migrate::{migrate, newest_version};
use super::recover::{recover, refuse_orphans};
use super::visible::define_views;
use crate::store::engine::{Migrated, OpenError, OpenedBy, WhenMissing};

/// The pause between two attempts to take the lock for writing.
pub(super) const BETWEEN_TRIES: Duration = Duration::from_millis(1);

/// The oldest version that is accepted. Older ones can lose commits if two connections write and the log is reset at
/// the wrong moment.
pub(in crate::store) const OLDEST_SQLITE: i32 = 3_051_003;

/// The durability of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// A committed change survives a power failure.
    Full,
    /// Nothing is guaranteed to survive; for temporary databases. Once open, such a database does not need its file
    /// name.
    None,
}

/// A file that is open for writing, with the present schema.
pub(in crate::store) struct OpenedFile {
    pub(in crate::store) connection: Connection,
    /// Whether it was missing or empty before.
    pub(in crate::store) is_new: bool,
    pub(in crate::store) migrated: Option<Migrated>,
    /// Whether a killed process had left its log behind.
    pub(in crate::store) was_unclean: bool,
}

pub(in crate::store) fn writing_connection(
    file: &DatabaseFile,
    missing: WhenMissing,
    durability: Durability,
    by: OpenedBy,
    progress: IntegrityProgress,
) -> Result<OpenedFile, OpenError> {
    if rusqlite::version_number() < OLDEST_SQLITE {
        let found = rusqlite::version();
        return Err(OpenError::SqliteTooOld { found });
    }
    // The file is empty or missing.
    if file_bytes(file.path()) == 0 {
        refuse_orphans(file)?;
    }
    let (version, was_unclean) = if file.make_if_missing(missing)? {
        (0, false)
    } else {
        let version = retry_while_locked(|| {
            recover(file)?;
            inspect(file)
        })?;
        (version, check_after_unclean_end(file, by, progress)?)
    };
    let connection = retry_while_locked(|| {
        let mut connection = connect_to_write(file, durability)?;
        migrate(&mut connection, file)?;
        Ok(connection)
    })?;
    define_views(&connection).map_err(|error| OpenError::new(file.given(), &error))?;
    let migrated = Migrated {
        from: version,
        to: newest_version(),
    };
    let changed = version != 0 && migrated.from != migrated.to;
    Ok(OpenedFile {
        connection,
        is_new: version == 0,
        migrated: changed.then_some(migrated),
        was_unclean,
    })
}

/// Repeats an attempt while the file is locked. If several processes open a new file at the same time, SQLite may
/// refuse one of them without waiting, because the switch to WAL mode needs an exclusive lock.
fn retry_while_locked<T>(attempt: impl Fn() -> Result<T, OpenError>) -> Result<T, OpenError> {
    let start = Instant::now();
    loop {
        match attempt() {
            Err(OpenError::InUse(_)) if start.elapsed() < BUSY_TIMEOUT => {
                thread::sleep(BETWEEN_TRIES);
            }
            result => return result,
        }
    }
}

fn connect_to_write(file: &DatabaseFile, durability: Durability) -> Result<Connection, OpenError> {
    let failed = |error| OpenError::new(file.given(), &error);
    let connection = connect(file.path(), Mode::Write).map_err(failed)?;
    connection
        .busy_handler(Some(wait_for_lock))
        .map_err(failed)?;
    let (synchronous, level) = match durability {
        Durability::Full => ("FULL", "2"),
        Durability::None => ("OFF", "0"),
    };
    for (setting, wanted, as_read) in [
        ("synchronous", synchronous, level),
        ("journal_mode", "WAL", "wal"),
        ("foreign_keys", "ON", "1"),
        // A statement that fires a trigger keeps a statement journal until its end. A file for that would cost more
        // than the statement itself.
        ("temp_store", "MEMORY", "2"),
    ] {
        set(&connection, file.given(), setting, wanted, as_read)?;
    }
    check_writable(&connection).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

/// Checks that the connection can write. If the shared memory of the log cannot be opened for writing, SQLite opens it
/// read-only for all later connections and refuses their changes. Does not wait for the write transaction of another
/// process.
fn check_writable(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(Duration::ZERO)?;
    match run(connection, "BEGIN IMMEDIATE") {
        Ok(()) => run(connection, "ROLLBACK")?,
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {}
        Err(error) => return Err(error),
    }
    connection.busy_handler(Some(wait_for_lock))
}

/// The busy handler of the writer. SQLite's own handler sleeps for up to 100 ms between two attempts, and would miss
/// the pauses of an import.
pub(super) fn wait_for_lock(tries: i32) -> bool {
    thread_local! {
        static START: Cell<Instant> = Cell::new(Instant::now());
    }
    if tries == 0 {
        START.set(Instant::now());
    }
    let goes_on = START.get().elapsed() < BUSY_TIMEOUT;
    if goes_on {
        thread::sleep(BETWEEN_TRIES);
    }
    goes_on
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn create(path: &Path) -> DatabaseFile {
        let file = DatabaseFile::resolve(path).unwrap();
        let (by, durability) = (OpenedBy::Command, Durability::Full);
        let progress = Box::new(|_, _| {});
        writing_connection(&file, WhenMissing::Create, durability, by, progress).unwrap();
        file
    }

    #[test]
    fn a_path_with_special_characters_opens() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a b?c#d%41é.db");
        let file = create(&path);
        assert!(path.exists());
        assert_eq!(inspect(&file).unwrap(), newest_version());
    }

    #[test]
    fn a_new_file_can_be_opened_by_many_at_the_same_time() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("new.db");
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| create(&path));
            }
        });
    }
}
