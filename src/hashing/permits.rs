//! How many logins may be in work or waiting at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::Error;

/// The places that logins take; their number bounds the memory and the threads that waiting logins need.
#[derive(Clone)]
pub struct Permits {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// One place, held from a login's admission until its answer, and given back on drop.
pub struct Permit {
    taken: Arc<AtomicUsize>,
    admitted: Instant,
}

impl Permits {
    /// Room for `limit` logins at once.
    pub fn new(limit: usize) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }

    /// How many places are taken.
    pub fn taken(&self) -> usize {
        self.taken.load(Ordering::Acquire)
    }

    /// Takes a place at once or says that there is none: whoever comes past the limit is told so and does not wait.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when all places are taken.
    pub fn admit(&self) -> Result<Permit, Error> {
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| {
                (taken < self.limit).then_some(taken + 1)
            })
            .map_err(|_| Error::QueueFull)?;
        Ok(Permit {
            taken: Arc::clone(&self.taken),
            admitted: Instant::now(),
        })
    }
}

impl Permit {
    /// When the place was taken: the wait for hashing counts from here.
    pub fn admitted(&self) -> Instant {
        self.admitted
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_once_its_permit_is_dropped() {
        let permits = Permits::new(1);
        let first = permits.admit().unwrap();
        assert!(matches!(permits.admit(), Err(Error::QueueFull)));
        drop(first);
        assert!(permits.admit().is_ok());
    }
}
