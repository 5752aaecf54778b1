//! `user import` of CSV as spreadsheet programs write it, and of CSV with misplaced quotes.

use std::fs;

use super::{json, run};
use crate::harness::accounts::QUICK_HASH;
use crate::harness::{Finished, Place};

const SECRET: &str = "violet kettle 61";

fn acme() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    place
}

fn import(place: &Place, content: &[u8], flags: &[&str]) -> Finished {
    place.write("users.csv", content);
    let args = [
        "user",
        "import",
        "users.csv",
        "--org",
        "Acme",
        "--bcrypt-cost",
        "10",
    ];
    place.run(&[&args, flags].concat())
}

fn usernames(place: &Place) -> Vec<String> {
    let query = "SELECT username FROM users ORDER BY 1";
    place.sql().column(query, &[])
}

#[test]
fn a_misplaced_quote_is_a_finding_and_its_row_alone_is_skipped() {
    for (label, row) in [
        ("in a cell", format!("bad,{SECRET}\"")),
        ("in the middle of a cell", "bad,violet\"kettle".to_owned()),
        ("behind a blank", format!("bad, \"{SECRET}\"")),
        ("text behind it", format!("bad,\"{SECRET}\"x")),
        ("a blank behind it", format!("bad,\"{SECRET}\" ")),
        ("not doubled", "bad,\"violet \"kettle\" 61\"".to_owned()),
        ("in the name", format!("b\"ad,{SECRET}")),
    ] {
        for end in ["\r\n", "\n", "\r"] {
            let place = acme();
            let rows = [
                "username,password",
                &format!("a,{SECRET}"),
                &row,
                &format!("z,{SECRET}"),
            ];
            let csv = rows.map(|row| format!("{row}{end}")).concat();
            let refused = import(&place, csv.as_bytes(), &[]);
            assert_eq!(refused.code, Some(1), "{label} {end:?}: {refused:#?}");
            let found = &refused.stderr;
            assert!(
                found.starts_with("users.csv:3: "),
                "{label} {end:?}: {found}"
            );
            assert!(
                found.contains("quote") && !found.contains("kettle"),
                "{label} {end:?}: {found}"
            );
            assert_eq!(usernames(&place), [""; 0], "{label} {end:?}");

            let said = import(&place, csv.as_bytes(), &["--skip-bad", "--json"]).succeeded();
            assert_eq!(json(&said)["skipped"], 1, "{label} {end:?}");
            assert_eq!(usernames(&place), ["a", "z"], "{label} {end:?}");
        }
    }
}

#[test]
fn rows_that_a_quote_may_have_joined_are_not_imported() {
    for (label, rows) in [
        (
            "never closed",
            format!("b,\"{SECRET}\nc,{SECRET}\nd,{SECRET}\n"),
        ),
        (
            "closed by another row's",
            format!("b,\"{SECRET}\nc,{SECRET}\n\"d\",{SECRET}\n"),
        ),
        (
            "closed in another row",
            format!("b,\"{SECRET}\nc,{SECRET}\",\nd,{SECRET}\n"),
        ),
        (
            "opened behind a blank",
            format!("b, \"{SECRET}\nc,{SECRET}\"\nd,{SECRET}\n"),
        ),
        (
            "a row within a cell",
            format!("b,\"so \"called\nc,{SECRET}\nname\"\nd,{SECRET}\n"),
        ),
    ] {
        let place = acme();
        let csv = format!("username,password\na,{SECRET}\n{rows}");
        for flags in [&[][..], &["--skip-bad"], &["--dry-run"]] {
            let refused = import(&place, csv.as_bytes(), flags);
            assert_eq!(refused.code, Some(1), "{label} {flags:?}: {refused:#?}");
            let found = &refused.stderr;
            assert!(found.contains("users.csv:3: "), "{label}: {found}");
            assert!(
                found.contains("users.csv: a misplaced quote "),
                "{label}: {found}"
            );
            assert!(!found.contains("kettle"), "{label}: {found}");
            assert_eq!(usernames(&place), [""; 0], "{label} {flags:?}");
        }
    }
}

#[test]
fn what_spreadsheet_programs_write_is_imported() {
    let row = |name: &str| format!("{name},{QUICK_HASH}");
    let rows = |header: &str, end: &str| format!("{header}{end}{}{end}{}{end}", row("a"), row("z"));
    for (label, csv) in [
        (
            "CR LF and a mark",
            format!("\u{feff}{}", rows("username,password_hash", "\r\n")),
        ),
        ("CR", rows("username,password_hash", "\r")),
        (
            "no end",
            rows("username,password_hash", "\n").trim_end().to_owned(),
        ),
        ("other names", rows(" Username,PASSWORD_HASH\u{a0}", "\n")),
        (
            "the separator named",
            rows("sep=,\r\nusername,password_hash", "\r\n"),
        ),
        (
            "empty rows",
            rows("username,password_hash", "\n,\n") + ",,,\n",
        ),
        ("empty columns", rows("username,password_hash", ",,\n")),
    ] {
        let place = acme();
        let said = import(&place, csv.as_bytes(), &[]).succeeded();
        assert_eq!(said.stderr, "", "{label}");
        assert_eq!(usernames(&place), ["a", "z"], "{label}");
    }
}

#[test]
fn passwords_are_imported_unchanged() {
    let place = acme();
    let passwords = [
        "'violet kettle",
        "=violet+kettle",
        " violet kettle ",
        "violet, \"kettle\"\r\n",
    ];
    let mut csv = "username,password\n".to_owned();
    for (number, password) in passwords.iter().enumerate() {
        let quoted = password.replace('"', "\"\"");
        csv += &format!("u{number},\"{quoted}\"\n");
    }
    csv += "u4,'=violet kettle \n";
    import(&place, csv.as_bytes(), &[]).succeeded();
    let server = place.serve(&[]);
    for (number, password) in passwords.iter().chain(&["'=violet kettle "]).enumerate() {
        let username = format!("u{number}");
        assert_eq!(
            server.login(&username, password).status,
            200,
            "{password:?}"
        );
    }
}

#[test]
fn a_file_that_is_not_csv_with_commas_in_utf_8_is_refused_with_its_format() {
    let utf_16 = |mark: &str, order: fn(u16) -> [u8; 2]| {
        let text = format!("{mark}username,password\na,{SECRET}\n");
        text.encode_utf16().flat_map(order).collect::<Vec<u8>>()
    };
    for (label, content, part) in [
        (
            "semicolons",
            format!("username;password\na;{SECRET}\n").into_bytes(),
            "semicolons",
        ),
        (
            "semicolons and quotes",
            b"\"username\";\"org\"\n\"a\";\"Acme\"\n".to_vec(),
            "semicolons",
        ),
        (
            "semicolons named",
            b"sep=;\nusername;org\na;Acme\n".to_vec(),
            "semicolons",
        ),
        (
            "tabs",
            format!("username\tpassword\na\t{SECRET}\n").into_bytes(),
            "tabs",
        ),
        ("UTF-16", utf_16("", u16::to_le_bytes), "UTF-16"),
        (
            "UTF-16, big end first",
            utf_16("", u16::to_be_bytes),
            "UTF-16",
        ),
        (
            "UTF-16 and a mark",
            utf_16("\u{feff}", u16::to_le_bytes),
            "UTF-16",
        ),
        (
            "UTF-16, big end first, and a mark",
            utf_16("\u{feff}", u16::to_be_bytes),
            "UTF-16",
        ),
        (
            "no header",
            format!("a,{SECRET}\n").into_bytes(),
            "the first row",
        ),
    ] {
        let place = acme();
        for flags in [&[][..], &["--skip-bad"]] {
            let refused = import(&place, &content, flags);
            assert_eq!(refused.code, Some(1), "{label}: {refused:#?}");
            let found = &refused.stderr;
            assert!(
                found.starts_with("users.csv: ") && found.contains(part),
                "{label}: {found}"
            );
            assert!(!found.contains(SECRET), "{label}: {found}");
            assert_eq!(usernames(&place), [""; 0], "{label}");
        }
    }
}

#[test]
fn a_byte_order_mark_in_a_fixture_is_ignored() {
    let place = acme();
    let fixture = format!(
        "\u{feff}{{\"organizations\": [{{\"name\": \"b\", \"org_type\": \"RETAILER\",
            \"users\": [{{\"username\": \"a\", \"password_hash\": \"{QUICK_HASH}\"}}]}}]}}"
    );
    place.write("marked.json", fixture);
    run(&place, &["user", "import", "marked.json"]);
    run(&place, &["seed", "marked.json"]);
    let demo = place
        .program(&["serve", "--demo", "--fixture", "marked.json"])
        .start();
    demo.stop();
}

#[test]
fn standard_input_is_a_file_without_a_name() {
    let place = acme();
    let piped = || place.program(&["user", "import", "-", "--org", "Acme", "--format", "csv"]);
    let csv = format!("username,password_hash\na,{QUICK_HASH}\n");
    piped().input(csv).finish().succeeded();
    let refused = piped().input("username\na\"b\n").finish();
    assert!(refused.stderr.starts_with("-:2: a quote"), "{refused:#?}");
    assert_eq!(usernames(&place), ["a"]);
    assert!(fs::metadata(place.path("-")).is_err());
}
