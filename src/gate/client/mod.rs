//! The public sockets, and the life of one connection.
//!
//! ```text
//! accepting     accepts, evicts                      ← address, listener, places, slots
//! connection    one client, request by request       ← wire, places
//! wire          every wait for a client              ← socket, allowance, places
//! places        which connection may stay            ← slots, socket
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
pub(crate) mod places;
mod slots;
mod socket;
pub(crate) mod tls;
mod validity;
mod wire;
