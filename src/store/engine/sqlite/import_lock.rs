//! The lock that an import of many rows holds. It ends with the process: that shows which import is under way, and what a
//! killed one has left behind.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::database_file::FileId;

/// The file is removed when this is dropped.
pub(in crate::store) struct ImportLock {
    path: PathBuf,
    file: File,
}

pub(in crate::store) enum Taking {
    Taken(ImportLock),
    /// By another process, or by another import of this one.
    Held,
    /// The file cannot be made or opened, or the file system has no locks.
    Impossible,
}

impl ImportLock {
    pub(in crate::store) fn take(path: &Path) -> Taking {
        loop {
            let Ok(file) = open(path) else {
                return Taking::Impossible;
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Taking::Held,
                Err(TryLockError::Error(_)) => return Taking::Impossible,
            }
            let lock = Self {
                path: path.to_owned(),
                file,
            };
            // Its holder may have removed the file after it was opened here.
            if lock.is_in_place() {
                return Taking::Taken(lock);
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
            // What stays is in nobody's way: the next one to take the lock removes it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    // The mode given above is narrowed by the umask.
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}
