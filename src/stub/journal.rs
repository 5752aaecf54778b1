//! The last API requests, and those that the gate refused, with what became of their answers. Clients can wait for them.
//!
//! Nothing in here is secret: entries are made of what may be shown (`shown`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::entry::{Entry, MAX_ENTRIES};
use super::filter::Filter;
use crate::http::Reply;

/// What they may be long as JSON, all together.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long a look waits for the report on an answer that is on its way: its client may have it already.
const REPORT_WAIT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Journal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The last number given.
    last: u64,
    /// Goes up with each reset.
    resets: u64,
    is_stopping: bool,
}

#[derive(Serialize)]
struct Requests<'e> {
    requests: Vec<&'e Entry>,
    last: u64,
}

impl Journal {
    /// Gives the entry its number.
    pub(super) fn add(&self, mut entry: Entry) -> u64 {
        let json = serde_json::to_vec(&entry);
        entry.progress.bytes = json.map_or(MAX_BYTES, |json| json.len());
        let delay = Duration::from_millis(entry.delay_ms);
        entry.progress.due = Instant::now().checked_add(delay);
        let mut state = self.state.lock();
        state.last += 1;
        entry.number = state.last;
        state.push(entry);
        self.changed.notify_all();
        state.last
    }

    /// Notes whether the client was sent the whole answer.
    pub(super) fn delivered(&self, number: u64, is_whole: bool) {
        let mut state = self.state.lock();
        let mut entries = state.entries.iter_mut().rev();
        if let Some(entry) = entries.find(|entry| entry.number == number) {
            entry.delivered = Some(is_whole);
            entry.progress.ended = Some(Instant::now());
        }
        self.changed.notify_all();
    }

    /// The fault that a moment ago was injected into the answer to the same request, and the status of that answer. Counts
    /// the repetition.
    pub(super) fn repeat(&self, fingerprint: u64) -> Option<(u16, &'static str)> {
        let mut state = self.state.lock();
        let mut entries = state.entries.iter_mut().rev();
        let entry = entries.find(|entry| entry.is_repeated(fingerprint))?;
        entry.repeats += 1;
        Some((entry.status, entry.fault?))
    }

    /// Repeats no fault any more of an answer that has an entry by now.
    pub(super) fn end_repeats(&self) {
        let mut state = self.state.lock();
        let entries = state.entries.iter_mut();
        entries.for_each(|entry| entry.fingerprint = None);
    }

    pub(super) fn clear(&self) {
        let mut state = self.state.lock();
        state.entries.clear();
        state.bytes = 0;
    }

    /// The same, and ends all waits. Numbers go on.
    pub(super) fn reset(&self) {
        self.clear();
        self.state.lock().resets += 1;
        self.changed.notify_all();
    }

    /// Ends all waits, now and later.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// What is asked for, once there is enough of it or the wait is over.
    pub(super) fn reply(&self, filter: &Filter) -> Reply {
        let mut state = self.state.lock();
        let (end, resets) = (Instant::now() + filter.wait, state.resets);
        let is_over = |state: &State| state.is_stopping || state.resets != resets;
        while !is_over(&state) && state.find(filter).count() < filter.count {
            if self.changed.wait_until(&mut state, end).timed_out() {
                break;
            }
        }
        let last = state.last;
        while !is_over(&state)
            && let Some(end) = state.report_due(filter, last)
        {
            self.changed.wait_until(&mut state, end);
        }
        let requests = state.find(filter).collect();
        let last = state.last;
        Reply::json(200, &Requests { requests, last })
    }
}

impl State {
    fn push(&mut self, entry: Entry) {
        self.bytes += entry.progress.bytes;
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES || self.bytes > MAX_BYTES {
            let Some(oldest) = self.entries.pop_front() else {
                return;
            };
            self.bytes -= oldest.progress.bytes;
        }
    }

    fn find(&self, filter: &Filter) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| filter.takes(entry))
    }

    /// Until when to wait for reports on answers that were due a moment ago.
    fn report_due(&self, filter: &Filter, last: u64) -> Option<Instant> {
        let now = Instant::now();
        let on_their_way = self
            .find(filter)
            .filter(|entry| entry.number <= last && entry.delivered.is_none());
        on_their_way
            .filter_map(|entry| entry.progress.due)
            .filter(|due| *due <= now && *due + REPORT_WAIT > now)
            .max()
            .map(|due| due + REPORT_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(body: usize) -> Entry {
        Entry {
            body: "x".repeat(body),
            ..Entry::default()
        }
    }

    fn kept(journal: &Journal) -> (usize, usize) {
        let state = journal.state.lock();
        assert!(state.bytes <= MAX_BYTES);
        (state.entries.len(), state.bytes)
    }

    #[test]
    fn the_oldest_leave_when_there_are_too_many_entries_or_bytes() {
        let journal = Journal::default();
        for _ in 0..MAX_ENTRIES + 1 {
            journal.add(entry(0));
        }
        assert_eq!(kept(&journal).0, MAX_ENTRIES);
        journal.add(entry(MAX_BYTES / 2));
        assert_eq!(kept(&journal).0, MAX_ENTRIES);
        journal.add(entry(MAX_BYTES / 2));
        assert_eq!(kept(&journal).0, 1);
        journal.add(entry(MAX_BYTES));
        assert_eq!(kept(&journal), (0, 0));
        assert_eq!(journal.add(entry(0)), MAX_ENTRIES as u64 + 5);
    }
}
