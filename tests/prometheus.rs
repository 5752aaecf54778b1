//! The files in `deploy/prometheus/`, with Prometheus and promtool.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::harness::accounts::{self, JWEIR, PASSWORD};
use crate::harness::server::send_over_unix_socket;
use crate::harness::{HeldPort, JSON, LOGIN, Place, Server, eventually, login_body, request};

const RULES: &str = "thanos-login.rules.yml";

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/prometheus")
}

fn read(name: &str) -> String {
    fs::read_to_string(directory().join(name)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&read("thanos-login.dashboard.json")).unwrap()
}

/// The queries of the dashboard, as Grafana sends them.
fn dashboard_queries() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| target["expr"].as_str().unwrap())
        .map(|query| {
            query
                .replace("$instance", ".*")
                .replace("$__rate_interval", "30s")
        })
        .collect()
}

/// The names of the program's metrics that occur in a text.
fn metrics_in(text: &str) -> BTreeSet<String> {
    text.split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
        .filter(|word| word.starts_with("thanos_login_"))
        .map(|word| word.trim_end_matches("_bucket").to_owned())
        .collect()
}

#[test]
fn rules_and_dashboard_name_only_metrics_that_exist() {
    let server = Server::demo_with(&[
        "--metrics",
        "--tls-self-signed",
        "localhost",
        "--listen",
        "unix:a.sock",
    ]);
    let bytes = request("GET", "/metrics", &[], "");
    let answer = send_over_unix_socket(&server, "a.sock", bytes);
    let described: BTreeSet<String> = answer
        .text()
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .map(str::to_owned)
        .collect();
    let used = metrics_in(&format!(
        "{}{}",
        read(RULES),
        dashboard_queries().join("\n")
    ));
    assert!(used.len() > 12, "{used:?}");
    // Counters have no line before the first request.
    let known: BTreeSet<String> = ["requests_total", "request_duration_seconds"]
        .map(|name| format!("thanos_login_{name}"))
        .into_iter()
        .chain(described)
        .collect();
    let unknown: Vec<_> = used.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    // Each metric is used by a rule or by the dashboard.
    let unused: Vec<_> = known.difference(&used).collect();
    assert!(unused.is_empty(), "{unused:?}");
}

#[test]
fn every_alert_is_tested_to_fire_and_to_be_silent() {
    let (rules, tests) = (read(RULES), read("thanos-login.rules.test.yml"));
    let alerts: Vec<&str> = rules.split("- alert: ").skip(1).collect();
    assert!(alerts.len() > 8, "{alerts:?}");
    for alert in alerts.iter().filter_map(|alert| alert.lines().next()) {
        let named = tests.matches(&format!("alertname: {alert}\n")).count();
        assert!(named >= 2, "{alert}");
    }
}

#[test]
#[ignore = "needs promtool"]
fn promtool_finds_that_alerts_fire_when_they_should() {
    for args in [
        &["check", "config", "prometheus.yml"][..],
        &["test", "rules", "thanos-login.rules.test.yml"],
    ] {
        let output = Command::new("promtool")
            .args(args)
            .current_dir(directory())
            .output()
            .unwrap();
        assert!(output.status.success(), "{args:?}: {output:?}");
    }
}

/// A Prometheus that scrapes a server, killed when it is dropped.
struct Prometheus {
    process: Child,
    port: HeldPort,
}

impl Prometheus {
    fn start(place: &Place, metrics: &HeldPort) -> Self {
        let config = read("prometheus.yml")
            .replace("9464", &metrics.number.to_string())
            .replace("15s", "1s");
        place.write("prometheus.yml", config);
        place.write(RULES, read(RULES));
        let port = HeldPort::new();
        let log = fs::File::create(place.path("prometheus.log")).unwrap();
        let process = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=series")
            .arg(format!("--web.listen-address={}", port.on_loopback()))
            .current_dir(place.path(""))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { process, port }
    }

    /// The answer of its API; `None` while it does not answer.
    fn ask(&self, path: &str) -> Option<Value> {
        let url = format!("http://{}/api/v1/{path}", self.port.on_loopback());
        let agent = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = agent.build().into();
        let text = agent.get(&url).call().ok()?.body_mut().read_to_string();
        serde_json::from_str(&text.ok()?).ok()
    }

    /// Whether a query is valid and returns a number.
    #[track_caller]
    fn finds(&self, query: &str) -> bool {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let Some(answer) = self.ask(&format!("query?query={encoded}")) else {
            return false;
        };
        assert_ne!(answer["status"], "error", "{query}: {answer}");
        let found = answer["data"]["result"].as_array();
        found.is_some_and(|rows| {
            rows.iter()
                .any(|row| row["value"][1].as_str().is_some_and(|value| value != "NaN"))
        })
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[test]
#[ignore = "needs Prometheus"]
fn every_query_of_the_dashboard_finds_data_of_a_server_that_is_scraped() {
    let place = Place::seeded(&accounts::retailer([accounts::user(JWEIR)]));
    let metrics = HeldPort::new();
    let at = metrics.on_loopback().to_string();
    let tls = [
        "--listen",
        "127.0.0.1:0",
        "--listen",
        "unix:a.sock",
        "--tls-self-signed",
        "localhost",
    ];
    let flags = [
        &["--metrics-listen", &at, "--failed-logins-per-user", "1"],
        &tls[..],
    ]
    .concat();
    let server = place.serve(&flags);
    let prometheus = Prometheus::start(&place, &metrics);
    let use_it = || {
        for password in [PASSWORD, "wrong"] {
            let body = login_body(JWEIR, password);
            let login = request("POST", LOGIN, &[JSON], body);
            send_over_unix_socket(&server, "a.sock", login);
        }
        let ready = request("GET", "/readyz", &[], "");
        send_over_unix_socket(&server, "a.sock", ready);
    };
    for query in dashboard_queries() {
        eventually(&format!("{query} finds something"), || {
            use_it();
            prometheus.finds(&query)
        });
    }
    eventually("every rule is evaluated", || {
        let rules = prometheus.ask("rules").unwrap()["data"]["groups"][0]["rules"].take();
        let rules = rules.as_array().unwrap();
        assert!(rules.len() > 8, "{rules:?}");
        assert!(
            rules.iter().all(|rule| rule["health"] != "err"),
            "{rules:?}"
        );
        rules.iter().all(|rule| rule["health"] == "ok")
    });
    // The server is healthy, so the alerts about it are silent.
    assert!(
        !prometheus
            .finds("ALERTS{alertname=~\"ThanosLogin(Absent|Down|NotReady|Errors|Unavailable)\"}")
    );
}
