//! Locks by client address, so that attempts from one address wait for each other before they take a database
//! connection.
//!
//! They would wait for each other in the database too, but each with a connection, so that attempts from other
//! addresses would find no free connection.

use std::array;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use super::Subject;
use crate::auth::Error;
use crate::hashing;
use crate::store::LimitKind;

/// The number of locks. Some addresses share a lock; a client cannot choose which.
const LOCKS: usize = 256;

/// How long to wait for a lock. This is short, since the attempt may then wait for the database too; an attempt holds
/// its lock for some milliseconds.
const MAX_WAIT: Duration = Duration::from_millis(1500);

pub(super) struct AddressLocks([Mutex<()>; LOCKS]);

impl Default for AddressLocks {
    fn default() -> Self {
        Self(array::from_fn(|_| Mutex::default()))
    }
}

impl AddressLocks {
    /// Waits until no other attempt of this server holds the lock of the subject's address.
    ///
    /// # Errors
    /// [`hashing::Error::WaitTooLong`].
    pub(super) fn lock(&self, subject: &Subject) -> Result<MutexGuard<'_, ()>, Error> {
        let [index, ..] = subject.keys[LimitKind::Address as usize];
        let lock = self.0[usize::from(index)].try_lock_for(MAX_WAIT);
        lock.ok_or_else(|| hashing::Error::WaitTooLong.into())
    }
}
