//! The path of a database, resolved once, and the files beside it that SQLite finds by name.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};
use rustix::process::geteuid;

use crate::files::{check_directory, directory_of};
use crate::store::engine::{OpenError, WhenMissing};

/// A database file, which need not exist yet. Symbolic links are resolved only here, so that all connections find the
/// log beside the same file.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    given: PathBuf,
    path: PathBuf,
}

impl DatabaseFile {
    /// Resolves a path to a file.
    ///
    /// # Errors
    /// [`OpenError`] if the path does not lead to a regular file, if the file has several hard links, if it is a symbolic
    /// link to a missing file, or if SQLite must not open a file beside it.
    pub fn resolve(given: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Path(given.to_owned(), error);
        let path = match canonical(given) {
            Ok(path) => {
                let metadata = fs::metadata(&path).map_err(failed)?;
                if !metadata.is_file() {
                    return Err(OpenError::NotAFile(given.to_owned()));
                }
                if metadata.nlink() > 1 {
                    return Err(OpenError::SeveralNames(given.to_owned()));
                }
                path
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match fs::symlink_metadata(given) {
                    Ok(metadata) if metadata.is_symlink() => {
                        return Err(OpenError::DanglingLink(given.to_owned()));
                    }
                    // Another process has created the file in the meantime.
                    Ok(_) => return Self::resolve(given),
                    Err(_) => in_resolved_directory(given),
                }
            }
            Err(error) => return Err(failed(error)),
        };
        let file = Self {
            given: given.to_owned(),
            path,
        };
        file.check_companions()?;
        Ok(file)
    }

    /// Resolves the path of a copy, which may replace a file. A symbolic link of another user is not followed, not even
    /// one that appears meanwhile.
    ///
    /// # Errors
    /// See [`DatabaseFile::resolve`].
    pub fn resolve_copy(given: &Path) -> Result<Self, OpenError> {
        let link = fs::symlink_metadata(given).ok();
        let link = link.filter(Metadata::is_symlink);
        let trusted = [geteuid().as_raw(), 0];
        if link
            .as_ref()
            .is_some_and(|link| !trusted.contains(&link.uid()))
        {
            return Err(OpenError::LinkOfAnother(given.to_owned()));
        }
        let file = Self::resolve(given)?;
        Ok(match link {
            Some(_) => file,
            None => Self {
                path: in_resolved_directory(given),
                ..file
            },
        })
    }

    /// Refuses a special file, on which SQLite would wait for ever, and a file with several hard links, which another
    /// user may have created for SQLite to write to.
    fn check_companions(&self) -> Result<(), OpenError> {
        let is_strange = |path: &PathBuf| {
            fs::symlink_metadata(path)
                .is_ok_and(|metadata| !metadata.is_file() || metadata.nlink() > 1)
        };
        let strange = self.companions().into_iter().find(is_strange);
        strange.map_or(Ok(()), |path| Err(OpenError::StrangeCompanion(path)))
    }

    /// The path as given by the operator, for messages.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// The resolved path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the resolved file.
    pub fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    /// The write-ahead log.
    pub fn log(&self) -> PathBuf {
        beside(&self.path, "-wal")
    }

    /// The index of the log, which is shared by all processes that have the file open.
    pub fn index(&self) -> PathBuf {
        beside(&self.path, "-shm")
    }

    /// The rollback journal, which exists only during a `restore` or a first start.
    pub(in crate::store) fn journal(&self) -> PathBuf {
        beside(&self.path, "-journal")
    }

    /// The lock file for an import of many rows.
    pub(in crate::store) fn import_lock(&self) -> PathBuf {
        beside(&self.path, "-import")
    }

    /// The files that SQLite treats as parts of the database.
    pub(in crate::store) fn companions(&self) -> [PathBuf; 3] {
        [self.log(), self.index(), self.journal()]
    }

    /// Whether there is a log, which may hold newer pages.
    pub(in crate::store) fn has_log(&self) -> bool {
        self.log().exists()
    }

    pub(in crate::store) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Checks whether the file can be opened for writing, or can be created if that is wanted.
    pub(in crate::store) fn check(&self, missing: WhenMissing) -> Result<(), OpenError> {
        if self.exists() {
            let access = Access::READ_OK | Access::WRITE_OK;
            return rustix::fs::accessat(CWD, &self.path, access, AtFlags::EACCESS)
                .map_err(|_| OpenError::NotWritable(self.given.clone()));
        }
        match missing {
            WhenMissing::Refuse => Err(OpenError::Missing(self.given.clone())),
            WhenMissing::Create => check_directory(self.directory())
                .map_err(|error| OpenError::Create(self.given.clone(), error)),
        }
    }

    /// Creates the file if it is missing, and returns whether it did.
    pub(in crate::store) fn make_if_missing(
        &self,
        missing: WhenMissing,
    ) -> Result<bool, OpenError> {
        if self.exists() {
            return Ok(false);
        }
        if missing == WhenMissing::Refuse {
            return Err(OpenError::Missing(self.given.clone()));
        }
        let made = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&self.path)
            // The umask may have removed bits from the mode given above.
            .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
        match made {
            Ok(()) => Ok(true),
            // Another process has created the file first.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(OpenError::Create(self.given.clone(), error)),
        }
    }
}

/// The path at which a missing file would be created. If its directory does not exist, creating the file will fail with
/// the reason.
fn in_resolved_directory(given: &Path) -> PathBuf {
    let directory = canonical(directory_of(given));
    match (directory, given.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => given.to_owned(),
    }
}

/// Resolves a path. The system first follows it, since it may refuse symbolic links of other users.
fn canonical(path: &Path) -> io::Result<PathBuf> {
    fs::metadata(path).and_then(|_| fs::canonicalize(path))
}

/// The path of a file beside another one: its name with a suffix.
pub(in crate::store) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The size of a file in bytes; 0 if it does not exist.
pub(in crate::store) fn file_bytes(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}

impl From<&Metadata> for FileId {
    fn from(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// The identity of a file, independent of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The identity of the file at a path.
    ///
    /// # Errors
    /// Also if the path does not lead to a file.
    pub(in crate::store) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::metadata(path)?))
    }

    pub(in crate::store) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}
