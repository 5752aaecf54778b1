//! The door: only whole, well-formed, bounded HTTP/1.1 requests get in.
//!
//! The gate owns the public sockets. Of each connection it reads one request at a time, checks it as RFC 9110 and 9112
//! say, and where two readers could disagree more strictly; writes it anew in a normal form (`normal`); hands it to
//! tiny_http over a private Unix socket; and passes the answer back. So tiny_http, which believes every length it is told
//! and waits for ever, only meets requests that are whole, small and correctly framed.
//!
//! It knows nothing of logins, paths, statuses of the program or any other room of this crate but `files` and `low_priority`, and could be a
//! crate of its own. It never looks into a body, and it sets nothing that holds for the whole process.
//!
//! ```text
//! running     starts, stops                   ┐
//! accepting   accepts, evicts                 │ address, listener, limits, places, slots
//! connection  one client, request by request  ┘ wire (every wait for the client), deadline, allowance, input, wiped
//! receive     one request: head, then body    ← head, request_line, framing, chunked
//! normal      the request as the server gets it
//! pool        the connections to the server   ← backend, answer, order
//! refusal     the gate's own answers          ← refused: what could be read of those requests
//! tls         the certificate shown to clients    ← authority, validity
//! ```

mod accepting;
mod address;
mod allowance;
mod answer;
mod authority;
mod backend;
mod chunked;
mod connection;
mod date;
mod deadline;
mod framing;
mod head;
#[doc(hidden)]
pub mod in_memory;
mod input;
mod limits;
mod listener;
mod normal;
mod order;
mod places;
mod pool;
mod receive;
mod refusal;
mod refused;
mod request_line;
mod running;
mod slots;
mod tls;
mod validity;
mod wiped;
mod wire;

pub use accepting::ClientNetwork;
pub use address::{Address, Bound, NotASocketMode, NotAnAddress, SocketMode};
pub use answer::MAX_WHOLE_BYTES;
pub use backend::{Backend, Link};
pub use limits::Limits;
pub use normal::{BODY_TOO_LARGE, Forward, PEER, RESERVED_PREFIX, WARM_UP, original_field};
pub use order::{DELAY, FAULT, Fault};
pub use refused::{OnRefusal, Refused};
pub use running::{Config, Error, Gate};
pub use tls::{Tls, TlsError, certificate_problems};

#[cfg(test)]
mod tests;
