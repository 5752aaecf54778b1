//! The speed of loading passwords in clear, as a multiple of what the `bcrypt` crate hashes on the same number of threads in
//! the same run: `cargo bench --bench import`, or `-- 10000` for more passwords than the default of a thousand.
//!
//! The whole command is measured: the real binary, from its start to its end. It reads and checks a file, checks whether the
//! passwords are easily guessed (`seed` does not), and writes a database. The goal, a quarter of the crate's time, is four
//! times its rate.
//!
//! Finished hashes are loaded alternately by the binary that the variable `REFERENCE` names, such as one of the previous
//! commit, and by this one; without the variable, by this one alone.
#![expect(clippy::print_stdout, reason = "a bench prints its results")]
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};

use common::process::{PROGRAM, processor_seconds_of_children};
use common::rate::{Rate, print_ratio, rate_by, rate_of_threads};
use common::{is_wanted, machine};
use serde_json::json;
use tempfile::TempDir;
use thanos_login::hashing::default_threads;

const ORG: &str = "Bench";
const COST: u32 = 10;
const DEFAULT_COUNT: usize = 1_000;
const HASHES: usize = 50_000;
const GOAL: f64 = 4.0;
const ROUNDS: usize = 5;

/// The crate hashes only one of this many passwords of the command: its rate does not depend on their number.
const SHARE_OF_REFERENCE: usize = 5;

fn main() {
    machine::print();
    let count = std::env::args()
        .find_map(|word| word.parse().ok())
        .unwrap_or(DEFAULT_COUNT);
    let label = format!("user import, {count} passwords at cost {COST}");
    if is_wanted(&label) {
        let prepared = Prepared::new("users.csv", &csv(count));
        let args = ["user", "import", "users.csv", "--org", ORG];
        compare(&label, count, || prepared.load(PROGRAM, count, &args));
    }
    let label = format!("seed, {count} passwords at cost {COST}");
    if is_wanted(&label) {
        let prepared = Prepared::new("fixture.json", &fixture(count));
        compare(&label, count, || {
            prepared.load(PROGRAM, count, &["seed", "fixture.json"])
        });
    }
    let label = format!("user import, {HASHES} finished hashes");
    if is_wanted(&label) {
        let reference = std::env::var("REFERENCE").unwrap_or_else(|_| PROGRAM.to_owned());
        let prepared = Prepared::new("users.csv", &csv_of_hashes());
        let args = ["user", "import", "users.csv", "--org", ORG];
        let load = |program| prepared.load(program, HASHES, &args);
        print_ratio(
            &label,
            Some(1.0),
            ROUNDS,
            || load(&reference),
            || load(PROGRAM),
        );
    }
}

fn compare(label: &str, count: usize, ours: impl FnMut() -> Rate) {
    let hashes = (count / SHARE_OF_REFERENCE).max(default_threads());
    let mut threads = vec![(); default_threads()];
    let reference = || {
        rate_of_threads(&mut threads, hashes, |(), number| {
            black_box(bcrypt::hash(password(number), COST).unwrap());
        })
    };
    print_ratio(label, Some(GOAL), ROUNDS, reference, ours);
}

/// A password that is not refused as easily guessed.
fn password(number: usize) -> String {
    format!("violet kettle {number} ninety")
}

fn csv(count: usize) -> String {
    (0..count).fold("username,password\n".to_owned(), |csv, number| {
        csv + &format!("user-{number},{}\n", password(number))
    })
}

fn csv_of_hashes() -> String {
    let hash = bcrypt::hash(password(0), COST).unwrap();
    (0..HASHES).fold("username,password_hash\n".to_owned(), |csv, number| {
        csv + &format!("user-{number},{hash}\n")
    })
}

fn fixture(count: usize) -> String {
    let users: Vec<_> = (0..count)
        .map(|number| json!({ "username": format!("user-{number}"), "password": password(number) }))
        .collect();
    let organization = json!({ "name": "Seeded", "org_type": "RETAILER", "users": users });
    json!({ "organizations": [organization] }).to_string()
}

/// A directory with the file to load.
struct Prepared(TempDir);

impl Prepared {
    fn new(name: &str, content: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(name), content).unwrap();
        Self(directory)
    }

    /// Loads the file into a new database.
    fn load(&self, program: &str, count: usize, args: &[&str]) -> Rate {
        let directory = self.0.path();
        let database = directory.join("thanos-login.db");
        if database.exists() {
            fs::remove_file(&database).unwrap();
        }
        run(program, directory, &["init"]);
        run(
            program,
            directory,
            &["org", "add", ORG, "--type", "RETAILER"],
        );
        rate_by(processor_seconds_of_children, count as f64, || {
            run(program, directory, args);
        })
    }
}

fn run(program: &str, directory: &Path, args: &[&str]) {
    let status = Command::new(program)
        .args(args)
        .current_dir(directory)
        .env("THANOS_LOGIN_DB", "thanos-login.db")
        .env("THANOS_LOGIN_BCRYPT_COST", COST.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{args:?}");
}
