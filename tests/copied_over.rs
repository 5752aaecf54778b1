//! Another database that is copied over the file of one that is open, or that was not closed properly: its device and
//! inode stay the same, and the log of the old one is beside it.

use std::fs;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server, eventually, request};

const LOG: &str = "thanos-login.db-wal";
const REPORT: &str = "the content of the file was replaced while it is open";
const VERIFY: &str = "/api/organizations/token-verify/";

fn one_user(name: &str) -> Place {
    Place::seeded(&accounts::retailer([accounts::user(name)]))
}

fn call(server: &Server, method: &str, path: &str, token: &str) -> u16 {
    let credentials = format!("Token {token}");
    let request = request(method, path, &[("Authorization", &credentials)], "");
    server.send(request).status
}

fn is_ready(server: &Server) -> bool {
    server.send(request("GET", "/readyz", &[], "")).status == 200
}

fn bytes(place: &Place, name: &str) -> Vec<u8> {
    fs::read(place.path(name)).unwrap()
}

/// A database of one user beside the log of another one, whose last session was a logout. The log has all pages of the
/// tokens and no page of the users, so that the two form an intact database in which a token belongs to the wrong user.
fn mixed() -> (Place, String) {
    let place = one_user(JWEIR);
    let server = place.serve(&[]);
    let [kept, ended] = [(); 2].map(|()| server.login(JWEIR, PASSWORD).token());
    server.stop();
    let server = place.serve(&[]);
    let logout = "/api/organizations/user-logout/";
    assert_eq!(call(&server, "POST", logout, &ended), 204);
    server.kill();
    copy_other_over(&place);
    (place, kept)
}

fn copy_other_over(place: &Place) -> Vec<u8> {
    let other = one_user("zoe");
    fs::copy(other.path(Place::DATABASE), place.path(Place::DATABASE)).unwrap();
    bytes(place, Place::DATABASE)
}

#[test]
fn a_log_whose_pages_fit_into_another_database_is_refused_by_every_command() {
    let (place, _) = mixed();
    let before = (bytes(&place, Place::DATABASE), bytes(&place, LOG));
    place.write("accounts.json", accounts::crowded().to_string());
    for command in [
        &["serve"][..],
        &["serve", "--check-config"],
        &["init"],
        &["seed", "accounts.json"],
        &["user", "list"],
        &["token", "list"],
        &["check"],
        &["backup", "copy.db"],
        &["restore", Place::DATABASE, "--db", "restored.db"],
    ] {
        let refused = place.run(command);
        assert_eq!(refused.code, Some(1), "{command:?}: {refused:?}");
        for part in [LOG, "its transactions do not follow those of the file"] {
            assert!(refused.stderr.contains(part), "{command:?}: {refused:?}");
        }
        let after = (bytes(&place, Place::DATABASE), bytes(&place, LOG));
        assert!(after == before, "{command:?}");
    }
    for absent in ["copy.db", "restored.db"] {
        assert!(!place.path(absent).exists(), "{absent}");
    }
}

#[test]
fn a_log_of_a_later_session_than_a_copy_is_refused() {
    let place = one_user(JWEIR);
    place.run(&["backup", "older.db"]).succeeded();
    for _ in 0..2 {
        let server = place.serve(&[]);
        server.login(JWEIR, PASSWORD).token();
        server.stop();
    }
    place.run(&["backup", "latest.db"]).succeeded();
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    server.kill();
    let log = bytes(&place, LOG);
    for (copy, belongs) in [("older.db", false), ("latest.db", true)] {
        fs::copy(place.path(copy), place.path(Place::DATABASE)).unwrap();
        fs::write(place.path(LOG), &log).unwrap();
        if belongs {
            place.serve(&[]).stop();
        } else {
            place.run(&["serve"]).failed_naming(copy, LOG);
        }
    }
}

#[test]
fn a_restore_or_the_removal_of_the_log_makes_a_mixed_database_usable() {
    let backup = one_user("zoe");
    backup.run(&["backup", "copy.db"]).succeeded();
    for restores in [true, false] {
        let (place, token) = mixed();
        if restores {
            fs::copy(backup.path("copy.db"), place.path("copy.db")).unwrap();
            place.run(&["restore", "copy.db", "--force"]).succeeded();
        } else {
            fs::remove_file(place.path(LOG)).unwrap();
        }
        let server = place.serve(&[]);
        assert_eq!(call(&server, "GET", VERIFY, &token), 401);
        assert_eq!(server.login("zoe", PASSWORD).status, 200);
        server.stop();
        assert_eq!(place.integrity(), "ok");
    }
}

/// A label, and what somebody does to the file, which returns its new content.
type Replacement = (&'static str, fn(&Place) -> Vec<u8>);

#[test]
fn a_server_whose_file_gets_another_content_is_not_ready_and_leaves_it_alone() {
    let rows: [Replacement; 2] = [
        ("another database", copy_other_over),
        ("nothing", |place| {
            place.write(Place::DATABASE, "");
            Vec::new()
        }),
    ];
    for (content, replace) in rows {
        let place = one_user(JWEIR);
        let server = place.serve(&[]);
        let token = server.login(JWEIR, PASSWORD).token();
        let new = replace(&place);
        eventually(content, || server.log().contains(REPORT));
        assert!(!is_ready(&server), "{content}");
        assert_eq!(server.login(JWEIR, PASSWORD).status, 503, "{content}");
        assert_eq!(call(&server, "GET", VERIFY, &token), 503, "{content}");
        let log = server.stop().stderr;
        assert_eq!(log.matches(REPORT).count(), 1, "{content}: {log}");
        assert!(bytes(&place, Place::DATABASE) == new, "{content}");
        place.run(&["serve"]).failed_naming(content, LOG);
    }
}

#[test]
fn a_server_that_stops_at_once_leaves_another_content_alone_too() {
    let place = one_user(JWEIR);
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    let new = copy_other_over(&place);
    place.run(&["user", "list"]).failed_naming("user list", LOG);
    server.stop();
    assert!(bytes(&place, Place::DATABASE) == new);
    place.run(&["serve"]).failed_naming("serve", LOG);
}

#[test]
fn an_older_copy_over_the_open_file_is_noticed() {
    let place = one_user(JWEIR);
    place.run(&["backup", "older.db"]).succeeded();
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    place.file().execute_batch(checkpoint).unwrap();
    assert!(is_ready(&server));
    fs::copy(place.path("older.db"), place.path(Place::DATABASE)).unwrap();
    eventually("it is reported", || server.log().contains(REPORT));
    assert_eq!(server.login(JWEIR, PASSWORD).status, 503);
    server.stop();
    assert!(bytes(&place, Place::DATABASE) == bytes(&place, "older.db"));
}
