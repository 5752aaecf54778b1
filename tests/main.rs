//! What clients and operators see, tested from outside: the real binary, a real socket, a real SQLite file.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod harness;

mod account;
mod background;
mod body;
mod calibrate;
mod cli;
mod client_address;
mod database_files;
mod durability;
mod fixture;
mod framing;
mod gate;
mod isolation;
mod login;
mod logs;
mod media_type;
mod operator;
mod readme;
mod replaced;
mod shutdown;
mod strace;
mod stub;
mod throttle;
mod tokens;
mod unavailable;
mod unclean;
