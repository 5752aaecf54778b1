//! The lock that an import of many rows holds. The operating system releases it when the process ends, so it
//! distinguishes an import in progress from the rows that a killed one has left behind.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::database_file::FileId;

/// The lock. The file is removed when this is dropped.
pub(in crate::store) struct ImportLock {
    path: PathBuf,
    file: File,
}

/// The result of trying to take the lock.
pub(in crate::store) enum ImportLockAttempt {
    Taken(ImportLock),
    /// Another process, or another import in this process, holds the lock.
    Held,
    /// The import is small, or a long transaction of the database blocks no other process.
    NotNeeded,
    /// The file cannot be created or opened, or the file system has no locks.
    Impossible,
}

impl ImportLock {
    pub(in crate::store) fn take(path: &Path) -> ImportLockAttempt {
        loop {
            let Ok(file) = open(path) else {
                return ImportLockAttempt::Impossible;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return ImportLockAttempt::Held,
                Err(TryLockError::Error(_)) => return ImportLockAttempt::Impossible,
            }
            let lock = Self {
                path: path.to_owned(),
                file,
            };
            // The previous holder may have removed the file after it was opened here.
            if lock.is_in_place() {
                return ImportLockAttempt::Taken(lock);
            }
        }
    }

    fn is_in_place(&self) -> bool {
        let ours = FileId::of_file(&self.file);
        ours.is_ok_and(|ours| FileId::of(&self.path).is_ok_and(|there| there == ours))
    }
}

impl Drop for ImportLock {
    fn drop(&mut self) {
        if self.is_in_place() {
            // If this fails, the next holder of the lock removes the file.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.nlink() > 1 {
        return Err(io::Error::other("not a regular file with a single name"));
    }
    // The umask may have removed bits from the mode given above.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_several_names_is_not_used_and_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let [precious, lock] = ["precious", "x.db-import"].map(|name| directory.path().join(name));
        fs::write(&precious, "").unwrap();
        fs::set_permissions(&precious, Permissions::from_mode(0o644)).unwrap();
        fs::hard_link(&precious, &lock).unwrap();
        assert!(matches!(
            ImportLock::take(&lock),
            ImportLockAttempt::Impossible
        ));
        let mode = fs::metadata(&precious).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o644);
        assert!(lock.exists());
    }
}
