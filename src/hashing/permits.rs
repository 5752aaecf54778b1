//! How many logins may be in work or waiting at once, and how many of one group.
//!
//! Decides when a login arrives, and takes nothing back: a login keeps its permit until its answer is known.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;

use super::job::Held;
use super::{Error, Group};

/// What each login in work needs one of; their number bounds the memory and the threads that waiting logins need.
///
/// A group that is alone may have all of them. Beside others it has half at most, and what it has beyond half is not
/// counted against the others; and a group that has none gets one up to half as many beyond the limit. So one group, or
/// some with many logins each, cannot keep another out, and there are never more than twice as many as the limit.
#[derive(Clone)]
pub struct Permits {
    taken: Arc<Mutex<Taken>>,
    limit: usize,
}

/// The right of one login to be in work, from its admission until its answer is known; given back on drop.
pub struct Permit {
    permits: Permits,
    group: Group,
    held: Held,
    admitted: Instant,
}

#[derive(Default)]
struct Taken {
    /// Without groups that have none.
    by_group: HashMap<Group, Held>,
    all: usize,
    /// Without what a group has beyond half.
    counted: usize,
}

impl Permits {
    /// For `limit` logins at once.
    pub fn new(limit: usize) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().all
    }

    /// How many there are; a group that holds none gets one even beyond them.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Takes one at once, or none: a login past the limit does not wait.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the group cannot have one now.
    pub fn admit(&self, group: Group) -> Result<Permit, Error> {
        let (limit, half) = (self.limit, self.half());
        let mut taken = self.taken.lock();
        let held = taken.by_group.get(&group);
        let held = held.map_or(0, |held| held.load(Ordering::Relaxed));
        let is_free = match held {
            0 => taken.counted < limit + half,
            1.. if held < half => taken.counted < limit,
            _ => taken.all == held && held < limit,
        };
        if !is_free {
            return Err(Error::QueueFull);
        }
        taken.all += 1;
        taken.counted += usize::from(held < half);
        let held = taken.by_group.entry(group).or_default();
        held.fetch_add(1, Ordering::Relaxed);
        Ok(Permit {
            permits: self.clone(),
            group,
            held: Arc::clone(held),
            admitted: Instant::now(),
        })
    }

    fn give_back(&self, permit: &Permit) {
        let mut taken = self.taken.lock();
        // Changed under the lock only.
        let left = permit.held.fetch_sub(1, Ordering::Relaxed) - 1;
        taken.all -= 1;
        taken.counted -= usize::from(left < self.half());
        if left == 0 {
            taken.by_group.remove(&permit.group);
        }
    }

    fn half(&self) -> usize {
        self.limit.div_ceil(2)
    }
}

impl Permit {
    /// When it was taken: the wait for hashing counts from here.
    pub fn admitted(&self) -> Instant {
        self.admitted
    }

    /// Whose it is.
    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// How many its group has, for a look now and then.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.give_back(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Group = Group(1);
    const B: Group = Group(2);

    /// Takes as many as the group gets, up to 20.
    fn take(permits: &Permits, group: Group) -> Vec<Permit> {
        let takes = std::iter::from_fn(|| permits.admit(group).ok());
        takes.take(20).collect()
    }

    #[test]
    fn one_is_free_again_once_its_permit_is_dropped() {
        let permits = Permits::new(1);
        let first = permits.admit(A).unwrap();
        assert!(matches!(permits.admit(A), Err(Error::QueueFull)));
        assert_eq!(permits.taken(), 1);
        drop(first);
        assert_eq!(permits.taken(), 0);
        assert!(permits.admit(A).is_ok());
    }

    #[test]
    fn a_group_has_all_while_it_is_alone_and_half_beside_others() {
        let permits = Permits::new(8);
        let mut first = take(&permits, A);
        assert_eq!(first.len(), 8);
        let others = take(&permits, B);
        assert_eq!(
            others.len(),
            4,
            "what the first has beyond half keeps nobody out"
        );
        first.truncate(5);
        assert!(permits.admit(A).is_err());
        first.truncate(3);
        let fourth = permits.admit(A).unwrap();
        assert!(permits.admit(A).is_err());
        drop((first, fourth));
        let more = take(&permits, B);
        assert_eq!(others.len() + more.len(), 8);
        drop((others, more));
        assert!(permits.taken.lock().by_group.is_empty());
        assert_eq!(permits.taken.lock().counted, 0);
    }

    #[test]
    fn a_group_that_has_none_gets_one_beside_groups_that_have_taken_them_all() {
        let permits = Permits::new(8);
        let taken: Vec<Permit> = (10..14)
            .flat_map(|group| (0..2).map(move |_| Group(group)))
            .map(|group| permits.admit(group).unwrap())
            .collect();
        assert!(permits.admit(Group(10)).is_err());
        let _first = permits.admit(A).unwrap();
        assert!(permits.admit(A).is_err());
        let more: Vec<Permit> = (20..40)
            .filter_map(|group| permits.admit(Group(group)).ok())
            .collect();
        assert_eq!(
            taken.len() + 1 + more.len(),
            12,
            "half as many beyond the limit"
        );
    }
}
