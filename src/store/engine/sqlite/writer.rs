//! The writer thread and its group commit.
//!
//! The thread takes all waiting changes and makes them in one transaction. If there are several, each is in its own
//! savepoint. It syncs once, and only then returns to the callers. So every confirmed change is on disk, and thirty
//! logins share one sync.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode};

use super::codes::reason;
use super::connect::BUSY_TIMEOUT;
use super::identity::write_secret;
use super::open::{BETWEEN_TRIES, wait_for_lock};
use super::watch::FileWatch;
use crate::store::engine::{self, Error, StatementError};

/// The maximum number of changes in a group. It limits how long the first change waits for the last one.
const MAX_GROUP: usize = 256;

/// The length of the log in pages from which a commit checkpoints it. This is SQLite's default.
const CHECKPOINT_PAGES: u32 = 1_000;

/// How long a change waits for the lock of another process after [`Writer::stop_waiting`].
const LAST_WAIT: Duration = Duration::from_millis(100);

pub(in crate::store) struct Writer {
    changes: Option<Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
    stops_waiting: Arc<AtomicBool>,
}

/// What the writer thread uses.
struct Writing {
    connection: Connection,
    watch: Option<Arc<FileWatch>>,
    /// Whether it waits only shortly for the lock of another process.
    stops_waiting: Arc<AtomicBool>,
    /// Whether a commit checkpoints a long log.
    checkpoints: Cell<bool>,
}

/// A waiting change. It is made in two steps: it runs inside the transaction, and then receives the outcome of the
/// transaction.
trait Change: Send {
    /// Runs the change. Returns `false` if the change is to be rolled back, which is not an error.
    fn attempt(&mut self, connection: &engine::Connection) -> Result<bool, Error>;
    /// Sends the outcome to the caller.
    fn conclude(self: Box<Self>, commit: Result<(), Error>);
}

struct WaitingChange<F, T> {
    change: Option<F>,
    is_kept: fn(&T) -> bool,
    outcome: Option<Result<T, Error>>,
    caller: SyncSender<Result<T, Error>>,
}

impl<F, T> Change for WaitingChange<F, T>
where
    F: FnOnce(&engine::Connection) -> engine::Result<T> + Send,
    T: Send,
{
    fn attempt(&mut self, connection: &engine::Connection) -> Result<bool, Error> {
        let Some(change) = self.change.take() else {
            return Err(Error::NoAnswer);
        };
        // A panic in one change must not end the writer thread.
        let outcome = catch_unwind(AssertUnwindSafe(|| change(connection)))
            .unwrap_or_else(|_| Err(StatementError::Panicked))
            .map_err(Error::from);
        let result = outcome.as_ref().map(self.is_kept).map_err(Error::clone);
        self.outcome = Some(outcome);
        result
    }

    fn conclude(self: Box<Self>, commit: Result<(), Error>) {
        let outcome = match (self.outcome, commit) {
            (Some(Err(error)), _) | (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::NoAnswer),
        };
        // The caller may no longer be waiting.
        let _ = self.caller.send(outcome);
    }
}

impl Writer {
    pub(in crate::store) fn start(
        connection: Connection,
        watch: Option<Arc<FileWatch>>,
    ) -> io::Result<Self> {
        let (changes, waiting) = channel();
        let stops_waiting = Arc::<AtomicBool>::default();
        let writing = Writing {
            connection,
            watch,
            stops_waiting: Arc::clone(&stops_waiting),
            checkpoints: Cell::new(true),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || writing.run(&waiting))?;
        Ok(Self {
            changes: Some(changes),
            thread: Some(thread),
            stops_waiting,
        })
    }

    /// Makes changes fail soon, from now on, if another process holds the lock.
    pub(in crate::store) fn stop_waiting(&self) {
        self.stops_waiting.store(true, Ordering::Relaxed);
    }

    pub(in crate::store) fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&engine::Connection) -> engine::Result<T> + Send + 'static,
        is_kept: fn(&T) -> bool,
    ) -> Result<T, Error> {
        let (caller, outcome) = sync_channel(1);
        let waiting = WaitingChange {
            change: Some(change),
            is_kept,
            outcome: None,
            caller,
        };
        self.changes
            .as_ref()
            .and_then(|changes| changes.send(Box::new(waiting)).ok())
            .ok_or(Error::NoAnswer)?;
        outcome.recv().map_err(|_| Error::NoAnswer)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // When the channel is closed, the thread writes all waiting changes and ends.
        self.changes = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Writing {
    fn run(&self, waiting: &Receiver<Box<dyn Change>>) {
        while let Ok(first) = waiting.recv() {
            let mut group = vec![first];
            group.extend(waiting.try_iter().take(MAX_GROUP - 1));
            self.commit_group(group);
        }
        if self.stops_waiting.load(Ordering::Relaxed) {
            // If this fails, the checkpoint waits longer.
            let _ = self.connection.busy_timeout(LAST_WAIT);
        }
        end(&self.connection, self.watch.as_deref());
    }

    fn commit_group(&self, group: Vec<Box<dyn Change>>) {
        let connection = &self.connection;
        let is_alone = group.len() == 1;
        let changes = connection.total_changes();
        let mut tried = Vec::with_capacity(group.len());
        let mut group = group.into_iter();
        let outcome = self.begin().and_then(|()| {
            let mut end = "COMMIT";
            for mut change in group.by_ref() {
                let attempt = if is_alone {
                    change.attempt(&engine::Connection::Sqlite(connection))
                } else {
                    attempt_in_savepoint(connection, change.as_mut()).map(|()| true)
                };
                tried.push(change);
                if !attempt? {
                    end = "ROLLBACK";
                }
            }
            if end == "COMMIT" && connection.total_changes() > changes {
                write_secret(connection)?;
            }
            execute(connection, end)
        });
        if outcome.is_err() && !connection.is_autocommit() {
            // If this fails too, the next BEGIN reports the error to its callers.
            let _ = execute(connection, "ROLLBACK");
        }
        for change in tried.into_iter().chain(group) {
            change.conclude(outcome.clone());
        }
    }

    /// Begins a transaction. Refuses to write to a file that its path no longer leads to.
    fn begin(&self) -> Result<(), Error> {
        if self.watch.as_ref().is_some_and(|watch| watch.check()) {
            return Err(Error::FileReplaced);
        }
        self.protect_other_content()?;
        let mut begin = self.connection.prepare_cached("BEGIN IMMEDIATE")?;
        self.connection.busy_timeout(Duration::ZERO)?;
        let start = Instant::now();
        let patience = || match self.stops_waiting.load(Ordering::Relaxed) {
            true => LAST_WAIT,
            false => BUSY_TIMEOUT,
        };
        let result = loop {
            match begin.execute([]) {
                Err(error)
                    if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
                        && start.elapsed() < patience() =>
                {
                    thread::sleep(BETWEEN_TRIES);
                }
                ended => break ended,
            }
        };
        self.connection.busy_handler(Some(wait_for_lock))?;
        result?;
        Ok(())
    }

    /// Turns checkpoints off while the file may have another content: they would mix the log into it, and the file would
    /// then pass for that of the database.
    fn protect_other_content(&self) -> Result<(), Error> {
        let watch = self.watch.as_ref();
        let checkpoints = watch.is_none_or(|watch| watch.may_write_back());
        if self.checkpoints.replace(checkpoints) != checkpoints {
            let pages = if checkpoints { CHECKPOINT_PAGES } else { 0 };
            self.connection
                .pragma_update(None, "wal_autocheckpoint", pages)?;
        }
        Ok(())
    }
}

/// Runs a change in a savepoint. Fails only if the whole transaction is lost: SQLite rolls it back after some errors
/// (disk full, input or output error).
fn attempt_in_savepoint(connection: &Connection, change: &mut dyn Change) -> Result<(), Error> {
    execute(connection, "SAVEPOINT change")?;
    match change.attempt(&engine::Connection::Sqlite(connection)) {
        Ok(true) => {}
        Err(error) if connection.is_autocommit() => return Err(error),
        Ok(false) | Err(_) => execute(connection, "ROLLBACK TO change")?,
    }
    execute(connection, "RELEASE change")
}

fn execute(connection: &Connection, statement: &str) -> Result<(), Error> {
    connection.prepare_cached(statement)?.execute([])?;
    Ok(())
}

/// Checkpoints the database at the end. When the last connection is closed, SQLite removes the log and the index by
/// name; this is disabled if the names lead to other files, or if the file has another content.
fn end(connection: &Connection, watch: Option<&FileWatch>) {
    if let Some(watch) = watch.filter(|watch| !watch.may_remove_log()) {
        let keeps_names =
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Err(error) = keeps_names {
            tracing::error!(
                error = reason(&error),
                "cannot close the database without removing its log by name"
            );
        }
        if !watch.may_checkpoint() {
            return;
        }
    }
    checkpoint(connection);
}

/// Checkpoints the log. It is not an error if another process is reading or writing; that process will checkpoint
/// later.
fn checkpoint(connection: &Connection) {
    let result = connection.query_one("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
    if let Err(error) = result
        && error.sqlite_error_code() != Some(ErrorCode::DatabaseBusy)
    {
        tracing::warn!(error = reason(&error), "cannot checkpoint the database");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type OutcomeReceiver = Receiver<Result<usize, Error>>;

    fn database() -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch("CREATE TABLE numbers (number INTEGER UNIQUE) STRICT; CREATE TABLE throttle_secret (secret)")
            .unwrap();
        connection
    }

    fn writing() -> Writing {
        Writing {
            connection: database(),
            watch: None,
            stops_waiting: Arc::default(),
            checkpoints: Cell::new(true),
        }
    }

    fn change(
        change: impl FnOnce(&engine::Connection) -> engine::Result<usize> + Send + 'static,
    ) -> (Box<dyn Change>, OutcomeReceiver) {
        let (caller, outcome) = sync_channel(1);
        let waiting = WaitingChange {
            change: Some(change),
            is_kept: |_| true,
            outcome: None,
            caller,
        };
        (Box::new(waiting), outcome)
    }

    fn insert(connection: &engine::Connection, number: i64) -> engine::Result<usize> {
        connection.execute(
            "INSERT INTO numbers (number) VALUES (:number)",
            engine::parameters! { ":number": number },
        )
    }

    fn numbers(connection: &Connection) -> String {
        let sql = "SELECT coalesce(group_concat(number, ' '), '') FROM (SELECT number FROM numbers ORDER BY 1)";
        connection.query_one(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn a_failed_change_does_not_affect_the_others_of_its_group() {
        let writing = writing();
        let (first, first_outcome) = change(|connection| insert(connection, 1));
        let (failing, failing_outcome) = change(|connection| {
            insert(connection, 2)?;
            insert(connection, 1)
        });
        let (panicking, panicking_outcome) = change(|connection| {
            insert(connection, 3)?;
            panic!("a defect")
        });
        let (last, last_outcome) = change(|connection| insert(connection, 4));
        writing.commit_group(vec![first, failing, panicking, last]);
        assert!(first_outcome.recv().unwrap().is_ok());
        assert!(matches!(
            failing_outcome.recv().unwrap(),
            Err(Error::Defect(_))
        ));
        assert!(panicking_outcome.recv().unwrap().is_err());
        assert!(last_outcome.recv().unwrap().is_ok());
        assert_eq!(numbers(&writing.connection), "1 4");
    }

    #[test]
    fn a_lost_transaction_fails_all_changes_of_its_group() {
        let writing = writing();
        let (first, first_outcome) = change(|connection| insert(connection, 1));
        let (losing, losing_outcome) = change(|connection| {
            connection.batch("ROLLBACK")?;
            Err(StatementError::NoRow)
        });
        let (last, last_outcome) = change(|connection| insert(connection, 2));
        writing.commit_group(vec![first, losing, last]);
        for outcome in [first_outcome, losing_outcome, last_outcome] {
            assert!(outcome.recv().unwrap().is_err());
        }
        assert_eq!(numbers(&writing.connection), "");
    }

    #[test]
    fn waiting_changes_are_written_before_the_writer_ends() {
        let writer = Writer::start(database(), None).unwrap();
        let (waiting, outcome) = change(|connection| insert(connection, 1));
        writer.changes.as_ref().unwrap().send(waiting).unwrap();
        drop(writer);
        assert_eq!(outcome.recv().unwrap().unwrap(), 1);
    }
}
