//! Receives requests with tiny_http, finds their route, lets the endpoints answer, and logs the result.
//!
//! ```text
//! supervisor --> http_loop --> dispatcher --> answerer: cors, the layers of a stub --> routes --> endpoint
//! ```

mod answerer;
mod arrival;
mod cors;
mod dispatcher;
mod http_loop;
mod origin;
mod routes;
mod supervisor;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use parking_lot::Mutex;

use crate::endpoint::Services;
use crate::gate::Backend;
use crate::periodic::Periodic;
use crate::scratch::Scratch;
use dispatcher::Dispatcher;
use supervisor::Supervisor;

pub use answerer::{Answerer, MatchedRoute, Pace};
pub use cors::{Cors, CorsPolicy};
pub use origin::{IsOwn, NotAnOrigin, Origin, Origins};
pub use routes::{Endpoints, Exposure};

pub(crate) use dispatcher::on_refusal;
pub(crate) use http_loop::check_resources;
pub(crate) use origin::{is_loopback_authority, is_loopback_origin};

/// How long a stop waits for requests that are being answered. The gate's grace period is already over then, and it has
/// closed the connections of the clients that were still waiting.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// The running server. On drop it answers the requests that it has received, and ends.
pub struct Server {
    supervisor: Arc<Supervisor>,
    watch: Option<Periodic>,
    services: Arc<Services>,
    /// The channel is closed once all requests are answered.
    in_work: Mutex<Receiver<Infallible>>,
}

/// Where a server creates its private sockets, and where it reports whether they can be reached.
pub(crate) struct PrivateSocket {
    /// The directory of the sockets.
    pub(crate) scratch: Arc<Scratch>,
    /// The prefix of the sockets' file names.
    pub(crate) name: &'static str,
    /// Whether new connections reach the server; kept up to date.
    pub(crate) is_reachable: Arc<AtomicBool>,
}

impl Server {
    /// Starts to answer the requests that arrive over its backend.
    ///
    /// # Errors
    /// When the socket cannot be created or a thread cannot be started.
    pub(crate) fn start(
        socket: PrivateSocket,
        answerer: Arc<dyn Answerer>,
        services: Arc<Services>,
    ) -> io::Result<Self> {
        let (in_work, ended) = channel();
        let dispatcher = Arc::new(Dispatcher {
            answerer,
            services: Arc::clone(&services),
            is_looking_up: AtomicBool::new(false),
            _in_work: in_work,
        });
        let handle = Arc::new(move |request| dispatcher.dispatch(request));
        let PrivateSocket {
            scratch,
            name,
            is_reachable,
        } = socket;
        let supervisor = Supervisor::start(scratch, name, is_reachable, handle)?;
        Ok(Self {
            watch: Some(supervisor.watch()?),
            supervisor,
            services,
            in_work: Mutex::new(ended),
        })
    }

    /// The backend for a gate, which opens connections to this server.
    pub fn backend(&self) -> Arc<dyn Backend> {
        Arc::clone(&self.supervisor) as Arc<dyn Backend>
    }

    /// Ends all waits, for a stop that must not take longer. Requests that are waiting are answered 503.
    pub fn end_waits(&self) {
        self.services.auth.stop_waiting();
        self.services.store.stop_waiting();
    }

    /// Answers the requests that were received. False if not all of them were answered within the timeout.
    fn end(&mut self, timeout: Duration) -> bool {
        self.watch = None;
        self.supervisor.stop();
        self.services.auth.stop_waiting();
        let in_work = self.in_work.get_mut();
        in_work.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.end(END_TIMEOUT) {
            tracing::warn!("the server stops although some requests were not answered");
        }
    }
}

#[cfg(test)]
mod tests;
