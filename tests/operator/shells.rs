//! `completions` and `man`, made from the flags themselves.

use std::fs;

use super::run;
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
