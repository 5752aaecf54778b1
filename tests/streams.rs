//! Standard output and standard error that are closed, full, broken or never read: changes are made anyway, nothing waits
//! for a message to be read, and only a result that cannot be delivered is a failure.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::process::PROGRAM;
use crate::harness::{
    Connection, JSON, LOGIN, Launch, Place, eventually, login_body, only_in_a_file, request,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamState {
    Closed,
    /// Writes fail as on a full disk.
    Full,
    /// A pipe without a reader.
    Broken,
    /// A full pipe whose reader does not read.
    Unread,
    /// A pipe that is read to its end.
    Read,
}

use StreamState::{Broken, Closed, Full, Read as Readable, Unread};

const BAD: [StreamState; 4] = [Closed, Full, Broken, Unread];

/// A standard stream of a program, and the end of it that the test keeps.
struct TestedStream {
    stdio: Stdio,
    reader: Option<PipeReader>,
}

impl StreamState {
    fn open(self) -> TestedStream {
        let piped = || pipe().unwrap();
        let (stdio, reader) = match self {
            Closed => (Stdio::null(), None),
            Full => {
                let full = File::options().write(true).open("/dev/full").unwrap();
                (full.into(), None)
            }
            Broken => (piped().1.into(), None),
            Unread => {
                let (reader, mut writer) = piped();
                fill(&mut writer);
                (writer.into(), Some(reader))
            }
            Readable => {
                let (reader, writer) = piped();
                (writer.into(), Some(reader))
            }
        };
        TestedStream { stdio, reader }
    }
}

/// The redirections with which a shell closes the streams that are to be closed.
fn closing(stdout: StreamState, stderr: StreamState) -> &'static str {
    match (stdout, stderr) {
        (Closed, Closed) => ">&- 2>&-",
        (Closed, _) => ">&-",
        (_, Closed) => "2>&-",
        _ => "",
    }
}

fn fill(writer: &mut PipeWriter) {
    let flags = fcntl_getfl(&*writer).unwrap();
    fcntl_setfl(&*writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'.'; 4096]).is_ok() {}
    while writer.write(b".").is_ok() {}
    fcntl_setfl(&*writer, flags).unwrap();
}

/// A running program, killed when it is dropped.
struct RunningProgram(Child);

impl RunningProgram {
    fn start(launch: Launch, stdout: Stdio, stderr: Stdio, closing: &str) -> Self {
        let launch = match closing {
            "" => launch,
            closing => launch.after(&format!("exec {closing}")),
        };
        Self(launch.spawn_with(stdout, stderr))
    }

    #[track_caller]
    fn code(&mut self, label: &str) -> Option<i32> {
        let mut status = None;
        eventually(label, || {
            status = self.0.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap().code()
    }

    #[track_caller]
    fn stop(mut self, label: &str) {
        kill_process(Pid::from_child(&self.0), Signal::TERM).unwrap();
        assert_eq!(self.code(label), Some(0), "{label}");
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // The program may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[derive(Debug)]
struct RunResult {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Runs a program to its end. A stream that is `Unread` is read only after that.
#[track_caller]
fn run(label: &str, launch: Launch, stdout: StreamState, stderr: StreamState) -> RunResult {
    let (out, err) = (stdout.open(), stderr.open());
    let mut program = RunningProgram::start(launch, out.stdio, err.stdio, closing(stdout, stderr));
    let read = |state, reader: Option<PipeReader>| match (state, reader) {
        (Readable, Some(mut reader)) => {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            (text, None)
        }
        (_, reader) => (String::new(), reader),
    };
    thread::scope(|scope| {
        let stderr = scope.spawn(|| read(stderr, err.reader));
        let (stdout, _out) = read(stdout, out.reader);
        let code = program.code(label);
        let (stderr, _err) = stderr.join().unwrap();
        RunResult {
            code,
            stdout,
            stderr,
        }
    })
}

/// A database with a user who has a token, and files for commands to read.
fn template() -> Place {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let server = place.serve(&[]);
    server.login(JWEIR, PASSWORD).token();
    server.stop();
    let users = format!("username,password_hash,org\nann,{},projectthanos\n", {
        accounts::QUICK_HASH
    });
    place.write("users.csv", users);
    place.write("bad.csv", "username,password,org\nann,,nowhere\n");
    fs::create_dir(place.path("pages")).unwrap();
    place
}

/// The program with these space-separated arguments, to be run in a directory.
fn launch(place: &Place, words: &str) -> Launch {
    let args: Vec<&str> = words.split(' ').collect();
    place
        .program(&args)
        .env("THANOS_LOGIN_BCRYPT_COST", "10")
        .input("violet kettle ninety")
}

fn for_each_row<T: Sync>(rows: &[T], check: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| check(row));
        }
    });
}

/// Commands that change something, and a query that shows the change.
const CHANGES: [(&str, &str); 14] = [
    ("init", "SELECT 1"),
    ("seed accounts.json", "SELECT 1"),
    (
        "org add New --type SUPPLIER",
        "SELECT count(*) FROM organizations WHERE name = 'New'",
    ),
    (
        "org add New --type SUPPLIER --json",
        "SELECT count(*) FROM organizations WHERE name = 'New'",
    ),
    (
        "org set-status projectthanos PENDING",
        "SELECT count(*) FROM organizations WHERE status = 'PENDING'",
    ),
    (
        "user add bea --org projectthanos --password-stdin",
        "SELECT count(*) FROM users WHERE username = 'bea'",
    ),
    (
        "user passwd jweir@projectthanos.com --password-stdin",
        "SELECT 1 - count(*) FROM tokens",
    ),
    (
        "user set-status jweir@projectthanos.com DEACTIVATED",
        "SELECT count(*) FROM users WHERE status = 'DEACTIVATED'",
    ),
    ("user unlock jweir@projectthanos.com", "SELECT 1"),
    (
        "user import users.csv",
        "SELECT count(*) FROM users WHERE username = 'ann'",
    ),
    (
        "token revoke --user jweir@projectthanos.com",
        "SELECT 1 - count(*) FROM tokens",
    ),
    (
        "token revoke --user jweir@projectthanos.com --json",
        "SELECT 1 - count(*) FROM tokens",
    ),
    ("token purge", "SELECT 1"),
    ("man --out pages", "SELECT 1"),
];

const COPIES: [(&str, &str); 2] = [
    ("backup copy.db", "SELECT 1"),
    ("restore thanos-login.db --db other.db", "SELECT 1"),
];

#[test]
fn a_change_is_made_whether_or_not_its_messages_are_read() {
    assert_made(&CHANGES);
}

#[test]
fn a_copy_of_a_file_is_made_whether_or_not_its_messages_are_read() {
    only_in_a_file();
    assert_made(&COPIES);
}

fn assert_made(changes: &[(&str, &str)]) {
    let template = template();
    for_each_row(changes, |(words, query)| {
        for state in BAD {
            for [stdout, stderr] in [[state, Readable], [Readable, state], [state, state]] {
                let label = format!("{words}: {stdout:?}, {stderr:?}");
                let place = template.copy();
                let ended = run(&label, launch(&place, words), stdout, stderr);
                assert_eq!(ended.code, Some(0), "{label}: {ended:?}");
                assert_eq!(ended.stderr, "", "{label}");
                assert_eq!(place.number(query), 1, "{label}");
            }
        }
    });
}

/// Commands that print something, and change nothing.
const RESULTS: [&str; 15] = [
    "org list",
    "org list --json",
    "org show projectthanos",
    "user list",
    "user show jweir@projectthanos.com --json",
    "token list",
    "check --json",
    "user import users.csv --dry-run",
    "calibrate --hash-threads 1 --hash-lanes 1",
    "completions bash",
    "man",
    "--help",
    "serve --help",
    "--version",
    "user export",
];

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_slow_reader_gets_all_of_it() {
    only_in_a_file();
    let template = template();
    // This makes `check` find that others may read the file.
    let database = template.path(Place::DATABASE);
    rustix::fs::chmod(database, rustix::fs::Mode::from_raw_mode(0o644)).unwrap();
    for_each_row(&RESULTS, |words| {
        let place = template.copy();
        let ended = |stdout, stderr| {
            let label = format!("{words}: {stdout:?}, {stderr:?}");
            run(&label, launch(&place, words), stdout, stderr)
        };
        let good = ended(Readable, Readable);
        let code = if words.starts_with("check") { 1 } else { 0 };
        assert_eq!(good.code, Some(code), "{good:?}");
        assert_ne!(good.stdout, "", "{words}");
        for state in BAD {
            let quiet = ended(Readable, state);
            assert_eq!(quiet.code, Some(code), "{words}: {quiet:?}");
            assert_eq!(quiet.stdout.lines().count(), good.stdout.lines().count());
        }
        let full = ended(Full, Readable);
        assert_eq!(full.code, Some(1), "{words}: {full:?}");
        for part in ["cannot write to standard output", "run the command again"] {
            assert!(full.stderr.contains(part), "{words}: {full:?}");
        }
        for state in BAD {
            assert_eq!(ended(Full, state).code, Some(1), "{words}: {state:?}");
        }
        // A backup must be complete; a listing whose reader has gone need not be.
        let unwanted = if *words == "user export" { 1 } else { code };
        for state in [Closed, Broken] {
            let ended = ended(state, Readable);
            assert_eq!(ended.code, Some(unwanted), "{words}: {state:?}, {ended:?}");
            assert_eq!(ended.stderr.is_empty(), unwanted == code, "{ended:?}");
            if unwanted != code {
                let advice = "run the command again, or name a file";
                assert!(ended.stderr.contains(advice), "{ended:?}");
            }
        }
        let slow = read_late(launch(&place, words));
        assert_eq!(slow.code, Some(code), "{words}: {slow:?}");
        assert_eq!(slow.stdout.lines().count(), good.stdout.lines().count());
    });
}

/// Runs a program whose standard output is full when it starts and is read only then.
fn read_late(launch: Launch) -> RunResult {
    let out = Unread.open();
    let mut program = RunningProgram::start(launch, out.stdio, Stdio::null(), "");
    let mut stdout = String::new();
    out.reader.unwrap().read_to_string(&mut stdout).unwrap();
    RunResult {
        code: program.code("a slow reader"),
        stdout: stdout.trim_start_matches('.').to_owned(),
        stderr: String::new(),
    }
}

#[test]
fn a_generated_password_that_cannot_be_printed_is_a_failure_that_says_what_to_do() {
    let template = template();
    let rows = [
        (
            "user add bea --org projectthanos --generate",
            "added the user bea",
            "`thanos-login user passwd bea`",
        ),
        (
            "user add bea --org projectthanos --generate --json",
            "added the user bea",
            "`thanos-login user passwd bea`",
        ),
        (
            "user passwd jweir@projectthanos.com --generate",
            "changed the password of jweir@projectthanos.com",
            "`thanos-login user passwd jweir@projectthanos.com`",
        ),
    ];
    for_each_row(&rows, |(words, done, hint)| {
        for stdout in [Closed, Full, Broken] {
            for stderr in [Readable, Closed, Full, Broken, Unread] {
                let label = format!("{words}: {stdout:?}, {stderr:?}");
                let place = template.copy();
                let ended = run(&label, launch(&place, words), stdout, stderr);
                assert_eq!(ended.code, Some(1), "{label}: {ended:?}");
                if stderr == Readable {
                    assert_eq!(ended.stderr.lines().count(), 1, "{label}: {ended:?}");
                    assert!(ended.stderr.contains(done), "{label}: {ended:?}");
                    assert!(ended.stderr.contains(hint), "{label}: {ended:?}");
                }
            }
        }
        let slow = read_late(launch(&template.copy(), words));
        assert_eq!(slow.code, Some(0), "{words}: {slow:?}");
        assert!(slow.stdout.contains("password"), "{words}: {slow:?}");
    });
}

#[test]
fn a_failure_has_its_exit_code_whether_or_not_its_reason_is_read() {
    only_in_a_file();
    let template = template();
    let rows = [
        ("user show nobody", 1),
        ("user import bad.csv", 1),
        ("check --db nowhere.db", 1),
        ("healthcheck --listen unix:nowhere.sock", 1),
        ("serve --listen unix:nowhere/login.sock", 1),
        ("serve --db accounts.json", 1),
        ("serve --db accounts.json --log-format json", 1),
        ("serve --listen nowhere", 2),
        ("serve --fixture accounts.json", 2),
        ("seed --bcrypt-cost 4", 2),
        ("user", 2),
        ("nothing", 2),
    ];
    for_each_row(&rows, |(words, code)| {
        let read = run(words, launch(&template, words), Readable, Readable);
        assert_eq!(read.code, Some(*code), "{words}: {read:?}");
        assert_ne!(read.stderr, "", "{words}");
        for state in BAD {
            for [stdout, stderr] in [[Readable, state], [state, state]] {
                let label = format!("{words}: {stdout:?}, {stderr:?}");
                let ended = run(&label, launch(&template, words), stdout, stderr);
                assert_eq!(ended.code, Some(*code), "{label}: {ended:?}");
            }
        }
    });
}

#[test]
fn standard_input_that_is_non_blocking_is_waited_for() {
    only_in_a_file();
    let template = template();
    let rows = [
        (
            "user import - --format csv",
            ["username,password_hash,org\n", "ann,HASH,projectthanos\n"],
        ),
        (
            "user passwd jweir@projectthanos.com --password-stdin",
            ["violet ", "kettle ninety\n"],
        ),
        (
            "user add bea --org projectthanos --password-stdin",
            ["violet ", "kettle ninety\n"],
        ),
    ];
    for_each_row(&rows, |(words, [first, rest])| {
        let place = template.copy();
        let (reader, mut writer) = pipe().unwrap();
        let flags = fcntl_getfl(&reader).unwrap();
        fcntl_setfl(&reader, flags | OFlags::NONBLOCK).unwrap();
        let program = Command::new(PROGRAM)
            .args(words.split(' '))
            .current_dir(place.path(""))
            .envs(place.variable())
            .env("THANOS_LOGIN_BCRYPT_COST", "10")
            .stdin(reader.try_clone().unwrap())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        writer.write_all(first.as_bytes()).unwrap();
        eventually("the program reads on", || {
            rustix::io::ioctl_fionread(&reader).unwrap() == 0
        });
        let rest = rest.replace("HASH", accounts::QUICK_HASH);
        // A program that has failed reads no more; its output says why.
        let _ = writer.write_all(rest.as_bytes());
        drop(writer);
        let ended = program.wait_with_output().unwrap();
        assert!(ended.status.success(), "{words}: {ended:?}");
    });
}

#[test]
fn findings_of_an_import_wait_for_a_reader_that_reads() {
    let place = template();
    let bad = (0..10_000).fold("username,password,org\n".to_owned(), |csv, number| {
        csv + &format!("u{number},,nowhere\n")
    });
    place.write("bad.csv", bad);
    let ended = run(
        "findings",
        launch(&place, "user import bad.csv"),
        Readable,
        Readable,
    );
    assert_eq!(ended.code, Some(1));
    assert!(!ended.stderr.contains("dropped"), "{}", ended.stderr);
    assert!(ended.stderr.contains("bad.csv:10001: "), "{}", ended.stderr);
}

#[test]
fn a_server_serves_and_stops_whatever_its_standard_streams_are() {
    let rows: Vec<(StreamState, StreamState)> = BAD
        .into_iter()
        .flat_map(|state| [(state, Readable), (Readable, state), (state, state)])
        .collect();
    for_each_row(&rows, |(stdout, stderr)| {
        let label = format!("{stdout:?}, {stderr:?}");
        let place = Place::new();
        let words = "serve --demo --listen unix:login.sock --log-level trace";
        let (out, err) = (stdout.open(), stderr.open());
        let closing = closing(*stdout, *stderr);
        let program = RunningProgram::start(launch(&place, words), out.stdio, err.stdio, closing);
        for _ in 0..3 {
            let mut connection = connect(&place);
            connection.send(request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD)));
            assert_eq!(connection.answer().status, 200, "{label}");
        }
        program.stop(&label);
        if let (Readable, Some(mut reader)) = (*stdout, out.reader) {
            let mut text = String::new();
            reader.read_to_string(&mut text).unwrap();
            assert_eq!(text, "listening on unix:login.sock\n", "{label}");
        }
    });
}

fn connect(place: &Place) -> Connection {
    let mut stream = None;
    eventually("the server listens", || {
        stream = UnixStream::connect(place.path("login.sock")).ok();
        stream.is_some()
    });
    Connection::over(stream.unwrap()).unchecked()
}

const REQUESTS: u64 = 3000;

#[test]
fn an_unread_log_stops_no_request_and_says_how_much_was_dropped() {
    for format in ["text", "json"] {
        let place = Place::new();
        let words = format!("serve --demo --listen unix:login.sock --log-format {format}");
        let (reader, writer) = pipe().unwrap();
        let program =
            RunningProgram::start(launch(&place, &words), Stdio::null(), writer.into(), "");
        let mut connection = connect(&place);
        let mut ask = || {
            connection.send(request("GET", "/nothing-here/", &[], ""));
            assert_eq!(connection.answer().status, 404);
        };
        (0..REQUESTS).for_each(|_| ask());

        let mut log = BufReader::new(reader).lines().map(Result::unwrap);
        let before: Vec<String> = log.by_ref().take_while(|line| !is_gap(line)).collect();
        let logged = before.iter().filter(|line| is_request(line)).count() as u64;
        // The queue is empty again, so it has space for this line.
        ask();
        let after = log.next().unwrap();
        assert!(is_request(&after), "{format}: {after}");
        program.stop(format);
        let rest: Vec<String> = log.collect();
        assert!(logged < REQUESTS, "{format}: {logged}");
        assert!(!rest.iter().any(|line| is_gap(line)), "{format}: {rest:?}");
        if format == "json" {
            for line in before.iter().chain(&rest) {
                serde_json::from_str::<serde_json::Value>(line).unwrap();
            }
        }
    }
}

#[test]
fn logged_and_dropped_lines_add_up_to_all_requests() {
    let place = Place::new();
    let words = "serve --demo --listen unix:login.sock";
    let (reader, writer) = pipe().unwrap();
    let program = RunningProgram::start(launch(&place, words), Stdio::null(), writer.into(), "");
    let mut connection = connect(&place);
    for _ in 0..REQUESTS {
        connection.send(request("GET", "/nothing-here/", &[], ""));
        assert_eq!(connection.answer().status, 404);
    }
    let mut log = BufReader::new(reader).lines().map(Result::unwrap);
    let mut lines: Vec<String> = Vec::new();
    while !lines.last().is_some_and(|line| is_gap(line)) {
        lines.extend(log.next());
    }
    program.stop("after a gap");
    // The last request may be logged after its answer, and after the line about dropped lines.
    lines.extend(log);
    let logged = lines.iter().filter(|line| is_request(line)).count() as u64;
    let gaps = lines.iter().filter(|line| is_gap(line));
    let dropped: u64 = gaps
        .filter_map(|gap| gap.split(' ').find_map(|word| word.parse::<u64>().ok()))
        .sum();
    assert_eq!(logged + dropped, REQUESTS);
}

fn is_gap(line: &str) -> bool {
    line.contains("lines were dropped")
}

fn is_request(line: &str) -> bool {
    line.contains("/nothing-here/")
}

#[test]
fn a_log_on_a_full_disk_resumes_when_there_is_space_again() {
    // A file size limit on the running server has the effect of a full disk: nothing can be written beyond the limit.
    let place = Place::new();
    let log = File::create(place.path("log")).unwrap();
    let words = "serve --demo --listen unix:login.sock";
    let program = RunningProgram::start(launch(&place, words), Stdio::null(), log.into(), "");
    let mut connection = connect(&place);
    let mut ask = || {
        connection.send(request("GET", "/nothing-here/", &[], ""));
        assert_eq!(connection.answer().status, 404);
    };
    let text = || fs::read_to_string(place.path("log")).unwrap();
    ask();
    eventually("the request is logged", || {
        text().contains("/nothing-here/")
    });
    let pid = Some(Pid::from_child(&program.0));
    let limit = |current| {
        let limit = rustix::process::Rlimit {
            current,
            maximum: None,
        };
        rustix::process::prlimit(pid, rustix::process::Resource::Fsize, limit).unwrap();
    };
    // The limit ends in the middle of the next line.
    let full = text().len() + 20;
    limit(Some(full as u64));
    (0..3).for_each(|_| ask());
    eventually("the log is full", || text().len() == full);
    limit(None);
    ask();
    eventually("the gap is mentioned", || text().contains("dropped"));
    program.stop("after a full disk");
    let text = text();
    let gap: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("dropped"))
        .collect();
    assert_eq!(gap.len(), 1, "{text}");
    assert!(gap[0].starts_with("thanos-login: "), "{text}");
    assert!(text.ends_with('\n'), "{text}");
}
