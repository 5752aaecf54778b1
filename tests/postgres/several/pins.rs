//! Pinned tokens that commands set and remove while servers answer with them.

use serde_json::{Value, json};

use super::{Several, at_once, is_good};
use crate::harness::accounts::{self, JWEIR, PASSWORD, QUICK_HASH};

const PINS: [&str; 5] = [
    "1111111111111111111111111111111111111111",
    "2222222222222222222222222222222222222222",
    "3333333333333333333333333333333333333333",
    "4444444444444444444444444444444444444444",
    "5555555555555555555555555555555555555555",
];

fn pinned(token: Option<&str>) -> Value {
    let user = json!({"username": JWEIR, "password_hash": QUICK_HASH, "auth_token": token});
    accounts::retailer([user])
}

/// A database without pinned tokens, a file for each of [`PINS`], and a file that removes the pin.
fn several() -> Several {
    let several = Several::start(&accounts::retailer([accounts::user(JWEIR)]));
    for (number, pin) in PINS.iter().enumerate() {
        let name = format!("{number}.json");
        several.place.write(&name, pinned(Some(pin)).to_string());
    }
    several.place.write("none.json", pinned(None).to_string());
    several
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_pinned_token_that_is_set_or_removed_while_the_user_logs_in_takes_effect_at_once() {
    let several = several();
    for (file, pin) in [
        ("0.json", Some(PINS[0])),
        ("1.json", Some(PINS[1])),
        ("none.json", None),
    ] {
        let [_, meanwhile, after] = several.logins_beside(&[JWEIR.to_owned()], || {
            several.run(&["seed", file]);
        });
        let answers = meanwhile.iter().chain(&after);
        assert!(answers.into_iter().all(|answer| answer.status == 200));
        for token in after.iter().map(|answer| answer.token()) {
            assert!(is_good(&several, &token));
            match pin {
                Some(pin) => assert_eq!(token, pin),
                None => assert!(!PINS.contains(&&*token)),
            }
        }
        for other in PINS {
            assert_eq!(
                is_good(&several, other),
                Some(other) == pin,
                "{file}: {other}"
            );
        }
    }
    several.assert_no_conflict();
}

#[test]
#[ignore = "needs PostgreSQL"]
fn of_different_pinned_tokens_that_are_set_at_once_one_is_valid() {
    let several = several();
    for _ in 0..3 {
        at_once(PINS.len(), |number| {
            several.run(&["seed", &format!("{number}.json")])
        });
        assert_eq!(
            several.sql("SELECT count(*) FROM tokens WHERE pinned IS NOT NULL"),
            "1"
        );
        let tokens = at_once(5, |number| {
            several.servers[number].login(JWEIR, PASSWORD).token()
        });
        assert!(PINS.contains(&&*tokens[0]));
        for pin in PINS {
            assert!(
                tokens
                    .iter()
                    .all(|token| (token == pin) == (pin == tokens[0]))
            );
            assert_eq!(is_good(&several, pin), pin == tokens[0], "{pin}");
        }
    }
    several.assert_no_conflict();
}
