//! Tests of the next steps that a demo prints at a terminal.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;
use rexpect::session::{PtySession, spawn_command};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::process::PROGRAM;
use crate::harness::{DEADLINE, Place};

/// A terminal in which a shell has started the program. `rest` contains the arguments and redirections.
fn terminal(place: &Place, rest: &str) -> PtySession {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("exec {PROGRAM} {rest}")])
        .current_dir(place.path(""))
        .envs(place.variable());
    spawn_command(command, Some(DEADLINE.as_millis().try_into().unwrap())).unwrap()
}

/// The whole output of a server that is stopped as soon as it is ready.
fn output_of(place: &Place, rest: &str) -> String {
    let mut terminal = terminal(place, rest);
    let before = terminal.exp_string("listening on ").unwrap();
    terminal.process_mut().signal(Signal::SIGTERM).unwrap();
    let after = terminal.exp_eof().unwrap();
    format!("{before}listening on {after}").replace("\r\n", "\n")
}

const DEMO: &str = "serve --demo --listen 127.0.0.1:0";

#[test]
fn a_demo_at_a_terminal_prints_the_address_of_its_page_an_account_and_a_login_by_curl() {
    let shown = output_of(&Place::new(), DEMO);
    let (_, address) = shown.split_once("listening on ").unwrap();
    let address = address.lines().next().unwrap();
    let expected = format!(
        r#"
The accounts and the last requests, in a browser:
  {address}/

A login as {JWEIR}, whose password is {PASSWORD}:
  curl {address}/api/organizations/user-login/ \
      -H 'Content-Type: application/json' \
      -d '{{"password":"{PASSWORD}","username":"{JWEIR}"}}'
"#
    );
    assert!(shown.contains(&expected), "{shown}");
    // Nothing took long enough for a bar of progress.
    assert!(!shown.contains("\x1b[2K"), "{shown:?}");
}

#[test]
fn the_printed_account_is_active_and_the_printed_address_can_be_reached() {
    let place = Place::new();
    let user = |username: &str, password: &str, status: &str| serde_json::json!({"username": username, "password": password, "status": status});
    let mut inactive = accounts::retailer([user("a@shop.example", "violet kettle", "ACTIVE")]);
    inactive["organizations"][0]["status"] = "DEACTIVATED".into();
    let mut fixture = accounts::retailer([
        user("b@shop.example", "violet kettle", "DEACTIVATED"),
        user("c@shop.example", "it's \u{1b}[2J\u{9b}", "ACTIVE"),
    ]);
    fixture["organizations"][0]["name"] = "Corner Shop".into();
    let organizations = fixture["organizations"].as_array_mut().unwrap();
    organizations.insert(0, inactive["organizations"][0].clone());
    place.write("accounts.json", fixture.to_string());

    let args = "serve --demo --fixture accounts.json --allow-remote-demo --listen 0.0.0.0:0";
    let shown = output_of(&place, args);
    for expected in [
        r"A login as c@shop.example, whose password is it's \u{1b}[2J\u{9b}:",
        r#"-d '{"password":"it'\''s \u001b[2J\u009b","username":"c@shop.example"}'"#,
        "curl http://127.0.0.1:",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
fn next_steps_are_not_printed_to_a_file_with_quiet_or_by_a_real_server() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    for rest in [
        &format!("{DEMO} 2>log.txt"),
        &format!("{DEMO} --quiet"),
        &format!("{DEMO} --log-format json"),
        "serve --listen 127.0.0.1:0",
    ] {
        let shown = output_of(&place, rest);
        assert!(!shown.contains("curl"), "{rest}: {shown}");
    }
    assert!(
        !fs::read_to_string(place.path("log.txt"))
            .unwrap()
            .contains("curl")
    );
}

#[test]
fn a_name_that_may_not_resolve_is_given_to_curl_with_its_address_and_not_to_a_browser() {
    let args = format!("{DEMO} --tls-self-signed login.shop.example");
    let shown = output_of(&Place::new(), &args);
    for expected in [
        "in a browser:\n  https://127.0.0.1:",
        " --resolve login.shop.example:",
    ] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
}

#[test]
#[ignore = "needs curl"]
fn the_printed_command_logs_in_over_http_tls_and_a_socket_file() {
    for args in [
        DEMO.to_owned(),
        format!("{DEMO} --tls-self-signed login.shop.example"),
        format!("{DEMO} --tls-self-signed 127.0.0.1"),
        "serve --demo --tls-self-signed localhost --listen '[::]:0' --allow-remote-demo".to_owned(),
        "serve --demo --listen 'unix:it is.sock'".to_owned(),
    ] {
        let place = Place::new();
        let mut terminal = terminal(&place, &args);
        let (_, command) = terminal
            .exp_regex(r"curl [^\n]+\n[^\n]+\n +-d '[^\n]+")
            .unwrap();
        let output = Command::new("sh")
            .args(["-c", &command.replace("\r", "")])
            .current_dir(place.path(""))
            .output()
            .unwrap();
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(
            answer.starts_with(r#"{"auth_token":"#),
            "{command}: {answer}"
        );
        terminal.process_mut().signal(Signal::SIGTERM).unwrap();
        terminal.exp_eof().unwrap();
    }
}
