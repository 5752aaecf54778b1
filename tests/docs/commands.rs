//! The tables of flags and commands, held against `--help`.

use serde_json::{Map, Value, json};

use super::{Page, code};
use crate::harness::Place;
use crate::harness::accounts::{self, PASSWORD};

#[test]
fn the_table_of_flags_is_what_the_help_says() {
    let help = Place::new().run(&["serve", "-h"]).succeeded().stdout;
    let between = |text: &str, start: &str, end: &str| {
        let (_, rest) = text.split_once(start)?;
        Some(rest.split_once(end)?.0.to_owned())
    };
    let page = Page::read("docs/operating.md");
    let rows = page.rows(&["flag", "variable", "default"]);
    let mut flags: Vec<String> = Vec::new();
    for text in help.split("\n      --").skip(1) {
        let flag = format!("--{}", text.split_whitespace().next().unwrap());
        let Some(variable) = between(text, "[env: ", "=") else {
            panic!("{flag} has no variable");
        };
        let row = rows
            .iter()
            .find(|cells| cells[0] == format!("`{flag}`"))
            .unwrap_or_else(|| panic!("the tables lack {flag}"));
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
        flags.push(format!("`{flag}`"));
    }
    assert!(flags.len() > 20, "{flags:?}");
    for cells in &rows {
        assert!(flags.contains(&cells[0].to_owned()), "{cells:?}");
    }
    assert_eq!(rows.len(), flags.len());
}

/// The help of a command such as `thanos-login user add`.
#[track_caller]
fn help(command: &str) -> String {
    let words = command.trim_start_matches("thanos-login ").split(' ');
    let words: Vec<&str> = words
        .take_while(|word| word.starts_with(char::is_lowercase))
        .collect();
    let args = [words, vec!["--help"]].concat();
    Place::new().run(&args).succeeded().stdout
}

fn has_word(text: &str, word: &str) -> bool {
    let is_part = |character: char| character.is_alphanumeric() || "-_".contains(character);
    text.split(|character| !is_part(character))
        .any(|it| it == word)
}

#[test]
fn the_table_of_commands_has_all_with_flags_that_their_help_has() {
    let page = Page::read("docs/operating.md");
    let rows = page.rows(&["command", "what it does", "flags"]);
    let mut named = Vec::new();
    for cells in &rows {
        for command in code(cells[0]) {
            let mut help = help(command);
            if has_word(&help, "list") {
                // A group: its flags are those of its commands.
                help = self::help(&format!("{command} list"));
            }
            for flag in cells.get(2).map(|cell| code(cell)).unwrap_or_default() {
                assert!(has_word(&help, flag), "{command} {flag}");
            }
            let command = command.trim_start_matches("thanos-login ");
            named.push(command.split(' ').next().unwrap());
        }
    }
    // Tables of their own have the flags of `serve`.
    named.extend(["serve", "help"]);
    let help = help("thanos-login ");
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    for line in listed.lines() {
        let command = line.split_whitespace().next().unwrap();
        assert!(named.contains(&command), "the table lacks {command}");
    }
}

#[test]
fn the_table_of_json_fields_is_what_commands_print() {
    let pinned = json!({"username": "ann", "password": PASSWORD, "auth_token": "5".repeat(40)});
    let place = Place::seeded(&accounts::retailer([pinned]));
    let export = place.path("users.csv").display().to_string();
    place.run(&["user", "export", &export]).succeeded();
    let keys = |args: &[&str]| -> Vec<String> {
        let printed = place.run(&[args, &["--json"]].concat()).stdout;
        let first = printed.lines().next().unwrap();
        let object: Map<String, Value> = serde_json::from_str(first).unwrap();
        object.keys().cloned().collect()
    };
    let printed = [
        keys(&["org", "list"]),
        keys(&["user", "list"]),
        keys(&["token", "list"]),
        keys(&["events", "list"]),
        [
            keys(&["token", "purge"]),
            keys(&["token", "revoke", "--user", "ann"]),
        ]
        .concat(),
        keys(&["user", "import", &export]),
        keys(&["check", "--bcrypt-cost", "15"]),
    ];
    let page = Page::read("docs/accounts.md");
    let rows = page.rows(&["command", "fields"]);
    assert_eq!(rows.len(), printed.len());
    for (cells, printed) in rows.iter().zip(printed) {
        let (always, _) = cells[1].split_once("; with").unwrap_or((cells[1], ""));
        let mut fields = code(always);
        fields.sort_unstable();
        // serde_json sorts the keys of what it reads.
        assert_eq!(fields, printed, "{cells:?}");
    }
}
