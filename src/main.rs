//! The command line's entry.

use std::process::ExitCode;

fn main() -> ExitCode {
    thanos_login::cli::main()
}
