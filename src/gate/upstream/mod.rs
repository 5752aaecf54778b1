//! The connections to the server behind the gate.
//!
//! ```text
//! pool      a connection for each request in work
//! backend   opens one
//! answer    the server's answer, read and rewritten for the client
//! instructions  what the server asks of the gate with it
//! ```

pub(crate) mod answer;
pub(crate) mod backend;
pub(crate) mod instructions;
pub(crate) mod pool;
