//! What an operator should look into: the rules behind `check`. Reads, and changes nothing, except that what a killed
//! `restore` left unfinished is rolled back, as every opening of the file does.

use std::error::Error;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::accounts::Accounts;
use crate::config::own_authority;
use crate::gate::certificate_problems;
use crate::hashing::Cost;
use crate::store::{DatabaseFile, Facts, OpenError, Progress, facts, sqlite_version};

/// A running server removes expired tokens within seconds; so many, so old, show that none runs or that it cannot.
const MANY_EXPIRED: u64 = 10_000;
const EXPIRED_LONG_AGO: SignedDuration = SignedDuration::from_hours(1);

/// SQLite begins its log anew at 4 MiB, unless a read that does not end keeps it from that.
const BIG_LOG_BYTES: u64 = 64 << 20;

/// What a database needs beside itself at least: its log, and room to grow.
const LITTLE_DISK_BYTES: u64 = 64 << 20;

/// Something to look into; the names and the order of the fields are those of `--json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which check it was; these names stay.
    pub check: &'static str,
    /// What it found, and what to do about it.
    pub message: String,
}

/// Everything that is found about a database file, and about the certificate of the server on it; `progress` hears how far
/// the look at all of the file is.
pub fn audit(
    path: &Path,
    certificate: Option<&Path>,
    cost: Cost,
    now: Timestamp,
    progress: Progress,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut find = |check, message: String| findings.push(Finding { check, message });
    judge_sqlite(sqlite_version(), &mut find);
    match DatabaseFile::resolve(path) {
        Err(error) => find(check_of(&error), one_line(&error)),
        Ok(file) => audit_file(&file, cost, now, progress, &mut find),
    }
    let authority = own_authority(path);
    if let Some(certificate) = certificate {
        let advice = "put a valid one there and send SIGHUP to the server";
        judge_certificate(certificate, advice, now, &mut find);
    } else if authority.is_file() {
        let advice = "the server makes a new one, which clients must trust";
        judge_certificate(&authority, advice, now, &mut find);
    }
    findings
}

fn audit_file(
    file: &DatabaseFile,
    cost: Cost,
    now: Timestamp,
    progress: Progress,
    find: &mut impl FnMut(&'static str, String),
) {
    let expired_before = now.checked_sub(EXPIRED_LONG_AGO).unwrap_or(now);
    match facts(file, cost.get(), &demo_users(), expired_before, progress) {
        Err(error) => find(check_of(&error), one_line(&error)),
        Ok(facts) => {
            judge(file.given(), &facts, cost, find);
            judge_disk(file.directory(), &facts, find);
        }
    }
    judge_modes(file, find);
}

fn demo_users() -> Vec<String> {
    // The embedded fixture is tested to be without mistakes.
    let users = Accounts::demo().unwrap_or_default().users.into_iter();
    users
        .filter_map(|entry| Some(entry.user.new_uuid(entry.user.username.as_ref()?)))
        .collect()
}

fn check_of(error: &OpenError) -> &'static str {
    match error {
        OpenError::Malformed { .. } | OpenError::MalformedWith { .. } => "integrity",
        OpenError::Newer { .. } => "schema",
        _ => "database",
    }
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

fn judge_sqlite(
    (version, is_new_enough): (&str, bool),
    find: &mut impl FnMut(&'static str, String),
) {
    if !is_new_enough {
        find(
            "sqlite",
            format!("SQLite {version} has a bug that can lose commits"),
        );
    }
}

fn judge(path: &Path, facts: &Facts, cost: Cost, find: &mut impl FnMut(&'static str, String)) {
    let shown = path.display();
    for line in &facts.damage {
        find("integrity", format!("{shown}: {line}; restore a backup"));
    }
    if facts.dangling > 0 {
        let rows = facts.dangling;
        find(
            "foreign_keys",
            format!("{shown}: rows that refer to none: {rows}; restore a backup"),
        );
    }
    if facts.version != facts.known_version {
        let (found, known) = (facts.version, facts.known_version);
        find(
            "schema",
            format!(
                "{shown}: has schema {found}, and this program {known}; `thanos-login init` brings it up"
            ),
        );
    }
    if facts.off_cost > 0 {
        let (off, all) = (facts.off_cost, facts.users);
        find(
            "bcrypt_cost",
            format!(
                "{off} of {all} users have a hash of another cost than {cost}; their next login changes it"
            ),
        );
    }
    if facts.expensive > 0 {
        find("expensive_hash", expensive(facts, cost));
    }
    for username in &facts.known_users {
        find(
            "demo_users",
            format!(
                "{username:?} is a demo user, whose password everybody knows; `thanos-login user set-status` switches it off"
            ),
        );
    }
    if facts.pinned > 0 {
        let pinned = facts.pinned;
        find(
            "pinned_tokens",
            format!(
                "tokens that are kept in clear and never expire: {pinned}; `thanos-login token revoke` ends them"
            ),
        );
    }
    if facts.expired > MANY_EXPIRED {
        let expired = facts.expired;
        find(
            "expired_tokens",
            format!(
                "tokens that expired more than an hour ago: {expired}; a running server removes them, or `thanos-login token purge`"
            ),
        );
    }
    if facts.log_bytes > BIG_LOG_BYTES {
        let mebibytes = facts.log_bytes >> 20;
        find(
            "wal",
            format!(
                "{shown}-wal has {mebibytes} MiB; some program reads without an end, or none has closed the file"
            ),
        );
    }
}

fn expensive(facts: &Facts, cost: Cost) -> String {
    let named = facts.most_expensive.iter();
    let mut users: Vec<String> = named
        .map(|(username, cost)| format!("{username:?} (cost {cost})"))
        .collect();
    let others = facts.expensive.saturating_sub(users.len() as u64);
    if others > 0 {
        users.push(format!("{others} more"));
    }
    let users = users.join(", ");
    format!(
        "every login of everybody takes as long as that of the most expensive hash, and these users have one of a higher cost than {cost}: {users}; their next login or `thanos-login user passwd` changes it"
    )
}

fn judge_disk(directory: &Path, facts: &Facts, find: &mut impl FnMut(&'static str, String)) {
    let needed = facts.database_bytes.saturating_add(LITTLE_DISK_BYTES);
    match rustix::fs::statvfs(directory) {
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            if free < needed {
                let (free, needed) = (free >> 20, needed >> 20);
                let shown = directory.display();
                find(
                    "disk",
                    format!("{shown}: {free} MiB are free, and should be {needed}"),
                );
            }
        }
        Err(error) => find("disk", format!("{}: {error}", directory.display())),
    }
}

/// Hashes are worth guessing at, and whoever writes to the directory can put another file in the place of this one.
fn judge_modes(database: &DatabaseFile, find: &mut impl FnMut(&'static str, String)) {
    for file in [database.path().to_owned(), database.log(), database.index()] {
        if let Ok(metadata) = fs::metadata(&file)
            && metadata.is_file()
            && metadata.mode() & 0o077 != 0
        {
            let (shown, mode) = (file.display(), metadata.mode() & 0o7777);
            find(
                "file_mode",
                format!("{shown}: has mode {mode:04o}; `chmod 600` keeps others out"),
            );
        }
    }
    let directory = database.directory();
    if let Ok(metadata) = fs::metadata(directory)
        && metadata.mode() & 0o022 != 0
    {
        let (shown, mode) = (directory.display(), metadata.mode() & 0o7777);
        find(
            "directory_mode",
            format!(
                "{shown}: has mode {mode:04o}; `chmod go-w` keeps others from replacing the database"
            ),
        );
    }
}

fn judge_certificate(
    path: &Path,
    advice: &str,
    now: Timestamp,
    find: &mut impl FnMut(&'static str, String),
) {
    match certificate_problems(path, now) {
        Err(error) => find("certificate", one_line(&error)),
        Ok(problems) => {
            let shown = path.display();
            for problem in problems {
                find("certificate", format!("{shown}: {problem}; {advice}"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a database without anything in it to look into.
    fn good() -> Facts {
        Facts {
            damage: Vec::new(),
            dangling: 0,
            version: 1,
            known_version: 1,
            users: 1,
            off_cost: 0,
            expensive: 0,
            most_expensive: Vec::new(),
            known_users: Vec::new(),
            pinned: 0,
            expired: 0,
            database_bytes: 4096,
            log_bytes: 0,
        }
    }

    fn found(judge: impl FnOnce(&mut dyn FnMut(&'static str, String))) -> Vec<&'static str> {
        let mut found = Vec::new();
        judge(&mut |check, _| found.push(check));
        found
    }

    #[test]
    fn an_old_sqlite_is_found_and_the_one_that_is_linked_is_new_enough() {
        let old = ("3.51.2", false);
        assert_eq!(found(|mut find| judge_sqlite(old, &mut find)), ["sqlite"]);
        let linked = sqlite_version();
        assert_eq!(found(|mut find| judge_sqlite(linked, &mut find)), [""; 0]);
    }

    #[test]
    fn users_with_expensive_hashes_are_named_and_those_beyond_some_are_counted() {
        let facts = Facts {
            expensive: 12,
            most_expensive: vec![("a".to_owned(), 15), ("b".to_owned(), 13)],
            ..good()
        };
        let text = expensive(&facts, Cost::DEFAULT);
        assert!(
            text.contains("than 12: \"a\" (cost 15), \"b\" (cost 13), 10 more;"),
            "{text}"
        );
    }

    #[test]
    fn a_log_is_big_when_something_keeps_it_from_beginning_anew() {
        for (log_bytes, expected) in [(BIG_LOG_BYTES, &[][..]), (BIG_LOG_BYTES + 1, &["wal"])] {
            let facts = Facts {
                log_bytes,
                ..good()
            };
            let path = Path::new("thanos-login.db");
            let found = found(|mut find| judge(path, &facts, Cost::DEFAULT, &mut find));
            assert_eq!(found, expected, "{log_bytes}");
        }
    }

    #[test]
    fn a_disk_has_room_for_the_database_once_more_or_is_found() {
        let directory = tempfile::tempdir().unwrap();
        for (database_bytes, expected) in [(0, &[][..]), (u64::MAX, &["disk"])] {
            let facts = Facts {
                database_bytes,
                ..good()
            };
            let found = found(|mut find| judge_disk(directory.path(), &facts, &mut find));
            assert_eq!(found, expected, "{database_bytes}");
        }
        let nowhere = directory.path().join("nowhere");
        let found = found(|mut find| judge_disk(&nowhere, &good(), &mut find));
        assert_eq!(found, ["disk"]);
    }
}
