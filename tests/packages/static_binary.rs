//! The static binary, in a tree that has nothing else but what a test puts there: no libraries, no list of users, no `/dev`, no
//! `/proc`, no `/tmp`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use super::{printed_by, static_binary};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Finished, JSON, LOGIN, Launch, Place, login_body};

const USER: u32 = 65532;

/// Started with the tree, the program's path outside, and its arguments.
const IN_TREE: &str = "tree=$0; shift; \
    exec env -i \"$(command -v chroot)\" --userspec=65532:65532 \"$tree\" /thanos-login \"$@\"";

struct Tree(Place);

impl Tree {
    #[track_caller]
    fn new() -> Self {
        let place = Place::new();
        fs::create_dir(place.path("tree")).unwrap();
        fs::copy(static_binary(), place.path("tree/thanos-login")).unwrap();
        Self(place)
    }

    /// Lets the program write to its working directory, which is the tree itself.
    fn give(&self) {
        chown(self.path(""), Some(USER), Some(USER)).unwrap();
    }

    /// With a directory that is the program's to write to.
    #[track_caller]
    fn with_data() -> Self {
        let tree = Self::new();
        fs::create_dir(tree.path("data")).unwrap();
        chown(tree.path("data"), Some(USER), Some(USER)).unwrap();
        let fixture = accounts::retailer([accounts::user(JWEIR)]);
        tree.write("accounts.json", fixture.to_string());
        tree
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path("tree").join(name)
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), content).unwrap();
    }

    fn program(&self, args: &[&str]) -> Launch {
        let tree = self.path("").display().to_string();
        self.0.program(args).under(&["sh", "-c", IN_TREE, &tree])
    }

    #[track_caller]
    fn run(&self, args: &[&str]) -> Finished {
        self.program(args).finish().succeeded()
    }
}

#[test]
#[ignore = "needs deploy/release"]
fn it_needs_no_library() {
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
fn a_demo_logs_in_and_leaves_nothing() {
    let tree = Tree::new();
    let refused = tree.program(&["serve", "--demo"]).finish();
    refused.failed_naming("nothing can be written", "TMPDIR");
    tree.give();
    let server = tree.program(&["serve", "--demo"]).start();
    let answer = server.login(JWEIR, PASSWORD);
    assert_eq!(answer.status, 200);
    answer.token();
    server.stop();
    assert_eq!(tree.0.files("tree"), ["thanos-login"]);
}

#[test]
#[ignore = "needs root and deploy/release"]
fn a_real_server_keeps_accounts_in_a_file() {
    let tree = Tree::with_data();
    let db = ["--db", "/data/a.db"];
    let run = |args: &[&str]| tree.run(&[args, &db].concat());
    run(&["init"]);
    run(&["seed", "/accounts.json", "--bcrypt-cost", "10"]);
    let server = tree.program(&[&["serve"], &db[..]].concat()).start();
    assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
    run(&["backup", "/data/backup.db"]);
    server.stop();
    assert_eq!(tree.0.files("tree/data"), ["a.db", "backup.db"]);
    run(&["restore", "/data/backup.db", "--force"]);
    assert!(run(&["user", "list"]).stdout.contains(JWEIR));
}

#[test]
#[ignore = "needs root and deploy/release"]
fn the_system_user_has_a_name_by_the_list_of_users_alone() {
    let tree = Tree::with_data();
    let db = ["--db", "/data/a.db"];
    let run = |args: &[&str]| tree.run(&[args, &db].concat()).stdout;
    run(&["seed", "/accounts.json", "--bcrypt-cost", "10"]);
    tree.write("etc/passwd", "keeper:x:65532:65532::/:\n");
    // A plug-in, which is another machine's.
    tree.write("etc/nsswitch.conf", "passwd: plug-in\n");
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
fn tls_is_spoken_with_a_certificate_of_its_own_making() {
    let tree = Tree::with_data();
    let db = ["--db", "/data/a.db"];
    tree.run(&[&["seed", "/accounts.json", "--bcrypt-cost", "10"], &db[..]].concat());
    let flags = ["serve", "--tls-self-signed", "127.0.0.1"];
    let server = tree.program(&[&flags, &db[..]].concat()).start();
    let url = server.ready_line.strip_prefix("listening on ").unwrap();
    let (name, value) = JSON;
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--fail", "--cacert"])
        .arg(tree.path("data/thanos-login-ca.pem"))
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

    use super::Tree;
    use crate::harness::accounts::{JWEIR, PASSWORD};
    use crate::postgres::network::{ENCODED, Network, USER};

    const HOST: &str = "db.example";

    /// Answers that a name, whichever, has the address 127.0.0.1.
    fn serve_names(socket: &UdpSocket) {
        let mut query = [0; 512];
        while let Ok((length, client)) = socket.recv_from(&mut query) {
            // A head of 12 bytes, the parts of the name up to an empty one, its type and class; the rest is optional.
            let name = query[12..length].iter().position(|byte| *byte == 0);
            let end = 12 + name.unwrap() + 5;
            let is_ipv4 = query[end - 4..end - 2] == [0, 1];
            let mut answer = query[..end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, is_ipv4.into(), 0, 0, 0, 0]);
            if is_ipv4 {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            // A client that has gone asks again.
            let _ = socket.send_to(&answer, client);
        }
    }

    #[test]
    #[ignore = "needs root, PostgreSQL and deploy/release"]
    fn a_database_on_a_server_is_found_by_name_and_verified() {
        let rule = "hostssl all all 127.0.0.1/32 scram-sha-256";
        let (network, authority) =
            Network::with_tls(rule, SanType::DnsName(HOST.try_into().unwrap()));
        // The port is the usual one, which resolv.conf cannot change; the address is nobody's.
        let names = UdpSocket::bind("127.0.153.53:53").unwrap();
        thread::spawn(move || serve_names(&names));

        let tree = Tree::with_data();
        tree.give();
        tree.write("ca.pem", fs::read(authority).unwrap());
        // A plug-in, which is another machine's.
        tree.write("etc/nsswitch.conf", "hosts: plug-in\n");
        let port = network.port.number;
        let url = format!("postgres://{USER}:{ENCODED}@{HOST}:{port}/accounts");
        let with = ["--db", &url, "--db-ca", "/ca.pem"];
        let of = |args: &[&'static str]| [args, &with].concat();

        let unknown = tree.program(&of(&["init"])).finish();
        unknown.failed_naming("no list of names", HOST);

        tree.write("etc/hosts", format!("127.0.0.1 {HOST}\n"));
        tree.run(&of(&["init"]));
        tree.run(&of(&["seed", "/accounts.json", "--bcrypt-cost", "10"]));
        let server = tree.program(&of(&["serve"])).start();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        server.stop();

        fs::remove_file(tree.path("etc/hosts")).unwrap();
        tree.write("etc/resolv.conf", "nameserver 127.0.153.53\n");
        let server = tree.program(&of(&["serve"])).start();
        assert_eq!(server.login(JWEIR, PASSWORD).status, 200);
        server.stop();
    }
}
