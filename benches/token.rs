//! What a token check costs, as a multiple of a 404 on the same server: `cargo bench --bench token`, which needs `wrk`.
//!
//! Once with 5 users and once with 100,000 users and 1,000,000 live tokens. Rounds of both take turns, so that whatever else
//! uses the machine slows both; printed is the median of the ratios of neighbours. The tokens asked about are drawn from all
//! of them, so that the database's pages have to be found, and both kinds of request send the same header.
#![expect(clippy::print_stdout, reason = "a bench prints its figures")]
#![allow(clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rusqlite::{Connection, named_params};
use sha2::{Digest, Sha256};

const PROGRAM: &str = env!("CARGO_BIN_EXE_thanos-login");
const VERIFY: &str = "/api/organizations/token-verify/";
const NOTHING: &str = "/api/organizations/nothing-here/";

const ROUNDS: usize = 7;
const SECONDS_A_ROUND: &str = "2s";
/// How many tokens the load generator knows.
const KNOWN_TOKENS: u32 = 10_000;

/// Any hash will do: nobody logs in.
const HASH: &str = "$2b$10$KG/joNZtprVqnb03qEXKYe2vwMk5Oqq7gD6vLU8yhLRR9aeZH0UCK";

struct Running {
    child: Child,
    url: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn main() {
    println!(
        "token check against 404, wrk -t1 -c16, medians of {ROUNDS} rounds of {SECONDS_A_ROUND}"
    );
    println!(
        "{:>9} {:>11} {:>9} {:>9} {:>7} {:>13}",
        "users", "tokens", "checks/s", "404s/s", "ratio", "resident MB"
    );
    for (users, tokens) in [(5, 50), (100_000, 1_000_000)] {
        measure(users, tokens);
    }
}

fn measure(users: u32, tokens: u32) {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("bench.db");
    fill(&database, users, tokens);
    let script = directory.path().join("tokens.lua");
    fs::write(&script, lua(tokens)).unwrap();
    let server = start(&database);
    let mut rates: Vec<[f64; 2]> = (0..ROUNDS)
        .map(|_| [VERIFY, NOTHING].map(|path| rate(&server, &script, path)))
        .collect();
    let mut ratios: Vec<f64> = rates
        .iter()
        .map(|[checks, others]| checks / others)
        .collect();
    rates.sort_by(|a, b| a[0].total_cmp(&b[0]));
    ratios.sort_by(f64::total_cmp);
    let [checks, others] = rates[ROUNDS / 2];
    println!(
        "{users:>9} {tokens:>11} {checks:>9.0} {others:>9.0} {:>7.2} {:>13.1}",
        ratios[ROUNDS / 2],
        resident_mb(server.child.id())
    );
}

/// The hexadecimal characters of a token; their digests are as scattered as those of real ones.
fn token(number: u32) -> String {
    format!("{number:040x}")
}

fn fill(database: &Path, users: u32, tokens: u32) {
    let made = Command::new(PROGRAM)
        .args(["init", "--db"])
        .arg(database)
        .status()
        .unwrap();
    assert!(made.success());
    let mut connection = Connection::open(database).unwrap();
    let transaction = connection.transaction().unwrap();
    {
        transaction
            .execute_batch(
                "INSERT INTO organizations (id, uuid, name, org_type, retailer_uuid, status, created_date)
                 VALUES (1, '00000000-0000-4000-8000-000000000001', 'bench', 'RETAILER',
                         '00000000-0000-4000-8000-000000000002', 'ACTIVE', 0)",
            )
            .unwrap();
        let mut person = transaction
            .prepare("INSERT INTO people (id, uuid, email) VALUES (:id, :uuid, :email)")
            .unwrap();
        let mut user = transaction
            .prepare(
                "INSERT INTO users (id, uuid, org_id, person_id, username, password_hash, status)
                 VALUES (:id, :uuid, 1, :id, :username, :hash, 'ACTIVE')",
            )
            .unwrap();
        for id in 1..=users {
            let uuid = |kind: u32| format!("{kind:08x}-0000-4000-8000-{id:012x}");
            let username = format!("user{id}@projectthanos.com");
            person
                .execute(named_params! { ":id": id, ":uuid": uuid(1), ":email": username })
                .unwrap();
            user.execute(
                named_params! { ":id": id, ":uuid": uuid(2), ":username": username, ":hash": HASH },
            )
            .unwrap();
        }
        let mut insert = transaction
            .prepare(
                "INSERT INTO tokens (digest, user_id, issued_at, expires_at)
                 VALUES (:digest, :user_id, 0, 4102444800000000)",
            )
            .unwrap();
        // In the order of the key, which fills the table's pages as well as they fill over time, only sooner.
        let mut digests: Vec<([u8; 32], u32)> = (0..tokens)
            .map(|number| (Sha256::digest(token(number)).into(), number % users + 1))
            .collect();
        digests.sort_unstable();
        for (digest, user_id) in digests {
            insert
                .execute(named_params! { ":digest": digest, ":user_id": user_id })
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Requests are made once, so that choosing one costs the load generator next to nothing.
fn lua(tokens: u32) -> String {
    let step = (tokens / KNOWN_TOKENS).max(1);
    format!(
        "local requests, at = {{}}, 0\n\
         function init(args)\n\
         \x20 for number = 0, {} do\n\
         \x20   local token = string.format('%040x', number * {step})\n\
         \x20   requests[number + 1] = wrk.format('GET', nil, {{ Host = 'localhost', Authorization = 'Token ' .. token }})\n\
         \x20 end\n\
         end\n\
         function request()\n\
         \x20 at = (at * 21 + 7919) % #requests\n\
         \x20 return requests[at + 1]\n\
         end\n",
        tokens.min(KNOWN_TOKENS) - 1
    )
}

fn start(database: &Path) -> Running {
    let mut child = Command::new(PROGRAM)
        .args([
            "serve",
            "--log-level",
            "warn",
            "--listen",
            "127.0.0.1:0",
            "--db",
        ])
        .arg(database)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut ready)
        .unwrap();
    let url = ready
        .trim()
        .strip_prefix("listening on ")
        .unwrap()
        .to_owned();
    Running { child, url }
}

/// Requests a second.
fn rate(server: &Running, script: &Path, path: &str) -> f64 {
    let output = Command::new("wrk")
        .args(["-t1", "-c16", "-d", SECONDS_A_ROUND, "-s"])
        .arg(script)
        .arg(format!("{}{path}", server.url))
        .output()
        .expect("wrk is installed");
    let said = String::from_utf8(output.stdout).unwrap();
    // wrk counts the answers that are no success, and says nothing when there are none.
    let all_failed = said.contains("Non-2xx or 3xx responses");
    assert_eq!(all_failed, path == NOTHING, "{path}: {said}");
    let line = said
        .lines()
        .find_map(|line| line.strip_prefix("Requests/sec:"))
        .unwrap_or_else(|| panic!("{said}"));
    line.trim().parse().unwrap()
}

fn resident_mb(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let kilobytes = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .unwrap();
    kilobytes.trim().parse::<f64>().unwrap() / 1000.0
}
