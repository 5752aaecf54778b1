//! Metrics of the running server, in the text format of Prometheus (0.0.4).
//!
//! Labels are routes, statuses and outcomes, and never contain text from clients.

use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

use jiff::Timestamp;
use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder,
};

use crate::store::DatabaseMetrics;

/// The upper bounds of the buckets in seconds: from a look-up to a login that waited long for its hash.
const BUCKETS: &[f64] = &[
    0.0001, 0.0005, 0.001, 0.005, 0.02, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0,
];

/// The outcome of a login by the status of its answer; the first range that contains the status applies.
const OUTCOMES: &[(RangeInclusive<u16>, &str)] = &[
    (200..=200, "success"),
    (401..=401, "bad_credentials"),
    (403..=403, "not_active"),
    (429..=429, "throttled"),
    (503..=503, "unavailable"),
    (500..=u16::MAX, "defect"),
    (0..=u16::MAX, "bad_request"),
];

/// The metrics that are counted while requests are answered.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    durations: HistogramVec,
    logins: IntCounterVec,
    gate: OnceLock<Box<dyn Fn() -> GateReading + Send + Sync>>,
}

/// The state of the gate.
#[derive(Clone, Debug, Default)]
pub struct GateReading {
    /// Open client connections.
    pub connections: usize,
    /// Connections that were refused before a request could arrive, by the reason.
    pub refused_connections: Vec<(&'static str, u64)>,
    /// The earliest expiry in the served certificate chain; `None` without TLS.
    pub certificate_expires: Option<Timestamp>,
}

/// The values that are read when the metrics are requested.
#[derive(Clone, Copy, Debug, Default)]
pub struct Snapshot {
    /// Whether connections get through, the database can be read and hashing runs.
    pub is_ready: bool,
    /// How many logins may run or wait at once.
    pub hash_queue: usize,
    /// Logins that are admitted and not yet answered.
    pub logins_in_work: usize,
    /// Hashes that wait for a lane.
    pub hashes_waiting: usize,
    /// Hashing lanes in use.
    pub lanes_in_use: usize,
    /// The configured number of hashing lanes.
    pub lanes: usize,
    /// The metrics of the database; `None` while it cannot be read, so that the other metrics are still served.
    pub database: Option<DatabaseMetrics>,
}

/// Reads the value of a gauge from a snapshot.
type Reading = fn(&Snapshot) -> Option<u64>;

/// The name, help text and reading of a gauge.
type Gauge = (&'static str, &'static str, Reading);

const GAUGES: &[Gauge] = &[
    (
        "thanos_login_ready",
        "1 when connections reach the server, the database can be read and hashing runs, otherwise 0.",
        |snapshot| Some(snapshot.is_ready.into()),
    ),
    (
        "thanos_login_hash_queue",
        "Logins that may be in progress at once; further ones are answered 503.",
        |snapshot| Some(snapshot.hash_queue as u64),
    ),
    (
        "thanos_login_logins_in_work",
        "Logins admitted and not yet answered.",
        |snapshot| Some(snapshot.logins_in_work as u64),
    ),
    (
        "thanos_login_hashes_waiting",
        "Hashes that wait for a lane.",
        |snapshot| Some(snapshot.hashes_waiting as u64),
    ),
    (
        "thanos_login_hash_lanes_in_use",
        "Hashing lanes in use.",
        |snapshot| Some(snapshot.lanes_in_use as u64),
    ),
    (
        "thanos_login_hash_lanes",
        "Hashing lanes that exist.",
        |snapshot| Some(snapshot.lanes as u64),
    ),
    (
        "thanos_login_tokens_live",
        "Tokens that are valid now.",
        |snapshot| Some(snapshot.database?.tokens_live),
    ),
    (
        "thanos_login_tokens_expired",
        "Tokens that have expired and are not removed yet.",
        |snapshot| Some(snapshot.database?.tokens_expired),
    ),
    (
        "thanos_login_schema_ahead",
        "Versions by which the schema of the database is newer than that of the program.",
        |snapshot| Some(snapshot.database?.schema_ahead),
    ),
    (
        "thanos_login_disk_free_bytes",
        "Free space on the disk of the database.",
        |snapshot| snapshot.database?.disk_free_bytes,
    ),
    (
        "thanos_login_database_bytes",
        "Size of the database without its log.",
        |snapshot| Some(snapshot.database?.database_bytes),
    ),
];

impl Metrics {
    /// Metrics that start at zero.
    ///
    /// # Errors
    /// Two metrics have the same name, which the tests would find.
    pub fn new() -> prometheus::Result<Self> {
        let requests = IntCounterVec::new(
            Opts::new("thanos_login_requests_total", "Requests answered."),
            &["route", "status"],
        )?;
        let durations = HistogramVec::new(
            HistogramOpts::new(
                "thanos_login_request_duration_seconds",
                "Seconds from a request's arrival to its answer.",
            )
            .buckets(BUCKETS.to_vec()),
            &["route"],
        )?;
        let logins = IntCounterVec::new(
            Opts::new("thanos_login_logins_total", "Logins by outcome."),
            &["outcome"],
        )?;
        // All outcomes exist from the start, so that the first login of each shows as an increase.
        for (_, outcome) in OUTCOMES {
            logins.with_label_values(&[*outcome]);
        }
        let registry = Registry::new();
        registry.register(Box::new(requests.clone()))?;
        registry.register(Box::new(durations.clone()))?;
        registry.register(Box::new(logins.clone()))?;
        Ok(Self {
            registry,
            requests,
            durations,
            logins,
            gate: OnceLock::new(),
        })
    }

    /// Sets how to read the gate, which starts later.
    pub fn read_gate_by(&self, read: impl Fn() -> GateReading + Send + Sync + 'static) {
        // A second call has no effect, and would read the same gate.
        let _ = self.gate.set(Box::new(read));
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
        let named = OUTCOMES
            .iter()
            .find(|(statuses, _)| statuses.contains(&status));
        if let Some((_, outcome)) = named {
            self.logins.with_label_values(&[*outcome]).inc();
        }
    }

    /// All metrics as text.
    ///
    /// # Errors
    /// A metric has no value, which the library prevents.
    pub fn text(&self, snapshot: &Snapshot) -> prometheus::Result<String> {
        let mut families = self.registry.gather();
        for &(name, help, read) in GAUGES {
            if let Some(value) = read(snapshot) {
                families.extend(gauge(name, help, value)?);
            }
        }
        if let Some(read) = self.gate.get() {
            let reading = read();
            let (name, help) = ("thanos_login_connections", "Open client connections.");
            families.extend(gauge(name, help, reading.connections as u64)?);
            families.extend(refused_connections(&reading)?);
            if let Some(expires) = reading.certificate_expires {
                let name = "thanos_login_certificate_expiry_timestamp_seconds";
                let help = "Earliest expiry in the served certificate chain.";
                families.extend(gauge(
                    name,
                    help,
                    expires.as_second().max(0).unsigned_abs(),
                )?);
            }
        }
        TextEncoder::new().encode_to_string(&families)
    }
}

fn refused_connections(reading: &GateReading) -> prometheus::Result<Vec<MetricFamily>> {
    let options = Opts::new(
        "thanos_login_connections_refused_total",
        "Connections closed before a request could arrive.",
    );
    let refused = IntCounterVec::new(options, &["reason"])?;
    for (reason, count) in &reading.refused_connections {
        refused.with_label_values(&[reason]).inc_by(*count);
    }
    Ok(refused.collect())
}

fn gauge(name: &str, help: &str, value: u64) -> prometheus::Result<Vec<MetricFamily>> {
    let gauge = IntGauge::new(name, help)?;
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    Ok(gauge.collect())
}
