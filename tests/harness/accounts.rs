//! Fixtures to start from, with hashes that cost nothing to verify or to load.

use serde_json::{Value, json};

pub const JWEIR: &str = "jweir@projectthanos.com";
pub const PASSWORD: &str = "thanosrocks";

/// A hash of [`PASSWORD`] at the lowest cost there is.
pub const QUICK_HASH: &str = "$2b$04$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK";

/// A hash of [`PASSWORD`] at the default cost of a server: a login with it takes a while.
pub const SLOW_HASH: &str = "$2b$12$OTinFQvZf86.x6X.BWihze9hmRHAs/xy87L31YuBPvcw1.cpWCiOm";

/// A retailer with these users.
pub fn retailer(users: impl IntoIterator<Item = Value>) -> Value {
    json!({"organizations": [organization("projectthanos", users)]})
}

pub fn organization(name: &str, users: impl IntoIterator<Item = Value>) -> Value {
    let users: Vec<Value> = users.into_iter().collect();
    json!({"name": name, "org_type": "RETAILER", "users": users})
}

/// A user whose password is [`PASSWORD`].
pub fn user(username: &str) -> Value {
    json!({"username": username, "password_hash": QUICK_HASH})
}

/// A retailer with the user [`JWEIR`], whose login takes a while.
pub fn slow() -> Value {
    retailer([json!({"username": JWEIR, "password_hash": SLOW_HASH})])
}

/// A retailer with the user [`JWEIR`], whose login takes seconds on any machine: its hash has the highest cost there is.
pub fn slowest() -> Value {
    let hash = SLOW_HASH.replace("$12$", "$15$");
    retailer([json!({"username": JWEIR, "password_hash": hash})])
}

/// A retailer with the user [`JWEIR`], whose login takes a while, but ten of them take only seconds on a busy machine.
pub fn leisurely() -> Value {
    retailer([json!({"username": JWEIR, "password_hash": bcrypt::hash(PASSWORD, 10).unwrap()})])
}

/// The names of many users, for tests in which a single user would reach a limit.
pub fn crowd() -> Vec<String> {
    (0..64)
        .map(|number| format!("user{number}@projectthanos.com"))
        .collect()
}

/// A retailer with the users of [`crowd`].
pub fn crowded() -> Value {
    retailer(crowd().iter().map(|username| user(username)))
}
