//! The journal: the last requests to the API and requests that the gate refused, with their answers. Clients can wait
//! for entries.
//!
//! Contains no secrets: `redaction` removes them from the entries.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use serde::Serialize;

use super::entry::{Entry, MAX_ENTRIES};
use super::filter::Filter;
use crate::http::Reply;

/// The maximum length of all entries together, as JSON.
const MAX_BYTES: usize = 4 * 1024 * 1024;
/// How long reading the journal waits for the delivery report of a recent answer, which the client may already have
/// received.
const REPORT_WAIT: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Journal {
    state: Mutex<JournalState>,
    changed: Condvar,
}

#[derive(Default)]
struct JournalState {
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The number of the latest entry.
    last: u64,
    /// Incremented by each reset.
    resets: u64,
    is_stopping: bool,
}

#[derive(Serialize)]
struct JournalAnswer<'e> {
    requests: Vec<&'e Entry>,
    last: u64,
}

impl Journal {
    /// Adds an entry, and returns its number.
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

    /// Records whether the whole answer was sent to the client.
    pub(super) fn delivered(&self, number: u64, is_whole: bool) {
        let mut state = self.state.lock();
        let mut entries = state.entries.iter_mut().rev();
        if let Some(entry) = entries.find(|entry| entry.number == number) {
            entry.delivered = Some(is_whole);
            entry.progress.ended = Some(Instant::now());
        }
        self.changed.notify_all();
    }

    /// The fault that was recently injected into the answer to the same request, and the status of that answer. Counts
    /// the repetition.
    pub(super) fn repeat(&self, fingerprint: u64) -> Option<(u16, &'static str)> {
        let mut state = self.state.lock();
        let mut entries = state.entries.iter_mut().rev();
        let entry = entries.find(|entry| entry.is_repeated(fingerprint))?;
        entry.repeats += 1;
        Some((entry.status, entry.fault?))
    }

    /// Ends the repetition of the faults in all present entries.
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

    /// Removes all entries and ends all waits. Numbers continue.
    pub(super) fn reset(&self) {
        self.clear();
        self.state.lock().resets += 1;
        self.changed.notify_all();
    }

    /// Ends all waits. Later calls do not wait.
    pub(super) fn stop(&self) {
        self.state.lock().is_stopping = true;
        self.changed.notify_all();
    }

    /// Answers with the entries that match the filter, once there are enough of them or the wait is over.
    pub(super) fn reply(&self, filter: &Filter) -> Reply {
        let mut state = self.state.lock();
        let (end, resets) = (Instant::now() + filter.wait, state.resets);
        let is_over = |state: &JournalState| state.is_stopping || state.resets != resets;
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
        Reply::json(200, &JournalAnswer { requests, last })
    }
}

impl JournalState {
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
        self.entries.iter().filter(|entry| filter.matches(entry))
    }

    /// Until when to wait for delivery reports of recent answers; `None` if there is none to wait for.
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
    fn the_oldest_entries_are_removed_when_there_are_too_many_entries_or_bytes() {
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
