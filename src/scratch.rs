//! The temporary directory of a process, for its private sockets and a demo's database.
//!
//! The process holds a lock on the directory, which also keeps `systemd-tmpfiles` from removing it. A directory without
//! a lock is the leftover of a killed process, and is removed by the next process that starts.

use std::env;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{self, Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;

use crate::files::directory_of;
use crate::random;

const PREFIX: &str = "thanos-login-";

/// The lock file of earlier releases, which did not lock the directory itself.
const OLD_LOCK: &str = "lock";

/// The maximum length of the directory's path. A Unix socket's path has at most 107 bytes, including the socket's own
/// name.
const MAX_PATH_BYTES: usize = 88;

/// The parent of the directory if the environment names no temporary directory, or one whose path is too long.
const SHORT_PARENT: &str = "/tmp";

/// How often to try again when other processes that start remove the new directory.
const ATTEMPTS: usize = 1000;

/// A directory of mode 0700 that is removed with everything in it when this is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    /// Open and locked.
    directory: File,
}

impl Scratch {
    /// Creates a directory below another one, such as [`parent`], after removing leftovers.
    pub(crate) fn create_below(parent: &Path) -> io::Result<Self> {
        remove_leftovers(parent);
        for _ in 0..ATTEMPTS {
            let path = parent.join(new_name()?);
            DirBuilder::new().mode(0o700).create(&path)?;
            if let Some(scratch) = Self::take(path)? {
                return Ok(scratch);
            }
        }
        Err(io::Error::other("other processes remove it at once"))
    }

    /// Locks a new directory; `None` if another process has taken it for a leftover.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let opened = open_directory(&path).or_else(|error| match error.kind() {
            // The umask has removed the permission, also for other processes that could take it for a leftover.
            io::ErrorKind::PermissionDenied => {
                fs::set_permissions(&path, Permissions::from_mode(0o700))?;
                open_directory(&path)
            }
            _ => Err(error),
        });
        let directory = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        if lock(&directory) == Lock::Held {
            return Ok(None);
        }
        // The umask may have removed other bits from the mode given above.
        directory.set_permissions(Permissions::from_mode(0o700))?;
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

    /// Whether the path still refers to this directory. If it was removed, another user may have created one of this
    /// name.
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

/// The directory in `TMPDIR`, unless it is unset, empty or too long for the path of a socket; otherwise `/tmp`. If there is no
/// `/tmp`, the directory of the database, whose path may be empty.
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

/// Removes the leftovers of killed processes. Failures are ignored, since such directories belong to other users.
fn remove_leftovers(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if has_scratch_name(&path) {
            remove_leftover(&path);
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

/// Removes a leftover while holding its lock. A new directory that its process has not locked yet may be removed too:
/// it is empty, and its process creates another one.
fn remove_leftover(path: &Path) {
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
    /// Another process holds the lock.
    Held,
    /// The file system has no locks, so no process takes a directory there for a leftover.
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

    fn leftover(parent: &Path) -> PathBuf {
        let path = parent.join(new_name().unwrap());
        fs::create_dir(&path).unwrap();
        fs::write(path.join("demo.db"), "leftover").unwrap();
        path
    }

    #[test]
    fn many_concurrent_starts_all_get_a_directory_and_remove_every_leftover() {
        const STARTS: usize = 16;
        for _ in 0..20 {
            let parent = tempfile::tempdir().unwrap();
            (0..STARTS).for_each(|_| drop(leftover(parent.path())));
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
    fn a_directory_of_an_earlier_release_is_removed_when_its_lock_file_is_free() {
        let parent = tempfile::tempdir().unwrap();
        let [free, held] = [(); 2].map(|()| leftover(parent.path()));
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
        let target = tempfile::tempdir().unwrap();
        let link = parent.path().join(new_name().unwrap());
        std::os::unix::fs::symlink(target.path(), &link).unwrap();
        let other = parent.path().join("thanos-login-backup");
        fs::create_dir(&other).unwrap();
        drop(Scratch::create_below(parent.path()).unwrap());
        assert!(link.exists() && target.path().exists() && other.exists());
    }

    #[test]
    fn a_directory_that_another_user_has_created_again_is_not_removed() {
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
