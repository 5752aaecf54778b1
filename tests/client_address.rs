//! The address of the client: that of the peer, or the one that a trusted proxy names.
//!
//! Observed by a limit of one failed login per address: a second one is throttled if it comes from the same client.

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

/// Sends failed logins one after the other, each with its `X-Forwarded-For` fields, and compares their statuses: 429 means
/// the same client as an earlier login.
#[track_caller]
fn check(connect: impl Fn() -> Connection, rows: &[(&[&str], u16)]) {
    for (forwarded_for, status) in rows {
        let mut connection = connect();
        connection.send(failed_login(forwarded_for));
        assert_eq!(connection.answer().status, *status, "{forwarded_for:?}");
    }
}

fn serve(flags: &[&str]) -> Server {
    Server::demo_with(&[&["--failed-logins-per-address", "1"], flags].concat())
}

#[test]
fn a_peer_that_is_not_a_trusted_proxy_is_not_believed() {
    for flags in [&[][..], &["--trusted-proxy", "192.0.2.0/24"]] {
        let server = serve(flags);
        let rows: [(&[&str], _); _] = [(&["192.0.2.1"], 401), (&["192.0.2.2"], 429), (&[], 429)];
        check(|| server.connect(), &rows);
    }
}

#[test]
fn the_right_most_untrusted_address_that_a_proxy_names_is_the_client() {
    let flags = [
        "--trusted-proxy",
        "127.0.0.1/32",
        "--trusted-proxy",
        "10.0.0.0/8",
    ];
    let server = serve(&flags);
    let rows: [(&[&str], _); _] = [
        (&["192.0.2.1"], 401),
        (&["192.0.2.1"], 429),
        (&["192.0.2.2"], 401),
        // The address that the client claims is to the left of the one that the proxy adds.
        (&["198.51.100.2, 192.0.2.1"], 429),
        (&["192.0.2.1,127.0.0.1, 10.9.9.9"], 429),
        // Several fields form one list.
        (&["198.51.100.2", "192.0.2.1"], 429),
        (&["192.0.2.1", "192.0.2.3"], 401),
        // Without a usable address, the client is the proxy.
        (&[], 401),
        (&[""], 429),
        (&["192.0.2.1, unknown"], 429),
        // All addresses of an IPv6 /64 are one client.
        (&["2001:db8:1:2::1"], 401),
        (&["2001:db8:1:2:ffff::9"], 429),
        (&["2001:db8:1:3::1"], 401),
        (&["::ffff:192.0.2.1, ::ffff:10.1.1.1"], 429),
        (&["::ffff:192.0.2.4"], 401),
    ];
    check(|| server.connect(), &rows);
}

#[test]
fn over_a_unix_socket_the_field_is_trusted_and_the_client_is_127_0_0_1_without_it() {
    let server = serve(&["--listen", "unix:login.sock"]);
    let connect =
        || Connection::over(UnixStream::connect(server.place.path("login.sock")).unwrap());
    let rows: [(&[&str], _); _] = [
        (&["192.0.2.1"], 401),
        (&["192.0.2.1"], 429),
        (&["192.0.2.2"], 401),
        (&[], 401),
        (&["127.0.0.1"], 429),
        (&["unknown"], 429),
    ];
    check(connect, &rows);
}

#[test]
fn a_proxy_mapped_into_ipv6_is_trusted_by_its_ipv4_address() {
    if std::net::TcpListener::bind("[::]:0").is_err() {
        return;
    }
    let flags = [
        "--trusted-proxy",
        "127.0.0.0/8",
        "--allow-remote-demo",
        "--listen",
        "[::]:0",
    ];
    let server = serve(&flags);
    let address = ([127, 0, 0, 1], server.address().port()).into();
    let rows: [(&[&str], _); _] = [
        (&["192.0.2.1"], 401),
        (&["192.0.2.2"], 401),
        (&["192.0.2.1"], 429),
    ];
    check(|| Connection::to(address), &rows);
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
        // A proxy that connects over the socket file is trusted.
        let over_unix = request("GET", "/api/", &[("X-Forwarded-For", "192.0.2.1")], "");
        let mut connection =
            Connection::over(UnixStream::connect(server.place.path("login.sock")).unwrap());
        connection.send(over_unix);
        connection.answer();
    }
    server.stop().stderr.lines().map(str::to_owned).collect()
}

#[test]
fn a_client_address_that_is_ignored_is_logged_once() {
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
fn an_invalid_network_is_wrong_usage() {
    for network in ["", "proxy", "10.0.0.0/33", "10.0.0.0.0/8", "2001:db8::/129"] {
        Place::new()
            .run(&["serve", "--trusted-proxy", network])
            .was_wrong_usage(network);
    }
}
