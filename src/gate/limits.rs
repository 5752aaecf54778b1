//! The bounds of everything a client can make the gate hold or wait for.

use std::time::Duration;

/// What a client may send, how long it may take, and how many may be there at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of a request's head.
    pub max_head: usize,
    /// Header fields of a request.
    pub max_header_fields: usize,
    /// Bytes of a request's body, decoded.
    pub max_body: usize,
    /// From a request's first byte to its last, and for a TLS handshake.
    pub request_timeout: Duration,
    /// For which an answer may make no progress. Waiting uses it up, and what the client takes gives it back, at
    /// `min_write_rate`.
    pub write_timeout: Duration,
    /// Bytes a second that a client must take, over all its answers, to go on for longer than `write_timeout`.
    pub min_write_rate: u32,
    /// For which a connection may stay silent between requests. Longer than proxies keep theirs: one that sends a request
    /// in the moment in which it is closed here has to answer its own client 502.
    pub idle_timeout: Duration,
    /// Connections that are open at once.
    pub max_connections: usize,
    /// Of these, connections of one client network. `None` is a quarter of all that the file descriptors allow, 0 no limit.
    pub max_connections_per_client: Option<usize>,
}

impl Default for Limits {
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

impl Limits {
    /// How many of `connections` one client network may have.
    pub(super) fn per_client(&self, connections: usize) -> Option<usize> {
        match self.max_connections_per_client {
            None => Some((connections / 4).max(1)),
            Some(0) => None,
            Some(limit) => Some(limit),
        }
    }
}

/// How many clients may be connected, and how many requests in work at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Capacity {
    pub(super) connections: usize,
    pub(super) upstream: usize,
}

impl Capacity {
    /// Fits both into the file descriptors there are.
    ///
    /// A client costs one. A request in work costs three more: the gate's end of its connection to the server, and two
    /// at the other end, since tiny_http clones its stream (and ends its accept thread for good when that fails).
    pub(super) fn fit(wanted: usize, descriptors: usize) -> Self {
        const CLIENT: usize = 1;
        const REQUEST: usize = 3;
        if wanted.saturating_mul(CLIENT + REQUEST) <= descriptors {
            return Self {
                connections: wanted,
                upstream: wanted,
            };
        }
        // Most connections are idle most of the time, so they get the larger share.
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
    fn one_client_gets_a_quarter_unless_another_number_is_given() {
        for (given, connections, limit) in [
            (None, 1024, Some(256)),
            (None, 25, Some(6)),
            (None, 3, Some(1)),
            (Some(0), 1024, None),
            (Some(7), 4, Some(7)),
        ] {
            let limits = Limits {
                max_connections_per_client: given,
                ..Limits::default()
            };
            assert_eq!(
                limits.per_client(connections),
                limit,
                "{given:?} of {connections}"
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
