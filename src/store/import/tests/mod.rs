//! Helpers for the tests of imports: a database in a temporary directory, and accounts as read from a file.

mod batches;
mod rules;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Import, ImportOutcome, Imported, MAX_SMALL_IMPORT, Pins, RowCounts};
use crate::account::Username;
use crate::accounts::{Accounts, Finding, Loaded, RecordPlace, User, UserEntry};
use crate::store::engine::sqlite::visible::define_views;
use crate::store::{Actor, Durability, Store, WhenMissing};

const HASH: &str = "$2b$04$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK";
const OTHER_HASH: &str = "$2b$12$OTinFQvZf86.x6X.BWihze9hmRHAs/xy87L31YuBPvcw1.cpWCiOm";

struct Database {
    directory: TempDir,
    store: Store,
}

impl Database {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = open(&directory.path().join("one.db"));
        Self { directory, store }
    }

    /// A database that contains these accounts.
    fn with(accounts: Accounts) -> Self {
        let database = Self::new();
        database.import(accounts);
        database
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("one.db")
    }

    fn sql(&self) -> Connection {
        let connection = Connection::open(self.path()).unwrap();
        define_views(&connection).unwrap();
        connection
    }

    fn number(&self, query: &str) -> i64 {
        self.sql().query_one(query, [], |row| row.get(0)).unwrap()
    }

    #[track_caller]
    fn import(&self, accounts: Accounts) -> Imported {
        self.try_import(accounts, Pins::Remove).unwrap()
    }

    fn try_import(&self, accounts: Accounts, pins: Pins) -> ImportOutcome {
        let import = import_of(accounts, pins);
        self.store.import(import, now()).unwrap()
    }

    /// All content, without the ids of rows and imports.
    fn dump(&self) -> Vec<Vec<SqlValue>> {
        dump(&self.sql())
    }

    /// Asserts that `login_costs` agrees with the users.
    #[track_caller]
    fn assert_balanced(&self) {
        let wrong = self.number(
            "SELECT count(*) FROM login_costs WHERE users <> (
                 SELECT count(*) FROM users JOIN organizations ON organizations.id = users.org_id
                 WHERE users.cost = login_costs.cost AND users.status = 'ACTIVE' AND organizations.status = 'ACTIVE')",
        );
        assert_eq!(wrong, 0);
    }
}

fn open(path: &Path) -> Store {
    let (store, _) = Store::open(path, WhenMissing::Create, Durability::Full).unwrap();
    store.with_actor(actor())
}

fn actor() -> Actor {
    Actor {
        system_user: "operator".into(),
        command: "user import",
    }
}

fn import_of(accounts: Accounts, pins: Pins) -> Import {
    Import {
        accounts,
        pins,
        file: "users.csv".to_owned(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_000_000_000).unwrap()
}

fn dump(connection: &Connection) -> Vec<Vec<SqlValue>> {
    let mut rows = Vec::new();
    for query in [
        "SELECT * FROM imports",
        "SELECT cost, users FROM login_costs",
        "SELECT organizations.uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date, active_date,
                people.uuid, first_name, last_name, email, phone
         FROM visible_organizations AS organizations LEFT JOIN people ON people.id = account_manager_id ORDER BY 1",
        "SELECT users.uuid, organizations.uuid, username, password_hash, loaded_hash_digest, loaded_password_hash,
                users.status, revision,
                people.uuid, first_name, last_name, email, phone
         FROM visible_users AS users
         JOIN organizations ON organizations.id = users.org_id JOIN people ON people.id = person_id ORDER BY 1",
        "SELECT uuid, name, display_name, description FROM permissions ORDER BY 1",
        "SELECT users.uuid, position, permissions.uuid, assigned FROM permission_assignments
         JOIN users ON users.id = user_id JOIN permissions ON permissions.id = permission_id ORDER BY 1, 2",
        "SELECT digest, users.uuid, pinned FROM tokens JOIN users ON users.id = user_id ORDER BY 1",
        "SELECT count(*) FROM people",
        "SELECT time, action, actor, user_uuid, org_uuid, object, before, after FROM visible_events ORDER BY id",
        "SELECT count(*) FROM events",
    ] {
        let mut statement = connection.prepare(query).unwrap();
        let columns = statement.column_count();
        let found = statement
            .query_map([], |row| (0..columns).map(|column| row.get(column)).collect())
            .unwrap();
        rows.extend(found.map(Result::unwrap));
    }
    rows
}

/// The accounts of a fixture.
fn fixture(organizations: Value) -> Accounts {
    let mut accounts = Accounts::default();
    for (index, organization) in organizations.as_array().unwrap().iter().enumerate() {
        for (number, user) in organization["users"].as_array().unwrap().iter().enumerate() {
            let place = RecordPlace::User(index, number);
            accounts.users.push(entry(place, user.clone()));
        }
        let organization = serde_json::from_value(organization.clone()).unwrap();
        accounts
            .organizations
            .push((RecordPlace::Organization(index), organization));
    }
    accounts
}

/// The accounts of lines of JSON.
fn lines(users: impl IntoIterator<Item = Value>) -> Accounts {
    let users = (1..).zip(users);
    Accounts {
        organizations: Vec::new(),
        users: users
            .map(|(line, user)| entry(RecordPlace::Line(line), user))
            .collect(),
    }
}

fn entry(place: RecordPlace, user: Value) -> UserEntry {
    let user: User = serde_json::from_value(user).unwrap();
    let loaded = Loaded::GivenHash;
    UserEntry {
        place,
        user,
        loaded,
    }
}

fn retailer(name: &str, users: impl IntoIterator<Item = Value>) -> Value {
    let users: Vec<Value> = users.into_iter().collect();
    json!({"name": name, "org_type": "RETAILER", "users": users})
}

fn user(username: &str) -> Value {
    json!({"username": username, "password_hash": HASH})
}

/// Enough users for an import in batches.
fn many() -> impl Iterator<Item = Value> {
    (0..MAX_SMALL_IMPORT * 2).map(|number| user(&format!("many{number}")))
}

fn summary(added: usize, changed: usize, unchanged: usize) -> RowCounts {
    RowCounts {
        added,
        changed,
        unchanged,
    }
}

fn name(text: &str) -> Username {
    text.parse().unwrap()
}
