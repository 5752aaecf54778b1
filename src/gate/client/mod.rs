//! The public sockets, and the life of one connection.
//!
//! ```text
//! accepting     accepts, evicts                      ← address, listener, slots
//! connection    one client, request by request       ← stream, slots
//! stream        every wait for a client              ← slots, stop, allowance
//! slots         which connection may stay            ← slot_table, socket, stop
//! stop          what every wait learns the stop from
//! tls           the certificate shown to clients     ← authority, certificate, validity
//! ```

pub(crate) mod accepting;
pub(crate) mod address;
mod allowance;
mod authority;
pub(crate) mod certificate;
pub(crate) mod connection;
mod date;
pub(crate) mod listener;
mod slot_table;
pub(crate) mod slots;
mod socket;
pub(crate) mod stop;
mod stream;
pub(crate) mod tls;
mod validity;
