//! The time, in its two notions: dates, which an operator or a time server may set, and durations, which nobody can.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Says what time it is; a stub can move it.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// One moment, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For what is stored, compared with something stored, or shown. It may step in either direction.
    pub date: Timestamp,
    /// For durations in memory. It never steps, and goes on while the machine is suspended.
    pub uptime: Duration,
}

/// Of the clocks that never step, the one that counts the time of a suspended machine.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::Monotonic;

impl Now {
    /// Reads the clocks of this machine.
    pub fn read() -> Self {
        Self {
            date: Timestamp::now(),
            // The kernel lets it start at zero at the earliest.
            uptime: clock_gettime(UPTIME).try_into().unwrap_or_default(),
        }
    }
}
