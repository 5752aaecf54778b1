//! A database that is moved, removed or replaced below a running server: the server notices it, reports it once, and
//! damages nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server, eventually, request};

const LOG: &str = "thanos-login.db-wal";
const INDEX: &str = "thanos-login.db-shm";
const REPORT: &str = "was moved, removed or replaced while it is open";

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

/// Creates another valid database, in one file, and returns its bytes.
fn with_other(place: &Place) -> Vec<u8> {
    let other = Place::seeded(&accounts::crowded());
    let bytes = fs::read(other.path(Place::DATABASE)).unwrap();
    place.write("other.db", &bytes);
    bytes
}

fn is_ready(server: &Server) -> bool {
    server.send(request("GET", "/readyz", &[], "")).status == 200
}

fn reports(server: &Server) -> usize {
    server.log().matches(REPORT).count()
}

fn rename(place: &Place, from: &str, to: &str) {
    fs::rename(place.path(from), place.path(to)).unwrap();
}

/// A label, and a change that somebody can make to the files.
type Replacement = (&'static str, fn(&Place));

const ROWS: [Replacement; 6] = [
    ("another one moved over it", |place| {
        with_other(place);
        rename(place, "other.db", Place::DATABASE);
    }),
    ("everything removed", |place| {
        for name in [Place::DATABASE, LOG, INDEX] {
            fs::remove_file(place.path(name)).unwrap();
        }
    }),
    ("moved away", |place| {
        rename(place, Place::DATABASE, "away.db");
    }),
    ("its log removed", |place| {
        fs::remove_file(place.path(LOG)).unwrap();
    }),
    ("its index removed", |place| {
        fs::remove_file(place.path(INDEX)).unwrap();
    }),
    ("a copy of itself moved over it", |place| {
        fs::copy(place.path(Place::DATABASE), place.path("copy.db")).unwrap();
        rename(place, "copy.db", Place::DATABASE);
    }),
];

#[test]
fn a_server_whose_path_leads_to_another_file_is_not_ready_and_refuses_logins() {
    for (kind, replace) in ROWS {
        let place = one_user();
        let server = place.serve(&[]);
        let token = server.login(JWEIR, PASSWORD).token();
        assert!(is_ready(&server), "{kind}");
        replace(&place);
        // Logins are refused at once, even before the first readiness probe.
        assert_eq!(server.login(JWEIR, PASSWORD).status, 503, "{kind}");
        assert!(!is_ready(&server), "{kind}");
        let credentials = format!("Token {token}");
        let verify = request(
            "GET",
            "/api/organizations/token-verify/",
            &[("Authorization", &credentials)],
            "",
        );
        assert_eq!(server.send(verify).status, 503, "{kind}");
        assert!(!is_ready(&server), "{kind}");
        let files = contents(&place);
        let log = server.stop().stderr;
        assert_eq!(log.matches(REPORT).count(), 1, "{kind}: {log}");
        // The server leaves alone the files that others have created under these names meanwhile.
        for (path, bytes) in files.iter().filter(|(path, _)| !belongs_to_server(path)) {
            assert_eq!(fs::read(path).ok().as_ref(), Some(bytes), "{kind}");
        }
    }
}

fn contents(place: &Place) -> Vec<(PathBuf, Vec<u8>)> {
    let files = place.files("").into_iter().map(|name| place.path(&name));
    files
        .filter(|path| path.is_file())
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Whether a path is the log, its index, or the file that the server has open under whatever name.
fn belongs_to_server(path: &Path) -> bool {
    let name = path.file_name().unwrap().to_str().unwrap();
    name == LOG || name == INDEX || name == "away.db" || name == Place::DATABASE
}

#[test]
fn a_replaced_path_is_noticed_without_a_request() {
    let place = one_user();
    let server = place.serve(&[]);
    rename(&place, Place::DATABASE, "away.db");
    eventually("it is reported", || reports(&server) == 1);
    rename(&place, "away.db", Place::DATABASE);
    eventually("the way back is reported", || {
        server.log().contains("leads to the open database again")
    });
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    assert!(is_ready(&server));
    assert_eq!(server.stop().stderr.matches(REPORT).count(), 1);
}

#[test]
fn a_link_that_leads_to_another_file_is_noticed() {
    let place = one_user();
    with_other(&place);
    let link = |target: &str| {
        let _ = fs::remove_file(place.path("link.db"));
        std::os::unix::fs::symlink(target, place.path("link.db")).unwrap();
    };
    link(Place::DATABASE);
    let server = place.serve(&["--db", "link.db"]);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    link("other.db");
    assert_eq!(server.login(JWEIR, PASSWORD).status, 503);
    assert!(!is_ready(&server));
}

#[test]
fn the_new_file_is_unchanged_after_the_stop_and_can_be_served() {
    let place = one_user();
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    let other = with_other(&place);
    rename(&place, "other.db", Place::DATABASE);
    server.stop();
    assert!(fs::read(place.path(Place::DATABASE)).unwrap() == other);
    let server = place.serve(&[]);
    assert_eq!(server.login(&accounts::crowd()[0], PASSWORD).status, 200);
    server.stop();
    assert_eq!(place.integrity(), "ok");
}

#[test]
fn every_answered_token_is_in_the_file_that_was_moved_away() {
    for moved in [&[Place::DATABASE][..], &[Place::DATABASE, LOG, INDEX]] {
        let place = one_user();
        let server = place.serve(&[]);
        let token = server.login(JWEIR, PASSWORD).token();
        for name in moved {
            rename(&place, name, &name.replace("thanos-login", "away"));
        }
        server.stop();
        rename(&place, "away.db", "saved.db");
        for end in ["-wal", "-shm"] {
            let _ = fs::rename(
                place.path(&format!("away.db{end}")),
                place.path(&format!("saved.db{end}")),
            );
        }
        let server = place.serve(&["--db", "saved.db"]);
        let credentials = format!("Token {token}");
        let verify = request(
            "GET",
            "/api/organizations/token-verify/",
            &[("Authorization", &credentials)],
            "",
        );
        assert_eq!(server.send(verify).status, 200, "{moved:?}");
    }
}

/// The stopping server must not remove the log by its name: it belongs to the server on the new file.
#[test]
fn a_server_on_the_new_file_keeps_its_tokens_when_the_old_one_stops() {
    let place = one_user();
    let old = place.serve(&[]);
    old.login(JWEIR, PASSWORD).token();
    fs::copy(place.path(Place::DATABASE), place.path("other.db")).unwrap();
    for name in [Place::DATABASE, LOG, INDEX] {
        fs::remove_file(place.path(name)).unwrap();
    }
    rename(&place, "other.db", Place::DATABASE);
    let new = place.serve(&[]);
    let token = new.login(JWEIR, PASSWORD).token();
    old.stop();
    assert!(is_ready(&new));
    new.kill();
    let _next = place.serve(&[]);
    assert!(place.holds_token(&token));
}
