//! A database in the making: beside its destination, and removed when it does not become one.
//!
//! What a killed process leaves behind, the next one that makes the same takes over.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, OFlags, RenameFlags, flock, renameat_with};

use super::database_file::{beside, directory_of};

pub(super) struct Partial {
    path: PathBuf,
    /// Keeps others away.
    file: File,
}

impl Partial {
    /// Makes an empty file beside the destination, whose name starts with a dot and ends with `end`. `None` when another
    /// process is making the same.
    pub(super) fn create(destination: &Path, end: &str) -> io::Result<Option<Self>> {
        let mut name = std::ffi::OsString::from(".");
        name.push(destination.file_name().unwrap_or_default());
        name.push(end);
        let path = destination.with_file_name(name);
        // Not through a link that somebody laid in a directory of all.
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            return Ok(None);
        }
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_len(0)?;
        let partial = Self { path, file };
        partial.remove_companions();
        Ok(Some(partial))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Gives the file its name once it is on disk.
    pub(super) fn finish(self, destination: &Path, replace: bool) -> io::Result<()> {
        self.file.sync_all()?;
        if replace {
            fs::rename(&self.path, destination)?;
        } else {
            rename_without_replacing(&self.path, destination)?;
        }
        // The name, too, must survive a power failure.
        File::open(directory_of(destination))?.sync_all()
    }

    fn remove_companions(&self) {
        for end in ["-wal", "-shm", "-journal"] {
            let _ = fs::remove_file(beside(&self.path, end));
        }
    }
}

/// Some file systems cannot say no; there the look at the beginning must do.
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => fs::rename(from, to),
        result => Ok(result?),
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone by then, if it was renamed.
        let _ = fs::remove_file(&self.path);
        self.remove_companions();
    }
}
