//! The password of a database gives access and is shown nowhere.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::network::{ENCODED, Network, SECRET, USER};
use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::{Launch, Place, Server};

const WITH_PASSWORD: &str = "host all all 127.0.0.1/32 scram-sha-256";

/// A test directory, and a PostgreSQL server whose database has an account.
#[track_caller]
fn seeded() -> (Place, Network) {
    let network = Network::start(WITH_PASSWORD);
    let url = network.url(&format!("{USER}:{ENCODED}"), "");
    let place = super::seeded(&url, &accounts::retailer([accounts::user(JWEIR)]));
    (place, network)
}

fn at_low_cost(launch: Launch) -> Launch {
    launch.env("THANOS_LOGIN_BCRYPT_COST", "10")
}

#[track_caller]
fn assert_shows_no_password(server: &Server) {
    let title = fs::read(format!("/proc/{}/cmdline", server.pid())).unwrap();
    let title = String::from_utf8(title).unwrap();
    for secret in [SECRET, ENCODED] {
        assert!(!title.contains(secret), "{title:?}");
        assert!(!server.log().contains(secret), "{}", server.log());
    }
    assert!(title.contains(&format!("{USER}@127.0.0.1")), "{title:?}");
    let name = fs::read_to_string(format!("/proc/{}/comm", server.pid())).unwrap();
    assert_eq!(name.trim_end(), "thanos-login");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_password_in_the_arguments_is_in_no_process_title() {
    let (place, network) = seeded();
    let url = network.url(&format!("{USER}:{ENCODED}"), "");
    let query = network.url(USER, &format!("?sslmode=disable&password={ENCODED}"));
    let listen = ["--listen", "127.0.0.1:0"];
    for args in [
        &["serve", "--db", &url][..],
        &["serve", &format!("--db={url}")],
        &["serve", "--db", &query],
        &["--db", &url, "serve", listen[0], listen[1]],
        &[&format!("--db={url}"), "serve", listen[0], listen[1]],
    ] {
        let server = at_low_cost(place.program(args))
            .env("PGPASSWORD", "wrong")
            .start();
        server.login(JWEIR, PASSWORD).token();
        assert_shows_no_password(&server);
        server.stop();
    }
}

#[test]
#[ignore = "needs strace"]
fn signals_are_blocked_before_a_password_is_removed_from_the_arguments() {
    let place = Place::new();
    let url = format!("postgres://{USER}:{ENCODED}@127.0.0.1:1/accounts");
    let traced = r#"exec strace -o calls -e trace=execve,rt_sigprocmask "$0" "$@"; true"#;
    let serve = place.program(&["serve", "--db", &url]).after(traced);
    assert_eq!(serve.finish().code, Some(1));
    let calls = fs::read_to_string(place.path("calls")).unwrap();
    let (_, rest) = calls.split_once("execve").unwrap();
    let blocked = rest.find("SIG_BLOCK, [HUP INT TERM]").unwrap();
    assert!(blocked < rest.find("execve").unwrap(), "{calls}");
}

#[test]
fn a_password_that_cannot_be_hidden_is_refused_with_a_reason() {
    let url = format!("postgres://{USER}:{ENCODED}@127.0.0.1/accounts");
    // The file is gone once it runs.
    let gone = "cp \"$0\" gone && exec 3<gone && rm gone && exec /proc/self/fd/3 \"$@\"";
    let place = Place::new();
    let list = place.program(&["user", "list", "--db", &url]);
    let refused = list.under(&["sh", "-c", gone]).finish();
    refused.failed_naming("gone", "PGPASSWORD");
    assert!(!refused.stderr.contains(ENCODED), "{refused:?}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_password_may_be_in_a_variable_or_a_file() {
    let (place, network) = seeded();
    let url = network.url(USER, "");
    let port = network.port.number;
    let escaped = SECRET.replace(':', "\\:");
    let lines =
        format!("# a comment\nother:*:*:*:x\n127.0.0.1:{port}:*:{USER}:{escaped}\n*:*:*:*:x\n");
    place.write(".pgpass", &lines);
    place.write("passwords", &lines);
    let private = fs::Permissions::from_mode(0o600);
    fs::set_permissions(place.path(".pgpass"), private.clone()).unwrap();
    fs::set_permissions(place.path("passwords"), private).unwrap();
    let home = place.path("").display().to_string();
    let with_password = network.url(&format!("{USER}:{ENCODED}"), "");
    for (name, value, url) in [
        ("PGPASSWORD", SECRET, &url),
        ("PGPASSFILE", "passwords", &url),
        ("HOME", &home, &url),
        ("THANOS_LOGIN_DB", &with_password, &with_password),
    ] {
        let launch = match name {
            "THANOS_LOGIN_DB" => place.program(&["serve"]),
            _ => place.program(&["serve", "--db", url]),
        };
        let server = at_low_cost(launch).env(name, value).start();
        server.login(JWEIR, PASSWORD).token();
        assert!(!server.log().contains(SECRET));
        assert!(!server.log().contains(ENCODED));
        let title = fs::read_to_string(format!("/proc/{}/cmdline", server.pid())).unwrap();
        assert!(!title.contains(ENCODED));
        server.stop();
        let list = place
            .program(&["user", "list", "--db", url])
            .env(name, value);
        assert!(list.finish().succeeded().stdout.contains(JWEIR));
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn a_file_of_passwords_that_others_may_read_is_not_used() {
    let (place, network) = seeded();
    let url = network.url(USER, "");
    place.write("passwords", format!("*:*:*:*:{SECRET}\n"));
    fs::set_permissions(place.path("passwords"), fs::Permissions::from_mode(0o640)).unwrap();
    for command in [&["user", "list"][..], &["serve"]] {
        let args = [command, &["--db", &url]].concat();
        let finished = place.program(&args).env("PGPASSFILE", "passwords").finish();
        assert_eq!(finished.code, Some(1));
        assert!(
            finished.stderr.contains("asks for a password"),
            "{finished:#?}"
        );
        assert!(!finished.stderr.contains(SECRET));
    }
    let list = place.program(&["user", "list", "--db", &url]);
    let list = list.env("PGPASSFILE", "passwords").finish();
    let line = "warning: passwords: other users may read the password file";
    assert!(list.stderr.contains(line), "{list:#?}");
    let config = place.program(&["serve", "--check-config", "--db", &url]);
    let config = config.env("PGPASSFILE", "passwords").finish();
    assert!(config.stderr.contains(line), "{config:#?}");
}

#[test]
#[ignore = "needs PostgreSQL"]
fn no_secret_is_logged_at_the_most_verbose_level() {
    let (place, network) = seeded();
    let url = network.url(&format!("{USER}:{ENCODED}"), "");
    for (flags, variable) in [
        (&["--log-level", "trace"][..], ""),
        (&["--log-level", "debug", "--log-format", "json"], "trace"),
        (&[], "trace"),
        (
            &[],
            "info,tokio_postgres=trace,tokio_postgres::query=trace,rustls=trace,log=trace",
        ),
    ] {
        let args = [&["serve", "--db", &url], flags].concat();
        let launch = at_low_cost(place.program(&args));
        let server = launch.env("RUST_LOG", variable).start();
        let token = server.login(JWEIR, PASSWORD).token();
        super::assert_good(&server, &token);
        server.login(JWEIR, "x-wrong-password");
        let log = server.stop().stderr;
        for secret in [
            SECRET,
            ENCODED,
            &token,
            PASSWORD,
            "x-wrong-password",
            "$2b$",
            "$2a$",
        ] {
            assert!(!log.contains(secret), "{secret}: {log}");
        }
        assert!(!log.contains("tokio_postgres"), "{log}");
    }
}

#[test]
#[ignore = "needs PostgreSQL"]
fn what_is_printed_has_no_password() {
    let (place, network) = seeded();
    let url = network.url(&format!("{USER}:{ENCODED}"), "");
    for args in [
        &["serve", "--check-config"][..],
        &["serve", "--help"],
        &["user", "list", "--help"],
        &["init", "--json"],
        &["user", "list", "--json"],
        &["user", "list", "--nonsense"],
        &["backup", "x"],
        &["man", "serve"],
    ] {
        let by_variable = place.program(args).env("THANOS_LOGIN_DB", &url).finish();
        let by_flag = place.run(&[args, &["--db", &url]].concat());
        for finished in [by_variable, by_flag] {
            let all = format!("{}{}", finished.stdout, finished.stderr);
            assert!(
                !all.contains(SECRET) && !all.contains(ENCODED),
                "{args:?}: {all}"
            );
        }
    }
    let config = place.program(&["serve", "--check-config"]);
    let config = config.env("THANOS_LOGIN_DB", &url).finish();
    assert!(
        config.stdout.contains(&network.url(USER, "")),
        "{config:#?}"
    );
}
