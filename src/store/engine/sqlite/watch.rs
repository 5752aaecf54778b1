//! Detecting that the path of an open database leads to another file, or to none, or that the file has another content.
//!
//! SQLite continues to use the files that it has open, even if their names lead to other files. Without detection,
//! writes would be lost with the removed file, and commands would change a different file.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::content_watch::ContentWatch;
use super::database_file::{DatabaseFile, FileId};
use crate::store::engine::OpenError;

/// The paths of the database, its log and its index, and the files that they led to when the database was opened.
pub(in crate::store) struct FileWatch {
    database: WatchedPath,
    beside: [WatchedPath; 2],
    content: ContentWatch,
    is_replaced: AtomicBool,
}

struct WatchedPath {
    path: PathBuf,
    file: FileId,
}

impl WatchedPath {
    fn of(path: PathBuf) -> Result<Self, OpenError> {
        match FileId::of(&path) {
            Ok(file) => Ok(Self { path, file }),
            Err(error) => Err(OpenError::Failed {
                path,
                reason: error.to_string(),
            }),
        }
    }

    fn leads_to_its_file(&self) -> bool {
        FileId::of(&self.path).is_ok_and(|found| found == self.file)
    }

    fn leads_to_another_file(&self) -> bool {
        FileId::of(&self.path).is_ok_and(|found| found != self.file)
    }
}

impl FileWatch {
    /// Starts to watch a database that is open and has been read, so that its log and index exist. `secret` is its own.
    pub(in crate::store) fn start(
        file: &DatabaseFile,
        secret: [u8; 16],
    ) -> Result<Self, OpenError> {
        Ok(Self {
            // The given path and not the resolved one, because commands use it too. It may be a symbolic link.
            database: WatchedPath::of(file.given().to_owned())?,
            beside: [WatchedPath::of(file.log())?, WatchedPath::of(file.index())?],
            content: ContentWatch::start(file, secret),
            is_replaced: AtomicBool::new(false),
        })
    }

    /// The result of the last check, without a new one.
    pub(in crate::store) fn is_replaced(&self) -> bool {
        self.is_replaced.load(Ordering::Acquire) || self.content.is_replaced()
    }

    /// Checks the paths and the content of the file again, and returns whether they are no longer those that were opened.
    /// Logs a change of the result.
    pub(in crate::store) fn check_content(&self) -> bool {
        if !self.check() {
            self.content.check(Instant::now());
        }
        self.is_replaced()
    }

    /// Checks the paths again, with three system calls, and returns whether one leads to another file or to none, or
    /// whether another content was found before. Logs a change of the result.
    pub(in crate::store) fn check(&self) -> bool {
        let replaced = self.names().find(|name| !name.leads_to_its_file());
        let was_replaced = self.is_replaced.swap(replaced.is_some(), Ordering::AcqRel);
        match replaced {
            Some(name) if !was_replaced => tracing::error!(
                path = %name.path.display(),
                "the file was moved, removed or replaced while it is open: the server is not ready and answers logins with 503 until the file is back or the server is restarted"
            ),
            None if was_replaced => tracing::info!(
                path = %self.database.path.display(),
                "the path leads to the open database again: ready"
            ),
            _ => {}
        }
        self.is_replaced()
    }

    /// Whether the names still lead to the open files, and these have their content.
    pub(in crate::store) fn may_remove_log(&self) -> bool {
        !self.check() && self.may_write_back()
    }

    /// Whether the log can be checkpointed. It cannot if another process uses different files under these names, or if
    /// the file may have another content.
    pub(in crate::store) fn may_checkpoint(&self) -> bool {
        let is_moved = !self.database.leads_to_its_file();
        let is_ours = is_moved || self.may_write_back();
        is_ours && !self.beside.iter().any(WatchedPath::leads_to_another_file)
    }

    /// Whether the log may be written back into the open file: the file has its content. Takes one system call, unless the
    /// file has changed.
    pub(in crate::store) fn may_write_back(&self) -> bool {
        !self.content.may_be_replaced()
    }

    fn names(&self) -> impl Iterator<Item = &WatchedPath> {
        std::iter::once(&self.database).chain(&self.beside)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::store::{Durability, Store, WhenMissing};

    #[test]
    fn a_long_log_is_not_written_into_another_content() {
        let directory = tempfile::tempdir().unwrap();
        let open = |name| {
            let path = directory.path().join(name);
            let (store, _) = Store::open(&path, WhenMissing::Create, Durability::Full).unwrap();
            (path, store)
        };
        let (other, closed) = open("other.db");
        drop(closed);
        let other = fs::read(other).unwrap();
        let (path, store) = open("one.db");
        fs::write(&path, &other).unwrap();
        for number in 0..3 {
            let fill = format!(
                "CREATE TABLE filler_{number} AS
                 WITH RECURSIVE rows (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM rows WHERE n < 1200)
                 SELECT randomblob(4000) FROM rows"
            );
            store
                .write(move |connection| connection.batch(&fill))
                .unwrap();
        }
        assert!(fs::read(&path).unwrap() == other);
        assert!(store.check_path().is_err());
        drop(store);
        assert!(fs::read(&path).unwrap() == other);
    }
}
