//! Limits the number of lists that are read and sent at the same time: reading a list uses a CPU core for a while, and
//! sending it uses a thread for as long as its client reads.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use crate::store::Holder;

/// Maximum number of lists that are being read from the database, or wait for that.
const MAX_READ: usize = 8;
/// Maximum number of lists of one organization that are being read or wait for that, so that other organizations get a
/// share.
const MAX_READ_OF_ORGANIZATION: usize = MAX_READ / 2;
/// Maximum number of lists that are being read. Each is in memory, and takes time of this machine and of the database.
const MAX_READ_AT_ONCE: usize = 2;
/// Maximum number of lists of one user that are being read or sent.
const MAX_OF_USER: usize = 2;

/// Counts the lists that are being read or sent.
#[derive(Clone, Default)]
pub struct Lists(Arc<ListCounts>);

#[derive(Default)]
struct ListCounts {
    in_work: Mutex<InWork>,
    /// Notified when a list was read.
    was_read: Condvar,
}

#[derive(Default)]
struct InWork {
    /// Includes the lists that wait for their turn, as do those of an organization.
    read: usize,
    read_of_organization: Counts,
    read_at_once: usize,
    of_user: Counts,
}

/// Permission to read and send one list, given back on drop.
pub(super) struct ListPermit {
    lists: Lists,
    org_id: i64,
    user_id: i64,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Reading,
    Sending,
}

impl Lists {
    /// Permission for a list of this user; `None` if a limit is reached.
    pub(super) fn admit(&self, holder: &Holder) -> Option<ListPermit> {
        self.admit_of(holder.org_id, holder.user_id)
    }

    fn admit_of(&self, org_id: i64, user_id: i64) -> Option<ListPermit> {
        let mut in_work = self.0.in_work.lock();
        if in_work.read >= MAX_READ
            || in_work.read_of_organization.of(org_id) >= MAX_READ_OF_ORGANIZATION
            || in_work.of_user.of(user_id) >= MAX_OF_USER
        {
            return None;
        }
        in_work.read += 1;
        in_work.read_of_organization.add(org_id);
        in_work.of_user.add(user_id);
        Some(ListPermit {
            lists: self.clone(),
            org_id,
            user_id,
            stage: Stage::Waiting,
        })
    }
}

impl ListPermit {
    /// Waits until the list may be read.
    pub(super) fn await_turn(&mut self) {
        let mut in_work = self.lists.0.in_work.lock();
        let is_full = |in_work: &mut InWork| in_work.read_at_once >= MAX_READ_AT_ONCE;
        self.lists.0.was_read.wait_while(&mut in_work, is_full);
        in_work.read_at_once += 1;
        self.stage = Stage::Reading;
    }

    /// Call once the list was read and only has to be sent.
    pub(super) fn finish_reading(&mut self) {
        let stage = std::mem::replace(&mut self.stage, Stage::Sending);
        if stage == Stage::Sending {
            return;
        }
        let mut in_work = self.lists.0.in_work.lock();
        in_work.read -= 1;
        in_work.read_of_organization.remove(self.org_id);
        if stage == Stage::Reading {
            in_work.read_at_once -= 1;
            self.lists.0.was_read.notify_one();
        }
    }
}

impl Drop for ListPermit {
    fn drop(&mut self) {
        self.finish_reading();
        self.lists.0.in_work.lock().of_user.remove(self.user_id);
    }
}

/// A counter for each row ID. Counters that are zero are removed.
#[derive(Default)]
struct Counts(HashMap<i64, usize>);

impl Counts {
    fn of(&self, row: i64) -> usize {
        self.0.get(&row).copied().unwrap_or_default()
    }

    fn add(&mut self, row: i64) {
        *self.0.entry(row).or_default() += 1;
    }

    fn remove(&mut self, row: i64) {
        if let Some(count) = self.0.get_mut(&row) {
            *count -= 1;
            if *count == 0 {
                self.0.remove(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    #[test]
    fn a_user_may_have_two_lists_read_or_sent_at_a_time() {
        let lists = Lists::default();
        let mut first = lists.admit_of(1, 1).unwrap();
        first.finish_reading();
        let _second = lists.admit_of(1, 1).unwrap();
        assert!(lists.admit_of(1, 1).is_none());
        assert!(lists.admit_of(1, 2).is_some());
        drop(first);
        assert!(lists.admit_of(1, 1).is_some());
    }

    #[test]
    fn two_lists_are_read_at_once_and_the_others_wait_for_their_turn() {
        let (lists, reading) = (Lists::default(), AtomicUsize::new(0));
        let all = Barrier::new(6);
        thread::scope(|scope| {
            for number in 0..6 {
                let mut permit = lists.admit_of(number % 2, number).unwrap();
                let (reading, all) = (&reading, &all);
                scope.spawn(move || {
                    all.wait();
                    permit.await_turn();
                    reading.fetch_add(1, Ordering::SeqCst);
                    for _ in 0..1_000 {
                        assert!(reading.load(Ordering::SeqCst) <= MAX_READ_AT_ONCE);
                        thread::yield_now();
                    }
                    reading.fetch_sub(1, Ordering::SeqCst);
                    permit.finish_reading();
                });
            }
        });
        assert_eq!(lists.0.in_work.lock().read_at_once, 0);
    }

    #[test]
    fn a_list_that_is_being_sent_does_not_count_as_being_read() {
        let lists = Lists::default();
        let mut users = 0..;
        let mut admit = |organization| lists.admit_of(organization, users.next().unwrap());
        let mut read: Vec<_> = (0..MAX_READ_OF_ORGANIZATION)
            .map(|_| admit(1).unwrap())
            .collect();
        assert!(admit(1).is_none());
        read.extend((read.len()..MAX_READ).map(|_| admit(2).unwrap()));
        assert!(admit(3).is_none());
        read[0].finish_reading();
        assert!(admit(3).is_some());
        assert!(admit(1).is_some());
        drop(read);
        let in_work = lists.0.in_work.lock();
        assert_eq!(in_work.read, 0);
        assert!(in_work.read_of_organization.0.is_empty() && in_work.of_user.0.is_empty());
    }
}
