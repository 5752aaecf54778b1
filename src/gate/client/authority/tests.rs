//! Tests of the authority's files in every state, at injected times.

use super::*;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tempfile::TempDir;

/// A directory for the files of an authority.
struct AuthorityDirectory(TempDir);

impl AuthorityDirectory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A directory with an authority that was created at `now`.
    fn made(now: Timestamp) -> Self {
        let directory = Self::new();
        directory.issue(now).unwrap();
        directory
    }

    fn certificate(&self) -> PathBuf {
        self.0.path().join("ca.pem")
    }

    fn key(&self) -> PathBuf {
        self.0.path().join("ca.key")
    }

    fn issue(&self, now: Timestamp) -> Result<Identity, TlsError> {
        self.issue_for("localhost", now)
    }

    fn issue_for(&self, name: &str, now: Timestamp) -> Result<Identity, TlsError> {
        issue(&self.certificate(), &self.key(), &[name.to_owned()], now)
    }

    fn content(&self) -> (String, String) {
        let read = |path| fs::read_to_string(path).unwrap();
        (read(self.certificate()), read(self.key()))
    }
}

fn now() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A time at which an authority that is created now has expired.
fn too_late() -> Timestamp {
    days_after(now(), AUTHORITY_DAYS)
}

#[test]
fn an_authority_is_created_once_and_used_again() {
    let directory = AuthorityDirectory::new();
    for name in ["stable.example.com", "*.example.org", "127.0.0.1", "::1"] {
        directory.issue_for(name, now()).unwrap();
    }
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(directory.certificate()), 0o644);
    assert_eq!(mode(directory.key()), 0o600);
    let before = directory.content();
    directory
        .issue(days_after(now(), AUTHORITY_DAYS - 2))
        .unwrap();
    assert_eq!(directory.content(), before);
    for name in ["", "a b", "\u{e9}.example", "*", "stable.example.com."] {
        let error = directory.issue_for(name, now()).err().unwrap();
        assert!(matches!(error, TlsError::Name(_)), "{name}: {error}");
    }
    assert_eq!(fs::read_dir(directory.0.path()).unwrap().count(), 2);
}

#[test]
fn a_certificate_that_is_not_valid_is_created_again_for_the_same_key() {
    for now_valid in [too_late(), days_after(now(), -2)] {
        let directory = AuthorityDirectory::made(now());
        let (certificate, key) = directory.content();
        let identity = directory.issue(now_valid).unwrap();
        assert!(identity.validity.includes(now_valid));
        let after = directory.content();
        assert_ne!(after.0, certificate, "{now_valid}");
        assert_eq!(after.1, key, "{now_valid}");
        // Clients that trust the old certificate, while it is valid, trust the same key.
        directory.issue(now_valid).unwrap();
        assert_eq!(directory.content(), after, "{now_valid}");
    }
}

#[test]
fn a_certificate_is_renewed_before_it_or_its_authority_expires() {
    let directory = AuthorityDirectory::made(now());
    let validity = directory.issue(now()).unwrap().validity;
    assert_eq!(validity.until, days_after(now(), RENEWAL_DAYS));
    let late = days_after(now(), AUTHORITY_DAYS - 10);
    let validity = directory.issue(late).unwrap().validity;
    assert_eq!(validity.until, days_after(now(), AUTHORITY_DAYS - 1));
}

#[test]
fn files_that_a_killed_process_left_incomplete_are_created_again() {
    let whole = AuthorityDirectory::made(now()).content();
    let halves = |whole: &str| {
        let (half, zeros) = (&whole[..whole.len() / 2], "\0".repeat(100));
        let without_end = &whole[..whole.len() - 5];
        [
            String::new(),
            zeros.clone(),
            whole[..9].to_owned(),
            half.to_owned(),
            format!("{half}{zeros}"),
            without_end.to_owned(),
        ]
    };
    let missing = || [None].into_iter();
    let certificates = missing().chain(halves(&whole.0).map(Some));
    for certificate in certificates {
        let keys = missing().chain(halves(&whole.1).map(Some));
        for key in keys.chain([Some(whole.1.clone())]) {
            let directory = AuthorityDirectory::new();
            for (path, content) in [
                (directory.certificate(), &certificate),
                (directory.key(), &key),
            ] {
                if let Some(content) = content {
                    fs::write(path, content).unwrap();
                }
            }
            directory.issue(now()).unwrap();
            let made = directory.content();
            assert_eq!(key == Some(made.1.clone()), key == Some(whole.1.clone()));
            directory.issue(now()).unwrap();
            assert_eq!(directory.content(), made);
        }
    }
}

#[test]
fn files_that_clients_may_trust_are_never_replaced() {
    let other = AuthorityDirectory::made(now()).content();
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let half = &other.1[..other.1.len() / 2];
    for (file, content, message) in [
        ("ca.key", None, "missing or incomplete"),
        ("ca.key", Some(half), "missing or incomplete"),
        ("ca.key", Some(other.1.as_str()), "another certificate"),
        ("ca.key", Some("no key"), "cannot be read"),
        ("ca.key", Some(encrypted), "openssl pkey"),
        ("ca.pem", Some("no certificate"), "not in PEM format"),
    ] {
        let directory = AuthorityDirectory::made(now());
        let path = directory.0.path().join(file);
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = directory.issue(now()).err().unwrap().to_string();
        assert!(error.contains(message) && error.contains(file), "{error}");
        assert_eq!(fs::read_to_string(&path).ok().as_deref(), content);
    }
    // No client trusts an expired certificate, so its key may be lost.
    let directory = AuthorityDirectory::made(now());
    fs::remove_file(directory.key()).unwrap();
    directory.issue(too_late()).unwrap();
    // A key for which no certificate was created yet.
    let directory = AuthorityDirectory::new();
    fs::write(directory.key(), encrypted).unwrap();
    directory.issue(now()).err().unwrap();
    assert_eq!(fs::read_to_string(directory.key()).unwrap(), encrypted);
}

#[test]
fn servers_that_start_at_the_same_time_have_the_same_authority() {
    for directory in [
        AuthorityDirectory::new(),
        AuthorityDirectory::made(days_after(now(), -2 * AUTHORITY_DAYS)),
    ] {
        fs::write(directory.key(), "").unwrap();
        let authorities: Vec<_> = std::thread::scope(|scope| {
            let start = || directory.issue(now()).unwrap().chain.pop().unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            let ended = threads.into_iter().map(|thread| thread.join().unwrap());
            ended.collect()
        });
        let on_disk = CertificateDer::from_pem_slice(directory.content().0.as_bytes()).unwrap();
        assert!(authorities.iter().all(|authority| *authority == on_disk));
    }
}

#[test]
fn a_rehearsal_refuses_a_name_that_cannot_be_written() {
    for name in ["ca.pem", "ca.key"] {
        let directory = AuthorityDirectory::new();
        std::os::unix::fs::symlink("nowhere", directory.0.path().join(name)).unwrap();
        let (certificate, key) = (directory.certificate(), directory.key());
        let names = ["localhost".to_owned()];
        let rehearsed = rehearse(&certificate, &key, &names, now());
        assert!(matches!(rehearsed, Err(TlsError::Write { .. })), "{name}");
    }
}
