//! The sources of passwords, and which passwords are accepted. None is ever shown, except a generated one, once.

use super::{at_a_terminal, json, run};
use crate::harness::{Finished, Place};

const GOOD: &str = "violet kettle ninety";
const ADD: [&str; 7] = [
    "user",
    "add",
    "jane@acme.com",
    "--org",
    "Acme",
    "--bcrypt-cost",
    "10",
];

fn acme() -> Place {
    let place = Place::new();
    run(&place, &["init"]);
    run(&place, &["org", "add", "Acme", "--type", "RETAILER"]);
    place
}

fn add_with(place: &Place, flags: &[&str], input: &str) -> Finished {
    let args = [&ADD[..], flags].concat();
    place.program(&args).input(input).finish()
}

#[test]
fn weak_passwords_are_refused_and_never_shown() {
    let place = acme();
    for (label, password, line) in [
        ("empty", "", "empty"),
        ("a line break only", "\n", "empty"),
        ("short", "kX9-vq2", "shorter than 8 bytes"),
        ("long", &"violet-kettle ".repeat(6), "longer than 72 bytes"),
        ("the username", "JANE@acme.com", "is the username"),
        ("guessable", "password1", "too easily guessed"),
    ] {
        let refused = add_with(&place, &["--password-stdin"], password);
        refused.failed_naming(label, line);
        assert!(
            password.trim().is_empty() || !refused.stderr.contains(password),
            "{label}"
        );
    }
    assert_eq!(place.number("SELECT count(*) FROM users"), 0);
    add_with(&place, &["--password-stdin", "--no-policy"], "a").succeeded();
    assert_eq!(place.serve(&[]).login("jane@acme.com", "a").status, 200);
}

#[test]
fn one_line_break_at_the_end_is_not_part_of_the_password_and_more_lines_are_refused() {
    let place = acme();
    for input in [
        format!("{GOOD}\n\n"),
        format!("\n{GOOD}\n"),
        format!("{GOOD}\nanother line\n"),
        format!("{GOOD}\r\n\r\n"),
    ] {
        let refused = add_with(&place, &["--password-stdin", "--no-policy"], &input);
        refused.failed_naming(&input, "more than one line");
        assert!(!refused.stderr.contains("violet"), "{refused:?}");
    }
    for input in ["", "\n", "\r\n", "\u{feff}"] {
        let refused = add_with(&place, &["--password-stdin", "--no-policy"], input);
        refused.failed_naming(input, "takes the password as its one line");
    }
    add_with(&place, &["--password-stdin"], &format!("{GOOD}\n")).succeeded();
    let server = place.serve(&[]);
    assert_eq!(server.login("jane@acme.com", GOOD).status, 200);
}

#[test]
fn a_byte_order_mark_is_not_part_of_the_password() {
    let place = acme();
    let piped = format!("\u{feff}{GOOD}\r\n");
    add_with(&place, &["--password-stdin"], &piped).succeeded();
    let server = place.serve(&[]);
    assert_eq!(server.login("jane@acme.com", GOOD).status, 200);
    let long = "violet kettles ".repeat(5);
    for (length, code) in [(72, 0), (73, 1)] {
        let piped = format!("\u{feff}{}\r\n", &long[..length]);
        let passwd = [
            "user",
            "passwd",
            "jane@acme.com",
            "--bcrypt-cost",
            "10",
            "--password-stdin",
        ];
        let set = place.program(&passwd).input(piped).finish();
        assert_eq!(set.code, Some(code), "{length}: {set:#?}");
    }
}

#[test]
fn a_generated_password_is_printed_once_and_logs_in() {
    let place = acme();
    let added = add_with(&place, &["--generate", "--json"], "").succeeded();
    let password = json(&added)["password"].as_str().unwrap().to_owned();
    assert_eq!(
        place.serve(&[]).login("jane@acme.com", &password).status,
        200
    );
    let shown = run(&place, &["user", "show", "jane@acme.com", "--json"]);
    assert!(!shown.stdout.contains(&password) && !shown.stdout.contains("hash"));
}

#[test]
fn a_password_is_not_accepted_as_an_argument_and_needs_a_terminal() {
    let place = acme();
    place
        .run(&[&ADD[..], &["--password", GOOD]].concat())
        .was_wrong_usage("as an argument");
    place
        .run(&[&ADD[..], &["--generate", "--password-stdin"]].concat())
        .was_wrong_usage("from two places");
    place
        .run(&ADD)
        .failed_naming("no terminal", "--password-stdin");
}

#[test]
fn a_terminal_asks_twice_without_showing_what_is_typed() {
    let place = acme();
    let mut terminal = at_a_terminal(&place, &ADD);
    let mut seen = terminal.exp_string("Password for jane@acme.com: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    seen += &terminal.exp_string("Repeat the password: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    seen += &terminal.exp_eof().unwrap();
    assert!(seen.contains("added the user jane@acme.com"), "{seen:?}");
    assert!(!seen.contains("violet"), "{seen:?}");
    assert_eq!(place.serve(&[]).login("jane@acme.com", GOOD).status, 200);

    let mut terminal = at_a_terminal(&place, &["user", "passwd", "jane@acme.com"]);
    terminal.exp_string("Password for jane@acme.com: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    terminal.exp_string("Repeat the password: ").unwrap();
    terminal.send_line("violet kettle nineteen").unwrap();
    terminal.exp_string("the two passwords differ").unwrap();
    terminal.exp_string("Password for jane@acme.com: ").unwrap();
}

#[test]
fn a_refused_password_is_explained_before_each_of_at_most_three_prompts() {
    let place = acme();
    let mut terminal = at_a_terminal(&place, &ADD);
    for problem in ["shorter than 8 bytes", "is the username"] {
        terminal.exp_string("Password for jane@acme.com: ").unwrap();
        let typed = match problem {
            "is the username" => "jane@acme.com",
            _ => "short",
        };
        terminal.send_line(typed).unwrap();
        let seen = terminal.exp_string(problem).unwrap();
        assert!(!seen.contains("again"), "{seen:?}");
    }
    terminal.exp_string("Password for jane@acme.com: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    terminal.exp_string("Repeat the password: ").unwrap();
    terminal.send_line(GOOD).unwrap();
    terminal.exp_string("added the user").unwrap();
    terminal.exp_eof().unwrap();

    let mut terminal = at_a_terminal(&place, &["user", "passwd", "jane@acme.com"]);
    for _ in 0..3 {
        terminal.exp_string("Password for jane@acme.com: ").unwrap();
        terminal.send_line("short").unwrap();
    }
    terminal
        .exp_string("thanos-login: the password is shorter")
        .unwrap();
    terminal.exp_eof().unwrap();
    assert_eq!(place.serve(&[]).login("jane@acme.com", GOOD).status, 200);
}
