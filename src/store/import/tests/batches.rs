//! Imports of many records: what other readers see of them, and what remains of an interrupted one.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::json;

use super::super::events::record_import;
use super::super::find::HAS_TOKEN;
use super::super::importer::CHANGED;
use super::super::pass::ImportPass;
use super::super::unfinished;
use super::*;
use crate::hashing::Cost;
use crate::store::engine::sqlite::{ImportLock, ImportLockAttempt};
use crate::store::event_recorder::EventRecorder;
use crate::store::{
    DatabaseFile, Event, EventFilter, Listing, OrganizationFilter, OrganizationOrder, UserFilter,
    UserOrder, audit_database,
};

/// Accounts of every kind: new ones, existing ones that differ, permissions, people, a pinned token.
fn file() -> Accounts {
    let new = json!({"username": "new", "password_hash": OTHER_HASH, "auth_token": TOKEN,
                     "permissions": [{"name": "read", "display_name": "Read"}, {"name": "write"}]});
    let managed = json!({"name": "managed", "org_type": "SUPPLIER", "account_manager": {"first_name": "Max"},
                         "users": [user("of managed")]});
    let changed = json!({"username": "there", "status": "DEACTIVATED", "person": {"phone": "1"}});
    fixture(json!([
        retailer("one", [changed, new]),
        managed,
        retailer("many", many())
    ]))
}

const UUID: &str = "20000000-0000-4000-8000-000000000001";
const TOKEN: &str = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";

fn there() -> Database {
    let user =
        json!({"username": "there", "password_hash": HASH, "permissions": [{"name": "read"}]});
    Database::with(fixture(json!([retailer("one", [user])])))
}

/// An import that has done everything but its last transaction.
struct UnfinishedImport {
    pass: ImportPass<Accounts>,
    recorder: EventRecorder,
}

impl UnfinishedImport {
    fn start(store: &Store, accounts: Accounts) -> Self {
        let import_id = store.write(unfinished::start).unwrap();
        let recorder = EventRecorder {
            actor: Some(actor()),
            now: now(),
            import_id: Some(import_id),
        };
        let mut pass = ImportPass::new(accounts, Pins::Keep, recorder.clone());
        let pass = store
            .write(move |connection| {
                while !pass.go_on(connection, Duration::ZERO)? {}
                Ok(pass)
            })
            .unwrap();
        Self { pass, recorder }
    }

    fn finish(self, store: &Store) -> ImportOutcome {
        let Self { pass, recorder } = self;
        store
            .write_unless_refused(move |connection| {
                let outcome = pass.finish(connection)?;
                record_import(connection, &recorder, "users.csv", &outcome)?;
                unfinished::end(connection, recorder.import_id.unwrap())?;
                Ok(outcome)
            })
            .unwrap()
    }
}

/// The numbers of users and organizations that each way of reading them returns.
fn seen(database: &Database) -> Vec<usize> {
    let store = &database.store;
    let by_username = Listing {
        order: UserOrder::Username,
        reverse: false,
        limit: None,
    };
    let users = store
        .users(UserFilter::default(), by_username, now())
        .unwrap()
        .len();
    let by_name = Listing {
        order: OrganizationOrder::Name,
        reverse: false,
        limit: None,
    };
    let organizations = store
        .organizations(OrganizationFilter::default(), by_name)
        .unwrap();
    let mut usernames = 0;
    store.for_each_username(|_| usernames += 1).unwrap();
    let whole = store.organizations_for_export(None).unwrap();
    let found = |text: &str| {
        [
            store.look_up(&name(text)).unwrap().account.is_some(),
            store.user_called(text, now()).unwrap().is_some(),
        ]
    };
    let file = DatabaseFile::resolve(&database.path()).unwrap();
    let progress = Box::new(|_, _| {});
    let audited = audit_database(&file, Cost::MAX, &[], now(), progress).unwrap();
    let off_cost = audited.iter().find(|found| found.check == "bcrypt_cost");
    let off_cost = off_cost.unwrap().message.split_once(' ').unwrap().0;
    let found: Vec<bool> = ["new", "many0"].into_iter().flat_map(found).collect();
    vec![
        users,
        usernames,
        off_cost.parse().unwrap(),
        organizations
            .iter()
            .map(|organization| usize::try_from(organization.users).unwrap())
            .sum(),
        whole.iter().map(|(_, users)| users.len()).sum(),
        store.users_for_export(None).unwrap().len(),
        organizations.len(),
        whole.len(),
        usize::from(store.organization_called("many").unwrap().is_ok()),
        found.into_iter().filter(|found| *found).count(),
    ]
}

#[test]
fn added_rows_become_visible_at_the_end_of_an_import() {
    let database = there();
    let (before, seen_before) = (database.dump(), seen(&database));
    let unfinished = UnfinishedImport::start(&database.store, file());
    assert_eq!(seen(&database), seen_before);
    database.assert_balanced();
    // Another process cannot add the same user, and its finding says why.
    let message = "an import in progress adds it; try again when that has ended";
    for user in [
        user("many1"),
        json!({"username": "NEW", "status": "ACTIVE"}),
    ] {
        let findings = database.try_import(lines([user]), Pins::Keep).unwrap_err();
        assert_eq!(findings[0].message, message);
    }
    let organization = fixture(json!([retailer("many", [])]));
    let findings = database.try_import(organization, Pins::Keep).unwrap_err();
    assert_eq!(findings[0].message, message);

    let imported = unfinished.finish(&database.store).unwrap();
    assert_eq!(imported.users, summary(2 + MAX_SMALL_IMPORT * 2, 1, 0));
    assert_eq!(imported.organizations, summary(2, 0, 1));
    let users = 3 + MAX_SMALL_IMPORT * 2;
    let all = [users, users, users, users, users, users, 3, 3, 1, 4];
    assert_eq!(seen(&database), all);
    database.assert_balanced();

    // An import in one transaction writes the same rows as one in batches.
    let at_once = there();
    assert_eq!(at_once.dump(), before);
    at_once
        .store
        .write_unless_refused(move |connection| {
            let recorder = EventRecorder {
                actor: Some(actor()),
                now: now(),
                import_id: None,
            };
            let outcome =
                super::super::import_in_transaction(connection, file(), Pins::Keep, &recorder)?;
            record_import(connection, &recorder, "users.csv", &outcome)?;
            Ok(outcome)
        })
        .unwrap()
        .unwrap();
    assert_eq!(at_once.dump(), database.dump());
    assert_eq!(database.import(file()).users, summary(0, 0, users));
}

#[test]
fn events_of_an_import_are_recorded_while_it_runs_and_become_visible_with_it() {
    let managed = retailer("managed", []);
    let rows = || {
        let users = (0..MAX_SMALL_IMPORT * 2)
            .map(|number| json!({"username": format!("many{number}"), "status": "DEACTIVATED"}));
        let moved = json!({"username": "there", "org": "managed", "password_hash": OTHER_HASH});
        lines(users.chain([moved]))
    };
    let database = there();
    database.import(fixture(json!([managed, retailer("many", many())])));
    let before = database.dump();
    let counting = "SELECT count(*) FROM visible_events";
    let written = "SELECT count(*) FROM events";
    let (at_first, all) = (
        database.number(counting),
        i64::try_from(MAX_SMALL_IMPORT * 2 + 2).unwrap(),
    );
    // One event for each import, each organization and each user.
    assert_eq!(at_first, 2 + 3 + 1 + all - 2);

    let unfinished = UnfinishedImport::start(&database.store, rows());
    assert_eq!(database.number(counting), at_first);
    assert_eq!(database.number(written), at_first + all);
    drop(unfinished);
    database.store.remove_all_unfinished(&|| false).unwrap();
    assert_eq!(database.dump(), before);

    let unfinished = UnfinishedImport::start(&database.store, rows());
    unfinished.finish(&database.store).unwrap();
    assert_eq!(database.number(counting), at_first + all + 1);
    let events = database
        .store
        .events(&EventFilter::default(), None, u32::MAX);
    let events: Vec<Event> = events
        .unwrap()
        .into_iter()
        .map(|(_, event)| event)
        .collect();
    let noted = |event: &Event| {
        assert_eq!(
            (event.time, event.actor.as_deref()),
            (now(), Some("operator"))
        );
        [&event.object, &event.before, &event.after].map(|text| text.clone().unwrap_or_default())
    };
    let noted: Vec<[String; 3]> = events.iter().rev().take(4).map(noted).collect();
    let last = format!("many{}", MAX_SMALL_IMPORT * 2 - 1);
    let changed = format!("{} users changed", MAX_SMALL_IMPORT * 2 + 1);
    assert_eq!(
        noted,
        [
            ["users.csv", "", &changed],
            ["there", "", "another password"],
            ["there", "org one", "org managed"],
            [&last, "ACTIVE", "DEACTIVATED"],
        ]
    );
}

#[test]
fn changes_of_other_processes_during_an_import_are_kept() {
    let database = there();
    let accounts = || {
        let user = json!({"username": "there", "person": {"phone": "2"}});
        fixture(json!([retailer("one", [user]), retailer("many", many())]))
    };
    let unfinished = UnfinishedImport::start(&database.store, accounts());
    database
        .sql()
        .execute_batch(&format!(
            "UPDATE users SET username = 'renamed', status = 'DEACTIVATED', password_hash = '{OTHER_HASH}'
             WHERE username = 'there';
             UPDATE people SET first_name = 'Ann'"
        ))
        .unwrap();
    unfinished.finish(&database.store).unwrap();
    let stayed = format!(
        "SELECT count(*) FROM users JOIN people ON people.id = person_id
         WHERE status = 'DEACTIVATED' AND password_hash = '{OTHER_HASH}' AND first_name = 'Ann' AND phone = '2'"
    );
    assert_eq!(database.number(&stayed), 1);
    database.assert_balanced();
}

#[test]
fn a_conflict_in_the_last_transaction_leaves_no_rows() {
    let database = there();
    let before = database.dump();
    let new = json!({"username": "new", "password_hash": HASH, "auth_token": TOKEN});
    let accounts = fixture(json!([retailer("one", [new]), retailer("many", many())]));
    let unfinished = UnfinishedImport::start(&database.store, accounts);
    let pin = "INSERT INTO tokens (digest, user_id, issued_at) SELECT ?1, id, 0 FROM visible_users";
    database
        .sql()
        .execute(pin, [super::super::users::digest(TOKEN)])
        .unwrap();
    let findings = unfinished.finish(&database.store).unwrap_err();
    assert_eq!(
        findings,
        [Finding::new(
            RecordPlace::User(0, 0),
            "auth_token",
            HAS_TOKEN
        )]
    );
    database.store.remove_all_unfinished(&|| false).unwrap();
    database.sql().execute_batch("DELETE FROM tokens").unwrap();
    assert_eq!(database.dump(), before);
}

#[test]
fn a_row_removed_or_a_name_taken_before_the_last_transaction_leaves_no_rows() {
    let gone = "DELETE FROM users; INSERT INTO users (uuid, org_id, person_id, username, password_hash, status)
                SELECT '20000000-0000-4000-8000-000000000002', 1, 1, 'another', '$2b$04$' || printf('%053d', 0), 'ACTIVE'";
    let taken = "INSERT INTO people (id, uuid) VALUES (99, '20000000-0000-4000-8000-000000000003');
                 INSERT INTO users (uuid, org_id, person_id, username, password_hash, status)
                 SELECT '20000000-0000-4000-8000-000000000004', 1, 99, 'wanted', '$2b$04$' || printf('%053d', 0), 'ACTIVE'";
    for (change, meanwhile) in [
        (json!({"status": "DEACTIVATED"}), gone),
        (
            json!({"permissions": [{"name": "read"}, {"name": "write"}]}),
            gone,
        ),
        (json!({"uuid": UUID, "username": "wanted"}), taken),
    ] {
        let known = json!({"username": "there", "uuid": UUID, "password_hash": HASH});
        let database = Database::with(fixture(json!([retailer("one", [known])])));
        let mut user = json!({"username": "there"});
        user.as_object_mut()
            .unwrap()
            .append(&mut change.as_object().unwrap().clone());
        let unfinished = UnfinishedImport::start(&database.store, lines([user.clone()]));
        database.sql().execute_batch(meanwhile).unwrap();
        let before = database.dump();
        let findings = unfinished.finish(&database.store).unwrap_err();
        assert_eq!(
            findings,
            [Finding::new(RecordPlace::File, "", CHANGED)],
            "{user}"
        );
        assert_eq!(database.dump(), before, "{user}");
        database.assert_balanced();
    }
}

#[test]
fn rows_of_an_interrupted_import_are_removed_when_the_database_is_opened() {
    let database = there();
    let before = database.dump();
    UnfinishedImport::start(&database.store, file());
    assert_ne!(database.dump(), before);
    // They are not removed while the process of the import is running.
    let file_of_lock = database.directory.path().join("one.db-import");
    let ImportLockAttempt::Taken(lock) = ImportLock::take(&file_of_lock) else {
        panic!("cannot take the lock");
    };
    drop(open(&database.path()));
    assert_eq!(database.number("SELECT count(*) FROM imports"), 1);
    drop(lock);
    std::fs::write(&file_of_lock, "").unwrap();

    drop(open(&database.path()));
    assert_eq!(database.dump(), before);
    assert_eq!(database.number("SELECT count(*) FROM users"), 1);
    assert!(!file_of_lock.exists());
    database.assert_balanced();
    // The id of an import is not reused: otherwise rows of a finished import would become invisible.
    database.import(file());
    UnfinishedImport::start(&database.store, lines([user("x")]));
    assert_eq!(seen(&database)[0], 3 + MAX_SMALL_IMPORT * 2);
}

#[test]
fn only_one_import_of_many_records_runs_at_a_time() {
    let database = there();
    let path = database.directory.path().join("one.db-import");
    let ImportLockAttempt::Taken(lock) = ImportLock::take(&path) else {
        panic!("cannot take the lock");
    };
    let import = |accounts| {
        let pins = Pins::Keep;
        database.store.import(import_of(accounts, pins), now())
    };
    let refused = import(file()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "another import is in progress; try again when it has ended"
    );
    import(lines([
        json!({"username": "there", "status": "DEACTIVATED"}),
    ]))
    .unwrap()
    .unwrap();
    drop(lock);
    import(file()).unwrap().unwrap();
    assert!(!path.exists());
}

#[test]
fn the_lock_has_one_holder_even_while_others_take_and_remove_it() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("one.db-import");
    let (holders, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                while taken.load(Ordering::SeqCst) < 1_000 {
                    if let ImportLockAttempt::Taken(lock) = ImportLock::take(&path) {
                        assert_eq!(holders.fetch_add(1, Ordering::SeqCst), 0);
                        taken.fetch_add(1, Ordering::SeqCst);
                        holders.fetch_sub(1, Ordering::SeqCst);
                        drop(lock);
                    }
                }
            });
        }
    });
    assert!(!path.exists());
}

#[test]
fn a_dry_run_reports_the_same_as_the_import_and_writes_nothing() {
    for accounts in [
        file,
        || lines([json!({"username": "there", "status": "DEACTIVATED"})]),
        || lines([user("new")]),
        || fixture(json!([retailer("two", [json!({"username": "there"})])])),
        || {
            lines([
                json!({"username": "there", "permissions": [{"name": "read"}, {"name": "new"}]}),
            ])
        },
        || {
            lines([
                json!({"username": "there", "permissions": [{"name": "read", "description": "x"}]}),
            ])
        },
        || lines([json!({"username": "there", "auth_token": TOKEN})]),
    ] {
        let database = there();
        let before = database.dump();
        let pins = Pins::Keep;
        let import = |accounts| import_of(accounts, pins);
        let dry = database.store.dry_run(&import(accounts())).unwrap();
        assert_eq!(database.dump(), before);
        assert_eq!(
            database.store.import(import(accounts()), now()).unwrap(),
            dry
        );
    }
}

/// The environment variable with the path of the database into which the test's child process imports.
const TO_IMPORT_INTO: &str = "TEST_DATABASE_TO_IMPORT_INTO";

#[test]
fn a_kill_at_any_point_leaves_what_was_there() {
    let crowd = || {
        // The events of the import have been removed too.
        let changed = json!({"username": "there", "status": "DEACTIVATED"});
        let users = (0..20_000).map(|number| user(&format!("crowd{number}")));
        fixture(json!([
            retailer("one", [changed]),
            retailer("crowd", users)
        ]))
    };
    if let Some(path) = std::env::var_os(TO_IMPORT_INTO) {
        let pins = Pins::Keep;
        let import = import_of(crowd(), pins);
        open(Path::new(&path))
            .import(import, now())
            .unwrap()
            .unwrap();
        return;
    }
    let database = there();
    let before = database.dump();
    for least in [1, 2, 6_000, 12_000] {
        let this = "store::import::tests::batches::a_kill_at_any_point_leaves_what_was_there";
        let mut importing = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", this])
            .env(TO_IMPORT_INTO, database.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let rows = "SELECT (SELECT count(*) FROM imports) + (SELECT count(*) FROM users WHERE import_id IS NOT NULL)";
        while database.number(rows) < least {
            assert!(importing.try_wait().unwrap().is_none(), "it is over");
            thread::sleep(Duration::from_millis(1));
        }
        importing.kill().unwrap();
        importing.wait().unwrap();
        assert_eq!(seen(&database)[0], 1, "{least}");
        drop(open(&database.path()));
        assert_eq!(database.dump(), before, "{least}");
        database.assert_balanced();
    }
    assert_eq!(database.import(crowd()).users.added, 20_000);
}
