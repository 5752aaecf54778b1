//! `/openapi.json` of a demo and of a real server: its content, and how tools work with it.
//!
//! The tools are where `.ci/run` installs them: Python's in PATH, Node's in `target/ci/clients` or NODE_PATH.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::{STUB_CALLS, get, login_with, put_next};
use crate::harness::accounts;
use crate::harness::{Place, Server, description, request};

const FILE: &str = "description.json";

fn description_at(server: &Server, host: &str) -> Value {
    let answer = server.send(format!(
        "GET /openapi.json HTTP/1.1\r\nHost: {host}\r\n\r\n"
    ));
    assert_eq!(answer.status, 200);
    answer.json()
}

fn real() -> Server {
    Place::seeded(&accounts::retailer([])).serve(&[])
}

#[test]
fn the_description_names_the_address_that_the_client_uses() {
    let server = Server::demo();
    for host in ["localhost:8080", "127.0.0.1", "[::1]:1"] {
        let servers = json!([{"url": format!("http://{host}")}]);
        assert_eq!(description_at(&server, host)["servers"], servers);
    }
    let without_host = server.send("GET /openapi.json HTTP/1.0\r\n\r\n");
    assert_eq!(without_host.json()["servers"], json!([{"url": "/"}]));
    let mut connection = server.connect();
    connection.send(request("HEAD", "/openapi.json", &[], ""));
    assert_eq!(connection.answer_to_head().status, 200);
    let real = description_at(&real(), "shop.example");
    assert_eq!(real["servers"], json!([{"url": "/"}]));
}

#[test]
fn each_call_has_a_name_a_tag_and_a_text_and_only_a_demo_describes_the_stub() {
    let demo = description_at(&Server::demo(), "localhost");
    let real = get(&real(), "/openapi.json");
    for word in ["__stub", "X-Stub", "Prefer"] {
        assert!(!real.text().contains(word), "{word}");
    }
    for description in [&demo, &real.json()] {
        description::check_examples(description);
        let tags = description["tags"].as_array().unwrap().iter();
        let tags: BTreeSet<_> = tags.map(|tag| tag["name"].as_str().unwrap()).collect();
        let mut names = BTreeSet::new();
        for (path, item) in description["paths"].as_object().unwrap() {
            assert!(item.get("head").is_none(), "{path}");
            let calls = item.as_object().unwrap().iter();
            for (method, call) in calls.filter(|(name, _)| *name != "parameters") {
                let name = call["operationId"].as_str().unwrap();
                assert!(names.insert(name), "{method} {path}");
                assert!(tags.contains(call["tags"][0].as_str().unwrap()), "{name}");
                assert!(call["summary"].is_string(), "{name}");
                assert!(call["description"].is_string(), "{name}");
            }
        }
    }
    for (path, methods) in STUB_CALLS {
        for method in methods.iter().filter(|method| **method != "HEAD") {
            let path = path.replace("somebody", "{username}");
            let call = &demo["paths"][&path][method.to_ascii_lowercase()];
            assert!(call.is_object(), "{method} {path}");
        }
    }
}

#[test]
fn what_a_generated_client_sends_by_itself_forces_no_answer() {
    let server = Server::demo();
    put_next(&server, r#"{"code":503}"#);
    let fields = [("X-Stub-Delay", "0"), ("X-Stub-Fault", "none")];
    assert_eq!(login_with(&server, &fields).status, 503);
    assert_eq!(login_with(&server, &fields).status, 200);
    assert_eq!(login_with(&server, &fields[1..]).status, 200);
    let fields = [
        ("X-Stub-Delay", "1"),
        ("X-Stub-Fault", "none"),
        ("Prefer", "code=401"),
    ];
    assert_eq!(login_with(&server, &fields).status, 401);
}

fn modules() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    env::var_os("NODE_PATH").map_or_else(
        || root.join("target/ci/clients/node_modules"),
        PathBuf::from,
    )
}

/// A command that runs a program of a Node package.
fn node_program(name: &str) -> Command {
    Command::new(modules().join(".bin").join(name))
}

/// The path of a file in `tests/clients`.
fn client_file(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("tests/clients").join(name)
}

#[track_caller]
fn run(place: &Place, command: &mut Command) -> String {
    let output = command
        .current_dir(place.path(""))
        .env("NODE_PATH", modules())
        .env("PYTHONPATH", place.path(""))
        .env("REDOCLY_TELEMETRY", "off")
        .env("REDOCLY_SUPPRESS_UPDATE_NOTICE", "true")
        .output()
        .unwrap();
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{printed}\n{errors}");
    printed
}

/// A directory that contains the description of a server, and the server's address.
fn with_description(server: &Server) -> (Place, String) {
    let place = Place::new();
    let host = server.address().to_string();
    place.write(FILE, description_at(server, &host).to_string());
    (place, format!("http://{host}"))
}

#[test]
#[ignore = "needs redocly and spectral"]
fn linters_find_nothing() {
    for server in [Server::demo(), real()] {
        let (place, _) = with_description(&server);
        let mut redocly = node_program("redocly");
        redocly.args(["lint", FILE, "--format=json", "--config"]);
        let found = run(&place, redocly.arg(client_file("redocly.yaml")));
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(found["problems"], json!([]));
        let mut spectral = node_program("spectral");
        spectral.args(["lint", FILE, "--fail-severity=hint", "--ruleset"]);
        run(&place, spectral.arg(client_file("spectral.yaml")));
    }
}

#[test]
#[ignore = "needs openapi-python-client"]
fn a_generated_python_client_works() {
    let server = Server::demo();
    let (place, url) = with_description(&server);
    let mut generator = Command::new("openapi-python-client");
    generator.args(["generate", "--meta=none", "--fail-on-warning"]);
    generator.args(["--path", FILE, "--output-path", "generated"]);
    run(&place, &mut generator);
    let mut python = Command::new("python3");
    run(&place, python.arg(client_file("python.py")).arg(url));
}

#[test]
#[ignore = "needs openapi-typescript and openapi-fetch"]
fn a_typed_javascript_client_works() {
    let server = Server::demo();
    let (place, url) = with_description(&server);
    symlink(modules(), place.path("node_modules")).unwrap();
    fs::copy(client_file("typed.ts"), place.path("typed.ts")).unwrap();
    place.write("package.json", r#"{"type":"module"}"#);
    let mut generator = node_program("openapi-typescript");
    run(&place, generator.args([FILE, "-o", "description.ts"]));
    let mut compiler = node_program("tsc");
    compiler.args(["--strict", "--module", "nodenext", "--target", "es2022"]);
    run(&place, compiler.args(["--types", "node", "typed.ts"]));
    run(&place, Command::new("node").args(["typed.js", &url]));
}

#[test]
#[ignore = "needs openapi-to-postmanv2 and newman"]
fn a_postman_collection_works() {
    let server = Server::demo();
    let (place, _) = with_description(&server);
    let mut converter = node_program("openapi2postmanv2");
    run(
        &place,
        converter.args(["-s", FILE, "-o", "collection.json"]),
    );
    let mut node = Command::new("node");
    run(
        &place,
        node.arg(client_file("postman.cjs")).arg("collection.json"),
    );
}
