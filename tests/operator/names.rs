//! Names that could mislead their readers.

use super::{json_lines, run};
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD};

/// A terminal shows this name with its end reversed, as `exe.gpj`. The invisible characters of [`USERNAME`] are not shown.
const ORGANIZATION: &str = "Acme \u{202E}jpg.exe";
const USERNAME: &str = "jane\u{3164}\u{200F}@acme.com";

#[test]
fn names_that_reorder_or_hide_text_are_escaped_wherever_they_are_shown() {
    let place = Place::new();
    run(&place, &["init"]);
    let cost = ["--bcrypt-cost", "10"];
    let add = |org| ["user", "add", "jane@acme.com", "--org", org, "--generate"];
    let passwd = ["user", "passwd", USERNAME, "--generate"];
    for args in [
        &["org", "add", ORGANIZATION, "--type", "RETAILER"][..],
        &["org", "list"],
        &["org", "show", ORGANIZATION],
        &["org", "set-status", ORGANIZATION, "PENDING"],
    ] {
        shows(&place, args, r"Acme \u{202e}jpg.exe");
    }
    run(&place, &[&add(ORGANIZATION)[..], &cost].concat());
    // A new user may not have such a name.
    let rename = "UPDATE users SET username = ?1";
    place.sql().execute(rename, &[&USERNAME]).unwrap();
    for args in [
        &["user", "list"][..],
        &["user", "show", USERNAME],
        &["user", "set-status", USERNAME, "DEACTIVATED"],
        &["user", "unlock", USERNAME],
        &[&passwd[..], &cost].concat(),
    ] {
        shows(&place, args, r"jane\u{3164}\u{200f}@acme.com");
    }
    for args in [
        &add("Acme \u{202E}jpg.ex")[..],
        &["org", "show", "Acme \u{202E}jpg.ex"],
        &["user", "show", "nobody\u{2066}"],
        &[
            "user",
            "import",
            "no\u{2028}file.csv",
            "--org",
            ORGANIZATION,
        ],
        &["seed", "no\u{61C}file.json"],
        &["token", "list", "--user", "nobody\u{FE0F}"],
    ] {
        let failed = place.run(args);
        failed.failed_naming(&format!("{args:?}"), r"\u{");
        assert!(failed.stderr.is_ascii(), "{args:?}: {failed:#?}");
    }
    let usage = place.run(&["serve", "--listen", "\u{202E}1.0.0.721"]);
    usage.was_wrong_usage("an address that is turned around");
    assert!(usage.stderr.contains(r"\u{202e}"), "{usage:#?}");

    for (args, name, value) in [
        (["org", "list", "--json"], "name", ORGANIZATION),
        (["user", "list", "--json"], "username", USERNAME),
    ] {
        let listed = run(&place, &args);
        assert!(listed.stdout.is_ascii(), "{listed:#?}");
        assert_eq!(json_lines(&listed)[0][name], value);
    }
}

#[track_caller]
fn shows(place: &Place, args: &[&str], name: &str) {
    let shown = run(place, args).stdout;
    assert!(shown.is_ascii(), "{args:?}: {shown}");
    assert!(shown.contains(name), "{args:?}: {shown}");
}

#[test]
fn a_new_user_cannot_have_a_name_that_looks_like_another_and_an_existing_one_logs_in() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    for (name, code) in [
        ("jweir\u{200b}@projectthanos.com", "U+200B"),
        ("jweir\t@projectthanos.com", "U+0009"),
        ("zoe\u{308}@projectthanos.com", "U+0308"),
    ] {
        let add = ["user", "add", name, "--org", "projectthanos", "--generate"];
        let refused = place.run(&add);
        refused.was_wrong_usage(name);
        assert!(refused.stderr.contains(code), "{refused:#?}");

        let rename = "UPDATE users SET username = ?1";
        place.sql().execute(rename, &[&name]).unwrap();
        assert_eq!(place.serve(&[]).login(name, PASSWORD).status, 200);
    }
    assert_eq!(place.number("SELECT count(*) FROM users"), 1);
}
