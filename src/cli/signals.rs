//! What signals do to the process. Only commands touch them: a server inside a test leaves its process alone.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// What a running server is asked to do.
pub(super) enum Request {
    /// SIGTERM or SIGINT, or [`Signals::handle`] was used to close them.
    Stop,
    /// SIGHUP.
    Reload,
}

/// What arrives from here on takes effect when it is let through: a server that is stopped or reloaded while it starts does
/// that once it knows how. Threads that are started meanwhile never get these signals, which others take.
pub(super) fn hold_back() {
    // Fails only for signals that do not exist.
    let _ = caught().thread_block();
}

/// Ends [`hold_back`].
pub(super) fn let_through() {
    // Fails only for signals that do not exist.
    let _ = caught().thread_unblock();
}

fn caught() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// Lets a write beyond the limit on file sizes fail like one to a full disk; the signal would end the process.
pub(super) fn survive_full_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// Catches the signals from here on, and those that were held back; a second SIGTERM or SIGINT ends the process at once, with 1.
pub(super) fn catch() -> io::Result<Signals> {
    let stop_again = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order: the flag is still false when the first one arrives.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop_again))?;
        flag::register(signal, Arc::clone(&stop_again))?;
    }
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    let_through();
    Ok(signals)
}

/// Blocks until the process is asked for something.
pub(super) fn next(signals: &mut Signals) -> Request {
    match signals.forever().next() {
        Some(SIGHUP) => Request::Reload,
        _ => Request::Stop,
    }
}
