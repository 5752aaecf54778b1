//! The order of the waiting jobs: round robin over the groups, and within a group over its members.
//!
//! There is a ring of groups, and each group has a ring of members. A new group joins at the end of the ring and
//! returns there after each of its turns; members do the same within their group. A group without jobs leaves the ring,
//! and nothing about it is kept. Knows neither threads nor time.

use std::collections::VecDeque;

use super::job::{Group, Job, Member};

type Ring<K, T> = VecDeque<(K, T)>;

type Jobs = VecDeque<(u64, Job)>;

/// The waiting jobs, each with the id under which it was added.
#[derive(Default)]
pub(super) struct Turns {
    /// Contains no empty group and no empty member.
    groups: Ring<Group, Ring<Member, Jobs>>,
    len: usize,
}

impl Turns {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Whether there is a job whose group has no other job, neither waiting nor running.
    pub(super) fn has_alone(&self) -> bool {
        self.first_alone().is_some()
    }

    pub(super) fn add(&mut self, number: u64, job: Job) {
        let members = find_or_join(&mut self.groups, job.owner.group);
        find_or_join(members, job.owner.member).push_back((number, job));
        self.len += 1;
    }

    /// Removes and returns the next job.
    pub(super) fn next(&mut self) -> Option<Job> {
        self.next_of(0)
    }

    /// Removes and returns the next job whose group has no other job, neither waiting nor running.
    pub(super) fn next_alone(&mut self) -> Option<Job> {
        self.next_of(self.first_alone()?)
    }

    /// Drops the job with this id; `false` when it does not wait here. Its group keeps its position in the ring.
    pub(super) fn withdraw(&mut self, number: u64) -> bool {
        let before = self.len;
        for (_, members) in &mut self.groups {
            for (_, jobs) in members.iter_mut() {
                if let Some(place) = jobs.iter().position(|(other, _)| *other == number) {
                    jobs.remove(place);
                    self.len -= 1;
                }
            }
            members.retain(|(_, jobs)| !jobs.is_empty());
        }
        self.groups.retain(|(_, members)| !members.is_empty());
        self.len < before
    }

    fn first_alone(&self) -> Option<usize> {
        let is_alone = |members: &Ring<Member, Jobs>| {
            let first = members.front().and_then(|(_, jobs)| jobs.front());
            first.is_some_and(|(_, job)| job.owner.is_alone())
        };
        self.groups
            .iter()
            .position(|(_, members)| is_alone(members))
    }

    fn next_of(&mut self, place: usize) -> Option<Job> {
        let (group, mut members) = self.groups.remove(place)?;
        let (member, mut jobs) = members.pop_front()?;
        let (_, job) = jobs.pop_front()?;
        self.len -= 1;
        if !jobs.is_empty() {
            members.push_back((member, jobs));
        }
        if !members.is_empty() {
            self.groups.push_back((group, members));
        }
        Some(job)
    }
}

fn find_or_join<K: PartialEq, T: Default>(ring: &mut Ring<K, T>, key: K) -> &mut T {
    let place = ring.iter().position(|(other, _)| *other == key);
    let place = place.unwrap_or_else(|| {
        ring.push_back((key, T::default()));
        ring.len() - 1
    });
    &mut ring[place].1
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc::sync_channel;

    use super::super::Cost;
    use super::super::job::{Owner, Precedence};
    use super::super::lanes::HashInput;
    use super::*;

    /// Adds jobs, each written as its group and member. The index in the list is the job's id. A digit after them is
    /// the number of permits that the group holds.
    fn turns(jobs: &[&str]) -> Turns {
        let mut turns = Turns::default();
        for (number, text) in (0..).zip(jobs) {
            let [group, member] = text.as_bytes()[..2] else {
                panic!("{text}")
            };
            let job = Job {
                input: Box::new(HashInput::new(b"any", &[0; 16], Cost::MIN, Cost::MIN)),
                owner: Owner {
                    group: Group(group.into()),
                    member: Member(member.into()),
                    held: text[2..]
                        .parse()
                        .ok()
                        .map(|held| Arc::new(AtomicUsize::new(held))),
                },
                precedence: Precedence::Normal,
                start_before: None,
                done: sync_channel(1).0,
            };
            turns.add(number, job);
        }
        turns
    }

    fn text(job: &Job) -> String {
        [job.owner.group.0, job.owner.member.0]
            .map(|id| char::from(u8::try_from(id).unwrap()))
            .iter()
            .collect()
    }

    fn all(mut turns: Turns) -> Vec<String> {
        std::iter::from_fn(|| turns.next().as_ref().map(text)).collect()
    }

    #[test]
    fn groups_take_turns_and_within_a_group_its_members() {
        for (label, jobs, expected) in [
            ("one of all", &["Aa", "Aa", "Aa"][..], "Aa Aa Aa"),
            (
                "two groups",
                &["Aa", "Aa", "Aa", "Ba", "Ba"],
                "Aa Ba Aa Ba Aa",
            ),
            ("two members", &["Aa", "Aa", "Aa", "Ab"], "Aa Ab Aa Aa"),
            (
                "a group with many members has no more turns",
                &["Aa", "Ab", "Ac", "Ad", "Ba", "Ba", "Ba"],
                "Aa Ba Ab Ba Ac Ba Ad",
            ),
            (
                "the same member of two groups is two",
                &["Aa", "Aa", "Ba", "Bb"],
                "Aa Ba Aa Bb",
            ),
        ] {
            assert_eq!(all(turns(jobs)).join(" "), expected, "{label}");
        }
    }

    #[test]
    fn a_group_that_returns_joins_at_the_end() {
        let mut turns = turns(&["Aa", "Ba", "Ba", "Ca"]);
        let first = turns.next().unwrap();
        assert_eq!(text(&first), "Aa");
        turns.add(9, first);
        assert_eq!(all(turns), ["Ba", "Ca", "Aa", "Ba"]);
    }

    #[test]
    fn the_only_job_of_a_group_can_be_taken_out_of_turn() {
        let mut turns = turns(&["Aa", "Ba2", "Ca1", "Da", "Ea1"]);
        for expected in ["Ca", "Ea"] {
            assert!(turns.has_alone());
            assert_eq!(text(&turns.next_alone().unwrap()), expected);
        }
        assert!(!turns.has_alone());
        assert!(turns.next_alone().is_none());
        assert_eq!(all(turns), ["Aa", "Ba", "Da"]);
    }

    #[test]
    fn withdrawing_a_job_keeps_the_order_of_the_others() {
        let mut turns = turns(&["Aa", "Ba", "Bb", "Bb", "Ca"]);
        for (number, found) in [(0, true), (2, true), (2, false), (7, false)] {
            assert_eq!(turns.withdraw(number), found, "{number}");
        }
        assert_eq!(turns.len(), 3);
        assert_eq!(all(turns), ["Ba", "Ca", "Bb"]);
    }
}
