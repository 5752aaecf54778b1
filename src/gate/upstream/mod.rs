//! The connections to the server behind the gate.
//!
//! ```text
//! pool          one connection for each request at the server
//! backend       opens connections
//! answer        reads the server's answer and rewrites it for the client
//! instructions  what the server asks of the gate with an answer
//! ```

pub(crate) mod answer;
pub(crate) mod backend;
pub(crate) mod instructions;
pub(crate) mod pool;
