//! The speed of logins and requests, as ratios to what the libraries alone do in the same run.
//!
//! `cargo bench --bench login`, or with a part of a label after `--` for one measurement.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use common::client::{Client, get, login};
use common::rate::{Rate, print_ratio, rate, rate_of_threads};
use common::server::{
    CLIENTS, PASSWORD, address, bare_loop, engine, hash, seeded, serve_file, username,
};
use common::{is_wanted, machine};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use thanos_login::account::Username;
use thanos_login::gate::{self, Address, Forward, Gate};
use thanos_login::hashing::{Cost, Engine, Group, Member, Password, Permits};
use thanos_login::store::{Account, NewToken, Store, VerifiedLogin};

fn main() {
    machine::print();
    logins_at_cost_12();
    logins_at_cost_4();
    tokens_on_disk();
    not_found();
}

/// The capacity of a login server is its bcrypt rate; everything else should cost almost nothing.
fn logins_at_cost_12() {
    let threads = thread::available_parallelism().unwrap().get();
    let label =
        format!("logins at cost 12, relative to the bcrypt crate alone on {threads} threads");
    if !is_wanted(&label) {
        return;
    }
    let directory = directory();
    let server = serve_file(directory.path(), Cost::DEFAULT);
    let mut clients = connect_all(address(&server.url()));
    let hash = hash(Cost::DEFAULT);
    // So many of each that the end of the run, when some lanes are idle, has little effect.
    let (count_alone, count) = (8 * threads, 64 * threads);
    print_ratio(
        &label,
        Some(0.97),
        5,
        || {
            rate_of_threads(&mut vec![(); threads], count_alone, |(), _| {
                assert!(bcrypt::verify(PASSWORD, &hash).unwrap())
            })
        },
        || log_in(&mut clients, count),
    );
}

/// The gain of the group commit with the cheapest hashing there is, and the cost of HTTP around a login.
fn logins_at_cost_4() {
    let grouped =
        "logins at cost 4 from 32 threads with group commit, relative to one commit a token";
    let http =
        "logins at cost 4 over HTTP with 32 clients, relative to the same steps without HTTP";
    if !is_wanted(grouped) && !is_wanted(http) {
        return;
    }
    let directory = directory();
    let logins = Logins::open(directory.path());
    if is_wanted(grouped) {
        print_ratio(
            grouped,
            None,
            9,
            || logins.complete(1000, Commits::Single),
            || logins.complete(1000, Commits::Grouped),
        );
    }
    if is_wanted(http) {
        let server = serve_file(directory.path(), Cost::MIN);
        let mut clients = connect_all(address(&server.url()));
        print_ratio(
            http,
            None,
            9,
            || logins.complete(1000, Commits::Grouped),
            || log_in(&mut clients, 1000),
        );
    }
}

fn tokens_on_disk() {
    let label = "tokens kept with group commit from 32 threads, relative to one commit a token";
    if !is_wanted(label) {
        return;
    }
    let directory = directory();
    let logins = Logins::open(directory.path());
    print_ratio(
        label,
        None,
        9,
        || logins.keep_tokens(1000, Commits::Single),
        || logins.keep_tokens(5000, Commits::Grouped),
    );
}

/// The cost of everything around a login, measured with the cheapest request; and the part of it that is not the gate's.
fn not_found() {
    let whole = "404 with 32 clients, relative to a bare tiny_http loop with 4 workers";
    let behind_gate = format!("{whole} behind the gate");
    if !is_wanted(whole) && !is_wanted(&behind_gate) {
        return;
    }
    let directory = directory();
    let server = serve_file(directory.path(), Cost::MIN);
    let mut clients = connect_all(address(&server.url()));
    let http = tiny_http::Server::http((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let bare_address = http.server_addr().to_ip().unwrap();
    bare_loop(http);
    let mut bare = connect_all(bare_address);
    print_ratio(
        whole,
        Some(0.9),
        15,
        || get_in_turn(&mut bare),
        || get_in_turn(&mut clients),
    );
    let gate = gate_of_bare_loop(directory.path());
    let mut gated = connect_all(address(&gate.addresses()[0].to_string()));
    print_ratio(
        &behind_gate,
        Some(0.9),
        15,
        || get_in_turn(&mut gated),
        || get_in_turn(&mut clients),
    );
}

/// A directory beside the built program: the system's temporary directory may be in memory, where a sync costs nothing.
fn directory() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

fn connect_all(address: SocketAddr) -> Vec<Client> {
    (0..CLIENTS).map(|_| Client::connect(address)).collect()
}

/// Logs in; each client has its own user.
fn log_in(clients: &mut [Client], count: usize) -> Rate {
    let requests: Vec<_> = (0..CLIENTS)
        .map(|number| login(&username(number), PASSWORD))
        .collect();
    rate_of_threads(clients, count, |client, piece| {
        assert_eq!(client.exchange(&requests[piece % CLIENTS]), 200);
    })
}

/// The steps of a login without the server around them.
struct Logins {
    store: Store,
    engine: Engine,
    usernames: Vec<Username>,
    permits: Permits,
    made: AtomicUsize,
    turn: Mutex<()>,
}

#[derive(Clone, Copy)]
enum Commits {
    Grouped,
    /// One caller at a time, so that the writer never has two changes to commit together.
    Single,
}

impl Logins {
    fn open(directory: &Path) -> Self {
        Self {
            store: seeded(&directory.join("logins.db"), Cost::MIN),
            engine: engine(),
            usernames: (0..CLIENTS)
                .map(|number| Username::parse(&username(number)).unwrap())
                .collect(),
            permits: Permits::new(CLIENTS),
            made: AtomicUsize::new(0),
            turn: Mutex::new(()),
        }
    }

    fn complete(&self, count: usize, commits: Commits) -> Rate {
        let password = Password::new(PASSWORD.to_owned());
        rate_of_threads(&mut [(); CLIENTS], count, |(), piece| {
            let permit = self.permits.admit(Group::default()).unwrap();
            let account = self.find(piece);
            let hash = account.password_hash.parse().unwrap();
            assert!(
                self.engine
                    .verify(
                        &permit,
                        Member::default(),
                        &password,
                        Some(&hash),
                        Cost::MIN
                    )
                    .unwrap()
            );
            self.keep_token(&account, commits);
        })
    }

    fn keep_tokens(&self, count: usize, commits: Commits) -> Rate {
        let accounts: Vec<_> = (0..CLIENTS).map(|number| self.find(number)).collect();
        rate_of_threads(&mut [(); CLIENTS], count, |(), piece| {
            self.keep_token(&accounts[piece % CLIENTS], commits)
        })
    }

    fn find(&self, number: usize) -> Account {
        self.store
            .look_up(&self.usernames[number % CLIENTS])
            .unwrap()
            .account
            .unwrap()
    }

    fn keep_token(&self, account: &Account, commits: Commits) {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let now = Timestamp::now();
        let token = NewToken {
            digest: Sha256::digest(number.to_le_bytes()).into(),
            expires_at: now.checked_add(Duration::from_secs(7200)).ok(),
            max_per_user: 32,
        };
        let login = VerifiedLogin {
            user_id: account.user_id,
            revision: account.revision,
            token: Some(token),
            counter: [0; 16],
            event: None,
            attempt: None,
        };
        let _turn = matches!(commits, Commits::Single).then(|| self.turn.lock().unwrap());
        assert!(self.store.complete_login(login, now).unwrap());
    }
}

fn gate_of_bare_loop(directory: &Path) -> Gate {
    let upstream = directory.join("bare.sock");
    bare_loop(tiny_http::Server::http_unix(&upstream).unwrap());
    Gate::start(gate::Config {
        listeners: gate::BoundListeners::bind(
            &[Address::Tcp((Ipv4Addr::LOCALHOST, 0).into())],
            gate::SocketMode::default(),
            None,
        )
        .unwrap(),
        limits: gate::GateLimits::default(),
        network_grouping: gate::NetworkGrouping::default(),
        backend: Arc::new(upstream),
        answer_timeout: Duration::from_secs(120),
        forward: Forward::Only(&[]),
        on_refusal: gate::OnRefusal::new(|_| Vec::new()),
        on_delivery: Arc::new(|_, _| {}),
        answer_fields: &[],
        reserved_descriptors: 256,
    })
    .unwrap()
}

/// Sends requests from one thread for all clients, so that the load generator takes little time from the server.
fn get_in_turn(clients: &mut [Client]) -> Rate {
    let request = get("/nowhere/");
    let passes = 300;
    rate((passes * CLIENTS) as f64, || {
        for _ in 0..passes {
            clients.iter_mut().for_each(|client| client.send(&request));
            clients
                .iter_mut()
                .for_each(|client| assert_eq!(client.receive(), 404));
        }
    })
}
