//! Recovery of a running server that loses resources for a while: names in the temporary directory, threads, descriptors.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::process::Signal;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::process::NOBODY;
use crate::harness::server::send_over_unix_socket;
use crate::harness::{JSON, LOGIN, Place, Server, eventually, login_body, request};

fn one_user() -> Place {
    Place::seeded(&accounts::retailer([accounts::user(JWEIR)]))
}

fn ready() -> Vec<u8> {
    request("GET", "/readyz", &[], "")
}

/// The private temporary directory of the only server in the test directory.
#[track_caller]
fn scratch(place: &Place) -> PathBuf {
    let names = place.files("tmp");
    assert_eq!(names.len(), 1, "{names:?}");
    place.path("tmp").join(&names[0])
}

/// The statuses of `count` concurrent logins.
fn logins_at_once(server: &Server, count: usize) -> Vec<u16> {
    let login = || server.login(JWEIR, PASSWORD).status;
    thread::scope(|scope| {
        let logins: Vec<_> = (0..count).map(|_| scope.spawn(login)).collect();
        let join = |login: thread::ScopedJoinHandle<'_, u16>| login.join().unwrap();
        logins.into_iter().map(join).collect()
    })
}

#[test]
fn a_server_keeps_running_when_its_files_in_the_temporary_directory_are_removed() {
    for is_demo in [true, false] {
        for is_whole_directory in [false, true] {
            let place = one_user();
            let server = match is_demo {
                true => place.program(&["serve", "--demo"]).start(),
                false => place.serve(&[]),
            };
            server.login(JWEIR, PASSWORD).token();
            let scratch = scratch(&place);
            if is_whole_directory {
                fs::remove_dir_all(&scratch).unwrap();
            } else {
                fs::remove_file(scratch.join("calls.sock")).unwrap();
            }
            assert_eq!(logins_at_once(&server, 8), [200; 8]);
            assert_eq!(server.send(ready()).status, 200);
            let address = server.address().to_string();
            place
                .run(&["healthcheck", "--listen", &address])
                .succeeded();
            server.stop();
            assert_eq!(place.files("tmp"), [""; 0]);
        }
    }
}

#[test]
fn a_removed_private_socket_is_noticed_without_any_request() {
    let place = one_user();
    let server = place.serve(&[]);
    let swept = scratch(&place);
    fs::remove_dir_all(&swept).unwrap();
    eventually("another directory is made", || {
        place.files("tmp").len() == 1
    });
    assert_ne!(scratch(&place), swept);
    server.stop();
    assert_eq!(place.files("tmp"), [""; 0]);
}

#[test]
fn an_empty_tmpdir_counts_as_unset() {
    let place = Place::new();
    let server = place
        .program(&["serve", "--demo"])
        .env("TMPDIR", "")
        .start();
    server.login(JWEIR, PASSWORD).token();
    assert_eq!(place.files(""), ["tmp"]);
    server.stop();
}

#[test]
fn a_missing_temporary_directory_is_named() {
    let place = Place::new();
    fs::remove_dir(place.path("tmp")).unwrap();
    let tmp = place.path("tmp");
    place
        .run(&["serve", "--demo"])
        .failed_naming("no directory", tmp.to_str().unwrap());
}

#[test]
fn demos_that_start_at_once_all_become_ready_despite_the_leftovers_of_killed_ones() {
    const STARTS: usize = 12;
    let place = Place::new();
    for _ in 0..3 {
        let start = || place.program(&["serve", "--demo"]).start();
        let servers: Vec<Server> = thread::scope(|scope| {
            let starts: Vec<_> = (0..STARTS).map(|_| scope.spawn(start)).collect();
            let join = |start: thread::ScopedJoinHandle<'_, Server>| start.join().unwrap();
            starts.into_iter().map(join).collect()
        });
        assert_eq!(place.files("tmp").len(), STARTS);
        for server in servers {
            server.login(JWEIR, PASSWORD).token();
            server.kill();
        }
    }
    place.program(&["serve", "--demo"]).start().stop();
    assert_eq!(place.files("tmp"), [""; 0]);
}

#[test]
fn a_demo_without_its_authority_keeps_its_certificate() {
    for is_whole_directory in [false, true] {
        let place = Place::new();
        let server = place
            .program(&["serve", "--demo", "--tls-self-signed", "localhost"])
            .start();
        let swept = scratch(&place);
        if is_whole_directory {
            fs::remove_dir_all(&swept).unwrap();
        } else {
            fs::remove_file(swept.join("demo/thanos-login-ca.pem")).unwrap();
            fs::remove_file(swept.join("demo/thanos-login-ca.key")).unwrap();
        }
        server.signal(Signal::HUP);
        eventually("it says that the files cannot be used", || {
            server.log().contains("cannot use the new TLS files")
        });
        assert!(!swept.join("demo/thanos-login-ca.pem").exists());
    }
}

#[test]
fn a_demo_starts_whatever_the_umask() {
    for umask in ["0777", "0400", "0177", "0077", "0"] {
        let place = Place::new();
        for name in ["", "tmp"] {
            fs::set_permissions(place.path(name), Permissions::from_mode(0o777)).unwrap();
        }
        let start = place.program(&["serve", "--demo"]).without_root();
        let server = start.after(&format!("umask {umask}")).start();
        server.login(JWEIR, PASSWORD).token();
        for directory in [scratch(&place), scratch(&place).join("demo")] {
            let mode = fs::metadata(directory).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{umask}");
        }
    }
}

#[test]
fn a_socket_file_that_is_removed_is_created_again() {
    let place = one_user();
    let server = place.serve(&["--listen", "unix:login.sock", "--socket-mode", "0660"]);
    let path = place.path("login.sock");
    let again = "the socket file was removed, and was created again";
    let replaced = "the socket file was replaced";
    let login = || {
        let login = request("POST", LOGIN, &[JSON], login_body(JWEIR, PASSWORD));
        send_over_unix_socket(&server, "login.sock", login)
    };
    fs::remove_file(&path).unwrap();
    eventually("it is created again", || server.log().contains(again));
    login().token();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    place.write("other", "not a socket");
    fs::rename(place.path("other"), &path).unwrap();
    eventually("it is logged", || server.log().contains(replaced));
    fs::remove_file(&path).unwrap();
    eventually("it is created again", || {
        server.log().matches(again).count() == 2
    });
    login().token();
    let finished = server.stop();
    assert_eq!(finished.stderr.matches(replaced).count(), 1);
    assert!(!path.exists());
}

/// A resource limit of a running server that is lowered until this value is dropped.
struct LoweredLimit<'a> {
    server: &'a Server,
    name: &'static str,
}

impl<'a> LoweredLimit<'a> {
    fn lower(server: &'a Server, name: &'static str, limit: u64) -> Self {
        set_limit(server, name, &limit.to_string());
        Self { server, name }
    }
}

impl Drop for LoweredLimit<'_> {
    fn drop(&mut self) {
        let limits = fs::read_to_string(format!("/proc/{}/limits", self.server.pid())).unwrap();
        let title = match self.name {
            "nproc" => "Max processes",
            _ => "Max open files",
        };
        let line = limits.lines().find_map(|line| line.strip_prefix(title));
        let hard = line.unwrap().split_whitespace().nth(1).unwrap();
        set_limit(self.server, self.name, hard);
    }
}

/// Sets a soft limit as the server's user: another user would need more rights. The hard limit stays.
fn set_limit(server: &Server, name: &str, limit: &str) {
    let pid = server.pid().to_string();
    let mut command = match rustix::process::geteuid().is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(NOBODY).arg("prlimit");
            command
        }
        false => Command::new("prlimit"),
    };
    let limit = format!("--{name}={limit}:");
    let status = command.args(["--pid", &pid, &limit]).status().unwrap();
    assert!(status.success());
}

/// A demo whose logins take a while, run by an unprivileged user, to whom all limits apply.
fn demo_without_root() -> (Place, Server) {
    let place = Place::new();
    let everybodys = Permissions::from_mode(0o777);
    for name in ["", "tmp"] {
        fs::set_permissions(place.path(name), everybodys.clone()).unwrap();
    }
    place.write("demo.json", accounts::leisurely().to_string());
    let args = [
        "serve",
        "--demo",
        "--fixture",
        "demo.json",
        "--bcrypt-cost",
        "10",
    ];
    let server = place.program(&args).without_root().start();
    (place, server)
}

/// Lowers the limit so far that the server gets nothing more, and waits until it is not ready.
#[track_caller]
fn lower_to_nothing<'a>(server: &'a Server, name: &'static str) -> LoweredLimit<'a> {
    let mut kept = server.connect();
    let mut ready_status = || {
        kept.send(ready());
        kept.answer().status
    };
    assert_eq!(ready_status(), 200);
    let lowered = LoweredLimit::lower(server, name, 1);
    eventually("it is not ready", || ready_status() == 503);
    lowered
}

/// Sends logins under the lowered limit, lifts it, and checks that logins succeed again.
#[track_caller]
fn survives(server: &Server, lowered: LoweredLimit<'_>) {
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut connection = server.connect();
                let body = login_body(JWEIR, PASSWORD);
                connection.send(request("POST", LOGIN, &[JSON], body));
                sent.fetch_add(1, Ordering::SeqCst);
                // Under the limit, the login may be answered, refused or closed.
                let _ = connection.answer_or_end();
            });
        }
        eventually("all are sent", || sent.load(Ordering::SeqCst) == 20);
        drop(lowered);
    });
    eventually("it is ready again", || server.send(ready()).status == 200);
    assert_eq!(logins_at_once(server, 20), [200; 20]);
}

#[test]
fn logins_are_answered_again_once_there_are_threads_again() {
    let (_place, server) = demo_without_root();
    for _ in 0..2 {
        survives(&server, lower_to_nothing(&server, "nproc"));
    }
    server.stop();
}

#[test]
fn logins_are_answered_again_once_there_are_descriptors_again() {
    let (_place, server) = demo_without_root();
    survives(&server, lower_to_nothing(&server, "nofile"));
    // Different numbers of free descriptors, so that a different operation fails each time.
    let descriptors = format!("/proc/{}/fd", server.pid());
    for more in [0, 2, 4, 6] {
        let open = fs::read_dir(&descriptors).unwrap().count() as u64;
        survives(&server, LoweredLimit::lower(&server, "nofile", open + more));
    }
    server.stop();
}

/// strace makes the second `accept` of each thread fail, so that each tiny_http server ends after one connection.
#[test]
#[ignore = "needs strace"]
fn logins_are_answered_however_often_accepting_fails() {
    let place = one_user();
    let server = place.serve(&[]);
    let mut strace = Command::new("strace")
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args([
            "-e",
            "trace=accept4",
            "-e",
            "inject=accept4:error=ENFILE:when=2",
        ])
        .args(["-p", &server.pid().to_string()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    eventually("a server is replaced", || {
        assert!(strace.try_wait().unwrap().is_none(), "strace ended");
        assert_eq!(logins_at_once(&server, 8), [200; 8]);
        server.log().contains("was replaced")
    });
    assert_eq!(server.send(ready()).status, 200);
    server.stop();
    strace.wait().unwrap();
}
