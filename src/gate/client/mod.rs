//! The public sockets, and the life of one connection.
//!
//! ```text
//! accepting     accepts, evicts                      ← address, listener, slots
//! connection    one client, request by request       ← stream, slots
//! stream        every wait for a client              ← progress, stop, allowance
//! slots         which connection may stay            ← slot_table, progress, stop
//! progress      how far a client is                  ← slot_table, socket
//! stop          what every wait learns the stop from ← poll
//! tls           the certificate shown to clients     ← authority, certificate, validity
//! ```
//!
//! # Who closes a connection, and why
//!
//! | thread | why | how |
//! |---|---|---|
//! | its own (`connection`) | the client has ended its input, or a limit of time is over before a request | at once |
//! | | a limit of time is over within a request, or the request is refused otherwise | after the refusal |
//! | | the answer says `Connection: close` | after it |
//! | | the client takes its answers too slowly, or the connection broke | at once |
//! | | the gate stops, and no byte of a request has arrived | at once |
//! | the accepting one (`slots`) | a new client needs the slot, a descriptor or a thread | evicts it |
//! | the stopping one (`slots`) | the grace is over | cuts it off |
//!
//! The last two shut the socket down, and the connection's own thread then closes it. A client that is evicted while its
//! request arrives gets a 408 first.

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
mod slot_table;
pub(crate) mod slots;
mod socket;
pub(crate) mod stop;
mod stream;
pub(crate) mod tls;
mod validity;
