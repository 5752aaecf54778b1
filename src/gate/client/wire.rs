//! A client's socket, plain or under TLS. The one place where the gate waits for a client.
//!
//! Every read asks a [`Deadline`], below TLS, so that dripped records buy no time. Every write waits for the client as
//! long as the connection's [`WriteAllowance`] lasts.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::allowance::WriteAllowance;
use super::places::Occupant;
use super::slots::Phase;
use super::socket::Socket;
use crate::gate::deadline::Deadline;

/// The bytes on the wire, read under a deadline and written within an allowance.
#[derive(Debug)]
pub(crate) struct Wire {
    occupant: Arc<Occupant>,
    allowance: WriteAllowance,
    deadline: Deadline,
    /// What the socket's own timeout is set to. Setting it is a system call, so it stays as long as it does not pass the
    /// deadline: a read that it ends too early is started again.
    timeout: Duration,
}

impl Wire {
    fn new(occupant: Arc<Occupant>, allowance: WriteAllowance) -> Wire {
        Wire {
            occupant,
            allowance,
            deadline: Deadline::after(Duration::ZERO),
            timeout: Duration::MAX,
        }
    }

    fn set_timeout(&mut self, timeout: Duration) -> io::Result<()> {
        self.timeout = timeout;
        self.occupant.socket.set_read_timeout(timeout)
    }

    /// Whether an end of input may be our own doing: the gate stopped in the moment in which a request began. The rest
    /// of it still arrives, but reads no longer wait for it.
    fn is_ended_by_us(&self) -> bool {
        self.occupant.phase() == Phase::Receiving && self.occupant.is_ended()
    }

    /// Waits until the client takes more. The kernel reports that late, when a good part of its own buffer is free, so
    /// the end of the time is no error: what follows is one more try.
    #[cold]
    fn wait_to_send(&mut self) -> io::Result<()> {
        self.occupant.block_on_client()?;
        let left = self.allowance.left()?;
        let start = Instant::now();
        self.occupant.socket.poll(PollFlags::OUT, left)?;
        self.allowance.spend(start.elapsed());
        Ok(())
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.deadline.remaining()?;
            if self.timeout > left {
                self.set_timeout(left)?;
            }
            match self.occupant.socket.read(buffer) {
                Ok(0) if self.is_ended_by_us() => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => match error.kind() {
                    io::ErrorKind::Interrupted => {}
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                        let left = self.deadline.remaining()?;
                        self.set_timeout(left)?;
                    }
                    _ => return Err(error),
                },
                read => return read,
            }
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.occupant.socket.send(bytes) {
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

/// A client, as the rest of the gate reads and writes it.
#[derive(Debug)]
pub(crate) enum Client {
    Plain(Wire),
    Tls(Box<rustls::StreamOwned<rustls::ServerConnection, Wire>>),
}

impl Client {
    /// Under TLS if there is a session for it.
    pub(crate) fn new(
        occupant: Arc<Occupant>,
        allowance: WriteAllowance,
        tls: Option<rustls::ServerConnection>,
    ) -> Client {
        let wire = Wire::new(occupant, allowance);
        match tls {
            Some(tls) => Client::Tls(Box::new(rustls::StreamOwned::new(tls, wire))),
            None => Client::Plain(wire),
        }
    }

    /// Agrees on keys, if there are any to agree on.
    pub(crate) fn handshake(&mut self, deadline: Deadline) -> io::Result<()> {
        let Client::Tls(stream) = self else {
            return Ok(());
        };
        stream.sock.deadline = deadline;
        while stream.conn.is_handshaking() {
            let result = stream.conn.complete_io(&mut stream.sock);
            if let Err(error) = result {
                // An alert may be waiting that tells the client what it did wrong.
                let _ = stream.conn.write_tls(&mut stream.sock);
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits for input where more must be known before it is read: over a socket file, unlike TCP, what a client sends
    /// after its input was ended is lost, so a request must be known to have begun (`begin`) before its first byte is
    /// taken out of the socket.
    pub(crate) fn await_input(
        &mut self,
        deadline: Deadline,
        begin: impl FnOnce(),
    ) -> io::Result<()> {
        let Client::Plain(wire) = self else {
            return Ok(());
        };
        if let socket @ Socket::Unix(_) = &wire.occupant.socket {
            while !socket.poll(PollFlags::IN, deadline.remaining()?)? {}
            begin();
        }
        Ok(())
    }

    /// Waits for bytes; 0 is the end of the client's input, `TimedOut` the deadline's.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        match self {
            Client::Plain(wire) => {
                wire.deadline = deadline;
                wire.read(buffer)
            }
            Client::Tls(stream) => {
                stream.sock.deadline = deadline;
                match stream.read(buffer) {
                    // Many clients end without TLS's own farewell; requests tell their length themselves.
                    Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
                    result => result,
                }
            }
        }
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Client::Plain(wire) => wire.write_all(bytes),
            Client::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
        }
    }

    /// Closes so that the client receives all that was written: a socket closed with input unread would reset the
    /// connection, and the reset can overtake the answer. So the client is told that nothing more comes, and what it
    /// still sends is thrown away until it closes too. An evicted one is not waited for.
    pub(crate) fn close(&mut self, deadline: Deadline) {
        if let Client::Tls(stream) = self {
            stream.conn.send_close_notify();
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
        let wire = match self {
            Client::Plain(wire) => wire,
            Client::Tls(stream) => &mut stream.sock,
        };
        wire.occupant.socket.shutdown(Shutdown::Write);
        wire.deadline = deadline;
        // Not on the stack: its pages would stay with every connection, however long it is idle before.
        let mut waste = vec![0; 8 * 1024];
        while wire.read(&mut waste).is_ok_and(|read| read > 0)
            && wire.occupant.phase() != Phase::Evicted
        {}
    }
}
