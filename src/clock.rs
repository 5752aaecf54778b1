//! The two clocks: dates, which an operator or a time server may set, and uptime, which nobody can set.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Reads the present time; a stub's clock can be moved.
pub type Clock = Arc<dyn Fn() -> Now + Send + Sync>;

/// One moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For dates that are stored, compared with stored dates, or shown. It may step in either direction.
    pub date: Timestamp,
    /// For durations in memory. It never steps, and continues while the machine is suspended.
    pub uptime: Duration,
}

/// The clock that never steps, and that on Linux includes the time for which the machine was suspended.
#[cfg(target_os = "linux")]
const UPTIME: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const UPTIME: ClockId = ClockId::Monotonic;

impl Now {
    /// Reads the clocks of this machine.
    pub fn read() -> Self {
        Self {
            date: Timestamp::now(),
            // The kernel never reports a negative time.
            uptime: clock_gettime(UPTIME).try_into().unwrap_or_default(),
        }
    }
}
