//! Hashes that other programs made.

use serde_json::json;

use super::run;
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH};

#[test]
fn a_hash_whose_salt_has_padding_bits_set_logs_in_and_is_exported_as_it_was_given() {
    // The last character of the salt: `e` has none of the four bits set, `f` has one.
    let padded = format!("{}f{}", &QUICK_HASH[..28], &QUICK_HASH[29..]);
    assert_ne!(padded, QUICK_HASH);
    let fixture = accounts::retailer([json!({"username": JWEIR, "password_hash": padded})]);
    let place = Place::seeded(&fixture);
    run(&place, &["user", "export", "users.csv"]);
    let exported = std::fs::read_to_string(place.path("users.csv")).unwrap();
    assert!(exported.contains(&padded), "{exported}");
    run(&place, &["user", "import", "users.csv"]);
    let again = place.seed(&fixture).succeeded();
    assert!(again.stdout.contains("1 unchanged"), "{again:?}");

    let server = place.serve(&[]);
    assert_eq!(server.login(JWEIR, "wrong").status, 401);
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
}

#[test]
fn extra_characters_around_a_hash_are_named_and_the_hash_is_not_shown() {
    let place = Place::seeded(&accounts::retailer([]));
    for (hash, line) in [
        (format!("{{bcrypt}}{QUICK_HASH}"), "{bcrypt}"),
        (format!("bcrypt${QUICK_HASH}"), "bcrypt$"),
        (format!("bcrypt_sha256${QUICK_HASH}"), "another hash"),
    ] {
        place.write(
            "users.csv",
            format!("username,password_hash\n{JWEIR},{hash}\n"),
        );
        let import = ["user", "import", "users.csv", "--org", "projectthanos"];
        let refused = place.run(&import);
        assert_eq!(refused.code, Some(1), "{refused:?}");
        let finding = refused.stderr.lines().next().unwrap_or_default();
        assert!(
            finding.starts_with("users.csv:2: password_hash: "),
            "{refused:?}"
        );
        assert!(finding.contains(line), "{refused:?}");
        assert!(!refused.stderr.contains(&QUICK_HASH[7..20]), "{refused:?}");
    }
}
