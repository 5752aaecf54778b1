//! Rolling back the unfinished transaction of a killed `restore` or first start. It has left a rollback journal, which
//! contains the old pages.
//!
//! SQLite plays a journal back into any file with the matching name, so it is tried on a copy first. If the file does
//! not belong to this program, or the result is not an intact database, both files are unchanged.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use rusqlite::{ErrorCode, ffi};

use super::connect::{Mode, connect, read_schema};
use super::database_file::{DatabaseFile, beside, file_bytes};
use super::inspect::{self, APPLICATION_ID};
use super::integrity::check_integrity;
use crate::files::Partial;
use crate::store::engine::OpenError;

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// The size of the database header and the header of the first page.
const HEADER_BYTES: usize = 108;

/// The position in the journal header of the number of pages that the file had before.
const JOURNAL_PAGES: std::ops::Range<usize> = 16..20;

/// Rolls back an unfinished transaction, if there is one.
pub(in crate::store) fn recover(file: &DatabaseFile) -> Result<(), OpenError> {
    if !has_hot_journal(file)? {
        return Ok(());
    }
    check_header(file)?;
    if let Err(error) = try_on_copy(file) {
        // Another process may have rolled it back while this one was trying.
        return if has_hot_journal(file)? {
            Err(error)
        } else {
            Ok(())
        };
    }
    let recovered =
        connect(file.path(), Mode::Write).and_then(|connection| read_schema(&connection));
    recovered.map_err(|error| OpenError::new(file.given(), &error))
}

/// Refuses a log or a journal with content whose database is missing. SQLite would remove it when a new database is
/// created beside it.
pub(in crate::store) fn refuse_orphans(file: &DatabaseFile) -> Result<(), OpenError> {
    let orphan = if file_bytes(&file.log()) > 0 {
        Some(file.log())
    } else {
        let header = journal_header(file);
        let pages = header.get(JOURNAL_PAGES).unwrap_or_default();
        let has_content =
            header.first().is_some_and(|byte| *byte != 0) && pages.iter().any(|byte| *byte != 0);
        has_content.then(|| file.journal())
    };
    orphan.map_or(Ok(()), |path| Err(OpenError::Orphan(path)))
}

/// Whether there is a hot journal, which SQLite would play back. This is asked through a read-only connection, because
/// another one would play it back.
fn has_hot_journal(file: &DatabaseFile) -> Result<bool, OpenError> {
    // A journal that was never synced, or is finished, starts with a zero byte. Beside an empty file a journal has no
    // effect.
    let is_used = journal_header(file).first().is_some_and(|byte| *byte != 0);
    if !is_used || file_bytes(file.path()) == 0 {
        return Ok(false);
    }
    let read = connect(file.path(), Mode::Read).and_then(|connection| {
        connection.busy_timeout(Duration::ZERO)?;
        read_schema(&connection)
    });
    match read {
        Ok(()) => Ok(false),
        Err(error) if extended_code(&error) == Some(ffi::SQLITE_READONLY_ROLLBACK) => Ok(true),
        // The file is damaged, but not because a rollback is missing.
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(OpenError::new(file.given(), &error)),
    }
}

fn extended_code(error: &rusqlite::Error) -> Option<i32> {
    error.sqlite_error().map(|error| error.extended_code)
}

fn journal_header(file: &DatabaseFile) -> Vec<u8> {
    start_of(&file.journal(), JOURNAL_PAGES.end).unwrap_or_default()
}

fn start_of(path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(bytes);
    File::open(path)?
        .take(bytes as u64)
        .read_to_end(&mut start)?;
    Ok(start)
}

/// Checks whether the first page, as far as it was written, may belong to this program: it has the application id, or
/// contains no tables, or consists of zeroes.
fn check_header(file: &DatabaseFile) -> Result<(), OpenError> {
    let path = || file.given().to_owned();
    let mut header =
        start_of(file.path(), HEADER_BYTES).map_err(|error| OpenError::Create(path(), error))?;
    header.resize(HEADER_BYTES, 0);
    if header.iter().all(|byte| *byte == 0) {
        return Ok(());
    }
    if &header[..16] != MAGIC {
        return Err(OpenError::NotADatabase(path()));
    }
    let (application_id, version, cells) = (&header[68..72], &header[60..64], &header[103..105]);
    let is_new = [application_id, version, cells]
        .into_iter()
        .flatten()
        .all(|byte| *byte == 0);
    if is_new || application_id == APPLICATION_ID.to_be_bytes() {
        Ok(())
    } else {
        Err(OpenError::NotOurs(path()))
    }
}

fn try_on_copy(file: &DatabaseFile) -> Result<(), OpenError> {
    let io_failed = |error: io::Error| OpenError::Failed {
        path: file.given().to_owned(),
        reason: format!("cannot try its journal on a copy: {error}"),
    };
    let copy = Partial::create(file.path(), 0o600).map_err(io_failed)?;
    copy_pair(file, &copy).map_err(io_failed)?;
    check_recovered(copy.path(), file.given())
        .map_err(|error| inspect::malformed_with(error, file.journal()))
}

/// Rolls back the file at `path`, and checks all of it. `shown` is its name in errors.
fn check_recovered(path: &Path, shown: &Path) -> Result<(), OpenError> {
    let failed = |error| OpenError::new(shown, &error);
    let connection = connect(path, Mode::Write).map_err(failed)?;
    connection
        .pragma_update(None, "synchronous", "OFF")
        .and_then(|()| read_schema(&connection))
        .map_err(failed)?;
    inspect::version(&connection, path, shown)?;
    let damage = check_integrity(&connection, 1, Box::new(|_, _| {})).map_err(failed)?;
    damage.first().map_or(Ok(()), |reason| {
        Err(OpenError::Malformed {
            path: shown.to_owned(),
            reason,
        })
    })
}

fn copy_pair(file: &DatabaseFile, copy: &Partial) -> io::Result<()> {
    let journal = beside(copy.path(), "-journal");
    io::copy(&mut File::open(file.path())?, &mut copy.file())?;
    let mut to = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(journal)?;
    // The umask may have removed bits from the mode given above.
    to.set_permissions(Permissions::from_mode(0o600))?;
    io::copy(&mut File::open(file.journal())?, &mut to)?;
    Ok(())
}
