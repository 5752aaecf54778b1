//! A directory for what lives only as long as the process: the private sockets, the demo's database.
//!
//! Its owner holds a lock on the directory itself, which also keeps `systemd-tmpfiles` from ageing it. A directory whose
//! lock is free was left behind by a process that was killed, and the next one to start removes it.

use std::env;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{self, Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::files::directory_of;
use crate::random;

const PREFIX: &str = "thanos-login-";

/// In directories of releases that locked this file, and not the directory.
const OLD_LOCK: &str = "lock";

/// A Unix socket's path has at most 107 bytes, and the socket's own name comes after this.
const MAX_PATH_BYTES: usize = 88;

/// Where a directory is made when the environment names no temporary directory, or one with too long a name.
const SHORT_PARENT: &str = "/tmp";

/// How often a directory may be lost to other processes that start and clean up.
const ATTEMPTS: usize = 1000;

/// A directory of mode 0700 that is removed with everything in it when this is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    /// Open and locked.
    directory: File,
}

impl Scratch {
    /// Makes one below a directory, such as [`parent`], after removing those that nobody owns any more.
    pub(crate) fn create_below(parent: &Path) -> io::Result<Self> {
        remove_left_overs(parent);
        for _ in 0..ATTEMPTS {
            let path = parent.join(new_name()?);
            DirBuilder::new().mode(0o700).create(&path)?;
            if let Some(scratch) = Self::take(path)? {
                return Ok(scratch);
            }
        }
        Err(io::Error::other("other processes remove it at once"))
    }

    /// Locks a directory made just now; `None` when another process took it for a left-over meanwhile.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let directory = match open_directory(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if lock(&directory) == Lock::Held {
            return Ok(None);
        }
        let scratch = Self { path, directory };
        Ok(scratch.is_in_place().then_some(scratch))
    }

    /// Another one to go on with, in the same place unless that is gone too.
    pub(crate) fn create_another(&self) -> io::Result<Self> {
        Self::create_below(directory_of(&self.path))
            .or_else(|_| Self::create_below(Path::new(SHORT_PARENT)))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the path still leads to this directory. Once it is gone, another user may have made one of this name.
    pub(crate) fn is_in_place(&self) -> bool {
        is_same(&self.directory, &self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.is_in_place() {
            return;
        }
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the temporary directory");
        }
    }
}

/// `TMPDIR`, unless it is unset, empty or too long for the path of a socket; `/tmp` then. Where there is none, as in an empty
/// tree, it is the directory of a database, whose path may be empty.
pub(crate) fn parent(database: &Path) -> PathBuf {
    let short = PathBuf::from(SHORT_PARENT);
    let temporary = env::temp_dir();
    if temporary != short && is_usable(&temporary) {
        return temporary;
    }
    let beside = path::absolute(directory_of(database)).unwrap_or_default();
    match short.exists() || !is_usable(&beside) {
        true => short,
        false => beside,
    }
}

fn is_usable(parent: &Path) -> bool {
    let name_bytes = PREFIX.len() + uuid::fmt::Simple::LENGTH;
    let bytes = parent.as_os_str().len();
    bytes > 0 && bytes + name_bytes <= MAX_PATH_BYTES
}

/// Best effort: what cannot be read or removed belongs to somebody else.
fn remove_left_overs(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if has_scratch_name(&path) {
            remove_left_over(&path);
        }
    }
}

fn new_name() -> io::Result<String> {
    Ok(format!("{PREFIX}{}", random::uuid()?.simple()))
}

fn has_scratch_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix(PREFIX));
    id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
}

/// Holds the lock until it is removed. A directory that was made just now, and whose lock its owner has not yet, is empty:
/// its owner finds out and makes another.
fn remove_left_over(path: &Path) {
    let Ok(directory) = open_directory(path) else {
        return;
    };
    let is_ours = |metadata: fs::Metadata| metadata.uid() == rustix::process::geteuid().as_raw();
    if !directory.metadata().is_ok_and(is_ours) || lock(&directory) != Lock::Taken {
        return;
    }
    let old_lock = match File::open(path.join(OLD_LOCK)) {
        Ok(file) => Some(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(_) => return,
    };
    let is_free = old_lock.is_none_or(|file| lock(&file) == Lock::Taken);
    if is_free && is_same(&directory, path) {
        let _ = fs::remove_dir_all(path);
    }
}

#[derive(PartialEq, Eq)]
enum Lock {
    Taken,
    /// By another process.
    Held,
    /// The file system has none, so nobody takes a directory there for a left-over.
    Impossible,
}

fn lock(file: &File) -> Lock {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Lock::Taken,
        Err(Errno::WOULDBLOCK) => Lock::Held,
        Err(_) => Lock::Impossible,
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn is_same(directory: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    let held = directory.metadata().map(identity);
    let there = fs::symlink_metadata(path).map(identity);
    matches!((held, there), (Ok(held), Ok(there)) if held == there)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use super::*;

    fn left_over(parent: &Path) -> PathBuf {
        let path = parent.join(new_name().unwrap());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("demo.db"), "left over").unwrap();
        path
    }

    #[test]
    fn many_starts_at_once_beside_left_overs_all_get_a_directory_and_remove_every_left_over() {
        const STARTS: usize = 16;
        for _ in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            (0..STARTS).for_each(|_| drop(left_over(parent.path())));
            let barrier = Barrier::new(STARTS);
            let scratches: Vec<Scratch> = thread::scope(|scope| {
                let start = || {
                    barrier.wait();
                    let scratch = Scratch::create_below(parent.path()).unwrap();
                    fs::write(scratch.path().join("demo.db"), "in use").unwrap();
                    scratch
                };
                let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
                starts
                    .into_iter()
                    .map(|start| start.join().unwrap())
                    .collect()
            });
            assert!(scratches.iter().all(Scratch::is_in_place));
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), STARTS);
            drop(scratches);
            assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
        }
    }

    #[test]
    fn a_directory_of_the_last_release_is_removed_when_its_lock_file_is_free() {
        let parent = tempfile::tempdir().unwrap();
        let [free, held] = [(); 2].map(|()| left_over(parent.path()));
        fs::write(free.join(OLD_LOCK), "").unwrap();
        let owner = File::create(held.join(OLD_LOCK)).unwrap();
        assert!(lock(&owner) == Lock::Taken);
        let scratch = Scratch::create_below(parent.path()).unwrap();
        assert!(!free.exists() && held.join("demo.db").exists());
        drop((owner, scratch));
        drop(Scratch::create_below(parent.path()).unwrap());
        assert!(!held.exists());
    }

    #[test]
    fn only_directories_with_such_a_name_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        let link = parent.path().join(new_name().unwrap());
        std::os::unix::fs::symlink(elsewhere.path(), &link).unwrap();
        let other = parent.path().join("thanos-login-backup");
        fs::create_dir(&other).unwrap();
        drop(Scratch::create_below(parent.path()).unwrap());
        assert!(link.exists() && elsewhere.path().exists() && other.exists());
    }

    #[test]
    fn a_directory_that_was_removed_and_made_again_by_another_is_left_to_him() {
        let parent = tempfile::tempdir().unwrap();
        let scratch = Scratch::create_below(parent.path()).unwrap();
        let path = scratch.path().to_owned();
        fs::remove_dir(&path).unwrap();
        assert!(!scratch.is_in_place());
        fs::create_dir(&path).unwrap();
        assert!(!scratch.is_in_place());
        drop(scratch);
        assert!(path.exists());
    }
}
