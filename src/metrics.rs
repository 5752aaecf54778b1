//! Figures about the running server, in the text form of Prometheus (0.0.4).
//!
//! Labels are routes, statuses and outcomes, never anything that a client chose.

use std::sync::OnceLock;
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::store::Figures;

/// Seconds: from a look-up to a login that waited long for its hash.
const BUCKETS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// What is counted while requests are answered.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    logins: IntCounterVec,
    connections: OnceLock<Box<dyn Fn() -> usize + Send + Sync>>,
}

/// What is looked up when somebody asks.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// Logins admitted and not answered.
    pub logins_in_work: usize,
    /// Hashes asked for and not begun.
    pub hashes_waiting: usize,
    /// Lanes that hash.
    pub lanes_in_use: usize,
    /// All lanes.
    pub lanes: usize,
    /// Of the database; `None` while it cannot be read, when the other figures matter most.
    pub database: Option<Figures>,
}

/// What a gauge shows of a snapshot.
type Reading = fn(&Snapshot) -> Option<u64>;

/// Name, help and reading of a gauge.
type Gauge = (&'static str, &'static str, Reading);

const GAUGES: &[Gauge] = &[
    (
        "thanos_login_logins_in_work",
        "Logins admitted and not answered.",
        |snapshot| Some(snapshot.logins_in_work as u64),
    ),
    (
        "thanos_login_hashes_waiting",
        "Hashes asked for and not begun.",
        |snapshot| Some(snapshot.hashes_waiting as u64),
    ),
    (
        "thanos_login_hash_lanes_in_use",
        "Hashing lanes in use.",
        |snapshot| Some(snapshot.lanes_in_use as u64),
    ),
    (
        "thanos_login_hash_lanes",
        "Hashing lanes there are.",
        |snapshot| Some(snapshot.lanes as u64),
    ),
    (
        "thanos_login_tokens_live",
        "Tokens that count now.",
        |snapshot| Some(snapshot.database?.tokens_live),
    ),
    (
        "thanos_login_database_bytes",
        "Size of the database without its log.",
        |snapshot| Some(snapshot.database?.database_bytes),
    ),
];

impl Metrics {
    /// Begins at zero.
    ///
    /// # Errors
    /// When two figures have the same name, which the tests would find.
    pub fn new() -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("thanos_login_requests_total", "Requests answered."),
            &["route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "thanos_login_request_duration_seconds",
                "Time to an answer.",
            )
            .buckets(BUCKETS.to_vec()),
            &["route"],
        )?;
        let logins = IntCounterVec::new(
            Opts::new(
                "thanos_login_logins_total",
                "Logins by what became of them.",
            ),
            &["outcome"],
        )?;
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(logins.clone()))?;
        Ok(Self {
            registry,
            requests,
            durations,
            logins,
            connections: OnceLock::new(),
        })
    }

    /// Tells how to count the open connections, which belong to a room that starts later.
    pub fn count_connections_by(&self, count: impl Fn() -> usize + Send + Sync + 'static) {
        // A second one would count the same.
        let _ = self.connections.set(Box::new(count));
    }

    /// Counts an answer.
    pub fn observe(&self, route: &str, status: u16, duration: Duration) {
        self.requests
            .with_label_values(&[route, &status.to_string()])
            .inc();
        self.durations
            .with_label_values(&[route])
            .observe(duration.as_secs_f64());
    }

    /// Counts a login by its answer.
    pub fn observe_login(&self, status: u16) {
        let outcome = match status {
            200 => "success",
            401 => "bad_credentials",
            403 => "not_active",
            429 => "throttled",
            503 => "unavailable",
            500.. => "defect",
            _ => "bad_request",
        };
        self.logins.with_label_values(&[outcome]).inc();
    }

    /// All figures as text.
    ///
    /// # Errors
    /// When a figure has no value, which the library sees to.
    pub fn text(&self, snapshot: &Snapshot) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        for &(name, help, read) in GAUGES {
            if let Some(value) = read(snapshot) {
                families.extend(gauge(name, help, value)?);
            }
        }
        if let Some(count) = self.connections.get() {
            let (name, help) = ("thanos_login_connections", "Open client connections.");
            families.extend(gauge(name, help, count() as u64)?);
        }
        TextEncoder::new().encode_to_string(&families)
    }
}

fn gauge(name: &str, help: &str, value: u64) -> prometheus::Result<Vec<MetricFamily>> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    Ok(gauge.collect())
}
