//! The rules of an import: which values are written, which are kept, and which are refused.

use rusqlite::named_params;
use serde_json::{Value, json};

use super::*;

const TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
const UUID: &str = "3a7acb28-ab13-437e-8c35-46cf4f0bea49";
const OTHER_UUID: &str = "1d2e146c-a3df-4073-89c6-9ffc3061319c";
const PERSON_UUID: &str = "0b7c1d5e-5f0e-4a55-8a0c-1a5d1be6d1a2";
const SPARE_UUID: &str = "7c0a2f2e-1f5e-4c55-9a0c-3a5d1be6d1a1";

fn with(mut value: Value, key: &str, replacement: impl Into<Value>) -> Value {
    value[key] = replacement.into();
    value
}

/// Adds records to an import until there are so many that it is written in batches.
fn among_many(mut accounts: Accounts) -> Accounts {
    let others = fixture(json!([retailer("many", many())]));
    let first = accounts.organizations.len();
    for (_, organization) in others.organizations {
        let place = RecordPlace::Organization(first);
        accounts.organizations.push((place, organization));
    }
    for (number, entry) in others.users.into_iter().enumerate() {
        let place = RecordPlace::User(first, number);
        accounts.users.push(UserEntry { place, ..entry });
    }
    accounts
}

#[test]
fn a_new_row_gets_defaults_for_values_that_its_record_omits() {
    let database = Database::with(fixture(json!([retailer("one", [user("A@one.com")])])));
    let row: (String, String, String, Option<String>) = database
        .sql()
        .query_one(
            "SELECT users.uuid, people.uuid, users.status, email FROM users JOIN people ON people.id = person_id",
            [],
            |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
        )
        .unwrap();
    let described: User = serde_json::from_value(user("A@one.com")).unwrap();
    let username = name("A@one.com");
    assert_eq!(row.0, described.new_uuid(&username));
    assert_eq!(row.1, described.new_person_uuid(&username));
    assert_eq!(
        (row.2.as_str(), row.3.as_deref()),
        ("ACTIVE", Some("A@one.com"))
    );
    let organization = "SELECT count(*) FROM organizations
        WHERE status = 'ACTIVE' AND retailer_uuid IS NOT NULL AND created_date = 1000000000000000 AND active_date IS NULL";
    assert_eq!(database.number(organization), 1);
    database.assert_balanced();
}

#[test]
fn importing_the_same_file_again_changes_nothing_and_differences_are_written() {
    let organization = |user: Value| {
        fixture(
            json!([{"name": "one", "org_type": "RETAILER", "status": "PENDING", "uuid": OTHER_UUID,
                       "active_date": "2020-01-01T00:00:00.5Z", "account_manager": {"first_name": "Max"}, "users": [user]}]),
        )
    };
    let full = json!({"username": "a", "password_hash": HASH, "uuid": UUID, "status": "DEACTIVATED", "auth_token": TOKEN,
                      "person": {"uuid": PERSON_UUID, "first_name": "Ann", "phone": "1"},
                      "permissions": [{"name": "read", "assigned": false}, {"name": "write", "description": "w"}]});
    let database = Database::with(organization(full.clone()));
    let before = database.dump();
    for _ in 0..2 {
        let imported = database.import(organization(full.clone()));
        assert_eq!(imported.users, summary(0, 0, 1));
        assert_eq!(imported.organizations, summary(0, 0, 1));
    }
    // Omitted values are kept. A pinned token is kept too if the import asks for that.
    let least = json!({"username": "a"});
    for accounts in [lines([least.clone()]), lines([json!({"uuid": UUID})])] {
        let imported = database.try_import(accounts, Pins::Keep).unwrap();
        assert_eq!(imported.users, summary(0, 0, 1));
    }
    assert_eq!(database.dump(), before);
    for (key, value) in [
        ("username", json!("A")),
        ("status", json!("ACTIVE")),
        ("password_hash", json!(OTHER_HASH)),
        ("auth_token", json!(TOKEN.replace('a', "b"))),
        ("person", json!({"phone": "2"})),
        ("person", json!({"uuid": SPARE_UUID})),
        (
            "permissions",
            json!([{"name": "write", "description": "w"}]),
        ),
        (
            "permissions",
            json!([{"name": "read"}, {"name": "write", "description": "other"}]),
        ),
    ] {
        let changed = with(full.clone(), key, value);
        let imported = database.import(organization(changed.clone()));
        assert_eq!(imported.users, summary(0, 1, 0), "{changed}");
        assert_eq!(
            database.import(organization(changed)).users,
            summary(0, 0, 1)
        );
        assert_eq!(
            database.import(organization(full.clone())).users.changed,
            1,
            "{key}"
        );
        database.assert_balanced();
    }
    assert_eq!(database.number("SELECT count(*) FROM people"), 2);
}

/// The same accounts as an import in one transaction, and as one in batches.
fn few_and_many(accounts: impl Fn() -> Accounts) -> [Accounts; 2] {
    [accounts(), among_many(accounts())]
}

#[test]
fn omitted_values_keep_concurrent_changes_of_other_processes() {
    let file = || {
        fixture(json!([{"name": "one", "org_type": "RETAILER", "users": [
            {"username": "a", "uuid": UUID, "person": {"phone": "2"}}]}]))
    };
    for accounts in few_and_many(file) {
        let database = Database::with(fixture(json!([retailer(
            "one",
            [with(user("a"), "uuid", UUID)]
        )])));
        let pins = Pins::Keep;
        let import = import_of(accounts, pins);
        assert_eq!(database.store.check_import(&import).unwrap().findings, []);
        database
            .sql()
            .execute_batch(&format!(
                "UPDATE users SET status = 'DEACTIVATED', password_hash = '{OTHER_HASH}', revision = revision + 1;
                 UPDATE people SET first_name = 'Ann';
                 UPDATE organizations SET status = 'PENDING', active_date = 5"
            ))
            .unwrap();
        let imported = database.store.import(import, now()).unwrap().unwrap();
        assert_eq!(imported.users.changed, 1);
        let stayed = format!(
            "SELECT count(*) FROM users JOIN people ON people.id = person_id JOIN organizations ON organizations.id = org_id
             WHERE users.uuid = '{UUID}' AND users.status = 'DEACTIVATED' AND password_hash = '{OTHER_HASH}'
                   AND first_name = 'Ann' AND phone = '2' AND organizations.status = 'PENDING' AND active_date = 5"
        );
        assert_eq!(database.number(&stayed), 1);
        database.assert_balanced();
    }
}

#[test]
fn storing_which_password_was_loaded_does_not_count_as_a_change() {
    let file = || {
        fixture(json!([retailer(
            "one",
            [with(user("a"), "auth_token", TOKEN)]
        )]))
    };
    for accounts in few_and_many(file) {
        let database = Database::with(file());
        let known = "SELECT count(*) FROM users WHERE username = 'a' AND revision = 0 AND loaded_hash_digest NOT NULL";
        let forget = "UPDATE users SET loaded_hash_digest = NULL";
        database.sql().execute(forget, []).unwrap();
        assert_eq!(database.number(known), 0);
        assert_eq!(database.import(accounts).users.changed, 0);
        assert_eq!(database.number(known), 1);
        assert_eq!(database.number("SELECT count(*) FROM tokens"), 1);
    }
}

/// The old hash is cheaper to attack and is of the same password, so it must not remain in a file that may be stolen.
#[test]
fn a_rehash_replaces_the_old_hash_in_every_column() {
    for (present, kept) in [(HASH, 2), (OTHER_HASH, 1)] {
        let mut accounts = fixture(json!([retailer("one", [user("a")])]));
        accounts.users[0].loaded = Loaded::Password(HASH.parse().unwrap());
        let database = Database::with(accounts);
        let passwd = "UPDATE users SET password_hash = ?1";
        database.sql().execute(passwd, [present]).unwrap();
        let new = HASH.replace("$04$", "$10$");
        database.store.rehash(1, 0, new.clone()).unwrap();
        let count = format!(
            "SELECT (password_hash = '{new}') + (loaded_password_hash = '{new}') FROM users"
        );
        assert_eq!(database.number(&count), kept, "{present}");
    }
}

/// The findings of a refused import. Also asserts that the check before hashing found all of them, and that nothing was
/// written.
#[track_caller]
fn refused_at(database: &Database, accounts: Accounts) -> Vec<String> {
    let before = database.dump();
    let pins = Pins::Keep;
    let import = import_of(accounts, pins);
    let checked = database.store.check_import(&import).unwrap().findings;
    let refused = database.store.import(import, now()).unwrap().unwrap_err();
    assert_eq!(checked, refused);
    assert_eq!(database.dump(), before);
    let shown =
        |finding: &Finding| format!("{} {}: {}", finding.place, finding.key, finding.message);
    refused.iter().map(shown).collect()
}

#[test]
fn values_of_other_rows_and_missing_values_are_refused() {
    let held = with(with(user("a"), "auth_token", TOKEN), "uuid", UUID);
    let mut one = retailer("one", [held, user("b")]);
    one["retailer_uuid"] = json!(OTHER_UUID);
    one["users"][1]["permissions"] = json!([{"name": "read", "uuid": SPARE_UUID}]);
    let database = Database::with(fixture(json!([one, retailer("same", []), {
        "name": "same", "uuid": PERSON_UUID, "org_type": "SUPPLIER", "users": []}])));
    let username = "another row of the database has this username";
    let uuid = "another row of the database has this UUID";
    let token = "another row of the database has this token";
    let a_user =
        |key: &str, value: &str| lines([with(with(user("new"), "org", "one"), key, value)]);
    let an_org = |key: &str, value: &str| fixture(json!([with(retailer("two", []), key, value)]));
    let rows = [
        (
            lines([with(user("A"), "uuid", SPARE_UUID)]),
            format!("line 1 username: {username}"),
        ),
        (
            lines([json!({"username": "B", "uuid": UUID})]),
            format!("line 1 username: {username}"),
        ),
        (a_user("uuid", OTHER_UUID), format!("line 1 uuid: {uuid}")),
        (a_user("uuid", SPARE_UUID), format!("line 1 uuid: {uuid}")),
        (
            a_user("auth_token", TOKEN),
            format!("line 1 auth_token: {token}"),
        ),
        (
            lines([json!({"username": "b", "person": {"uuid": UUID}})]),
            format!("line 1 person.uuid: {uuid}"),
        ),
        (
            lines([
                json!({"username": "a", "permissions": [{"name": "x"}, {"name": "y", "uuid": UUID}]}),
            ]),
            format!("line 1 permissions[1].uuid: {uuid}"),
        ),
        (
            an_org("uuid", UUID),
            format!("organizations[0] uuid: {uuid}"),
        ),
        (
            an_org("retailer_uuid", OTHER_UUID),
            format!("organizations[0] retailer_uuid: {uuid}"),
        ),
        (
            fixture(json!([with(
                retailer("two", []),
                "account_manager",
                json!({"uuid": UUID})
            )])),
            format!("organizations[0] account_manager.uuid: {uuid}"),
        ),
        (
            lines([json!({"username": "new", "org": "one"})]),
            "line 1 : needs a `password` or a `password_hash`".to_owned(),
        ),
        (
            lines([user("new")]),
            "line 1 org: missing, and --org is not given".to_owned(),
        ),
        (
            lines([
                json!({"uuid": SPARE_UUID.replace('7', "8"), "password_hash": HASH, "org": "one"}),
            ]),
            "line 1 username: missing".to_owned(),
        ),
        (
            a_user("org", "onne"),
            "line 1 org: no such organization \"onne\": did you mean \"one\"?".to_owned(),
        ),
        (
            lines([user("a"), json!({"username": "c", "uuid": UUID})]),
            "line 2 : the same user as at line 1".to_owned(),
        ),
    ];
    for (accounts, expected) in rows {
        assert_eq!(refused_at(&database, accounts), [expected]);
    }
    let several = refused_at(&database, a_user("org", "same"));
    assert!(
        several[0]
            .starts_with("line 1 org: 2 organizations are called \"same\": give the UUID of one ("),
        "{several:?}"
    );
}

/// The UUIDs of the organization with a user, its party and its account manager, and of that user, person and permissions.
fn identities(database: &Database, username: &str) -> Vec<Option<String>> {
    database
        .sql()
        .query_one(
            "SELECT organizations.uuid, coalesce(retailer_uuid, supplier_uuid), managers.uuid, users.uuid, people.uuid,
                    (SELECT group_concat(permissions.uuid) FROM permission_assignments
                     JOIN permissions ON permissions.id = permission_id WHERE user_id = users.id)
             FROM users
             JOIN organizations ON organizations.id = users.org_id
             JOIN people ON people.id = users.person_id
             LEFT JOIN people AS managers ON managers.id = account_manager_id
             WHERE username = :username",
            named_params! { ":username": username },
            |row| (0..6).map(|column| row.get(column)).collect(),
        )
        .unwrap()
}

#[test]
fn renaming_changes_no_uuid() {
    let one = || {
        json!({"name": "one", "org_type": "RETAILER", "account_manager": {"first_name": "Mia"}, "users": [
        with(user("a"), "permissions", json!([{"name": "sell"}]))]})
    };
    let uuid = |query: &str| json!(query);
    for file in few_and_many(|| fixture(json!([one()]))) {
        let database = Database::with(file);
        let before = identities(&database, "a");
        let (org, of_user, permission) = (
            uuid(before[0].as_ref().unwrap()),
            uuid(before[3].as_ref().unwrap()),
            uuid(before[5].as_ref().unwrap()),
        );
        // Renamed by UUID.
        let mut renamed = with(with(one(), "name", "two"), "uuid", org);
        renamed["users"] = json!([{"username": "b", "uuid": of_user, "permissions": [{"name": "vend", "uuid": permission}]}]);
        database.import(fixture(json!([renamed])));
        assert_eq!(identities(&database, "b"), before);
        // Identified by the new names.
        let mut again = with(one(), "name", "two");
        again["users"] = json!([{"username": "b", "permissions": [{"name": "vend"}]}]);
        for again in few_and_many(|| fixture(json!([again]))) {
            let imported = database.import(again);
            let (organizations, users) = (imported.organizations, imported.users);
            assert_eq!((organizations.changed, users.changed), (0, 0));
            assert_eq!(identities(&database, "b"), before);
        }
        assert_eq!(database.number("SELECT count(*) FROM permissions"), 1);
        let named = "SELECT count(*) FROM organizations WHERE name IN ('one', 'two')";
        assert_eq!(database.number(named), 1);
    }
}

#[test]
fn a_name_does_not_identify_a_row_of_another_type_or_of_another_record() {
    let uuid_of = |database: &Database| identities(database, "a")[0].clone().unwrap();
    let supplier = || with(retailer("one", []), "org_type", "SUPPLIER");
    let other = || {
        let other = with(retailer("one", []), "uuid", OTHER_UUID);
        with(other, "retailer_uuid", SPARE_UUID)
    };
    // A row that the import has just written is not used for a later record with the same name.
    let both = [other(), retailer("one", [user("a")])];
    let database = Database::with(fixture(json!(both)));
    let derived = uuid_of(&database);
    assert_ne!(derived, OTHER_UUID);
    let imported = database.import(fixture(json!(both)));
    assert_eq!(imported.organizations, summary(0, 0, 2));

    let database = Database::with(fixture(json!([with(other(), "users", json!([user("a")]))])));
    let imported = database.import(fixture(json!([retailer("one", [])])));
    assert_eq!(imported.organizations, summary(0, 0, 1));
    assert_eq!(
        database.import(fixture(json!([supplier()]))).organizations,
        summary(1, 0, 0)
    );
    // If the organization is renamed, its old name is free for a new one.
    let renamed = with(other(), "name", "two");
    let imported = database.import(fixture(json!([retailer("one", []), renamed])));
    assert_eq!(
        imported.organizations,
        summary(0, 2, 0),
        "{}",
        uuid_of(&database)
    );
}

#[test]
fn a_name_of_several_rows_is_refused_with_their_uuids() {
    let second = with(retailer("one", []), "uuid", SPARE_UUID);
    let second = with(
        second,
        "retailer_uuid",
        "5b0c1d5e-5f0e-4a55-8a0c-1a5d1be6d1a3",
    );
    let permissions =
        json!([{"name": "sell", "uuid": UUID}, {"name": "sell", "uuid": PERSON_UUID}]);
    let mut first = with(retailer("one", [user("a")]), "uuid", OTHER_UUID);
    first["users"][0]["permissions"] = permissions;
    let database = Database::with(fixture(json!([first, second])));
    let several = |what: &str, one: &str, uuids: [&str; 2]| {
        format!(
            "2 {what} are called {one:?}: give the UUID of one ({}, {})",
            uuids[0], uuids[1]
        )
    };
    assert_eq!(
        refused_at(&database, fixture(json!([retailer("one", [])]))),
        [format!(
            "organizations[0] uuid: {}",
            several("organizations", "one", [OTHER_UUID, SPARE_UUID])
        )]
    );
    assert_eq!(
        refused_at(
            &database,
            lines([json!({"username": "a", "permissions": [{"name": "sell"}]})])
        ),
        [format!(
            "line 1 permissions[0].uuid: {}",
            several("permissions", "sell", [UUID, PERSON_UUID])
        )]
    );
}

#[test]
fn two_records_that_identify_the_same_row_are_refused() {
    let permissions = json!([{"name": "sell"}]);
    let database = Database::with(fixture(json!([retailer(
        "one",
        [with(user("a"), "permissions", permissions)]
    )])));
    database
        .sql()
        .execute_batch(
            "UPDATE organizations SET name = 'two'; UPDATE permissions SET name = 'vend'",
        )
        .unwrap();
    let refused = refused_at(
        &database,
        fixture(json!([retailer("one", []), retailer("two", [])])),
    );
    assert_eq!(
        refused,
        ["organizations[1] : the same organization as at organizations[0]"]
    );
    let both = json!([{"name": "sell"}, {"name": "vend"}]);
    let refused = refused_at(
        &database,
        lines([json!({"username": "a", "permissions": both})]),
    );
    assert_eq!(refused.len(), 1, "{refused:?}");
    assert!(
        refused[0]
            .ends_with("another permission of the file identifies the same row of the database")
    );
}
