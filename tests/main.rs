//! What clients and operators see, tested from outside: the real binary, a real socket, a real SQLite file.
#![allow(clippy::unwrap_used)]

mod harness;

mod body;
mod cli;
mod database_files;
mod durability;
mod fixture;
mod framing;
mod isolation;
mod login;
mod media_type;
mod shutdown;
mod tokens;
mod unavailable;
