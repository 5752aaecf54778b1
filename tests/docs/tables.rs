//! Tables of Markdown, and those of other pages than `answers` and `commands` hold.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{CHECKOUT, PAGES, Page, code};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{LOGIN, Place, Server, login_body, request};

/// The tables of a page: rows of cells, the head first.
pub(super) fn in_text(text: &str) -> Vec<Vec<Vec<&str>>> {
    let mut tables: Vec<Vec<Vec<&str>>> = Vec::new();
    let mut is_table = false;
    for line in text.lines() {
        let row = line
            .trim()
            .strip_prefix("| ")
            .and_then(|it| it.strip_suffix(" |"));
        match row {
            Some(row) => {
                if !is_table {
                    tables.push(Vec::new());
                }
                tables.last_mut().unwrap().push(row.split(" | ").collect());
                is_table = true;
            }
            // The line below the head.
            None => is_table &= line.trim().starts_with("|--"),
        }
    }
    tables
}

#[test]
fn every_test_that_shows_a_defence_exists() {
    let listed = Command::new(env::current_exe().unwrap())
        .arg("--list")
        .output()
        .unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    // Unit tests are in another binary.
    let mut sources = String::new();
    gather(&Path::new(CHECKOUT).join("src"), &mut sources);
    let page = Page::read("docs/security.md");
    let mut missing = Vec::new();
    for cells in page.rows(&["against", "how", "shown by the test"]) {
        let tests = code(cells[2]);
        assert!(!tests.is_empty(), "no test shows {cells:?}");
        for path in tests {
            let name = path.rsplit("::").next().unwrap();
            let is_unit_test = path.contains("::tests::");
            let exists = if is_unit_test {
                sources.contains(&format!("fn {name}("))
            } else {
                listed.lines().any(|line| line == format!("{path}: test"))
            };
            if !exists {
                missing.push(path.to_owned());
            }
        }
    }
    assert!(missing.is_empty(), "there are no such tests: {missing:#?}");
}

fn gather(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

/// Heads of tables that other tests hold, by the page.
const HELD: [(&str, &[&str]); 18] = [
    ("README.md", &["call", "what it does"]),
    ("README.md", &["username", "password"]),
    ("docs/accounts.md", &["key", "value", "without it"]),
    ("docs/accounts.md", &["command", "fields"]),
    ("docs/api.md", &["key of the request"]),
    ("docs/api.md", &["key of the answer"]),
    ("docs/api.md", &["status", "when", "body"]),
    ("docs/api.md", &["call", "answer"]),
    ("docs/container.md", &["variable", "in the image"]),
    ("docs/operating.md", &["flag", "variable", "default"]),
    ("docs/operating.md", &["command", "what it does", "flags"]),
    ("docs/operating.md", &["call", "answer"]),
    ("docs/security.md", &["against", "how"]),
    ("docs/stub.md", &["username", "password"]),
    ("docs/stub.md", &["call", "what it does"]),
    ("docs/stub.md", &["key of an instruction"]),
    ("docs/stub.md", &["key of a request"]),
    ("docs/stub.md", &["key of an account"]),
];

/// Heads of tables that say what no test can ask the program: measurements, machines of an example, what is in a file.
const NOT_HELD: [(&str, &[&str]); 9] = [
    ("README.md", &["page", "contents"]),
    ("README.md", &["measured"]),
    ("README.md", &["command", "what it does"]),
    ("docs/performance.md", &["passwords at once"]),
    ("docs/performance.md", &["clients"]),
    ("docs/container.md", &["manifest"]),
    ("docs/several-machines.md", &["machine", "address"]),
    ("docs/several-machines.md", &["what"]),
    ("docs/operating.md", &["before", "now"]),
];

#[test]
fn every_table_is_known_to_the_tests() {
    for page in PAGES.map(Page::read) {
        for table in in_text(&page.text) {
            let mut known = HELD.iter().chain(&NOT_HELD);
            let is_known =
                known.any(|(name, head)| *name == page.name && table[0].starts_with(head));
            assert!(is_known, "{}: {:?}", page.name, table[0]);
        }
    }
}

/// The description of a server's calls.
fn described(server: &Server) -> Value {
    let answer = server.send(request("GET", "/openapi.json", &[], ""));
    assert_eq!(answer.status, 200);
    answer.json()
}

/// `METHOD /path` of each call below a path.
fn calls(description: &Value, below: &str) -> BTreeSet<String> {
    let paths = description["paths"].as_object().unwrap();
    let paths = paths.iter().filter(|(path, _)| path.starts_with(below));
    let calls = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().unwrap().keys();
        let methods =
            methods.filter(|method| ["get", "put", "post", "delete"].contains(&&***method));
        methods.map(move |method| {
            let path = path.replace('{', "<").replace('}', ">");
            format!("{} {path}", method.to_uppercase())
        })
    });
    calls.collect()
}

/// The first cells of a table's rows, without backticks.
fn first_cells(page: &Page, head: &[&str]) -> BTreeSet<String> {
    let rows = page.rows(head);
    let cells = rows.iter().flat_map(|cells| code(cells[0]));
    cells.map(str::to_owned).collect()
}

#[test]
fn the_tables_of_calls_have_all_that_the_server_describes() {
    let description = described(&Server::demo());
    let api = calls(&description, "/api/");
    assert_eq!(
        first_cells(&Page::read("README.md"), &["call", "what it does"]),
        api
    );
    // The login has a section of its own.
    let mut shown = first_cells(&Page::read("docs/api.md"), &["call", "answer"]);
    assert!(shown.insert(format!("POST {LOGIN}")));
    assert_eq!(shown, api);

    let stub = first_cells(&Page::read("docs/stub.md"), &["call", "what it does"]);
    assert_eq!(stub, calls(&description, "/__stub/"));

    let all = calls(&description, "/");
    let others: BTreeSet<_> = all.difference(&api).cloned().collect();
    let others: BTreeSet<_> = others.difference(&stub).cloned().collect();
    let operating = first_cells(&Page::read("docs/operating.md"), &["call", "answer"]);
    assert_eq!(operating, others);
}

#[test]
fn the_tables_of_keys_have_all_that_the_stub_describes() {
    let description = described(&Server::demo());
    let page = Page::read("docs/stub.md");
    for (head, schema) in [
        ("key of an instruction", "Order"),
        ("key of a request", "Request"),
        ("key of an account", "AccountChange"),
    ] {
        let properties = &description["components"]["schemas"][schema]["properties"];
        let keys = properties.as_object().unwrap().keys().cloned();
        assert_eq!(first_cells(&page, &[head]), keys.collect(), "{schema}");
    }
}

#[test]
fn the_tables_of_a_login_have_its_keys() {
    let page = Page::read("docs/api.md");
    let sent = first_cells(&page, &["key of the request"]);
    let body: Value = serde_json::from_str(&login_body(JWEIR, PASSWORD)).unwrap();
    let keys = body.as_object().unwrap().keys().cloned();
    assert_eq!(sent, keys.collect());

    let answer = Server::demo().login(JWEIR, PASSWORD);
    let rows = page.rows(&["key of the answer"]);
    let keys = rows.iter().map(|cells| code(cells[0])[0]);
    let places = keys.map(|key| answer.text().find(&format!("\"{key}\":")).unwrap());
    assert!(places.clone().is_sorted(), "{}", answer.text());
    assert_eq!(places.count(), answer.json().as_object().unwrap().len());
}

#[test]
fn the_tables_of_a_fixture_have_the_keys_that_it_takes() {
    let user = json!({"username": "ann", "password": PASSWORD, "colour": 1});
    let mut organization = accounts::organization("Corner Shop", [user]);
    organization["colour"] = 1.into();
    let place = Place::new();
    place.write(
        "wrong.json",
        json!({"organizations": [organization]}).to_string(),
    );
    let path = place.path("wrong.json").display().to_string();
    let refused = place.run(&["seed", &path]);
    assert_eq!(refused.code, Some(1));
    let known = refused.stderr.lines().flat_map(|line| {
        let (_, names) = line.split_once("known: ").unwrap();
        names.trim_end_matches(')').split(", ")
    });
    let page = Page::read("docs/accounts.md");
    let shown = first_cells(&page, &["key", "value", "without it"]);
    assert_eq!(shown, known.map(str::to_owned).collect());
}

#[test]
fn every_measurement_that_is_named_exists() {
    for page in PAGES.map(Page::read) {
        for rest in page.text.split("--bench ").skip(1) {
            let name = rest.split(|it: char| !it.is_alphanumeric()).next().unwrap();
            let path = Path::new(CHECKOUT).join(format!("benches/{name}.rs"));
            assert!(path.exists(), "{}: {name}", page.name);
        }
    }
}
