//! Detecting that another database, or an older copy, was copied over the open file, which keeps its device and inode.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::database_file::DatabaseFile;
use super::identity::{Identity, identity_in_file};

/// For how long a file must be unchanged and unclear. While another process writes to it, its content is not judged.
const SETTLED: Duration = Duration::from_secs(1);

/// A file, and the row that it contains as long as its content is that of the open database.
pub(in crate::store) struct ContentWatch {
    file: DatabaseFile,
    secret: [u8; 16],
    state: Mutex<Observed>,
    is_replaced: AtomicBool,
}

/// The content of the file at one moment.
enum Content {
    Good,
    /// Of another database.
    Foreign,
    /// Older than before, or damaged: replaced, or just being written.
    Unclear,
    /// The system cannot read the file.
    Unreadable,
}

#[derive(Default)]
struct Observed {
    /// The file when its content was last good. `None` while all of the database is still in the log.
    good: Option<(Stamp, Identity)>,
    /// The file when its content was not good, and since when.
    suspect: Option<(Stamp, Instant)>,
}

/// Changes with every write to a file.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: (i64, i64),
}

impl Stamp {
    fn of(file: &DatabaseFile) -> Option<Self> {
        let metadata = fs::metadata(file.path()).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        })
    }
}

impl ContentWatch {
    pub(in crate::store) fn start(file: &DatabaseFile, secret: [u8; 16]) -> Self {
        let watch = Self {
            file: file.clone(),
            secret,
            state: Mutex::default(),
            is_replaced: AtomicBool::new(false),
        };
        watch.may_be_replaced();
        watch
    }

    /// Whether another content was found. This stays `true`, because connections may have pages of it in their caches.
    pub(in crate::store) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire)
    }

    /// Checks the file again, and logs if another content is found.
    pub(in crate::store) fn check(&self, now: Instant) {
        if self.is_replaced() {
            return;
        }
        let is_replaced = match self.look() {
            Content::Good | Content::Unreadable => false,
            Content::Unclear => self.has_settled(now),
            Content::Foreign => true,
        };
        if is_replaced {
            self.is_replaced.store(true, Ordering::Release);
            tracing::error!(
                path = %self.file.given().display(),
                "the content of the file was replaced while it is open: the server is not ready and answers logins with 503 until it is restarted"
            );
        }
    }

    /// Whether the file has another content at this moment, or may have because it is being written or cannot be read.
    pub(in crate::store) fn may_be_replaced(&self) -> bool {
        !matches!(self.look(), Content::Good)
    }

    /// Looks at the file, with one system call unless it has changed since it was last good.
    fn look(&self) -> Content {
        let Some(stamp) = Stamp::of(&self.file) else {
            // Whether the path leads to a file is checked elsewhere.
            return Content::Good;
        };
        let mut state = self.state.lock();
        let last = state.good;
        if last.is_some_and(|(good, _)| good == stamp) {
            return Content::Good;
        }
        let found = match identity_in_file(&self.file) {
            Ok(Some(found)) => found,
            Ok(None) if last.is_some() => return Content::Unclear,
            Ok(None) => return Content::Good,
            Err(_) => return Content::Unreadable,
        };
        if found.secret != self.secret {
            return Content::Foreign;
        }
        if last.is_some_and(|(_, last)| !found.may_follow(last)) {
            return Content::Unclear;
        }
        *state = Observed {
            good: Some((stamp, found)),
            suspect: None,
        };
        Content::Good
    }

    fn has_settled(&self, now: Instant) -> bool {
        let Some(stamp) = Stamp::of(&self.file) else {
            return false;
        };
        let mut state = self.state.lock();
        match state.suspect {
            Some((suspect, since)) if suspect == stamp => now.duration_since(since) >= SETTLED,
            _ => {
                state.suspect = Some((stamp, now));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use rusqlite::Connection;

    use super::*;
    use crate::store::engine::sqlite::identity::write_secret;

    fn create(path: &Path, secret: u8) -> Connection {
        let connection = Connection::open(path).unwrap();
        let sql = format!(
            "PRAGMA journal_mode = WAL; CREATE TABLE throttle_secret (secret);
             INSERT INTO throttle_secret (secret) VALUES (x'{secret:032x}');
             CREATE TABLE other (bytes); INSERT INTO other VALUES (randomblob(9000))"
        );
        connection.execute_batch(&sql).unwrap();
        connection
    }

    fn checkpoint(connection: &Connection) {
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        connection.query_one(sql, [], |_| Ok(())).unwrap();
    }

    #[test]
    fn only_a_settled_file_with_another_content_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let (path, other) = (directory.path().join("x.db"), directory.path().join("y.db"));
        drop(create(&other, 2));
        let connection = create(&path, 1);
        let file = DatabaseFile::resolve(&path).unwrap();
        let watch = ContentWatch::start(&file, 1_u128.to_be_bytes());
        let start = Instant::now();
        let is_replaced_after = |seconds| {
            watch.check(start + Duration::from_secs(seconds));
            watch.is_replaced()
        };
        // The whole database is in the log.
        assert!(!is_replaced_after(1) && !is_replaced_after(2));
        checkpoint(&connection);
        assert!(!is_replaced_after(3) && !is_replaced_after(4));
        for _ in 0..3 {
            write_secret(&connection).unwrap();
            checkpoint(&connection);
            assert!(!watch.may_be_replaced());
        }
        connection
            .execute_batch("DELETE FROM other; VACUUM")
            .unwrap();
        checkpoint(&connection);
        assert!(!is_replaced_after(5) && !is_replaced_after(6));
        let older = fs::read(&path).unwrap();
        connection
            .execute_batch("INSERT INTO other VALUES (randomblob(9000))")
            .unwrap();
        write_secret(&connection).unwrap();
        checkpoint(&connection);
        assert!(!watch.may_be_replaced());
        let good = fs::read(&path).unwrap();
        for content in [older, Vec::new()] {
            fs::write(&path, content).unwrap();
            assert!(watch.may_be_replaced() && !is_replaced_after(7));
            fs::write(&path, &good).unwrap();
            assert!(!is_replaced_after(8) && !watch.may_be_replaced());
        }
        let second = ContentWatch::start(&file, 1_u128.to_be_bytes());
        fs::copy(&other, &path).unwrap();
        assert!(
            is_replaced_after(9),
            "a file of another database is not waited for"
        );
        fs::write(&path, "").unwrap();
        for (seconds, is_replaced) in [(9, false), (10, true)] {
            second.check(start + Duration::from_secs(seconds));
            assert_eq!(second.is_replaced(), is_replaced, "{seconds}");
        }
    }
}
