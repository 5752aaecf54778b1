use proptest::option::of;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::{Value, json};

use super::*;
use crate::account::Username;
use crate::accounts::{Export, FileFormat};

const HASH: &str = "$2b$04$EGdrhbKUv8Oc9vGiXX0HQOxSg445d458Muh7DAHskb6QbtCvdxcie";

fn findings(read: &ParsedAccounts) -> Vec<String> {
    let show = |finding: &Finding| format!("{} {} {}", finding.place, finding.key, finding.message);
    read.findings.iter().map(show).collect()
}

fn users(read: &ParsedAccounts) -> Vec<Value> {
    let users = read.accounts.users.iter();
    users.map(|entry| json!(entry.user)).collect()
}

fn names(read: &ParsedAccounts) -> Vec<&str> {
    let users = read.accounts.users.iter();
    users
        .map(|entry| entry.user.username.as_ref().unwrap().as_str())
        .collect()
}

#[test]
fn a_row_means_the_same_as_a_line_of_json() {
    let csv = format!(
        "username,password_hash,status,uuid,org,first_name,last_name,email,phone,person_uuid,permissions\n\
         a@acme.com,{HASH},ACTIVE,u,Acme,\"Ann, \"\"A\"\"\",' B,=1+1,+1,p,\"[{{\"\"name\"\":\"\"x\"\"}}]\"\n"
    );
    let line = json!({
        "username": "a@acme.com", "password_hash": HASH, "status": "ACTIVE", "uuid": "u", "org": "Acme",
        "person": {"uuid": "p", "first_name": "Ann, \"A\"", "last_name": "' B", "email": "=1+1", "phone": "+1"},
        "permissions": [{"name": "x"}],
    });
    let (row, line) = (
        super::read(csv.as_bytes()),
        json::lines(line.to_string().as_bytes()),
    );
    assert_eq!(findings(&row), Vec::<String>::new());
    assert_eq!(users(&row), users(&line));
}

#[test]
fn files_of_spreadsheet_programs_are_read() {
    for (label, csv) in [
        (
            "every row end",
            "username,password\r\na, p \rb,'=x\nc,-1\r\n\r\n",
        ),
        ("a mark", "\u{feff}username,password\na, p \nb,'=x\nc,-1"),
        (
            "a mark and quotes",
            "\u{feff}\"username\",\"password\"\na, p \nb,'=x\nc,-1",
        ),
        (
            "names in any case",
            "Username,PASSWORD\na, p \nb,'=x\nc,-1\n",
        ),
        (
            "blanks around names",
            " username\u{a0},\tpassword \na, p \nb,'=x\nc,-1\n",
        ),
        (
            "empty rows",
            "\n,\nusername,password\n,\na, p \n\nb,'=x\n,,,\n\"\",\nc,-1\n,\n",
        ),
        (
            "empty columns",
            "username,,password,,\na,, p ,,\nb,,'=x,,\nc,,-1,,\n",
        ),
        (
            "the separator named",
            "SEP=,\r\nusername,password\r\na, p \r\nb,'=x\r\nc,-1\r\n",
        ),
        (
            "the separator in quotes",
            "\"sep=,\"\nusername,password\na, p \nb,'=x\nc,-1\n",
        ),
        (
            "no name, a UUID",
            "uuid,username,password\n,a, p \n,b,'=x\n,c,-1\n",
        ),
    ] {
        let read = super::read(crate::text::without_mark(csv.as_bytes()));
        assert_eq!(findings(&read), Vec::<String>::new(), "{label}");
        assert_eq!(names(&read), ["a", "b", "c"], "{label}");
        let passwords: Vec<&str> = read
            .accounts
            .users
            .iter()
            .map(|entry| entry.user.password.as_ref().unwrap().as_str())
            .collect();
        assert_eq!(passwords, [" p ", "'=x", "-1"], "{label}");
    }
}

#[test]
fn a_file_without_a_usable_header_is_one_finding_that_shows_no_password() {
    let wide = |order: fn(u16) -> [u8; 2]| "username,org\n".encode_utf16().flat_map(order);
    for (label, content, part) in [
        ("nothing", b"".to_vec(), "empty"),
        ("line breaks", b"\r\n\r\n".to_vec(), "empty"),
        ("empty cells", b",,\n,,\n".to_vec(), "empty"),
        ("only the separator", b"sep=,\n".to_vec(), "empty"),
        ("no header", b"ann,secret\n".to_vec(), "unknown columns"),
        ("not UTF-8", b"user\xff\n".to_vec(), "unknown columns"),
        (
            "an unknown name",
            b"username,colour\n".to_vec(),
            "unknown column \"colour\" (known: username",
        ),
        (
            "a name twice",
            b"username,org,ORG\n".to_vec(),
            "the column org appears twice",
        ),
        (
            "nobody named",
            b"password,org\n".to_vec(),
            "no column `username`",
        ),
        (
            "an open quote",
            b"username,\"org\n".to_vec(),
            "the first row: a quote is not closed",
        ),
        (
            "semicolons",
            b"username;password\nann;secret\n".to_vec(),
            "separated by semicolons",
        ),
        (
            "semicolons and quotes",
            b"\"username\";\"org\"\n".to_vec(),
            "separated by semicolons",
        ),
        (
            "semicolons and commas",
            b"username;org;\"a,b\"\n".to_vec(),
            "separated by semicolons",
        ),
        (
            "semicolons and other names",
            b"name;secret\n".to_vec(),
            "separated by semicolons",
        ),
        (
            "tabs",
            b"username\tpassword\r\n".to_vec(),
            "separated by tabs",
        ),
        (
            "bars",
            b"username|password\r\n".to_vec(),
            "separated by '|'",
        ),
        (
            "another separator named",
            b"sep=;\nusername;org\n".to_vec(),
            "separated by semicolons",
        ),
        ("UTF-16", wide(u16::to_le_bytes).collect(), "UTF-16"),
        (
            "UTF-16, the other order",
            wide(u16::to_be_bytes).collect(),
            "UTF-16",
        ),
    ] {
        let read = ParsedAccounts::of(FileFormat::Csv, &content);
        let found = findings(&read);
        assert_eq!(found.len(), 1, "{label}: {found:?}");
        assert!(
            found[0].starts_with("  ") && found[0].contains(part),
            "{label}: {found:?}"
        );
        assert!(!found[0].contains("secret"), "{label}: {found:?}");
        assert!(read.accounts.users.is_empty(), "{label}");
    }
}

#[test]
fn bad_rows_are_reported_with_their_lines_and_the_others_are_read() {
    let mut csv = b"username,org,permissions,\n\
        good,\"a\nb\",,\n\
        a,b\n\
        a,5\" b,,\n\
        \"a\"b,,,\n\
        a,,[,\n\
        a,,[{\"name\":1}],\n\
        \"a\",,\"[{\"\"name\"\":\"\"x\"\",\"\"name\"\":\"\"y\"\"}]\",\n\
        a,,,secret\n\
        good,,,\n"
        .to_vec();
    csv.extend(b"a,\xff,,\n");
    csv.extend(b"a,\"b,,\r\n");
    let read = super::read(&csv);
    assert_eq!(names(&read), ["good", "good"]);
    let starts = [
        "line 4  2 cells, and the first row has 4",
        "line 5  a quote in a cell without quotes",
        "line 6  text after a closing quote",
        "line 7 permissions not JSON: a mistake at column 1",
        "line 8  a quote in a cell without quotes",
        "line 9 permissions[0].name the key is given twice",
        "line 10  a cell in a column without a name",
        "line 12 org not UTF-8",
        "line 13  a quote is not closed",
    ];
    let found = findings(&read);
    assert_eq!(found.len(), starts.len(), "{found:#?}");
    for (found, start) in found.iter().zip(starts) {
        assert!(found.starts_with(start), "{found}");
    }
}

#[test]
fn a_quote_that_may_have_joined_rows_is_a_finding_of_the_file() {
    for (label, csv, line, lines) in [
        (
            "never closed",
            "username,org\na,x\nb,\"y\nc,z\n",
            3,
            "3 to 4",
        ),
        (
            "closed by the next",
            "username,org\nb,\"y\nc,z\n\"d\",w\n",
            2,
            "2 to 4",
        ),
        (
            "behind a blank",
            "username,org\nb, \"y\nc,z\",w\n",
            2,
            "2 to 3",
        ),
        (
            "of too many cells",
            "username,org\nb,\"y\nc\",z\n",
            2,
            "2 to 3",
        ),
        (
            "closed in another row",
            "username,org\nb,\"x\"y\nc,z\nd\",w\n",
            2,
            "2 to 4",
        ),
    ] {
        let found = findings(&super::read(csv.as_bytes()));
        let of_line = format!("line {line}  ");
        let of_file =
            format!("  a misplaced quote makes it unclear which rows are on lines {lines}: ");
        assert!(
            found.iter().any(|found| found.starts_with(&of_line)),
            "{label}: {found:#?}"
        );
        assert!(
            found.iter().any(|found| found.starts_with(&of_file)),
            "{label}: {found:#?}"
        );
    }
}

/// Any text but the empty one, which a row cannot distinguish from an omitted value.
fn text() -> impl Strategy<Value = Option<String>> {
    of(prop_oneof![r#"[a,;"'=+@ \r\n\t-]{1,6}"#, "(?s).{1,4}"])
}

prop_compose! {
    fn permission()(name in "(?s).{0,4}", texts in proptest::array::uniform3(text()), assigned in of(any::<bool>()))
        -> Value
    {
        let [uuid, display_name, description] = texts;
        json!({"uuid": uuid, "name": name, "display_name": display_name, "description": description, "assigned": assigned})
    }
}

prop_compose! {
    /// A user as it is exported.
    fn user()(
        username in text().prop_filter_map("a username", |text| text?.parse::<Username>().ok()),
        texts in proptest::array::uniform7(text()),
        status in of(Just("CONFIRMATION WAITING")),
        permissions in of(prop::collection::vec(permission(), 1..3)),
    ) -> Value {
        let [org, uuid, person_uuid, first_name, last_name, email, phone] = texts;
        let person = json!({"uuid": person_uuid, "first_name": first_name, "last_name": last_name, "email": email, "phone": phone});
        let says_something = person.as_object().unwrap().values().any(|value| !value.is_null());
        let mut user = json!({
            "username": username, "password_hash": HASH, "status": status, "uuid": uuid,
            "person": says_something.then_some(person), "permissions": permissions,
        });
        if let Some(org) = org {
            user["org"] = json!(org);
        }
        user
    }
}

proptest! {
    #[test]
    fn exported_users_are_read_back_unchanged(written in prop::collection::vec(user(), 0..4)) {
        let export = |format: fn(Vec<User>) -> Export| {
            let users = written.iter().map(|user| User::deserialize(user).unwrap());
            let mut bytes = Vec::new();
            format(users.collect()).write(&mut bytes).unwrap();
            bytes
        };
        for read in [super::read(&export(Export::Csv)), json::lines(&export(Export::JsonLines))] {
            prop_assert_eq!(findings(&read), Vec::<String>::new());
            prop_assert_eq!(&users(&read), &written);
        }
    }
}
