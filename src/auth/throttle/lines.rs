//! Tries of one address wait for each other before they take a connection to the database.
//!
//! They would wait for each other there too, but each with a connection, of which those of other addresses would find none.

use std::array;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::Subject;
use crate::auth::Error;
use crate::hashing;
use crate::store::LimitKind;

/// Some addresses share a line; which ones, nobody can choose.
const LINES: usize = 256;

/// Short, since what comes after it waits for the database too. A try is there for some milliseconds.
const PATIENCE: Duration = Duration::from_millis(1500);

pub(super) struct Lines([Mutex<()>; LINES]);

impl Default for Lines {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl Lines {
    /// Waits until no other try of the subject's address is at the database.
    ///
    /// # Errors
    /// [`hashing::Error::WaitTooLong`].
    pub(super) fn enter(&self, subject: &Subject) -> Result<MutexGuard<'_, ()>, Error> {
        let [line, ..] = subject.keys[LimitKind::Address as usize];
        let line = self.0[usize::from(line)].try_lock_for(PATIENCE);
        line.ok_or_else(|| hashing::Error::WaitTooLong.into())
    }
}
