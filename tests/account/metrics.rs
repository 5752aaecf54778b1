//! Metrics for Prometheus: what they count, what they never show, and where they are served.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use super::probes::ruin;
use super::{DETAIL, JWEIRS_TOKEN, JWEIRS_UUID, VERIFY, call, get, one_user};
use crate::harness::accounts::{JWEIR, PASSWORD};
use crate::harness::{Answer, Connection, HeldPort, LOGIN, Server, request};

fn metrics_request() -> Vec<u8> {
    request("GET", "/metrics", &[], "")
}

/// The values of the metrics by name and labels.
#[track_caller]
fn parse_metrics(answer: &Answer) -> BTreeMap<String, f64> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain; version=0.0.4")
    );
    let lines = answer.text().lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| line.rsplit_once(' ').unwrap())
        .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
        .collect()
}

/// A demo server that has answered every kind of call.
fn busy() -> Server {
    let server = Server::demo_with(&["--metrics"]);
    server
        .login("supplier@projectthanos.com", "thanossupplies")
        .token();
    server.login(JWEIR, PASSWORD).token();
    server.login(JWEIR, "wrong");
    server.login("deactivated@projectthanos.com", PASSWORD);
    server.post("{");
    for path in [VERIFY, DETAIL, "/somebody/s/secret/?q=1"] {
        get(&server, path, JWEIRS_TOKEN);
    }
    get(&server, VERIFY, "unknown");
    server.send(request("BREW", LOGIN, &[], ""));
    server
}

#[test]
fn metrics_count_requests_logins_lanes_connections_tokens_and_bytes() {
    let server = busy();
    let mut kept = [server.connect(), server.connect()];
    for connection in &mut kept {
        connection.send(request("GET", "/healthz", &[], ""));
        connection.answer();
    }
    let metrics = parse_metrics(&server.send(metrics_request()));
    let of = |name: &str| metrics.get(&format!("thanos_login_{name}")).copied();
    let requests = |route: &str, status: u16| {
        of(&format!(
            "requests_total{{route=\"{route}\",status=\"{status}\"}}"
        ))
    };
    assert_eq!(requests(LOGIN, 200), Some(2.0), "{metrics:#?}");
    assert_eq!(requests(LOGIN, 401), Some(1.0));
    assert_eq!(requests(LOGIN, 403), Some(1.0));
    assert_eq!(requests(LOGIN, 400), Some(1.0));
    assert_eq!(requests(LOGIN, 405), Some(1.0));
    assert_eq!(requests(VERIFY, 200), Some(1.0));
    assert_eq!(requests(VERIFY, 401), Some(1.0));
    let detail = "/api/organizations/users/detail/{user_uuid}/";
    assert_eq!(requests(detail, 200), Some(1.0));
    assert_eq!(requests("other", 404), Some(1.0));
    assert_eq!(of("certificate_expiry_timestamp_seconds"), None, "no TLS");
    for (outcome, count) in [
        ("throttled", 0.0),
        ("unavailable", 0.0),
        ("defect", 0.0),
        ("success", 2.0),
        ("bad_credentials", 1.0),
        ("not_active", 1.0),
        ("bad_request", 2.0),
    ] {
        let name = format!("logins_total{{outcome=\"{outcome}\"}}");
        assert_eq!(of(&name), Some(count), "{outcome}");
    }
    let durations = "request_duration_seconds";
    for (name, count) in [
        (format!("{durations}_count{{route=\"{VERIFY}\"}}"), 2.0),
        (
            format!("{durations}_bucket{{route=\"{VERIFY}\",le=\"+Inf\"}}"),
            2.0,
        ),
    ] {
        assert_eq!(of(&name), Some(count), "{name}");
    }
    for (name, least) in [
        ("logins_in_work", 0.0),
        ("hashes_waiting", 0.0),
        ("hash_lanes_in_use", 0.0),
        ("hash_lanes", 1.0),
        ("hash_queue", 256.0),
        ("ready", 1.0),
        ("tokens_expired", 0.0),
        ("schema_ahead", 0.0),
        ("disk_free_bytes", 1.0),
        ("connections", 3.0),
        ("tokens_live", 2.0),
        ("database_bytes", 4096.0),
    ] {
        assert!(
            of(name).is_some_and(|value| value >= least),
            "{name}: {:?}",
            of(name)
        );
    }
}

#[test]
fn no_metric_shows_data_of_a_user_or_input_of_a_client() {
    let server = busy();
    let text = server.send(metrics_request()).text().to_ascii_lowercase();
    for secret in [
        "projectthanos",
        "jweir",
        "supplier",
        JWEIRS_UUID,
        JWEIRS_TOKEN,
        "somebody",
        "secret",
        "brew",
        "127.0.0.1",
    ] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
}

#[test]
fn without_the_flag_there_are_no_metrics() {
    let server = Server::demo();
    for method in ["GET", "POST"] {
        let answer = server.send(call(method, "/metrics", JWEIRS_TOKEN));
        assert_eq!(answer.status, 404);
        assert_eq!(answer.text(), r#"{"detail":"Not found."}"#);
    }
}

#[test]
fn the_metrics_address_serves_the_metrics_and_nothing_else_and_is_not_announced() {
    let port = HeldPort::new();
    let address = port.on_loopback().to_string();
    let server = Server::demo_with(&["--metrics-listen", &address]);
    assert_eq!(server.send(metrics_request()).status, 404);
    server.login(JWEIR, PASSWORD).token();
    let ask = |bytes: Vec<u8>| {
        let mut connection = Connection::to(port.on_loopback());
        connection.send(bytes);
        connection.answer()
    };
    let counted = parse_metrics(&ask(metrics_request()));
    let logins = format!("thanos_login_requests_total{{route=\"{LOGIN}\",status=\"200\"}}");
    assert_eq!(counted.get(&logins), Some(&1.0), "{counted:#?}");
    assert_eq!(ask(request("POST", "/metrics", &[], "")).status, 405);
    for path in [LOGIN, VERIFY, "/healthz", "/readyz", "/openapi.json", "/"] {
        for method in ["GET", "POST"] {
            assert_eq!(ask(call(method, path, JWEIRS_TOKEN)).status, 404, "{path}");
        }
    }
    let stopped = server.stop();
    assert_eq!(stopped.stdout, "", "{stopped:?}");
}

#[test]
fn metrics_of_the_server_are_served_when_the_database_cannot_be_read() {
    let place = one_user();
    let server = place.serve(&["--metrics"]);
    assert!(
        parse_metrics(&server.send(metrics_request())).contains_key("thanos_login_tokens_live")
    );
    ruin(&place);
    let metrics = parse_metrics(&server.send(metrics_request()));
    assert_eq!(metrics["thanos_login_ready"], 0.0);
    assert!(metrics.contains_key("thanos_login_connections"));
    assert!(
        !metrics.contains_key("thanos_login_tokens_live"),
        "{metrics:#?}"
    );
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_no_problem_in_the_metrics() {
    let server = busy();
    let text = server.send(metrics_request());
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(&text.body)
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert_eq!(String::from_utf8(said).unwrap(), "");
    assert!(output.status.success());
}
