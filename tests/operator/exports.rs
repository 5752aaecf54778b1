//! `user export`: the destination, the format, and the previous export when a new one fails.

use std::fs;

use serde_json::json;

use super::run;
use crate::harness::Place;
use crate::harness::accounts::{self, JWEIR, QUICK_HASH};

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

#[test]
fn a_dash_is_standard_output_whatever_files_there_are() {
    let place = one_user();
    place.write("-", "precious");
    let before = place.files("");
    let plain = run(&place, &["user", "export"]).stdout;
    assert!(plain.starts_with("username,password_hash,") && plain.contains(JWEIR));
    for flags in [&[][..], &["--force"]] {
        let args = [&["user", "export", "-"], flags].concat();
        assert_eq!(run(&place, &args).stdout, plain, "{flags:?}");
    }
    let lines = run(&place, &["user", "export", "-", "--format", "jsonl"]).stdout;
    assert!(lines.starts_with('{'), "{lines}");
    assert_eq!(place.files(""), before);
    assert_eq!(fs::read_to_string(place.path("-")).unwrap(), "precious");

    run(&place, &["user", "export", "./-", "--force"]);
    assert_eq!(fs::read_to_string(place.path("-")).unwrap(), plain);
}

#[test]
fn a_database_is_not_copied_through_a_pipe() {
    let place = one_user();
    let before = place.files("");
    for command in ["backup", "restore"] {
        let refused = place.run(&[command, "-"]);
        refused.was_wrong_usage(command);
        assert!(refused.stderr.contains("`./-`"), "{}", refused.stderr);
    }
    assert_eq!(place.files(""), before);
}

#[test]
fn the_file_extension_selects_the_format_in_any_case() {
    let place = one_user();
    for (name, format) in [
        ("ALL.CSV", "csv"),
        ("all.Jsonl", "jsonl"),
        ("all.NDJSON", "jsonl"),
        ("All.JSON", "fixture"),
    ] {
        run(&place, &["user", "export", name]);
        let written = fs::read_to_string(place.path(name)).unwrap();
        let expected = run(&place, &["user", "export", "--format", format]).stdout;
        assert_eq!(written, expected, "{name}");
        let said = run(&place, &["user", "import", name]).stdout;
        assert!(
            said.starts_with("users: 0 added, 0 changed, 1 unchanged"),
            "{name}: {said}"
        );
    }
}

#[test]
fn an_export_that_fails_leaves_the_last_one_and_nothing_beside_it() {
    let place = one_user();
    let mut csv = "username,password_hash,org\n".to_owned();
    for number in 0..1_000 {
        csv += &format!("u{number},{QUICK_HASH},projectthanos\n");
    }
    place.write("users.csv", csv);
    run(&place, &["user", "import", "users.csv"]);
    for name in ["all.csv", "all.jsonl", "all.json"] {
        place.write(name, "the last one");
        let before = place.files("");
        let is_kept = || {
            assert_eq!(
                fs::read_to_string(place.path(name)).unwrap(),
                "the last one",
                "{name}"
            );
        };
        let export = || place.program(&["user", "export", name, "--force"]);
        // The limit of 50 KiB per file is reached in the middle of writing.
        let refused = export().after("ulimit -f 100").finish();
        refused.failed_naming("too large", name);
        is_kept();
        assert_eq!(place.files(""), before, "{name}");

        // This failure comes while the database is read.
        let sql = "UPDATE users SET password_hash = replace(password_hash, 'K', ?1) WHERE username = 'u500'";
        place.sql().execute(sql, &[&"!"]).unwrap();
        export().finish().failed_naming("no hash", "bcrypt");
        is_kept();
        place
            .sql()
            .execute(&sql.replace("'K', ?1", "?1, 'K'"), &[&"!"])
            .unwrap();

        export().finish().succeeded();
        let written = fs::read_to_string(place.path(name)).unwrap();
        assert!(written.contains("u999"), "{name}");
        assert_eq!(place.files(""), before, "{name}");
    }
}

#[test]
fn cells_are_exported_as_they_are_and_come_back_the_same() {
    let person = json!({
        "first_name": "=1+1", "last_name": "'quoted", "email": "@a", "phone": "+49 \"30\"\r\n-1; \u{feff}",
    });
    let place = Place::seeded(&accounts::retailer([
        json!({"username": JWEIR, "password_hash": QUICK_HASH, "person": person}),
    ]));
    run(&place, &["user", "export", "all.csv"]);
    let csv = fs::read_to_string(place.path("all.csv")).unwrap();
    let cells = ",=1+1,'quoted,@a,\"+49 \"\"30\"\"\r\n-1; \u{feff}\",";
    assert!(csv.contains(cells), "{csv}");
    let shown = || run(&place, &["user", "show", JWEIR, "--json"]).stdout;
    let before = shown();
    let sql = "UPDATE people SET first_name = NULL, last_name = '', email = '', phone = '-1'";
    place.sql().execute(sql, &[]).unwrap();
    run(&place, &["user", "import", "all.csv"]);
    assert_eq!(shown(), before);
}
