//! Tests of the static binary in a root directory that contains only what a test writes: no libraries, no list of users, no
//! `/dev`, no `/proc`, no `/tmp`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use super::{install, printed_by, static_binary};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Finished, HeldPort, JSON, LOGIN, Launch, Place, login_body};

const USER: u32 = 65532;

/// A shell script that runs the program in a root directory. Its arguments are the directory, the program's path outside of the
/// directory, which it ignores, and the program's arguments.
const IN_ROOT: &str = "root=$0; shift; \
    exec env -i \"$(command -v chroot)\" --userspec=65532:65532 \"$root\" /thanos-login \"$@\"";

/// The root directory `root` in a place.
struct Root(Place);

impl Root {
    #[track_caller]
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("root")).unwrap();
        install(static_binary(), place.path("root/thanos-login"));
        Self(place)
    }

    /// Lets the program write to the root directory, which is its working directory.
    fn make_writable(&self) {
        chown(self.path(""), Some(USER), Some(USER)).unwrap();
    }

    /// Adds a directory that the program can write to, and a fixture.
    #[track_caller]
    fn with_data() -> Self {
        let root = Self::new();
        fs::create_dir(root.path("data")).unwrap();
        chown(root.path("data"), Some(USER), Some(USER)).unwrap();
        let fixture = accounts::retailer([accounts::user(JWEIR)]);
        root.write("accounts.json", fixture.to_string());
        root
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path("root").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn program(&self, args: &[&str]) -> Launch {
        let root = self.path("").display().to_string();
        self.0.program(args).under(&["sh", "-c", IN_ROOT, &root])
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Finished {
        self.program(args).finish().succeeded()
    }
}

#[test]
#[ignore = "needs deploy/release"]
fn the_binary_needs_no_library() {
    let binary = static_binary();
    let mut readelf = Command::new("readelf");
    readelf.args(["--wide", "--program-headers", "--dynamic"]);
    let printed = printed_by(readelf.arg(binary));
    assert!(printed.contains("LOAD"), "{printed}");
    assert!(!printed.contains("INTERP"), "{printed}");
    assert!(!printed.contains("NEEDED"), "{printed}");
}

#[test]
#[ignore = "needs root and deploy/release"]
fn a_demo_answers_a_login_and_leaves_nothing_behind() {
    let root = Root::new();
    let failed = root.program(&["serve", "--demo"]).finish();
    failed.failed_naming("nothing can be written", "TMPDIR");
    root.make_writable();
    let server = root.program(&["serve", "--demo"]).start();
    let answer = server.login(JWEIR, PASSWORD);
    assert_eq!(answer.status, 200);
    answer.token();
    server.stop();
    assert_eq!(root.0.files("root"), ["thanos-login"]);
}

#[test]
#[ignore = "needs root and deploy/release"]
fn a_real_server_keeps_accounts_in_a_file() {
    let root = Root::with_data();
    let db = ["--db", "/data/a.db"];
    let run = |args: &[&str]| root.run(&[args, &db].concat());
    run(&["init"]);
    run(&["seed", "/accounts.json", "--bcrypt-cost", "10"]);
    let server = root.program(&[&["serve"], &db[..]].concat()).start();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    run(&["backup", "/data/backup.db"]);
    server.stop();
    assert_eq!(root.0.files("root/data"), ["a.db", "backup.db"]);
    run(&["restore", "/data/backup.db", "--force"]);
    assert!(run(&["user", "list"]).stdout.contains(JWEIR));
}

#[test]
#[ignore = "needs root and deploy/release"]
fn the_name_of_the_system_user_is_read_from_etc_passwd_only() {
    let root = Root::with_data();
    let db = ["--db", "/data/a.db"];
    let run = |args: &[&str]| root.run(&[args, &db].concat()).stdout;
    run(&["seed", "/accounts.json", "--bcrypt-cost", "10"]);
    root.write("etc/passwd", "keeper:x:65532:65532::/:\n");
    // A plug-in of the machine, which the static binary must ignore.
    root.write("etc/nsswitch.conf", "passwd: plug-in\n");
    run(&["user", "set-status", JWEIR, "DEACTIVATED"]);
    let events = run(&["events", "list", "--json"]);
    let events: Vec<&str> = events.lines().collect();
    assert!(events[0].contains(r#""actor":"65532""#), "{events:?}");
    assert!(
        events.last().unwrap().contains(r#""actor":"keeper""#),
        "{events:?}"
    );
}

#[test]
#[ignore = "needs root, curl and deploy/release"]
fn the_binary_serves_tls_with_a_self_signed_certificate() {
    let root = Root::with_data();
    let db = ["--db", "/data/a.db"];
    root.run(&[&["seed", "/accounts.json", "--bcrypt-cost", "10"], &db[..]].concat());
    let flags = ["serve", "--tls-self-signed", "127.0.0.1"];
    let server = root.program(&[&flags, &db[..]].concat()).start();
    let url = server.ready_line.strip_prefix("listening on ").unwrap();
    let (name, value) = JSON;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(root.path("data/thanos-login-ca.pem"))
        .args(["--header", &format!("{name}: {value}")])
        .args(["--data", &login_body(JWEIR, PASSWORD)]);
    let answer = printed_by(curl.arg(format!("{url}{LOGIN}")));
    assert!(answer.contains(r#""auth_token""#), "{answer}");
    server.stop();
}

#[cfg(feature = "postgres")]
mod on_postgres {
    use std::fs;
    use std::net::UdpSocket;
    use std::thread;

    use rcgen::SanType;

    use super::Root;
    use crate::harness::accounts::{JWEIR, PASSWORD};
    use crate::postgres::network::{ENCODED, Network, USER};

    const HOST: &str = "db.example";

    /// Answers each DNS query with the address 127.0.0.1.
    fn serve_names(socket: &UdpSocket) {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // A query has a header of 12 bytes, the labels of the name up to an empty one, its type and class.
            let name = query[12..length].iter().position(|byte| *byte == 0);
            let end = 12 + name.unwrap() + 5;
            let is_ipv4 = query[end - 4..end - 2] == [0, 1];
            let mut answer = query[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_ipv4.into(), 0, 0, 0, 0]);
            if is_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            // If this fails, the client repeats its query.
            let _ = socket.send_to(&answer, client);
        }
    }

    #[test]
    #[ignore = "needs root, PostgreSQL and deploy/release"]
    fn a_database_server_is_resolved_by_name_and_its_certificate_is_verified() {
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256";
        let (network, authority) =
            Network::with_tls(rule, SanType::DnsName(HOST.try_into().unwrap()));
        // resolv.conf cannot change the port of DNS, 53. No other program uses this loopback address.
        let names = UdpSocket::bind("127.0.153.53:53").unwrap();
        thread::spawn(move || serve_names(&names));

        let root = Root::with_data();
        root.make_writable();
        root.write("ca.pem", fs::read(authority).unwrap());
        // A plug-in of the machine, which the static binary must ignore.
        root.write("etc/nsswitch.conf", "hosts: plug-in\n");
        let port = network.port.number;
        let url = format!("postgres://{USER}:{ENCODED}@{HOST}:{port}/accounts");
        let flags = ["--db", &url, "--db-ca", "/ca.pem"];
        let with_db = |args: &[&'static str]| [args, &flags].concat();

        let unresolved = root.program(&with_db(&["init"])).finish();
        unresolved.failed_naming("no list of names", HOST);

        root.write("etc/hosts", format!("127.0.0.1 {HOST}\n"));
        root.run(&with_db(&["init"]));
        root.run(&with_db(&["seed", "/accounts.json", "--bcrypt-cost", "10"]));
        let server = root.program(&with_db(&["serve"])).start();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        server.stop();

        fs::remove_file(root.path("etc/hosts")).unwrap();
        root.write("etc/resolv.conf", "nameserver 127.0.153.53\n");
        let server = root.program(&with_db(&["serve"])).start();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        server.stop();
    }
}

#[test]
#[ignore = "needs root and deploy/release"]
fn localhost_is_known_without_a_list_of_hosts() {
    let root = Root::new();
    let port = HeldPort::new();
    let url = format!(
        "postgres://accounts@localhost:{}/accounts?sslmode=disable",
        port.number
    );
    // Nothing listens there.
    root.program(&["init", "--db", &url])
        .finish()
        .failed_naming("no server", "refused");
}
