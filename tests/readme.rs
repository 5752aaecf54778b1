//! README.md, run as it stands: its examples from top to bottom, and its tables held against the program.
//!
//! A `sh` block is run in a directory of its own, the first one's for all. A `text` or `json` block that comes next is what it
//! prints, where `…` stands for whatever differs from run to run. A block that serves goes on serving for those below.
//! Only the ports are replaced. The day with the package is one shell's on a machine of its own.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::machine::Machine;
use crate::harness::page::{Block, assert_shows, examples};
use crate::harness::{Answer, JSON, LOGIN, Place, Server, login_body, request};

const README: &str = include_str!("../README.md");
const PORTS: [&str; 2] = ["8080", "8443"];

/// Programs that are not everywhere; examples that need one are tests of their own.
const HTTPIE: &str = "http ";

/// How the examples begin that install a file of a release.
const OF_A_RELEASE: [&str; 3] = ["pip install ", "npx ", "docker load "];

/// The heading above what needs root, Debian and nginx.
const DAY: &str = "### A day with the package";

fn example_in(language: &str, begins: &str) -> (Block, Option<String>) {
    examples(README)
        .into_iter()
        .find(|(block, _)| block.language == language && block.text.starts_with(begins))
        .unwrap_or_else(|| panic!("README has no {language} block that begins with {begins:?}"))
}

/// The cells of every table row that has this many of them, without the heads.
fn rows(columns: usize) -> Vec<Vec<&'static str>> {
    README
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .map(|row| row.split(" | ").collect::<Vec<_>>())
        .filter(|cells| cells.len() == columns)
        .collect()
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A directory in which `thanos-login` is the program, and `cargo run --release --` starts it.
fn checkout() -> Place {
    let place = Place::new();
    fs::create_dir(place.path("bin")).unwrap();
    symlink(
        env!("CARGO_BIN_EXE_thanos-login"),
        place.path("bin/thanos-login"),
    )
    .unwrap();
    place
}

fn port(server: &Server) -> &str {
    server.ready_line.rsplit(':').next().unwrap()
}

fn with_port(text: &str, port: &str) -> String {
    PORTS
        .iter()
        .fold(text.to_owned(), |text, named| text.replace(named, port))
}

/// Runs a script with the port of a server in place of the one it names; gives what it prints.
fn run(place: &Place, program: &str, args: &[&str], script: &str, server: &Server) -> String {
    let path = env::var("PATH").unwrap();
    let bin = place.path("bin").into_os_string().into_string().unwrap();
    let script = with_port(script, port(server));
    let mut command = Command::new(program);
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("THANOS_LOGIN_") {
            command.env_remove(name);
        }
    }
    let output = command
        .args(args)
        .arg(&script)
        .env("PATH", format!("{bin}:{path}"))
        .env("TMPDIR", place.path("tmp"))
        .current_dir(place.path(""))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}\n{errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Starts what a block starts: one command, `cargo run --release --` or `thanos-login`, that serves.
fn serve(place: &Place, block: &str) -> Option<Server> {
    let command = block
        .strip_prefix("cargo run --release -- ")
        .or_else(|| block.strip_prefix("thanos-login "))
        .filter(|rest| rest.starts_with("serve"))?;
    let command = with_port(command, "0");
    Some(
        place
            .program(&command.split_whitespace().collect::<Vec<_>>())
            .start(),
    )
}

#[test]
fn every_shell_example_does_what_it_shows() {
    let place = checkout();
    let mut server = None;
    let mut count = 0;
    for (block, shown) in examples(README) {
        let is_of_another_test = block.text.starts_with(HTTPIE)
            || OF_A_RELEASE
                .iter()
                .any(|begin| block.text.starts_with(begin))
            || block.heading == DAY;
        if block.language != "sh" || is_of_another_test {
            continue;
        }
        count += 1;
        let printed = match serve(&place, &block.text) {
            Some(started) => {
                let line = started.ready_line.clone();
                let shown = shown.as_ref().unwrap();
                let named = shown.trim_end().rsplit(':').next().unwrap();
                let line = line.replace(port(&started), named);
                server = Some(started);
                line
            }
            None => {
                let server = server.as_ref().expect("README begins with a server");
                run(&place, "sh", &["-euc"], &block.text, server)
            }
        };
        let shown = shown.unwrap_or_else(|| panic!("{} shows nothing", block.text));
        assert_shows(&shown, &printed, &block.text);
    }
    assert!(count >= 6, "only {count} examples were found");
}

#[test]
#[ignore = "needs root, apt, cargo-deb, nginx and curl"]
fn an_operators_day_goes_as_it_is_told() {
    let machine = Machine::take();
    trust_a_certificate(&machine);
    let day: Vec<_> = examples(README)
        .into_iter()
        .filter(|(block, _)| block.heading == DAY && block.language == "sh")
        .collect();
    const END: &str = "--- the next block ---\n";
    let script: String = day
        .iter()
        .map(|(block, _)| format!("{}printf %s '{END}'\n", block.text))
        .collect();
    let printed = machine.run("sh", &["-euc", &script]);
    let printed: Vec<&str> = printed.split_terminator(END).collect();
    assert_eq!(printed.len(), day.len(), "{printed:#?}");
    for ((block, shown), printed) in day.iter().zip(printed) {
        if let Some(shown) = shown {
            assert_shows(shown, printed, &block.text);
        }
    }
    // root worked on it, and left it all to the server's user.
    let listed = machine.run("stat", &["--format", "%U", "/var/lib/thanos-login"]);
    let files = ["/var/lib/thanos-login", "!", "-user", "thanos-login"];
    assert_eq!(
        (&*listed, &*machine.run("find", &files)),
        ("thanos-login\n", "")
    );
}

/// Puts a certificate where the day has one, and has curl find its name on this machine.
fn trust_a_certificate(machine: &Machine) {
    let (place, name) = (&machine.place, "stable.projectthanos.com");
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new([name.to_owned()]).unwrap();
    place.write("fullchain.pem", params.self_signed(&key).unwrap().pem());
    place.write("privkey.pem", key.serialize_pem());
    let (port, trusted) = (machine.https_port.number, place.path("fullchain.pem"));
    let trusted = trusted.display();
    let settings =
        format!("connect-to = {name}:443:127.0.0.1:{port}\ncacert = {trusted}\nsilent\n");
    place.write(".curlrc", settings);
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    for (block, _) in examples(README) {
        // `rust` is a doc test of the crate; `text` without an example above it is a drawing.
        let known = ["sh", "python", "javascript", "rust", "text"];
        assert!(known.contains(&&*block.language), "{}", block.text);
    }
}

#[test]
#[ignore = "needs HTTPie"]
fn the_httpie_example_logs_in() {
    let (block, _) = example_in("sh", HTTPIE);
    let (_, published) = example_in("sh", "curl");
    let place = checkout();
    let server = Server::demo();
    let printed = run(&place, "sh", &["-euc"], &block.text, &server);
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let published: Value = serde_json::from_str(&published.unwrap()).unwrap();
    assert_eq!(printed, published);
}

#[test]
#[ignore = "needs Python's Requests"]
fn the_python_example_logs_in() {
    let (block, shown) = example_in("python", "");
    let printed = run(
        &checkout(),
        "python3",
        &["-c"],
        &block.text,
        &Server::demo(),
    );
    assert_shows(&shown.unwrap(), &printed, &block.text);
}

#[test]
#[ignore = "needs Node"]
fn the_node_example_logs_in() {
    let (block, shown) = example_in("javascript", "");
    let server = Server::demo();
    let args = ["--input-type=module", "--eval"];
    let printed = run(&checkout(), "node", &args, &block.text, &server);
    assert_shows(&shown.unwrap(), &printed, &block.text);
}

#[test]
fn every_answer_in_the_table_is_given() {
    let server = Server::demo();
    let post = |body: &str| request("POST", LOGIN, &[JSON], body);
    let account = |field: &str| {
        let head = "GET /api/organizations/ HTTP/1.1\r\nHost: localhost\r\n";
        format!("{head}{field}\r\n").into_bytes()
    };
    let plain = ("Content-Type", "text/plain");
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    let long = json!({"username": "a".repeat(255), "password": "a"}).to_string();
    let rows_and_requests = [
        (404, request("POST", "/api/", &[JSON], "{}")),
        (405, request("GET", LOGIN, &[], "")),
        (415, request("POST", LOGIN, &[plain], "{}")),
        (
            415,
            request("POST", LOGIN, &[JSON, ("Content-Encoding", "gzip")], "{}"),
        ),
        (413, post(&" ".repeat(16_385))),
        (400, post(r#"{"username": }"#)),
        (400, post("\u{feff}{}")),
        (400, post(r#"{"username": "a", "username": "b"}"#)),
        (400, post(&deep)),
        (400, post("[]")),
        (400, post("null")),
        (400, post("")),
        (400, post(r#"{"username": null, "password": 1}"#)),
        (400, post(r#"{"username": " ", "password": ""}"#)),
        (400, post(&long)),
        (400, post(r#"{"username": "a", "password": "\u0000"}"#)),
        (401, post(&login_body(JWEIR, "wrong"))),
        (
            403,
            post(&login_body("waiting@projectthanos.com", PASSWORD)),
        ),
        (401, account("")),
        (401, account("Authorization: Basic YTpi\r\n")),
        (401, account("Authorization: Token\r\n")),
        (401, account("Authorization: Token a b\r\n")),
        (401, account("Authorization: Token a\r\n")),
        (
            401,
            b"GET /api/organizations/ HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token \xff\r\n\r\n"
                .to_vec(),
        ),
    ];
    for (status, bytes) in rows_and_requests {
        assert_in_table(status, &server.send(bytes));
    }
    let strict = Server::demo_with(&["--failed-logins-per-user", "1"]);
    strict.login(JWEIR, "wrong");
    let answer = strict.login(JWEIR, PASSWORD);
    // How much of the fifteen minutes is left depends on the moment.
    let seconds = answer.header("retry-after").unwrap().to_owned();
    let mut whole = answer.without("retry-after");
    whole.body = answer.text().replace(&seconds, "900").into_bytes();
    assert_in_table(429, &whole);
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let broken = place.serve(&[]);
    let lock = place.lock();
    let answer = broken.login(JWEIR, PASSWORD);
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_in_table(503, &answer);
    drop(lock);
    place.sql().execute_batch("DROP TABLE tokens").unwrap();
    assert_in_table(500, &broken.login(JWEIR, PASSWORD));
}

#[track_caller]
fn assert_in_table(status: u16, answer: &Answer) {
    assert_eq!(answer.status, status, "{answer:?}");
    let expected = [status.to_string(), format!("`{}`", answer.text())];
    let found = rows(3)
        .iter()
        .any(|cells| cells[0] == expected[0] && cells[2] == expected[1]);
    assert!(found, "README's table of answers lacks {answer:?}");
}

#[test]
fn every_demo_account_answers_as_the_table_says() {
    let server = Server::demo();
    let accounts: Vec<_> = rows(3)
        .into_iter()
        .filter(|cells| cells[0].contains("@projectthanos.com"))
        .collect();
    assert_eq!(accounts.len(), 5);
    for cells in accounts {
        let answer = server.login(code(cells[0])[0], code(cells[1])[0]);
        let status = answer.status.to_string();
        assert!(cells[2].starts_with(&status), "{cells:?}: {answer:?}");
    }
}

#[test]
fn the_table_of_flags_is_what_the_help_says() {
    let help = Place::new().run(&["serve", "-h"]).succeeded().stdout;
    let between = |text: &str, start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    let mut told: Vec<String> = Vec::new();
    for text in help.split("\n      --").skip(1) {
        let flag = format!("--{}", text.split_whitespace().next().unwrap());
        let Some(variable) = between(text, "[env: ", "=") else {
            panic!("{flag} has no variable");
        };
        let row = rows(4)
            .into_iter()
            .find(|cells| cells[0] == format!("`{flag}`"))
            .unwrap_or_else(|| panic!("README's table lacks {flag}"));
        assert_eq!(row[1], format!("`{variable}`"), "{flag}");
        let default = between(text, "[default: ", "]").unwrap_or_default();
        // What is not a value is described in words.
        let values = default.split(", with --demo ");
        let values: Vec<&str> = values
            .filter(|text| !text.is_empty() && !text.contains(' '))
            .collect();
        let in_table = code(row[2]).into_iter();
        let in_table: Vec<&str> = in_table.filter(|text| *text != "--demo").collect();
        assert_eq!(in_table, values, "{flag}");
        told.push(format!("`{flag}`"));
    }
    for cells in rows(4) {
        let is_flag = cells[1].starts_with("`THANOS_LOGIN_");
        assert!(!is_flag || told.contains(&cells[0].to_owned()), "{cells:?}");
    }
    assert!(told.len() > 20, "{told:?}");
}

#[test]
fn every_test_that_shows_a_defence_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for directory in ["tests", "src"] {
        gather(&root.join(directory), &mut sources);
    }
    let named: Vec<&str> = rows(3)
        .into_iter()
        .flat_map(|cells| code(cells[2]))
        .filter(|text| text.contains("::"))
        .collect();
    assert!(named.len() > 10, "{named:?}");
    for path in named {
        let name = path.rsplit("::").next().unwrap();
        assert!(sources.contains(&format!("fn {name}(")), "{path}");
    }
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
