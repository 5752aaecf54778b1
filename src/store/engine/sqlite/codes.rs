//! Classifying the errors of SQLite by their result codes.

use rusqlite::{ErrorCode, ffi};
use rustix::process::geteuid;

use crate::files::needs_permission;

/// Whether the same call may succeed later without a change of the program or of the data. An extended code is treated
/// as its primary code.
pub(in crate::store) fn is_temporary(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_some_and(|code| match code {
        // Another process holds a lock. PROTOCOL means that a lock of the log was held for ten seconds.
        ErrorCode::DatabaseBusy
        | ErrorCode::DatabaseLocked
        | ErrorCode::FileLockingProtocolFailed
        // A problem of the disk: its space, its limits, its permissions, its hardware.
        | ErrorCode::DiskFull
        | ErrorCode::NoLargeFileSupport
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied
        | ErrorCode::CannotOpen
        | ErrorCode::SystemIoFailure
        // The machine is short of memory.
        | ErrorCode::OutOfMemory
        // The call was aborted together with another one, or another process changed the schema at the same time.
        | ErrorCode::OperationAborted
        | ErrorCode::OperationInterrupted
        | ErrorCode::SchemaChanged => true,
        // The file is damaged.
        ErrorCode::DatabaseCorrupt
        | ErrorCode::NotADatabase
        // The statement or its values are wrong. This program has no authorizer that could deny a statement.
        | ErrorCode::Unknown
        | ErrorCode::InternalMalfunction
        | ErrorCode::NotFound
        | ErrorCode::TooBig
        | ErrorCode::ConstraintViolation
        | ErrorCode::TypeMismatch
        | ErrorCode::ApiMisuse
        | ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ParameterOutOfRange => false,
        _ => false,
    })
}

/// The permissions that the user needs for writing.
pub(in crate::store) fn needs_to_write() -> String {
    let user = geteuid().as_raw();
    format!(
        "user {user}, who runs this, needs the right to write the file, those beside it and their directory, on a file system that is not read-only"
    )
}

/// The message for an error of SQLite, without SQLite's own error numbers and names.
pub(in crate::store) fn reason(error: &rusqlite::Error) -> String {
    let text = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process has locked it"
        }
        Some(ErrorCode::DiskFull) => "no space is left on the disk",
        Some(ErrorCode::ReadOnly) => return format!("not writable: {}", needs_to_write()),
        Some(ErrorCode::SystemIoFailure) => "the disk failed (input or output error)",
        Some(ErrorCode::CannotOpen) => {
            return format!(
                "the file, or one beside it that begins with its name, cannot be opened; {}",
                needs_permission()
            );
        }
        Some(ErrorCode::DatabaseCorrupt) => "its pages are inconsistent",
        Some(ErrorCode::OutOfMemory) => "out of memory",
        _ => match error {
            rusqlite::Error::SqliteFailure(_, Some(message)) => message,
            rusqlite::Error::SqliteFailure(code, None) => ffi::code_to_str(code.extended_code),
            _ => return error.to_string(),
        },
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_errors_are_unavailable_and_all_others_are_defects() {
        let passing = [
            ffi::SQLITE_BUSY,
            ffi::SQLITE_BUSY_RECOVERY,
            ffi::SQLITE_BUSY_SNAPSHOT,
            ffi::SQLITE_LOCKED,
            ffi::SQLITE_LOCKED_SHAREDCACHE,
            ffi::SQLITE_PROTOCOL,
            ffi::SQLITE_FULL,
            ffi::SQLITE_NOLFS,
            ffi::SQLITE_READONLY,
            ffi::SQLITE_READONLY_DBMOVED,
            ffi::SQLITE_READONLY_ROLLBACK,
            ffi::SQLITE_PERM,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_CANTOPEN_ISDIR,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_IOERR_SHMMAP,
            ffi::SQLITE_NOMEM,
            ffi::SQLITE_ABORT,
            ffi::SQLITE_ABORT_ROLLBACK,
            ffi::SQLITE_INTERRUPT,
            ffi::SQLITE_SCHEMA,
        ];
        let defects = [
            ffi::SQLITE_ERROR,
            ffi::SQLITE_INTERNAL,
            ffi::SQLITE_CORRUPT,
            ffi::SQLITE_CORRUPT_INDEX,
            ffi::SQLITE_NOTADB,
            ffi::SQLITE_NOTFOUND,
            ffi::SQLITE_TOOBIG,
            ffi::SQLITE_CONSTRAINT,
            ffi::SQLITE_CONSTRAINT_FOREIGNKEY,
            ffi::SQLITE_MISMATCH,
            ffi::SQLITE_MISUSE,
            ffi::SQLITE_AUTH,
            ffi::SQLITE_RANGE,
        ];
        let is_temporary = |code| {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            is_temporary(&error)
        };
        for code in passing {
            assert!(is_temporary(code), "{code}");
        }
        for code in defects {
            assert!(!is_temporary(code), "{code}");
        }
    }
}
