//! Counts the connections that the gate refused before a request could arrive on them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections the gate has refused since its start, by the reason.
#[derive(Debug, Default)]
pub(crate) struct RefusedConnections {
    /// The TLS handshake failed or took too long.
    pub(crate) tls_handshake: Count,
    /// The client network is at its limit, and all its connections wait for answers.
    pub(crate) client_limit: Count,
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl RefusedConnections {
    /// Each reason with its count.
    pub(crate) fn by_reason(&self) -> [(&'static str, u64); 2] {
        let read = |count: &Count| count.0.load(Ordering::Relaxed);
        [
            ("tls_handshake", read(&self.tls_handshake)),
            ("client_limit", read(&self.client_limit)),
        ]
    }
}
