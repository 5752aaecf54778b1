//! The examples of each page.
//!
//! A `sh` block is run in a directory of its own, one for all blocks of a page. A `text` or `json` block that comes next is what
//! it prints, where `…` is anything. A block that serves goes on serving for those below. Only the ports are replaced.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Page, package};
use crate::harness::page::assert_shows;
use crate::harness::{Place, Server};

const PORTS: [&str; 2] = ["8080", "8443"];

/// Blocks that start with these need what is not everywhere: HTTPie has a test below, the files of a release have theirs in
/// `packages::one_line`.
const NEED_MORE: [&str; 4] = ["http ", "pip install ", "npx ", "docker load "];

/// What runs these tests.
const TESTS: &str = "cargo test\n";

/// A directory in which `thanos-login` is the program.
pub(super) fn checkout() -> Place {
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

/// Runs a script with the port of a server, if there is one, in place of the one it names; gives what it prints.
fn run(
    place: &Place,
    program: &str,
    args: &[&str],
    script: &str,
    server: Option<&Server>,
) -> String {
    let path = env::var("PATH").unwrap();
    let bin = place.path("bin").into_os_string().into_string().unwrap();
    let script = server.map_or_else(|| script.to_owned(), |it| with_port(script, port(it)));
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
    let block = block.strip_suffix(TESTS).unwrap_or(block);
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

/// Runs the shell examples of a page; gives how many there are.
#[track_caller]
fn run_page(name: &'static str) -> usize {
    let place = checkout();
    let mut server = None;
    let mut count = 0;
    for (block, shown) in Page::read(name).examples() {
        let needs_more = NEED_MORE.iter().any(|it| block.text.starts_with(it));
        if block.language != "sh" || needs_more || block.heading == package::HEADING {
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
            None => run(&place, "sh", &["-euc"], &block.text, server.as_ref()),
        };
        let shown = shown.unwrap_or_default();
        assert_shows(&shown, &printed, &block.text);
    }
    count
}

#[test]
fn readme_does_what_it_shows() {
    assert!(run_page("README.md") >= 2);
}

#[test]
fn the_page_about_the_api_does_what_it_shows() {
    assert!(run_page("docs/api.md") >= 3);
}

#[test]
fn the_page_about_the_stub_does_what_it_shows() {
    assert!(run_page("docs/stub.md") >= 1);
}

#[test]
fn the_page_about_accounts_does_what_it_shows() {
    assert!(run_page("docs/accounts.md") >= 5);
}

#[test]
fn the_page_about_operating_does_what_it_shows() {
    assert!(run_page("docs/operating.md") >= 6);
}

#[test]
fn the_pages_without_examples_have_none() {
    for name in ["docs/performance.md", "docs/security.md"] {
        assert_eq!(run_page(name), 0, "{name}");
    }
}

#[test]
#[ignore = "needs HTTPie"]
fn the_httpie_example_logs_in() {
    let page = Page::read("docs/api.md");
    let (block, _) = page.example("sh", "http ");
    let (_, published) = page.example("sh", "curl");
    let server = Server::demo();
    let printed = run(&checkout(), "sh", &["-euc"], &block.text, Some(&server));
    let printed: Value = serde_json::from_str(&printed).unwrap();
    let published: Value = serde_json::from_str(&published.unwrap()).unwrap();
    assert_eq!(printed, published);
}

#[test]
#[ignore = "needs Python's Requests"]
fn the_python_example_logs_in() {
    let (block, shown) = Page::read("docs/api.md").example("python", "");
    let server = Server::demo();
    let printed = run(&checkout(), "python3", &["-c"], &block.text, Some(&server));
    assert_shows(&shown.unwrap(), &printed, &block.text);
}

#[test]
#[ignore = "needs Node"]
fn the_node_example_logs_in() {
    let (block, shown) = Page::read("docs/api.md").example("javascript", "");
    let server = Server::demo();
    let args = ["--input-type=module", "--eval"];
    let printed = run(&checkout(), "node", &args, &block.text, Some(&server));
    assert_shows(&shown.unwrap(), &printed, &block.text);
}
