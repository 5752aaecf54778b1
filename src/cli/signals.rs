//! Handles the signals of the process. Only commands do so: a server inside a test does not touch the signals of its
//! process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use nix::sys::signal::{SigSet, Signal};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// What a signal asks a running server to do.
pub(super) enum SignalRequest {
    /// SIGTERM or SIGINT, or the signals were closed with [`Signals::handle`].
    Stop,
    /// SIGHUP, which asks to read the certificate again.
    Reload,
}

/// Blocks the signals until [`unblock`], so that a server that is stopped or reloaded while it starts does so once it
/// can. Threads that are started meanwhile never receive these signals; the main thread does.
pub(super) fn block() {
    // Fails only for invalid signals.
    let _ = caught().thread_block();
}

/// Delivers the signals that [`block`] has blocked.
pub(super) fn unblock() {
    // Fails only for invalid signals.
    let _ = caught().thread_unblock();
}

fn caught() -> SigSet {
    [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP]
        .into_iter()
        .collect()
}

/// Makes a write beyond the limit on file sizes fail like a write to a full disk, instead of ending the process by a
/// signal.
pub(super) fn survive_full_files() -> io::Result<()> {
    flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))?;
    Ok(())
}

/// Catches the signals, including blocked ones. A second SIGTERM or SIGINT ends the process at once with exit code 1.
pub(super) fn catch() -> io::Result<Signals> {
    let stop_again = Arc::new(AtomicBool::new(false));
    for signal in [SIGTERM, SIGINT] {
        // In this order, so that the flag is still false when the first signal arrives.
        flag::register_conditional_shutdown(signal, 1, Arc::clone(&stop_again))?;
        flag::register(signal, Arc::clone(&stop_again))?;
    }
    let signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    unblock();
    Ok(signals)
}

/// Waits for the next signal.
pub(super) fn next(signals: &mut Signals) -> SignalRequest {
    match signals.forever().next() {
        Some(SIGHUP) => SignalRequest::Reload,
        _ => SignalRequest::Stop,
    }
}
