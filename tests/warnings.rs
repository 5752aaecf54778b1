//! The warnings at the start: flags that are less safe than is usually wanted.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair};
use rustix::process::Signal;

use crate::harness::{Place, Server, eventually};

/// The warnings of a real server that starts with these flags.
#[track_caller]
fn warnings(place: &Place, flags: &[&str]) -> Vec<String> {
    let server = place.serve(flags);
    warnings_in(&server.stop().stderr)
}

fn warnings_in(log: &str) -> Vec<String> {
    let lines = log.lines().filter(|line| line.contains(" WARN "));
    lines.map(str::to_owned).collect()
}

#[track_caller]
fn warns(place: &Place, flags: &[&str], named: &str) {
    let warnings = warnings(place, flags);
    assert_eq!(warnings.len(), 1, "{flags:?}: {warnings:?}");
    assert!(warnings[0].contains(named), "{flags:?}: {warnings:?}");
}

#[test]
fn a_trusted_proxy_network_of_all_addresses_is_a_warning() {
    let place = Place::new();
    for networks in [
        "0.0.0.0/0",
        "10.1.2.3/0",
        "::/0",
        "2000::/3",
        "::ffff:0:0/96",
        "0.0.0.0/1,128.0.0.0/1",
        "127.0.0.1,64.0.0.0/2",
    ] {
        warns(&place, &["--trusted-proxy", networks], "--trusted-proxy");
    }
    let largest = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7,::1,203.0.113.7";
    let none = warnings(&place, &["--trusted-proxy", largest]);
    assert_eq!(none, [""; 0]);

    let server = place.program(&["serve"]);
    let server = server
        .env("THANOS_LOGIN_TRUSTED_PROXY", "0.0.0.0/0")
        .start();
    let log = server.stop().stderr;
    assert!(
        warnings_in(&log)[0].contains("THANOS_LOGIN_TRUSTED_PROXY"),
        "{log}"
    );
}

#[test]
fn a_socket_mode_that_lets_everybody_connect_is_a_warning() {
    let place = Place::new();
    let unix = ["--listen", "unix:login.sock", "--socket-mode"];
    for mode in ["0666", "0777", "602"] {
        warns(&place, &[&unix[..], &[mode]].concat(), "--socket-mode");
    }
    for mode in ["0600", "0660", "0664"] {
        assert_eq!(warnings(&place, &[&unix[..], &[mode]].concat()), [""; 0]);
    }
    assert_eq!(warnings(&place, &["--socket-mode", "0666"]), [""; 0]);
}

#[test]
fn plain_http_that_other_machines_reach_is_a_warning() {
    let place = Place::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        warns(&place, &["--listen", address], "--listen");
        let proxied = ["--listen", address, "--trusted-proxy", "10.0.0.1"];
        assert_eq!(warnings(&place, &proxied), [""; 0]);
        let tls = ["--listen", address, "--tls-self-signed", "localhost"];
        assert_eq!(warnings(&place, &tls), [""; 0]);
    }
    for address in ["127.0.0.1:0", "[::1]:0", "[::ffff:127.0.0.1]:0"] {
        assert_eq!(
            warnings(&place, &["--listen", address]),
            [""; 0],
            "{address}"
        );
    }
}

#[test]
fn a_proxy_on_this_machine_does_not_make_plain_http_safe() {
    let place = Place::new();
    for networks in ["127.0.0.1", "::1", "127.0.0.0/8,::1"] {
        let flags = ["--listen", "0.0.0.0:0", "--trusted-proxy", networks];
        warns(&place, &flags, "--listen");
    }
    let both = [
        "--listen",
        "0.0.0.0:0",
        "--trusted-proxy",
        "127.0.0.1,10.0.0.1",
    ];
    assert_eq!(warnings(&place, &both), [""; 0]);
    let everybody = ["--listen", "0.0.0.0:0", "--trusted-proxy", "0.0.0.0/0"];
    assert_eq!(warnings(&place, &everybody).len(), 2);
}

#[test]
fn an_allowed_origin_without_tls_is_a_warning() {
    let place = Place::new();
    for origin in [
        "http://shop.example",
        "http://10.0.0.1:3000",
        "http://[2001:db8::1]",
    ] {
        warns(&place, &["--cors-origin", origin], origin);
    }
    for origin in [
        "https://shop.example",
        "http://localhost:3000",
        "http://127.0.0.1",
        "http://[::1]:5173",
    ] {
        assert_eq!(
            warnings(&place, &["--cors-origin", origin]),
            [""; 0],
            "{origin}"
        );
    }
}

#[test]
fn a_demo_that_other_machines_reach_is_a_warning() {
    let demo = |listen: &str| {
        let args = ["serve", "--demo", "--allow-remote-demo", "--listen", listen];
        warnings_in(&Place::new().program(&args).start().stop().stderr)
    };
    let warnings = demo("0.0.0.0:0");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains("--allow-remote-demo"), "{warnings:?}");
    assert_eq!(demo("127.0.0.1:0"), [""; 0]);
}

fn set_mode(place: &Place, name: &str, mode: u32) {
    fs::set_permissions(place.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_tls_key_that_everybody_can_read_is_a_warning() {
    let place = Place::new();
    // Printed unescaped, this name would be shown with its second half reversed.
    let name = "tls\u{202E}\u{3164}.key";
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(["localhost".to_owned()]).unwrap();
    place.write("tls.pem", certificate.self_signed(&key).unwrap().pem());
    place.write(name, key.serialize_pem());
    let flags = ["--tls-cert", "tls.pem", "--tls-key", name];
    set_mode(&place, name, 0o644);
    warns(&place, &flags, r"tls\u{202e}\u{3164}.key");
    let errors_only = [&flags[..], &["--log-level", "error"]].concat();
    assert_eq!(warnings(&place, &errors_only), [""; 0]);
    set_mode(&place, name, 0o640);
    let server = place.serve(&flags);
    let warned = |server: &Server| !warnings_in(&server.log()).is_empty();
    assert!(!warned(&server));
    set_mode(&place, name, 0o604);
    server.signal(Signal::HUP);
    eventually("reading it again warns", || warned(&server));
    server.stop();

    let own = ["--tls-self-signed", "localhost"];
    assert_eq!(warnings(&place, &own), [""; 0]);
    set_mode(&place, "thanos-login-ca.key", 0o644);
    warns(&place, &own, "thanos-login-ca.key");
}
