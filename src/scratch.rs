//! A directory for what lives only as long as the process: the private socket, the demo's database.
//!
//! Its owner holds a lock on a file in it. A directory whose lock is free was left behind by a process that was killed, and
//! the next one to start removes it.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

const PREFIX: &str = "thanos-login-";
const LOCK: &str = "lock";

/// A Unix socket's path has at most 108 bytes, and the socket's own name comes after this.
const MAX_PATH_BYTES: usize = 90;

/// A directory of mode 0700 that is removed with everything in it when this is dropped.
pub(crate) struct Scratch {
    path: PathBuf,
    _lock: File,
}

impl Scratch {
    /// Makes one below the temporary directory, after removing those that nobody owns any more.
    pub(crate) fn create() -> io::Result<Self> {
        let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
        let mut parent = std::env::temp_dir();
        if parent.as_os_str().len() + name.len() > MAX_PATH_BYTES {
            parent = PathBuf::from("/tmp");
        }
        remove_left_overs(&parent);
        let path = parent.join(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::create(path.join(LOCK)).and_then(|lock| {
            flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
            Ok(lock)
        });
        match lock {
            Ok(lock) => Ok(Self { path, _lock: lock }),
            Err(error) => {
                let _ = fs::remove_dir_all(&path);
                Err(error)
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the temporary directory");
        }
    }
}

/// Best effort: what cannot be read or removed belongs to somebody else.
fn remove_left_overs(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if is_scratch(&path) && is_left_over(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

fn is_scratch(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.strip_prefix(PREFIX));
    let is_ours = |metadata: fs::Metadata| {
        metadata.is_dir() && metadata.uid() == rustix::process::geteuid().as_raw()
    };
    id.is_some_and(|id| uuid::Uuid::try_parse(id).is_ok())
        && fs::symlink_metadata(path).is_ok_and(is_ours)
}

/// Without a lock file its owner has only just made it, or was killed in that moment; it is left alone then.
fn is_left_over(path: &Path) -> bool {
    File::open(path.join(LOCK))
        .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok())
}
