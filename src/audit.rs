//! The rules of `thanos-login check`: findings about the database, its files, the disk and the certificate. Changes
//! nothing. The rules about the content of the database are in [`crate::store`].

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::Timestamp;

use crate::accounts::Accounts;
use crate::config::{Config, own_authority};
use crate::files::free_bytes;
use crate::gate::certificate_problems;
use crate::hashing::Cost;
#[cfg(feature = "postgres")]
use crate::store::audit_servers;
use crate::store::{
    AuditFinding, DatabaseFile, IntegrityProgress, Location, OpenError, audit_database,
    audit_sqlite,
};

/// The free space that a database needs in addition to its own size: for its log, and to grow.
const MIN_FREE_BYTES: u64 = 64 << 20;

/// All findings about a database, and about the certificate of its server. `progress` is called while a whole database
/// file is checked.
pub fn audit(
    location: &Location,
    certificate: Option<&Path>,
    cost: Cost,
    now: Timestamp,
    progress: IntegrityProgress,
) -> Vec<AuditFinding> {
    let mut findings = match location {
        Location::File(path) => audit_file(path, cost, now, progress),
        #[cfg(feature = "postgres")]
        Location::Servers { address, authority } => {
            audit_servers(address, authority.as_deref(), cost, &demo_users(), now)
                .unwrap_or_else(|error| vec![refused(&error)])
        }
    };
    #[cfg(feature = "postgres")]
    if let Location::Servers {
        authority: Some(authority),
        ..
    } = location
        && authority.is_file()
    {
        let advice = "psql and other clients refuse it; renew it, and restart the server";
        findings.extend(certificate_findings(authority, advice, now));
    }
    let authority = own_authority(location.file().unwrap_or(Path::new(Config::DATABASE)));
    if let Some(given) = certificate {
        let advice = "put a valid one there and send SIGHUP to the server";
        findings.extend(certificate_findings(given, advice, now));
    } else if authority.is_file() {
        let advice = "the server makes a new one, which clients must trust";
        findings.extend(certificate_findings(&authority, advice, now));
    }
    findings
}

fn audit_file(
    path: &Path,
    cost: Cost,
    now: Timestamp,
    progress: IntegrityProgress,
) -> Vec<AuditFinding> {
    let mut findings: Vec<AuditFinding> = audit_sqlite().into_iter().collect();
    match DatabaseFile::resolve(path) {
        Err(error) => findings.push(refused(&error)),
        Ok(file) => {
            match audit_database(&file, cost, &demo_users(), now, progress) {
                Err(error) => findings.push(refused(&error)),
                Ok(found) => {
                    findings.extend(found);
                    let bytes = fs::metadata(file.path()).map_or(0, |metadata| metadata.len());
                    findings.extend(disk(file.directory(), bytes));
                }
            }
            modes(&file, &mut findings);
        }
    }
    findings
}

fn demo_users() -> Vec<String> {
    // A test checks that the embedded fixture has no errors.
    let users = Accounts::demo().unwrap_or_default().users.into_iter();
    users
        .filter_map(|entry| Some(entry.user.new_uuid(entry.user.username.as_ref()?)))
        .collect()
}

fn refused(error: &OpenError) -> AuditFinding {
    let check = match error {
        OpenError::Malformed { .. } | OpenError::MalformedWith { .. } => "integrity",
        OpenError::Newer { .. } => "schema",
        #[cfg(feature = "postgres")]
        OpenError::NewerSchema { .. } => "schema",
        _ => "database",
    };
    AuditFinding::new(check, one_line(error))
}

fn one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

fn disk(directory: &Path, database_bytes: u64) -> Option<AuditFinding> {
    let needed = database_bytes.saturating_add(MIN_FREE_BYTES);
    let shown = directory.display();
    match free_bytes(directory) {
        Ok(free) => {
            let (mebibytes, wanted) = (free >> 20, needed >> 20);
            let message = format!("{shown}: {mebibytes} MiB are free, and should be {wanted}");
            (free < needed).then(|| AuditFinding::new("disk", message))
        }
        Err(error) => Some(AuditFinding::new("disk", format!("{shown}: {error}"))),
    }
}

/// Files that others can read expose the hashes, and a directory that others can write lets them replace the database.
fn modes(database: &DatabaseFile, findings: &mut Vec<AuditFinding>) {
    let mut find = |path: &Path, check, forbidden, advice| {
        let Ok(metadata) = fs::metadata(path) else {
            return;
        };
        if metadata.mode() & forbidden != 0 {
            let (shown, mode) = (path.display(), metadata.mode() & 0o7777);
            let message = format!("{shown}: has mode {mode:04o}; {advice}");
            findings.push(AuditFinding::new(check, message));
        }
    };
    for file in [database.path(), &database.log(), &database.index()] {
        find(file, "file_mode", 0o077, "`chmod 600` keeps others out");
    }
    let advice = "`chmod go-w` keeps others from replacing the database";
    find(database.directory(), "directory_mode", 0o022, advice);
}

fn certificate_findings(path: &Path, advice: &str, now: Timestamp) -> Vec<AuditFinding> {
    let find = |message| AuditFinding::new("certificate", message);
    let shown = path.display();
    match certificate_problems(path, now) {
        Err(error) => vec![find(one_line(&error))],
        Ok(problems) => problems
            .into_iter()
            .map(|problem| find(format!("{shown}: {problem}; {advice}")))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_without_space_for_a_copy_of_the_database_is_a_finding() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(disk(directory.path(), 0), None);
        assert_eq!(disk(directory.path(), u64::MAX).unwrap().check, "disk");
        let nowhere = directory.path().join("nowhere");
        assert_eq!(disk(&nowhere, 4096).unwrap().check, "disk");
    }
}
