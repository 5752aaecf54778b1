//! The limits on everything that a client can make the gate store or wait for.

use std::time::Duration;

/// Limits on sizes, times and the number of connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateLimits {
    /// Maximum size of a request head, in bytes.
    pub max_head: usize,
    /// Maximum number of header fields in a request.
    pub max_header_fields: usize,
    /// Maximum size of a request body, in bytes after decoding.
    pub max_body: usize,
    /// Maximum time from the first byte of a request to its last, and maximum time for a TLS handshake.
    pub request_timeout: Duration,
    /// How long an answer may make no progress. Waiting for the client uses this time up; every byte that the client
    /// receives earns it back, at `min_write_rate`.
    pub write_timeout: Duration,
    /// The rate, in bytes a second over all its answers, at which a client must read to be served for longer than
    /// `write_timeout`.
    pub min_write_rate: u32,
    /// How long a connection may be idle between requests. Should be longer than the idle timeout of a reverse proxy:
    /// a proxy that sends a request just as the gate closes the connection has to answer 502.
    pub idle_timeout: Duration,
    /// Maximum number of open connections.
    pub max_connections: usize,
    /// Maximum number of open connections from one client network. `None` is a quarter of the connections that the file
    /// descriptors allow, and no more than half of the requests that may be at the server at once; `Some(0)` is no limit.
    pub max_connections_per_client: Option<usize>,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            max_head: 16 * 1024,
            max_header_fields: 64,
            max_body: 16 * 1024,
            request_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            min_write_rate: 1024,
            idle_timeout: Duration::from_secs(75),
            max_connections: 1024,
            max_connections_per_client: None,
        }
    }
}

impl GateLimits {
    /// How many connections one client network may have; `None` is no limit.
    pub(super) fn per_client(&self, capacity: Capacity) -> Option<usize> {
        match self.max_connections_per_client {
            None => Some((capacity.connections / 4).min(capacity.upstream / 2).max(1)),
            Some(0) => None,
            Some(limit) => Some(limit),
        }
    }
}

/// How many clients may be connected, and how many requests may be at the server, at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) connections: usize,
    pub(super) upstream: usize,
}

impl Capacity {
    /// Fits both numbers into the available file descriptors.
    ///
    /// A client needs one descriptor. A request at the server needs three more: the gate's end of the connection to the
    /// server, and two at the other end, because tiny_http clones its stream (and its accept thread ends for good when that
    /// fails).
    pub(super) fn fit(wanted: usize, descriptors: usize) -> Self {
        const CLIENT: usize = 1;
        const REQUEST: usize = 3;
        if wanted.saturating_mul(CLIENT + REQUEST) <= descriptors {
            return Self {
                connections: wanted,
                upstream: wanted,
            };
        }
        // Most connections are idle most of the time, so client connections get the larger share.
        let connections = wanted.min(descriptors * 5 / 8).max(1);
        let upstream = descriptors.saturating_sub(connections) / REQUEST;
        Self {
            connections,
            upstream: upstream.clamp(1, connections),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_client_gets_a_quarter_and_leaves_requests_to_others_unless_a_number_is_given() {
        for (given, connections, upstream, limit) in [
            (None, 1024, 1024, Some(256)),
            (None, 1024, 512, Some(256)),
            (None, 625, 125, Some(62)),
            (None, 25, 25, Some(6)),
            (None, 3, 1, Some(1)),
            (Some(0), 1024, 1024, None),
            (Some(7), 4, 4, Some(7)),
        ] {
            let limits = GateLimits {
                max_connections_per_client: given,
                ..GateLimits::default()
            };
            let capacity = Capacity {
                connections,
                upstream,
            };
            assert_eq!(
                limits.per_client(capacity),
                limit,
                "{given:?} of {capacity:?}"
            );
        }
    }

    #[test]
    fn connections_and_requests_fit_into_the_descriptors() {
        for (wanted, descriptors, connections, upstream) in [
            (1024, 4096, 1024, 1024),
            (1024, 2000, 1024, 325),
            (1024, 40, 25, 5),
            (10, 40, 10, 10),
            (1024, 0, 1, 1),
        ] {
            let expected = Capacity {
                connections,
                upstream,
            };
            assert_eq!(Capacity::fit(wanted, descriptors), expected);
            assert!(connections + 3 * upstream <= descriptors.max(4));
        }
    }
}
