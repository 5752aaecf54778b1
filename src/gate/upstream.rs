//! Asking the server: over a connection of one's own, or over one that is shared.
//!
//! A request that may take long has a connection for itself. What is answered at once, and may be asked twice, shares one
//! while others do the same: each wakes fewer threads then. Alone, it would wake one more. It never waits for a connection
//! that a slow request holds: the shared one is not among those.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::answer::{self, Answer};
use super::backend::Backend;
use super::pipeline::Pipeline;
use super::pool::{Pool, Rest};
use super::receive::Request;

/// The server answers each request long before, however long its own queues are; a request it lost must not hold its
/// client for ever.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// For a connection to become free when no further one can be opened.
const TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// Why the server gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The server has not got the request whole, so it has not acted upon it.
    #[error("the server cannot be reached")]
    Unreachable(#[source] io::Error),
    /// All connections were in use for too long.
    #[error("no connection to the server became free")]
    NoneFree,
    /// The server got the request; whether it acted upon it is not known.
    #[error("no answer of the server")]
    NoAnswer(#[from] answer::Error),
}

/// An answer, and what the rest of its body comes over.
pub(super) struct Exchange<'a> {
    pub(super) answer: Answer,
    pub(super) rest: Option<Rest<'a>>,
}

/// The server, as the connections of clients see it.
pub(super) struct Upstream {
    pool: Pool,
    pipeline: Pipeline,
    /// Requests in work that are answered at once.
    quick_in_work: AtomicUsize,
}

impl Upstream {
    /// With at most `limit` connections for one request each.
    pub(super) fn new(backend: Arc<dyn Backend>, limit: usize) -> Upstream {
        Upstream {
            pool: Pool::new(backend, limit),
            pipeline: Pipeline::default(),
            quick_in_work: AtomicUsize::new(0),
        }
    }

    /// Sends a request and waits for the answer.
    pub(super) fn exchange(&self, request: &Request) -> Result<Exchange<'_>, Error> {
        if !request.is_quick {
            return self.exchange_alone(request);
        }
        let others = self.quick_in_work.fetch_add(1, Ordering::Relaxed);
        let exchange = match others {
            0 => self.exchange_unless_others_are_slow(request),
            _ => self.exchange_among_others(request),
        };
        self.quick_in_work.fetch_sub(1, Ordering::Relaxed);
        exchange
    }

    fn exchange_alone(&self, request: &Request) -> Result<Exchange<'_>, Error> {
        self.pool
            .exchange(&request.bytes, request.is_head, TURN_TIMEOUT)
    }

    fn exchange_unless_others_are_slow(&self, request: &Request) -> Result<Exchange<'_>, Error> {
        match self
            .pool
            .exchange(&request.bytes, request.is_head, Duration::ZERO)
        {
            Err(Error::NoneFree | Error::Unreachable(_)) => self.exchange_among_others(request),
            exchange => exchange,
        }
    }

    /// Kept apart by the compiler too: what it needs of the stack would stay with every idle connection.
    #[inline(never)]
    fn exchange_among_others(&self, request: &Request) -> Result<Exchange<'_>, Error> {
        let open = || self.pool.open_another();
        match self
            .pipeline
            .exchange(&request.bytes, request.is_head, open)
        {
            Some(answer) => Ok(Exchange { answer, rest: None }),
            // Broken, never opened, or the answer is too long for it. The same request may be asked again.
            None => self.exchange_alone(request),
        }
    }
}
