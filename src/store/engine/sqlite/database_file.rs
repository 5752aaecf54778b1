//! The path of a database, resolved once, and the files beside it that SQLite finds by their names.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD};

use crate::files::{check_directory, directory_of};
use crate::store::engine::{OpenError, WhenMissing};

/// A database file, which need not exist yet. Symbolic links are followed here and nowhere else, so that everybody looks for
/// the log beside the same file.
#[derive(Clone, Debug)]
pub struct DatabaseFile {
    given: PathBuf,
    path: PathBuf,
}

impl DatabaseFile {
    /// Finds the file that a path leads to.
    ///
    /// # Errors
    /// [`OpenError`] for what is no regular file, has several names, or is a link to nothing.
    pub fn resolve(given: &Path) -> Result<Self, OpenError> {
        let failed = |error| OpenError::Path(given.to_owned(), error);
        let path = match fs::canonicalize(given) {
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
                    // Another process has made it meanwhile.
                    Ok(_) => return Self::resolve(given),
                    Err(_) => in_resolved_directory(given),
                }
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Self {
            given: given.to_owned(),
            path,
        })
    }

    /// As the operator wrote it; messages name this one.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// The file itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the file itself.
    pub fn directory(&self) -> &Path {
        directory_of(&self.path)
    }

    /// The write-ahead log.
    pub fn log(&self) -> PathBuf {
        beside(&self.path, "-wal")
    }

    /// The index of the log, which the processes that have the file open share.
    pub fn index(&self) -> PathBuf {
        beside(&self.path, "-shm")
    }

    /// The rollback journal, which is there only in the middle of a `restore` or a first start.
    pub(in crate::store) fn journal(&self) -> PathBuf {
        beside(&self.path, "-journal")
    }

    /// What an import of many rows locks.
    pub(in crate::store) fn import_lock(&self) -> PathBuf {
        beside(&self.path, "-import")
    }

    /// What SQLite would take for a part of the database.
    pub(in crate::store) fn companions(&self) -> [PathBuf; 3] {
        [self.log(), self.index(), self.journal()]
    }

    /// Whether newer pages may be in a log beside the file.
    pub(in crate::store) fn has_log(&self) -> bool {
        self.log().exists()
    }

    pub(in crate::store) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether the file could be opened for writing, or made if that is wanted.
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

    /// Says whether the file was made just now.
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
            // The mode given above is narrowed by the umask.
            .and_then(|file| file.set_permissions(Permissions::from_mode(0o600)));
        match made {
            Ok(()) => Ok(true),
            // Another process was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(OpenError::Create(self.given.clone(), error)),
        }
    }
}

/// Where a missing file would be made; without such a directory, making it fails and says why.
fn in_resolved_directory(given: &Path) -> PathBuf {
    let directory = fs::canonicalize(directory_of(given));
    match (directory, given.file_name()) {
        (Ok(directory), Some(name)) => directory.join(name),
        _ => given.to_owned(),
    }
}

pub(in crate::store) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// 0 for a file that is not there.
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

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// An error, too, when the path leads nowhere.
    pub(in crate::store) fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&fs::metadata(path)?))
    }

    pub(in crate::store) fn of_file(file: &File) -> io::Result<Self> {
        Ok(Self::from(&file.metadata()?))
    }
}
