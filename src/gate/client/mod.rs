//! The public sockets, and the life of one connection.
//!
//! ```text
//! accept_loop   accepts, evicts                      ← address, listener, slots
//! connection    one client, request by request       ← stream, slots
//! stream        every wait for a client              ← progress, stop, allowance
//! slots         which connection may stay            ← slot_table, progress, stop
//! progress      how far a client is                  ← slot_table, socket
//! stop          the stop signal for every wait       ← poll
//! tls           the certificate for clients          ← authority, certificate, validity
//! ```
//!
//! # Who closes a connection, and why
//!
//! | thread | why | how |
//! |---|---|---|
//! | its own (`connection`) | the client has ended its input, or a time limit passed before a request | at once |
//! | | a time limit passed within a request, or the request is refused for another reason | after the refusal |
//! | | the answer says `Connection: close` | after the answer |
//! | | the TLS handshake fails or takes too long | after an alert, if TLS has one |
//! | | the client takes its answers too slowly, or the connection broke | at once |
//! | | the gate stops, and no byte of a request has arrived | at once |
//! | the accepting thread (`slots`) | a new client needs the slot, a descriptor or a thread | eviction |
//! | | the client network is at its limit, and none of its connections can be evicted | at once |
//! | the stopping thread (`slots`) | the grace period is over | shutdown of the socket |
//!
//! An eviction and the end of the grace period shut the socket down, and the connection's own thread then closes it. A
//! client that is evicted while its request arrives gets a 408 first.

pub(crate) mod accept_loop;
pub(crate) mod address;
mod allowance;
mod authority;
pub(crate) mod bind_error;
pub(crate) mod certificate;
pub(crate) mod connection;
mod date;
pub(crate) mod listener;
mod poll;
mod progress;
pub(crate) mod refused;
mod slot_table;
pub(crate) mod slots;
mod socket;
pub(crate) mod stop;
mod stream;
pub(crate) mod tls;
mod validity;
