//! Opening connections, and the settings that every connection needs.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, ffi};

use super::database_file::beside;
use crate::store::engine::OpenError;

/// How long a connection waits for a lock that another connection holds.
pub(in crate::store) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// What a connection may do to the file and to the files beside it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Mode {
    /// Read and write.
    Write,
    /// Change nothing in the file, but create the log and its index.
    Read,
    /// Change and create nothing. If there is no log, the file is opened as immutable, because even a reading
    /// connection would create a log and leave it behind. If there is a log, it holds the newest pages and is read too;
    /// even an empty log shows that another process may write.
    Inspect,
    /// Change and create nothing, and ignore the log.
    FileOnly,
}

/// Opens an existing file.
pub(in crate::store) fn connect(path: &Path, mode: Mode) -> rusqlite::Result<Connection> {
    let flags = match mode {
        Mode::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        Mode::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Mode::Inspect | Mode::FileOnly => {
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI
        }
    };
    let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = if matches!(mode, Mode::Inspect | Mode::FileOnly) {
        let has_log = mode == Mode::Inspect && beside(path, "-wal").exists();
        let immutable = if has_log { "" } else { "&immutable=1" };
        let uri = format!("file:{}?mode=ro{immutable}", uri_path(path));
        Connection::open_with_flags(uri, flags)?
    } else {
        Connection::open_with_flags(path, flags)?
    };
    // SQLite opens the file read-only if it may not write.
    if mode == Mode::Write && connection.is_readonly("main")? {
        let code = ffi::Error::new(ffi::SQLITE_READONLY);
        return Err(rusqlite::Error::SqliteFailure(code, None));
    }
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// Reads the schema. SQLite takes the locks that the mode of the connection requires, and rolls back an unfinished
/// transaction if the connection may write.
pub(in crate::store) fn read_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_one("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

/// The damage that one of SQLite's own checks reports, one line each.
pub(in crate::store) fn damage(
    connection: &Connection,
    check: &str,
) -> rusqlite::Result<Vec<String>> {
    let texts: Vec<String> = connection
        .prepare(&format!("PRAGMA {check}"))?
        .query_map([], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let lines = texts.iter().flat_map(|text| text.lines());
    let is_damage = |line: &&str| *line != "ok" && !line.starts_with("***");
    Ok(lines.filter(is_damage).map(str::to_owned).collect())
}

/// Changes a setting of a connection, and verifies the new value. `shown` is the name of the file in errors. The
/// statement is run to its end: a change of the journal mode is a transaction, whose error may come after the row with
/// the new mode.
pub(in crate::store) fn set(
    connection: &Connection,
    shown: &Path,
    setting: &'static str,
    wanted: &'static str,
    as_read: &str,
) -> Result<(), OpenError> {
    let found = run(connection, &format!("PRAGMA {setting} = {wanted}"))
        .and_then(|()| text(connection, &format!("PRAGMA {setting}")))
        .map_err(|error| OpenError::new(shown, &error))?;
    if found == as_read {
        return Ok(());
    }
    Err(OpenError::Setting {
        path: shown.to_owned(),
        setting,
        wanted,
        found,
    })
}

fn text(connection: &Connection, statement: &str) -> rusqlite::Result<String> {
    connection.query_one(statement, [], |row| {
        Ok(match row.get_ref(0)? {
            ValueRef::Integer(number) => number.to_string(),
            value => value.as_str()?.to_owned(),
        })
    })
}

/// Runs a statement to its end, and ignores its rows.
pub(in crate::store) fn run(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(statement)?;
    let mut rows = statement.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

/// The characters to be encoded in the URI of a file: `%`, `?` and `#` are special, and so are bytes that are not
/// UTF-8.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'.')
    .remove(b'_')
    .remove(b'-');

fn uri_path(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let encoded = percent_encode(path.as_os_str().as_bytes(), ENCODED);
    let encoded = encoded.to_string();
    // Two slashes after `file:` would introduce a host name.
    if encoded.starts_with("//") {
        format!("//{encoded}")
    } else {
        encoded
    }
}
