//! The phase of one client's connection, shared by all threads of the gate.
//!
//! The connection's own thread moves it from phase to phase. Other threads only end the connection: to free its slot for
//! another client, or when the grace period of a stop is over. They shut its socket down, which wakes its thread.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};

use super::slot_table::{Evictable, Phase, Progress};
use super::socket::Socket;

/// A connected client, shared by its connection's thread and the threads that may end the connection.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) socket: Socket,
    progress: Mutex<Progress>,
}

impl Client {
    pub(crate) fn new(socket: Socket) -> Self {
        let progress = Mutex::new(Progress {
            phase: Phase::Idle,
            since: Instant::now(),
        });
        Self { socket, progress }
    }

    /// The client has been answered, and may send a request from now on.
    pub(crate) fn set_idle(&self) {
        let mut progress = self.lock();
        if matches!(progress.phase, Phase::Waiting | Phase::Writing) {
            progress.phase = Phase::Idle;
            progress.since = Instant::now();
        }
    }

    /// The first bytes of a request have arrived, and the rest is awaited.
    pub(crate) fn set_receiving(&self) {
        let mut progress = self.lock();
        if matches!(progress.phase, Phase::Idle | Phase::Writing) {
            progress.phase = Phase::Receiving;
        }
    }

    /// The request is complete, and the client waits for the server. False if the client was evicted before that.
    pub(crate) fn set_waiting(&self) -> bool {
        let mut progress = self.lock();
        let stays = progress.phase != Phase::Evicted;
        if stays {
            progress.phase = Phase::Waiting;
        }
        stays
    }

    /// The client does not read its answer as fast as it could be sent. Returns an error if the client was evicted.
    pub(crate) fn set_writing(&self) -> io::Result<()> {
        let mut progress = self.lock();
        match progress.phase {
            Phase::Evicted => return Err(io::ErrorKind::ConnectionAborted.into()),
            Phase::Waiting => progress.since = Instant::now(),
            Phase::Idle | Phase::Receiving | Phase::Writing | Phase::Closing => {}
        }
        progress.phase = Phase::Writing;
        Ok(())
    }

    /// The last answer was sent, and only the client's close is awaited.
    pub(crate) fn set_closing(&self) {
        let mut progress = self.lock();
        if progress.phase != Phase::Evicted {
            progress.phase = Phase::Closing;
        }
    }

    pub(crate) fn is_evicted(&self) -> bool {
        self.lock().phase == Phase::Evicted
    }

    /// Ends the connection in any phase.
    pub(crate) fn cut(&self) {
        self.lock().phase = Phase::Evicted;
        self.socket.shutdown(Shutdown::Both);
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock()
    }
}

impl Evictable for Arc<Client> {
    fn progress(&self) -> Progress {
        *self.lock()
    }

    /// A client whose request is incomplete only has its input ended, so that it still gets a 408.
    fn evict(&self) -> bool {
        let mut progress = self.lock();
        let how = match progress.phase {
            Phase::Idle | Phase::Receiving | Phase::Closing => Shutdown::Read,
            Phase::Writing => Shutdown::Both,
            Phase::Waiting | Phase::Evicted => return false,
        };
        progress.phase = Phase::Evicted;
        self.socket.shutdown(how);
        true
    }
}
