//! `completions` and `man`, generated from the definitions of the flags.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::{fails_with, run};
use crate::harness::Place;

#[test]
fn every_shell_gets_a_script_that_knows_the_commands() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&place, &["completions", shell]).stdout;
        for word in ["set-status", "token-ttl"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    place
        .run(&["completions", "dosh"])
        .was_wrong_usage("no shell");
}

#[test]
fn there_is_a_manual_page_for_every_command() {
    let place = Place::new();
    assert!(run(&place, &["man"]).stdout.contains(".TH thanos-login 1"));
    fs::create_dir(place.path("pages")).unwrap();
    run(&place, &["man", "--out", "pages"]);
    let pages = place.files("pages");
    for page in [
        "thanos-login.1",
        "thanos-login-serve.1",
        "thanos-login-user-add.1",
    ] {
        assert!(pages.iter().any(|name| name == page), "{page}: {pages:?}");
    }
    let page = fs::read_to_string(place.path("pages/thanos-login-serve.1")).unwrap();
    assert!(page.contains("THANOS_LOGIN_TOKEN_TTL"));
}

#[test]
fn a_manual_page_replaces_an_older_one_and_nothing_else() {
    let place = Place::new();
    let older = place.path("thanos-login.1");
    place.write("thanos-login.1", "older");
    fs::set_permissions(&older, Permissions::from_mode(0o600)).unwrap();
    run(&place, &["man", "--out", "."]);
    assert!(fs::read_to_string(&older).unwrap().contains(".TH"));
    assert_eq!(fs::metadata(&older).unwrap().mode() & 0o777, 0o644);
    assert!(!place.files("").iter().any(|name| name.starts_with('.')));
    fs::remove_file(&older).unwrap();
    mknodat(CWD, &older, FileType::Fifo, Mode::RWXU, 0).unwrap();
    fails_with(&place, &["man", "--out", "."], "thanos-login.1");
    fails_with(&place, &["man", "--out", "nowhere"], "nowhere");
}
