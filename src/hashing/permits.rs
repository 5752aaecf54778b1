//! How many logins may run or wait at once, in total and for each group.
//!
//! A login is admitted or refused when it arrives. Once admitted it keeps its permit until its result is known.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::Mutex;

use super::job::Held;
use super::{Error, Group};

/// The permits of running and waiting logins. Their number bounds the memory and the threads that such logins need.
///
/// A group that is alone may hold all permits. Beside other groups it may hold half of them, and the permits that it
/// holds beyond half do not count against the other groups. A group without a permit may exceed the limit, by up to
/// half of it. So neither one group nor several groups with many logins each can lock another group out, and there are
/// never more permits than twice the limit.
#[derive(Clone)]
pub struct Permits {
    taken: Arc<Mutex<Taken>>,
    limit: usize,
}

/// The permit of one login, from its admission until its result is known; released on drop.
pub struct Permit {
    permits: Permits,
    group: Group,
    held: Held,
    admitted: Instant,
}

#[derive(Default)]
struct Taken {
    /// Contains only groups that hold a permit.
    by_group: HashMap<Group, Held>,
    all: usize,
    /// The number of permits, without those that a group holds beyond half.
    counted: usize,
}

impl Permits {
    /// Permits for `limit` logins at once.
    pub fn new(limit: usize) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }

    /// The number of permits that are held now.
    pub fn taken(&self) -> usize {
        self.taken.lock().all
    }

    /// The configured number of permits, which groups without a permit may exceed.
    pub fn limit(&self) -> usize {
        self.limit
    }

    /// Takes a permit. Does not wait: a login beyond the limit is refused.
    ///
    /// # Errors
    /// [`Error::QueueFull`] when the group may not have another permit now.
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

    fn release(&self, permit: &Permit) {
        let mut taken = self.taken.lock();
        // The count is only changed while the lock is held.
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
    /// When it was taken. The maximum wait for hashing is counted from then.
    pub fn admitted(&self) -> Instant {
        self.admitted
    }

    /// The group that holds it.
    pub(super) fn group(&self) -> Group {
        self.group
    }

    /// The number of permits that its group holds, which changes with time.
    pub(super) fn held(&self) -> &Held {
        &self.held
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.permits.release(self);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Group = Group(1);
    const B: Group = Group(2);

    /// Takes all permits that the group can get, up to 20.
    fn take(permits: &Permits, group: Group) -> Vec<Permit> {
        let takes = std::iter::from_fn(|| permits.admit(group).ok());
        takes.take(20).collect()
    }

    #[test]
    fn a_dropped_permit_can_be_taken_again() {
        let permits = Permits::new(1);
        let first = permits.admit(A).unwrap();
        assert!(matches!(permits.admit(A), Err(Error::QueueFull)));
        assert_eq!(permits.taken(), 1);
        drop(first);
        assert_eq!(permits.taken(), 0);
        assert!(permits.admit(A).is_ok());
    }

    #[test]
    fn a_group_may_hold_all_permits_while_alone_and_half_of_them_beside_others() {
        let permits = Permits::new(8);
        let mut first = take(&permits, A);
        assert_eq!(first.len(), 8);
        let others = take(&permits, B);
        assert_eq!(
            others.len(),
            4,
            "permits of the first group beyond half do not count against others"
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
    fn a_group_without_a_permit_gets_one_although_others_hold_them_all() {
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
            "up to half of the limit beyond it"
        );
    }
}
