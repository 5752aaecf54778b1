//! What clients and operators see, tested from outside: the real binary, a real socket, a real database.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, clippy::print_stderr)]

mod harness;

mod account;
mod background;
mod body;
mod calibrate;
mod check_config;
mod cli;
mod client_address;
mod clock_steps;
mod copied_over;
mod database_files;
mod docs;
mod durability;
mod environment;
mod failed_start;
mod fairness;
mod faults;
mod fixture;
mod framing;
mod gate;
mod isolation;
mod login;
mod login_events;
mod logs;
mod media_type;
mod next_steps;
mod operator;
mod packages;
#[cfg(feature = "postgres")]
mod postgres;
mod prometheus;
mod recovery;
mod replaced;
mod restart;
mod shutdown;
mod strace;
mod streams;
mod stub;
mod throttle;
mod tokens;
mod typing;
mod unavailable;
mod unclean;
mod warnings;
