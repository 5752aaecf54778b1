//! The stub's page, and pages of other origins, in Chromium. Each of these tests runs a script of `tests/browser` with Node.
//!
//! playwright-core and axe-core are in `NODE_PATH` or where `.ci/run` installs them. `CHROMIUM` is the path of the browser, by
//! default that of Debian. `SCREENSHOTS` is a directory for pictures of the page.

use std::env;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::get;
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Place, Server};

fn run(script: &str, server: &Server) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let modules = env::var_os("NODE_PATH")
        .unwrap_or_else(|| root.join("target/ci/browser/node_modules").into());
    let output = Command::new("node")
        .arg(root.join("tests/browser").join(script))
        .arg(format!("http://{}/", server.address()))
        .args(env::var_os("SCREENSHOTS"))
        .env("NODE_PATH", modules)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
#[ignore = "needs chromium"]
fn a_person_can_use_the_page() {
    run("page.cjs", &Server::demo());
}

#[test]
#[ignore = "needs chromium"]
fn the_page_is_accessible_and_fits_phones_in_light_and_dark_mode() {
    run("appearance.cjs", &Server::demo());
}

#[test]
#[ignore = "needs chromium"]
fn every_control_of_the_page_works_by_keyboard_with_a_visible_focus() {
    run("keyboard.cjs", &Server::demo());
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_lets_pages_of_this_machine_call_and_no_others() {
    run("cors.cjs", &Server::demo());
}

#[test]
#[ignore = "needs chromium"]
fn a_browser_that_retries_silently_sees_a_fault() {
    run("fault.cjs", &Server::demo());
}

#[test]
fn the_page_may_load_and_run_nothing_but_itself() {
    let answer = get(&Server::demo(), "/");
    assert_eq!(answer.status, 200);
    assert_eq!(
        answer.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    let policy = answer.header("content-security-policy").unwrap();
    for directive in [
        "default-src 'none'",
        "connect-src 'self'",
        "script-src 'sha256-",
        "style-src 'sha256-",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ] {
        assert!(policy.contains(directive), "{directive} in {policy}");
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(!answer.text().contains("https://"));
}

#[test]
fn the_page_contains_the_version_the_token_lifetime_and_the_pinned_usernames() {
    let pinned = json!({"username": JWEIR, "password": PASSWORD, "auth_token": "5".repeat(40)});
    let fixture = accounts::retailer([pinned, accounts::user("fresh")]);
    let server = Place::new().serve_demo(&fixture, &["--token-ttl", "90s"]);
    let page = get(&server, "/").text().to_owned();
    for part in [
        concat!("version ", env!("CARGO_PKG_VERSION"), "<"),
        r#"data-token-ttl-ms="90000""#,
        r#"data-pinned="[&quot;jweir@projectthanos.com&quot;]""#,
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("{{"), "{page}");
}
