//! Parses bytes into requests: no sockets, no clock, no threads.
//!
//! ```text
//! receive            reads one request from a source of bytes: its head, then its body
//! head               parses a head               ← request_line, fields, framing
//! chunked            decodes a chunked body      ← fields
//! normal             writes the request in the form that the server gets
//! refusal            the gate's own answers      ← connection_option
//! refused            what could be read of a refused request
//! input, wiped       the buffers
//! ```

pub(crate) mod chunked;
pub(crate) mod connection_option;
pub(crate) mod fields;
pub(crate) mod framing;
pub(crate) mod head;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod in_memory;
pub(crate) mod input;
pub(crate) mod normal;
pub(crate) mod receive;
pub(crate) mod refusal;
pub(crate) mod refused;
pub(crate) mod request_line;
pub(crate) mod wiped;
