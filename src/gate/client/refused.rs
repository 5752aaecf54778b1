//! Counts the connections that the gate refused before a request could arrive on them.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many connections the gate has refused since its start, by the reason.
#[derive(Debug, Default)]
pub(crate) struct RefusedConnections {
    /// The TLS handshake failed or took too long.
    pub(crate) tls_handshake: AtomicU64,
    /// The client network is at its limit, and all its connections wait for answers.
    pub(crate) client_limit: AtomicU64,
}

impl RefusedConnections {
    /// Each reason with its count.
    pub(crate) fn by_reason(&self) -> Vec<(&'static str, u64)> {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        vec![
            ("tls_handshake", read(&self.tls_handshake)),
            ("client_limit", read(&self.client_limit)),
        ]
    }
}
