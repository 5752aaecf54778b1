//! A client's connection, plain or with TLS. This is the only place where the gate waits for a client.
//!
//! Every read has a [`Deadline`]. It is checked below TLS, so that a client gains no time by sending its TLS records byte by
//! byte. Every write waits for the client only as long as the connection's [`WriteAllowance`] lasts.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::allowance::WriteAllowance;
use super::poll;
use super::progress::Client;
use super::stop::StopSignal;
use crate::gate::deadline::Deadline;
use crate::gate::http::wiped::Wiped;

/// Time between two checks of the stop signal where it cannot be polled.
const RETRY: Duration = Duration::from_millis(100);

/// Whether a wait for the client ends when the gate stops and nothing has arrived. It then returns the end of the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum EndsAtStop {
    Always,
    /// Only before the first byte: a request that has started to arrive is answered.
    UntilFirstByte,
    Never,
}

/// The socket below TLS, read with a deadline and written with an allowance.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Arc<Client>,
    allowance: WriteAllowance,
    deadline: Deadline,
    ends_at_stop: EndsAtStop,
    stop: Arc<StopSignal>,
    /// Whether the client has sent anything.
    has_received: bool,
}

impl Wire {
    /// Sets the deadline and the behaviour at a stop for the reads that follow.
    fn expect(&mut self, deadline: Deadline, ends_at_stop: EndsAtStop) {
        self.deadline = deadline;
        self.ends_at_stop = ends_at_stop;
    }

    /// Waits until something can be read, including the end of the input. False if the wait ended because the gate stops.
    fn wait_to_receive(&self) -> io::Result<bool> {
        let socket = PollFd::new(&self.client.socket, PollFlags::IN);
        let mut polled = [socket, self.stop.polled()];
        let ends_at_stop = self.ends_at_stop != EndsAtStop::Never;
        let count = if ends_at_stop { 2 } else { 1 };
        loop {
            let left = self.deadline.remaining()?;
            // Checked before the wait, so that bytes which arrive before the stop are received.
            let is_stopping = self.stop.is_set();
            match poll::wait(&mut polled[..count], left) {
                // With a descriptor limit below two, the system refuses to poll two descriptors.
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    poll::wait(&mut polled[..1], left.min(RETRY))?;
                }
                result => result?,
            }
            if poll::is_ready(&polled[0]) {
                return Ok(true);
            }
            if ends_at_stop && is_stopping {
                return Ok(false);
            }
        }
    }

    /// Waits until more can be sent. The kernel reports that late, once a large part of its send buffer is free, so the end
    /// of the time is not an error: one more attempt to send follows.
    #[cold]
    fn wait_to_send(&mut self) -> io::Result<()> {
        self.client.set_writing()?;
        let left = self.allowance.left()?;
        let start = Instant::now();
        self.client.socket.poll(PollFlags::OUT, left)?;
        self.allowance.spend(start.elapsed());
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if !self.wait_to_receive()? {
                return Ok(0);
            }
            match self.client.socket.receive(buffer) {
                Ok(received) => {
                    self.has_received |= received > 0;
                    if self.ends_at_stop == EndsAtStop::UntilFirstByte {
                        self.ends_at_stop = EndsAtStop::Never;
                    }
                    return Ok(received);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => {}
                    _ => return Err(error),
                },
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.client.socket.send(bytes) {
                Ok(sent) => {
                    self.allowance.earn(sent);
                    return Ok(sent);
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock => self.wait_to_send()?,
                    _ => return Err(error),
                },
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A client's connection, as the rest of the gate reads and writes it.
#[derive(Debug)]
pub(crate) enum ClientStream {
    Plain(Wire),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, Wire>>),
}

impl ClientStream {
    /// A connection with TLS if `tls` is given.
    pub(crate) fn new(
        client: Arc<Client>,
        allowance: WriteAllowance,
        stop: Arc<StopSignal>,
        tls: Option<rustls::ServerConnection>,
    ) -> Self {
        let wire = Wire {
            client,
            allowance,
            deadline: Deadline::after(Duration::ZERO),
            ends_at_stop: EndsAtStop::Always,
            stop,
            has_received: false,
        };
        match tls {
            Some(tls) => Self::Tls(Box::new(rustls::StreamOwned::new(tls, wire))),
            None => Self::Plain(wire),
        }
    }

    /// Completes the TLS handshake; does nothing on a plain connection.
    pub(crate) fn handshake(&mut self, deadline: Deadline) -> io::Result<()> {
        let Self::Tls(stream) = self else {
            return Ok(());
        };
        stream.sock.expect(deadline, EndsAtStop::Always);
        while stream.conn.is_handshaking() {
            let result = stream.conn.complete_io(&mut stream.sock);
            if let Err(error) = result {
                // Sends a pending TLS alert, which says what the client did wrong.
                let _ = stream.conn.write_tls(&mut stream.sock);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Whether the client has sent anything, even if it could not be decrypted.
    pub(crate) fn has_received(&self) -> bool {
        match self {
            Self::Plain(wire) => wire.has_received,
            Self::Tls(stream) => stream.sock.has_received,
        }
    }

    /// Waits for the first bytes of a request. 0 is the end of the client's input or the stop of the gate; `TimedOut` means
    /// that the deadline passed.
    pub(crate) fn read_first(
        &mut self,
        buffer: &mut [u8],
        deadline: Deadline,
    ) -> io::Result<usize> {
        self.wire().expect(deadline, EndsAtStop::UntilFirstByte);
        self.receive(buffer)
    }

    /// Waits for more bytes of a request. 0 is the end of the client's input; `TimedOut` means that the deadline passed.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        self.wire().expect(deadline, EndsAtStop::Never);
        self.receive(buffer)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(wire) => wire.read(buffer),
            // Returns decrypted bytes before it reads from the socket.
            Self::Tls(stream) => match stream.read(buffer) {
                // Many clients close without a TLS close_notify. It is not needed here: requests have explicit lengths.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                result => result,
            },
        }
    }

    /// Whether something can be read without waiting, including the end of the input.
    pub(crate) fn has_input(&self) -> bool {
        match self {
            Self::Plain(wire) => wire.client.socket.has_input(),
            // While there are decrypted bytes, `wants_read` is false.
            Self::Tls(stream) => !stream.conn.wants_read() || stream.sock.client.socket.has_input(),
        }
    }

    fn wire(&mut self) -> &mut Wire {
        match self {
            Self::Plain(wire) => wire,
            Self::Tls(stream) => &mut stream.sock,
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(wire) => wire.write_all(bytes),
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Closes the connection so that the client receives everything that was written. Closing a socket with unread input
    /// would reset the connection, and the reset can overtake the answer. So only the write side is closed first, and
    /// further input is discarded until the client closes its end. An evicted client is not waited for, and no client once
    /// the gate stops.
    pub(crate) fn close(&mut self, deadline: Deadline) {
        if let Self::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
        let wire = self.wire();
        wire.client.socket.shutdown(Shutdown::Write);
        wire.expect(deadline, EndsAtStop::Always);
        // Not on the stack: the thread of every idle connection would keep these pages.
        let mut discarded = Wiped::default();
        discarded.resize(8 * 1024);
        while wire.read(&mut discarded).is_ok_and(|read| read > 0) && !wire.client.is_evicted() {}
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;
    use std::thread;

    use super::super::slots::ConnectionSlots;
    use super::super::socket::Socket;
    use super::*;
    use crate::gate::limits::GateLimits;

    #[test]
    fn the_stop_ends_a_wait_only_before_the_first_byte_of_a_request() {
        let stop = Arc::new(StopSignal::new().unwrap());
        let slots = ConnectionSlots::new(1, None, Arc::clone(&stop));
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let slot = slots.enter(Socket::Unix(ours), None);
        let allowance = WriteAllowance::new(&GateLimits::default());
        let mut stream = ClientStream::new(Arc::clone(&slot), allowance, stop, None);
        let deadline = Deadline::after(Duration::from_secs(30));
        let mut buffer = [0; 9];

        theirs.write_all(b"GET").unwrap();
        slots.stop();
        assert!(stream.has_input());
        assert_eq!(
            stream.read_first(&mut buffer, deadline).unwrap(),
            3,
            "it had arrived"
        );
        assert!(!stream.has_input());
        let sending = thread::spawn(move || {
            theirs.write_all(b" /").unwrap();
            theirs
        });
        assert_eq!(
            stream.read(&mut buffer, deadline).unwrap(),
            2,
            "the request is received to its end"
        );
        let _theirs = sending.join().unwrap();
        assert_eq!(
            stream.read_first(&mut buffer, deadline).unwrap(),
            0,
            "nothing has arrived"
        );
    }
}
