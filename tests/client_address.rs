//! Whose login it is: the peer's address, or what a trusted proxy says.
//!
//! Seen by a limit of one failed login an address: a second one is throttled if it comes from the same client.

use std::os::unix::net::UnixStream;

use crate::harness::{Connection, JSON, LOGIN, Place, Server, login_body, request};

/// A failed login with these `X-Forwarded-For` fields.
fn failed_login(forwarded_for: &[&str]) -> Vec<u8> {
    let forwarded = forwarded_for
        .iter()
        .map(|value| ("X-Forwarded-For", *value));
    let fields: Vec<(&str, &str)> = [JSON].into_iter().chain(forwarded).collect();
    request("POST", LOGIN, &fields, login_body("nobody", "wrong"))
}

struct Row {
    label: &'static str,
    first: &'static [&'static str],
    second: &'static [&'static str],
    same: bool,
}

const fn row(
    label: &'static str,
    first: &'static [&'static str],
    second: &'static [&'static str],
    same: bool,
) -> Row {
    Row {
        label,
        first,
        second,
        same,
    }
}

#[track_caller]
fn check(rows: &[Row], flags: &[&str], send: impl Fn(&Server, Vec<u8>) -> u16) {
    for row in rows {
        let server = Server::demo_with(&[&["--failed-logins-per-address", "1"], flags].concat());
        assert_eq!(send(&server, failed_login(row.first)), 401, "{}", row.label);
        let expected = if row.same { 429 } else { 401 };
        assert_eq!(
            send(&server, failed_login(row.second)),
            expected,
            "{}",
            row.label
        );
    }
}

fn over_tcp(server: &Server, bytes: Vec<u8>) -> u16 {
    server.send(bytes).status
}

#[test]
fn a_peer_that_is_no_trusted_proxy_is_not_believed() {
    let rows = [
        row("no field", &[], &[], true),
        row("other addresses", &["192.0.2.1"], &["192.0.2.2"], true),
        row("with and without", &["192.0.2.1"], &[], true),
    ];
    check(&rows, &[], over_tcp);
    check(&rows, &["--trusted-proxy", "192.0.2.0/24"], over_tcp);
}

#[test]
fn the_right_most_untrusted_address_that_a_proxy_names_is_the_client() {
    let rows = [
        row("the same address", &["192.0.2.1"], &["192.0.2.1"], true),
        row("another address", &["192.0.2.1"], &["192.0.2.2"], false),
        row(
            "what the client claims is left of it",
            &["198.51.100.1, 192.0.2.1"],
            &["198.51.100.2, 192.0.2.1"],
            true,
        ),
        row(
            "another one right of the same claim",
            &["198.51.100.1, 192.0.2.1"],
            &["198.51.100.1, 192.0.2.2"],
            false,
        ),
        row(
            "trusted ones at the right are skipped",
            &["192.0.2.1, 10.1.2.3, 10.9.9.9"],
            &["192.0.2.1,127.0.0.1"],
            true,
        ),
        row(
            "several fields are one list",
            &["198.51.100.1", "192.0.2.1"],
            &["198.51.100.2, 192.0.2.1"],
            true,
        ),
        row(
            "the last field counts",
            &["192.0.2.1", "192.0.2.2"],
            &["192.0.2.1"],
            false,
        ),
        row(
            "blanks do not matter",
            &["  192.0.2.1\t,\t10.0.0.1 "],
            &["192.0.2.1"],
            true,
        ),
        row("absent means the proxy itself", &[], &[], true),
        row("absent is not another client", &[], &["192.0.2.1"], false),
        row("unusable means the proxy itself", &["unknown"], &[], true),
        row("empty means the proxy itself", &[""], &[], true),
        row(
            "unusable at the right means the proxy itself",
            &["192.0.2.1, unknown"],
            &[],
            true,
        ),
        row(
            "an unusable claim at the left does not matter",
            &["unknown, 192.0.2.1"],
            &["192.0.2.1"],
            true,
        ),
        row(
            "IPv6 in one /64",
            &["2001:db8:1:2::1"],
            &["2001:db8:1:2:ffff::9"],
            true,
        ),
        row(
            "IPv6 in another /64",
            &["2001:db8:1:2::1"],
            &["2001:db8:1:3::1"],
            false,
        ),
        row(
            "IPv4 mapped into IPv6",
            &["::ffff:192.0.2.1"],
            &["192.0.2.1"],
            true,
        ),
        row(
            "other IPv4 mapped into IPv6",
            &["::ffff:192.0.2.1"],
            &["::ffff:192.0.2.2"],
            false,
        ),
        row(
            "a trusted one mapped into IPv6 is skipped",
            &["192.0.2.1, ::ffff:10.1.1.1"],
            &["192.0.2.1"],
            true,
        ),
    ];
    check(
        &rows,
        &[
            "--trusted-proxy",
            "127.0.0.1/32",
            "--trusted-proxy",
            "10.0.0.0/8",
        ],
        over_tcp,
    );
}

#[test]
fn over_a_unix_socket_the_field_is_believed_and_127_0_0_1_without_it() {
    let over_unix = |server: &Server, bytes: Vec<u8>| {
        let stream = UnixStream::connect(server.place.path("login.sock")).unwrap();
        let mut connection = Connection::over(stream);
        connection.send(bytes);
        connection.answer().status
    };
    let rows = [
        row("another address", &["192.0.2.1"], &["192.0.2.2"], false),
        row("the same address", &["192.0.2.1"], &["192.0.2.1"], true),
        row("absent", &[], &[], true),
        row("absent is 127.0.0.1", &[], &["127.0.0.1"], true),
        row("unusable is 127.0.0.1", &["unknown"], &["127.0.0.1"], true),
    ];
    check(&rows, &["--listen", "unix:login.sock"], over_unix);
}

#[test]
fn a_proxy_mapped_into_ipv6_is_trusted_by_its_ipv4_address() {
    let args = [
        "serve",
        "--demo",
        "--allow-remote-demo",
        "--listen",
        "[::]:0",
        "--failed-logins-per-address",
        "1",
        "--trusted-proxy",
        "127.0.0.0/8",
    ];
    if std::net::TcpListener::bind("[::]:0").is_err() {
        return;
    }
    let server = Place::new().program(&args).start();
    for (forwarded_for, status) in [("192.0.2.1", 401), ("192.0.2.2", 401), ("192.0.2.1", 429)] {
        let mut connection = Connection::to(([127, 0, 0, 1], server.address().port()).into());
        connection.send(failed_login(&[forwarded_for]));
        assert_eq!(connection.answer().status, status, "{forwarded_for}");
    }
}

/// The warnings of a server after these requests, each sent three times.
fn warnings(flags: &[&str], fields: &[&[(&str, &str)]]) -> Vec<String> {
    let args = [
        "--log-level",
        "warn",
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "unix:login.sock",
    ];
    let server = Server::demo_with(&[&args, flags].concat());
    for fields in fields.iter().cycle().take(3 * fields.len()) {
        server.send(request("GET", "/api/", fields, ""));
        // A proxy over the socket is trusted.
        let over_unix = request("GET", "/api/", &[("X-Forwarded-For", "192.0.2.1")], "");
        let mut connection =
            Connection::over(UnixStream::connect(server.place.path("login.sock")).unwrap());
        connection.send(over_unix);
        connection.answer();
    }
    server.stop().stderr.lines().map(str::to_owned).collect()
}

#[test]
fn a_client_address_that_is_ignored_is_mentioned_once() {
    let forged = ("X-Forwarded-For", "forged");
    let trusted = ["--trusted-proxy", "127.0.0.1"];
    for (label, flags, fields, named) in [
        (
            "an untrusted peer",
            &[][..],
            &[&[forged][..]][..],
            &["--trusted-proxy", "127.0.0.1"][..],
        ),
        (
            "Forwarded",
            &trusted,
            &[&[("Forwarded", "for=forged")]],
            &["X-Forwarded-For", "Forwarded"],
        ),
        (
            "X-Real-IP",
            &[],
            &[&[("X-Real-IP", "forged")]],
            &["X-Forwarded-For", "X-Real-IP"],
        ),
    ] {
        let warned = warnings(flags, fields);
        assert_eq!(warned.len(), 1, "{label}: {warned:#?}");
        for name in named {
            assert!(warned[0].contains(name), "{label}: {warned:#?}");
        }
        assert!(!warned[0].contains("forged"), "{label}: {warned:#?}");
    }
    let both = [forged, ("Forwarded", "for=forged"), ("X-Real-IP", "forged")];
    assert_eq!(
        warnings(&trusted, &[&both, &[]]),
        [""; 0],
        "a trusted one says it in X-Forwarded-For, too"
    );
    let refused = [forged, ("Host", "b")];
    assert_eq!(
        warnings(&[], &[&refused]).len(),
        1,
        "refused requests count as well"
    );
}

#[test]
fn a_network_that_is_none_is_wrong_usage() {
    for network in ["", "proxy", "10.0.0.0/33", "10.0.0.0.0/8", "2001:db8::/129"] {
        Place::new()
            .run(&["serve", "--trusted-proxy", network])
            .was_wrong_usage(network);
    }
}
