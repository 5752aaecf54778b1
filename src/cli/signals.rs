//! What signals do to the process. Only commands touch them: a server inside a test leaves its process alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// What a running server is asked to do.
pub(super) enum Request {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

/// Lets a write beyond the limit on file sizes fail like one to a full disk; the signal would end the process.
pub(super) fn survive_full_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// Catches the signals from here on; a second SIGTERM or SIGINT ends the process at once, with 1.
pub(super) fn catch() -> io::Result<Signals> {
    let stop_again = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the flag is still false when the first one arrives.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop_again))?;
        flag::register(signal, Arc::clone(&stop_again))?;
    }
    Signals::new([SIGTERM, SIGINT, SIGHUP])
}

/// Blocks until the process is asked for something.
pub(super) fn next(signals: &mut Signals) -> Request {
    match signals.forever().next() {
        Some(SIGHUP) => Request::Reload,
        _ => Request::Stop,
    }
}
