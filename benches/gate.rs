//! What the gate costs: the whole server against a bare tiny_http loop with four workers, both answering 404.
//!
//! ```text
//! cargo bench --bench gate
//! ```
//!
//! Needs `wrk`. The two are measured in turn, and of five rounds the median counts; only the ratios say something, since
//! the load generator takes a share of the machine. The server logs every request, to `/dev/null`, unless it says
//! otherwise; the bare loop does nothing but answer.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;
const CLIENTS: [(usize, f64); 4] = [(1, 0.75), (16, 0.85), (32, 0.55), (256, 0.48)];
/// The number of clients at which processor time is compared, and the most it may be a multiple of the bare loop's.
const PROCESSOR: (usize, f64) = (32, 2.0);
const BODY: &str = r#"{"username":"jweir@projectthanos.com","password":"thanosrocks"}"#;

fn main() {
    if env::args().any(|arg| arg == "bare") {
        return serve_bare();
    }
    if Command::new("wrk").arg("-v").output().is_err() {
        println!("wrk is needed (Debian: apt install wrk)");
        return;
    }
    let bare = Server::bare();
    let gated = Server::gated(&[]);
    let quiet = Server::gated(&["--log-level", "warn"]);
    println!(
        "requests/s, 404, median of {ROUNDS}     bare    gated  ratio (goal)  without request log"
    );
    for (clients, goal) in CLIENTS {
        let [bare, gated, quiet] = medians([&bare, &gated, &quiet], clients);
        println!(
            "{clients:>4} clients {:>26.0} {:>8.0}  {:>5.2} ({goal:.2})  {:>18.2}",
            bare.rate,
            gated.rate,
            gated.rate / bare.rate,
            quiet.rate / bare.rate,
        );
        if clients == PROCESSOR.0 {
            println!(
                "     microseconds of processor {:>7.1} {:>8.1}  {:>5.2} ({:.2})  {:>18.2}",
                bare.processor,
                gated.processor,
                gated.processor / bare.processor,
                PROCESSOR.1,
                quiet.processor / bare.processor,
            );
        }
    }
    drop((bare, gated, quiet));
    latency();
    memory();
}

/// Four threads that answer 404 and know nothing else.
fn serve_bare() {
    let server = Arc::new(tiny_http::Server::http("127.0.0.1:0").unwrap());
    println!("listening on http://{}", server.server_addr());
    let serve = move || {
        while let Ok(request) = server.recv() {
            let response = tiny_http::Response::from_string(r#"{"detail":"Not found."}"#);
            let _ = request.respond(response.with_status_code(404));
        }
    };
    let workers: Vec<_> = (0..4).map(|_| thread::spawn(serve.clone())).collect();
    for worker in workers {
        worker.join().unwrap();
    }
}

/// A server in a process of its own, ended on drop.
struct Server {
    process: Child,
    address: String,
    /// What the server calls its temporary directory.
    directory: tempfile::TempDir,
}

impl Server {
    fn bare() -> Self {
        Self::start(Command::new(env::current_exe().unwrap()).arg("bare"))
    }

    fn gated(flags: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_thanos-login"));
        Self::start(
            command
                .args(["serve", "--demo", "--listen", "127.0.0.1:0"])
                .args(flags),
        )
    }

    fn start(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut process = command
            .env("TMPDIR", directory.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let stdout = process.stdout.take().unwrap();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on http://");
        Self {
            process,
            address: address.unwrap().to_owned(),
            directory,
        }
    }

    /// User and system time so far, in microseconds.
    fn processor_time(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let after_name = stat.rsplit_once(')').unwrap().1;
        let ticks = |at: usize| -> f64 {
            let field = after_name.split_whitespace().nth(at);
            field.unwrap().parse().unwrap()
        };
        // In hundredths of a second on every Linux.
        (ticks(11) + ticks(12)) * 10_000.0
    }

    fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.unwrap().split_whitespace().nth(1);
        number.unwrap().parse().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[derive(Clone, Copy)]
struct Figures {
    /// Requests a second.
    rate: f64,
    /// Microseconds of processor time a request.
    processor: f64,
}

/// Measures them in turn, so that whatever else the machine does meets all of them.
fn medians<const N: usize>(servers: [&Server; N], clients: usize) -> [Figures; N] {
    let mut rounds: [Vec<Figures>; N] = [const { Vec::new() }; N];
    for _ in 0..ROUNDS {
        for (server, rounds) in servers.iter().zip(&mut rounds) {
            rounds.push(load(server, clients));
        }
    }
    rounds.map(|rounds| Figures {
        rate: median(rounds.iter().map(|figures| figures.rate)),
        processor: median(rounds.iter().map(|figures| figures.processor)),
    })
}

fn load(server: &Server, clients: usize) -> Figures {
    let before = server.processor_time();
    let output = Command::new("wrk")
        .args(["-t1", "-d2s", &format!("-c{clients}")])
        .arg(format!("http://{}/nothing-here/", server.address))
        .output()
        .unwrap();
    let after = server.processor_time();
    let text = String::from_utf8(output.stdout).unwrap();
    let word_before = |what: &str| -> f64 {
        let before = text.split_once(what).unwrap_or_else(|| panic!("{text}")).0;
        before.split_whitespace().last().unwrap().parse().unwrap()
    };
    let rate = text.split_once("Requests/sec:").unwrap().1;
    Figures {
        rate: rate.split_whitespace().next().unwrap().parse().unwrap(),
        processor: (after - before) / word_before(" requests in "),
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A lone login through the gate, and one sent to the private socket in the form in which the gate would have sent it.
fn latency() {
    let server = Server::gated(&[]);
    let mut gated = TcpStream::connect(&server.address).unwrap();
    gated.set_nodelay(true).unwrap();
    let mut direct = UnixStream::connect(private_socket(server.directory.path())).unwrap();
    let (mut through_gate, mut directly) = (Vec::new(), Vec::new());
    for _ in 0..500 {
        through_gate.push(time_login(&mut gated, "Host: localhost"));
        directly.push(time_login(&mut direct, "X-Gate-Peer: 127.0.0.1"));
    }
    let [gated, direct] = [through_gate, directly].map(|times| median(times.into_iter()));
    println!(
        "a lone login: {gated:.3} ms, direct {direct:.3} ms; {:.3} ms more (1.000)",
        gated - direct
    );
}

fn private_socket(directory: &Path) -> PathBuf {
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path
                .extension()
                .is_some_and(|extension| extension == "sock")
            {
                return path;
            }
        }
    }
    panic!("the server has no private socket");
}

/// Milliseconds from the request's first byte to the answer's last.
fn time_login(stream: &mut (impl Read + Write), field: &str) -> f64 {
    let request = format!(
        "POST /api/organizations/user-login/ HTTP/1.1\r\n{field}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{BODY}",
        BODY.len()
    );
    let begun = Instant::now();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    let mut piece = [0; 4096];
    // A login's body ends with the organization's type.
    while !answer.ends_with(b"\"RETAILER\"}") {
        let read = stream.read(&mut piece).unwrap();
        assert_ne!(read, 0, "{}", answer.escape_ascii());
        answer.extend_from_slice(&piece[..read]);
    }
    begun.elapsed().as_secs_f64() * 1000.0
}

/// Without clients, and with idle ones that have all been answered once.
fn memory() {
    const IDLE: u64 = 500;
    let server = Server::gated(&["--max-connections-per-client", "0"]);
    thread::sleep(Duration::from_millis(500));
    let alone = server.resident_kib();
    println!("resident, idle: {:.1} MiB (12.0)", alone as f64 / 1024.0);
    let mut clients: Vec<TcpStream> = Vec::new();
    for _ in 0..IDLE {
        let mut client = TcpStream::connect(&server.address).unwrap();
        write!(
            client,
            "GET /nothing-here/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        .unwrap();
        assert_ne!(client.read(&mut [0; 4096]).unwrap(), 0);
        clients.push(client);
    }
    let each = (server.resident_kib() - alone) as f64 / IDLE as f64;
    println!("resident, each idle connection: {each:.1} KiB (16.0)");
}
