//! Files that are written atomically: a file gets its name only once it is complete and on disk.
//!
//! Each file is written under a random name in the same directory, synced and renamed; then the directory is synced. So
//! a kill or a power failure never leaves a part of a file under the final name, and a file of another user is never
//! taken for ours. The leftovers of a killed process are removed by the next process that writes to the directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{
    Access, AtFlags, CWD, FlockOperation, OFlags, RenameFlags, accessat, flock, renameat_with,
};
use rustix::io::Errno;
use rustix::process::geteuid;
use uuid::Uuid;

use crate::random;

mod remedy;

pub(crate) use remedy::{needs_permission, remedy};

const PREFIX: &str = ".thanos-login-";
const SUFFIX: &str = ".partial";

/// How long to wait for the lock of a directory, which is normally held for milliseconds.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// What to do with an existing file of the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    /// Keep it, and fail with [`io::ErrorKind::AlreadyExists`].
    Keep,
    /// Replace it if it is a regular file.
    Replace,
}

/// Writes a whole file with this mode, ignoring the umask.
pub(crate) fn write(
    destination: &Path,
    content: &[u8],
    mode: u32,
    existing: Existing,
) -> io::Result<()> {
    write_by(destination, mode, existing, |out| out.write_all(content))
}

/// Writes a whole file piece by piece, with this mode, ignoring the umask.
pub(crate) fn write_by(
    destination: &Path,
    mode: u32,
    existing: Existing,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let partial = Partial::create(destination, mode)?;
    let mut out = BufWriter::new(partial.file());
    write(&mut out)?;
    out.flush()?;
    drop(out);
    partial.publish(existing)
}

/// A file that is being written. If it is dropped before it is published, it is removed.
pub(crate) struct Partial {
    path: PathBuf,
    destination: PathBuf,
    /// Locked, which distinguishes it from the leftovers of a killed process.
    file: File,
    directory: File,
}

impl Partial {
    pub(crate) fn create(destination: &Path, mode: u32) -> io::Result<Self> {
        let Some(name) = destination.file_name() else {
            return Err(io::Error::other("not the name of a file"));
        };
        let parent = directory_of(destination);
        let directory = File::open(parent)?;
        remove_leftovers(parent, name);
        let (path, file) = create_locked(parent)?;
        let partial = Self {
            path,
            destination: destination.to_owned(),
            file,
            directory,
        };
        let mode = Permissions::from_mode(mode);
        partial.file.set_permissions(mode)?;
        Ok(partial)
    }

    /// Its temporary path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Gives the file its final name.
    pub(crate) fn publish(self, existing: Existing) -> io::Result<()> {
        self.sync()?;
        match existing {
            Existing::Keep => rename_without_replacing(&self.path, &self.destination)?,
            Existing::Replace => {
                check_replaceable(&self.destination)?;
                fs::rename(&self.path, &self.destination)?;
            }
        }
        self.sync_directory()
    }

    /// Gives the file its final name, replacing an existing file. If the result is dropped without
    /// [`Revocable::keep`], this is undone.
    pub(crate) fn publish_revocably(self) -> io::Result<Revocable> {
        self.sync()?;
        check_replaceable(&self.destination)?;
        let mut revocable = Revocable {
            partial: self,
            undo: None,
        };
        let Revocable { partial, undo } = &mut revocable;
        let rename = |how| renameat_with(CWD, &partial.path, CWD, &partial.destination, how);
        *undo = match rename(RenameFlags::EXCHANGE) {
            Ok(()) => Some(RenameFlags::EXCHANGE),
            Err(Errno::NOENT) => {
                rename_without_replacing(&partial.path, &partial.destination)?;
                Some(RenameFlags::NOREPLACE)
            }
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::rename(&partial.path, &partial.destination)?;
                None
            }
            Err(error) => return Err(error.into()),
        };
        partial.sync_directory()?;
        Ok(revocable)
    }

    /// Writes the file to disk, and checks that the temporary path still refers to it.
    fn sync(&self) -> io::Result<()> {
        self.file.sync_all()?;
        let there = fs::symlink_metadata(&self.path)?;
        let ours = self.file.metadata()?;
        if (there.dev(), there.ino()) != (ours.dev(), ours.ino()) {
            return Err(io::Error::other(
                "another process replaced the file while it was written",
            ));
        }
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        match self.directory.sync_all() {
            // Some file systems cannot sync a directory.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            result => result,
        }
    }
}

/// A published file that can be revoked. If it is dropped before it is kept, it is removed, and the replaced file gets
/// its name back.
pub(crate) struct Revocable {
    /// Its temporary path now refers to the replaced file.
    partial: Partial,
    /// How to undo the renaming; `None` if it is kept or cannot be undone.
    undo: Option<RenameFlags>,
}

impl Revocable {
    pub(crate) fn keep(mut self) {
        self.undo = None;
    }
}

impl Drop for Revocable {
    fn drop(&mut self) {
        if let Some(how) = self.undo {
            let Partial {
                path, destination, ..
            } = &self.partial;
            // If this fails, the new file is kept.
            let _ = renameat_with(CWD, destination, CWD, path, how);
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Does nothing if the file has been renamed.
        let _ = fs::remove_file(&self.path);
        for ending in ["-journal", "-wal", "-shm"] {
            let mut beside = self.path.clone().into_os_string();
            beside.push(ending);
            let _ = fs::remove_file(beside);
        }
    }
}

/// Locks the directory of a file against other processes of this program.
///
/// The directory itself is locked, so that no lock file is left behind. Any user who can read the directory can take
/// the lock, hence the deadline.
pub(crate) fn lock_directory_of(path: &Path) -> io::Result<File> {
    let directory = File::open(directory_of(path))?;
    let start = Instant::now();
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK | Errno::INTR) if start.elapsed() < LOCK_WAIT => {
                std::thread::sleep(LOCK_PAUSE);
            }
            Err(Errno::WOULDBLOCK) => {
                return Err(io::Error::other(
                    "another process keeps its directory locked",
                ));
            }
            result => return Ok(result.map(|()| directory)?),
        }
    }
}

/// Reads a file in which this program keeps secrets. Refuses files that another user may have put there, and never
/// waits for the other end of a pipe.
pub(crate) fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    // The owner of the directory could replace the file anyway.
    let directory = fs::metadata(directory_of(path))?;
    if ![geteuid().as_raw(), 0, directory.uid()].contains(&found.uid()) {
        return Err(io::Error::other("it belongs to another user"));
    }
    let mut content = Vec::with_capacity(usize::try_from(found.len()).unwrap_or(0));
    file.read_to_end(&mut content)?;
    Ok(content)
}

/// The free space on the disk of a directory, in bytes.
pub(crate) fn free_bytes(directory: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(directory)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Checks whether files can be created in a directory.
pub(crate) fn check_directory(path: &Path) -> io::Result<()> {
    if !fs::metadata(path)?.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok(accessat(
        CWD,
        path,
        Access::WRITE_OK | Access::EXEC_OK,
        AtFlags::EACCESS,
    )?)
}

pub(crate) fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}

fn create_locked(directory: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let id = random::uuid()?.simple();
        let path = directory.join(format!("{PREFIX}{id}{SUFFIX}"));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let lock = flock(&file, FlockOperation::NonBlockingLockExclusive);
        // Before the lock was taken, another process may have removed the file as a leftover. A file system without
        // locks has no such process.
        if lock != Err(Errno::WOULDBLOCK) && file.metadata()?.nlink() > 0 {
            return Ok((path, file));
        }
    }
}

/// Removes the leftovers of killed processes. Failures are ignored, since leftovers do no harm.
fn remove_leftovers(directory: &Path, destination: &OsStr) {
    // The temporary name of a backup by version 0.1.0.
    let older = [OsStr::new("."), destination, OsStr::new(SUFFIX)];
    let older: OsString = older.into_iter().collect();
    let names = names_in(directory);
    for name in &names {
        if !is_partial(name) && *name != older {
            continue;
        }
        let path = directory.join(name);
        let Some(_locked) = lock_leftover(&path) else {
            continue;
        };
        // SQLite's journals of an unfinished database have its name with a suffix.
        let prefix = [name.as_bytes(), b"-"].concat();
        let beside = names
            .iter()
            .filter(|name| name.as_bytes().starts_with(&prefix));
        for path in beside.map(|name| directory.join(name)).chain([path]) {
            if fs::symlink_metadata(&path).is_ok_and(|metadata| is_ours(&metadata)) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

fn names_in(directory: &Path) -> Vec<OsString> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name()).collect()
}

fn is_partial(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
    name.and_then(|name| name.strip_suffix(SUFFIX))
        .is_some_and(|id| Uuid::try_parse(id).is_ok())
}

/// Opens and locks a leftover. `None` for a file that is not ours, or that another process is still writing.
fn lock_leftover(path: &Path) -> Option<File> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY))
        .open(path)
        .ok()?;
    let is_leftover = is_ours(&file.metadata().ok()?)
        && flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok();
    is_leftover.then_some(file)
}

fn is_ours(metadata: &fs::Metadata) -> bool {
    metadata.is_file() && metadata.nlink() == 1 && metadata.uid() == geteuid().as_raw()
}

fn flags(flags: OFlags) -> i32 {
    flags.bits().cast_signed()
}

/// Checks that there is no file or a regular file, which [`write`] can replace.
pub(crate) fn check_replaceable(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_file() => Ok(()),
        Ok(_) => Err(io::Error::other("it exists and is not a regular file")),
    }
}

/// Renames a file unless the new name exists. A file system without such a renaming gets a hard link, which also fails
/// if the name exists.
fn rename_without_replacing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        result => Ok(result?),
    }
}

#[cfg(test)]
mod tests;
