use jiff::Timestamp;

use super::*;
use crate::account::Username;
use crate::store::{
    Account, Actor, Durability, EventFilter, NewToken, RenameOutcome, VerifiedLogin, WhenMissing,
};

const ORGANIZATION: &str = "00000000-0000-4000-8000-000000000001";

/// A store with users named 1, 2 and so on, each with a token and the same permission.
fn store_with(users: u32) -> (Store, tempfile::TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("test.db");
    let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
    store
            .write(|connection| {
                connection.batch(
                    "INSERT INTO people (id, uuid) VALUES (1000, '00000000-0000-4000-8000-000000000003');
                     INSERT INTO organizations
                         (id, uuid, name, org_type, retailer_uuid, status, created_date, account_manager_id)
                     VALUES (1, '00000000-0000-4000-8000-000000000001', 'one', 'RETAILER',
                             '00000000-0000-4000-8000-000000000002', 'ACTIVE', 0, 1000);",
                )
            })
            .unwrap();
    for id in 1..=users {
        add(&store, id);
    }
    (store, directory)
}

fn add(store: &Store, id: u32) {
    let rows = format!(
            "INSERT INTO people (uuid) VALUES ('10000000-0000-4000-8000-0000000000{id:02}');
             INSERT INTO users (uuid, org_id, person_id, username, password_hash, status)
             SELECT '20000000-0000-4000-8000-0000000000{id:02}', 1, max(id), '{id}', '$2b$10$' || printf('%053d', 0),
                    'ACTIVE' FROM people WHERE uuid LIKE '10000000%';
             INSERT OR IGNORE INTO permissions (id, uuid, name)
             VALUES (1, '00000000-0000-4000-8000-000000000004', 'sell');
             INSERT INTO permission_assignments (user_id, position, permission_id, assigned)
             SELECT id, 0, 1, 1 FROM users WHERE username = '{id}';
             INSERT INTO tokens (digest, user_id, issued_at) SELECT randomblob(32), id, 0 FROM users WHERE username = '{id}';"
        );
    let rows = move |connection: &Connection| connection.batch(&rows);
    store.write(rows).unwrap();
}

fn remove(store: &Store, id: u32) -> bool {
    store
        .remove_user(
            format!("20000000-0000-4000-8000-0000000000{id:02}"),
            Timestamp::UNIX_EPOCH,
        )
        .unwrap()
}

fn counts(store: &Store) -> Vec<i64> {
    let tables = [
        "users",
        "people",
        "tokens",
        "permission_assignments",
        "permissions",
        "organizations",
    ];
    let count = |connection: &Connection, table| {
        connection.one(&format!("SELECT count(*) FROM {table}"), &[], |row| {
            row.get(0)
        })
    };
    let counts = |connection: &Connection| {
        tables
            .iter()
            .map(|table| count(connection, table))
            .collect()
    };
    store.read(counts).unwrap()
}

fn account(store: &Store, id: u32) -> Account {
    let username = Username::parse(&id.to_string()).unwrap();
    store.look_up(&username).unwrap().account.unwrap()
}

#[test]
fn a_user_is_removed_with_all_rows_that_no_other_user_needs() {
    let (store, _directory) = store_with(2);
    assert_eq!(counts(&store), [2, 3, 2, 2, 1, 1]);
    assert!(remove(&store, 1));
    assert_eq!(counts(&store), [1, 2, 1, 1, 1, 1]);
    assert!(!remove(&store, 1));
    assert!(remove(&store, 2));
    assert_eq!(counts(&store), [0, 1, 0, 0, 0, 1]);
}

#[test]
fn an_organization_with_many_users_is_deactivated_first() {
    let (store, _directory) = store_with(5);
    let store = store.with_actor(Actor {
        system_user: "operator".into(),
        command: "org delete",
    });
    let remove = |with_users| {
        let uuid = ORGANIZATION.to_owned();
        let now = Timestamp::UNIX_EPOCH;
        store.remove_organization(uuid, with_users, 2, now).unwrap()
    };
    assert_eq!(remove(false), RemovalOutcome::HasUsers(5));
    assert_eq!(counts(&store)[0], 5);
    for left in [3, 1] {
        assert_eq!(remove(true), RemovalOutcome::Started(2));
        assert_eq!(counts(&store)[0], left);
        let row = store.organization_row(ORGANIZATION).unwrap().unwrap();
        assert_eq!(row.status, OrganizationStatus::Deactivated);
        assert_eq!(
            store
                .look_up(&Username::parse("5").unwrap())
                .unwrap()
                .highest_cost,
            None
        );
    }
    assert_eq!(remove(true), RemovalOutcome::Done(1));
    assert_eq!(counts(&store), [0; 6]);
    assert_eq!(remove(true), RemovalOutcome::Gone);
    let events = store.events(&EventFilter::default(), None, 9).unwrap();
    let noted: Vec<_> = events
        .iter()
        .map(|(_, event)| {
            assert_eq!(event.org_uuid.as_deref(), Some(ORGANIZATION));
            [&event.object, &event.before, &event.after].map(|text| text.as_deref().unwrap_or("-"))
        })
        .collect();
    let gone = |name| [name, "ACTIVE", "-"];
    assert_eq!(
        noted,
        [
            ["one", "ACTIVE", "DEACTIVATED"],
            gone("1"),
            gone("2"),
            gone("3"),
            gone("4"),
            gone("5"),
            ["one", "DEACTIVATED", "-"],
        ]
    );
}

fn verified(account: &Account, token: Option<NewToken>) -> VerifiedLogin {
    VerifiedLogin {
        user_id: account.user_id,
        revision: account.revision,
        token,
        counter: [0; 16],
        attempt: None,
        event: None,
    }
}

#[test]
fn a_login_in_progress_is_not_completed_for_a_new_user_with_the_same_row_id() {
    let (store, _directory) = store_with(1);
    let old = account(&store, 1);
    remove(&store, 1);
    add(&store, 1);
    let new = account(&store, 1);
    assert_eq!(new.user_id, old.user_id, "what the test is about");
    assert_ne!(
        new.identity.unlocks, old.identity.unlocks,
        "failures of the removed user are ignored"
    );
    let complete = |account: &Account| {
        let token = NewToken {
            digest: [1; 32],
            expires_at: None,
            max_per_user: 1,
        };
        let login = verified(account, Some(token));
        store.complete_login(login, Timestamp::UNIX_EPOCH).unwrap()
    };
    assert!(!complete(&old));
    store
        .rehash(old.user_id, old.revision, format!("$2b$04${:053}", 1))
        .unwrap();
    assert_eq!(account(&store, 1).password_hash, new.password_hash);
    assert!(complete(&new));
}

#[test]
fn a_login_in_progress_is_not_completed_after_its_user_was_renamed() {
    let (store, _directory) = store_with(1);
    let old = account(&store, 1);
    let new = Username::parse("another").unwrap();
    let uuid = old.identity.user_uuid.clone();
    let renamed = store.rename_user(uuid, new, Timestamp::UNIX_EPOCH);
    assert_eq!(renamed.unwrap(), RenameOutcome::Done);
    let completed = store.complete_login(verified(&old, None), Timestamp::UNIX_EPOCH);
    assert!(!completed.unwrap());
}
