//! Records refused logins and their counters in the background.
//!
//! No answer waits for it. A login with an unknown username takes the same statements as any other, but leaves no row
//! about the name. Throttled logins cost their client nothing and may come fast, so those of one username and client
//! are collected for a while and become one row.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::throttle::{Subject, Throttle, about};
use crate::clock::Now;
use crate::store::{CounterKey, Event, Identity, LOGIN, LoginOutcome, RecordedLogin, Store};

/// How many logins may wait, and for how many pairs of username and client throttled logins are collected. Further
/// logins are dropped and counted.
const MAX_WAITING: usize = 1_024;

/// How many logins are written at once: few enough not to delay a login that waits for the same commit.
const MAX_WRITTEN: usize = 128;

/// How long throttled logins are collected.
const COLLECTED_FOR: Duration = Duration::from_secs(2);

/// A login to be recorded.
pub(super) struct Record {
    /// The username and client that it counts against.
    pub subject: Subject,
    /// The user, if the username is known.
    pub identity: Option<Identity>,
    /// The outcome of the login; `None` if only the counters have to be written.
    pub outcome: Option<LoginOutcome>,
    /// When the login was made.
    pub now: Now,
}

/// The handle of the recording thread. Dropping it waits until all waiting logins are written.
pub(super) struct Recorder {
    records: Option<SyncSender<Record>>,
    dropped: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

/// The state of the recording thread.
struct Worker {
    store: Arc<Store>,
    throttle: Arc<Throttle>,
    keeps_events: bool,
    dropped: Arc<AtomicU64>,
    is_failing: bool,
    collected: HashMap<CounterKey, (Record, u32)>,
    /// When the collected logins are to be written.
    write_at: Option<Instant>,
}

impl Recorder {
    pub(super) fn start(
        store: Arc<Store>,
        throttle: Arc<Throttle>,
        keeps_events: bool,
    ) -> io::Result<Self> {
        let (records, waiting) = sync_channel(MAX_WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        let worker = Worker {
            store,
            throttle,
            keeps_events,
            dropped: Arc::clone(&dropped),
            is_failing: false,
            collected: HashMap::new(),
            write_at: None,
        };
        let thread = thread::Builder::new()
            .name("login-recorder".to_owned())
            .spawn(move || worker.run(&waiting))?;
        Ok(Self {
            records: Some(records),
            dropped,
            thread: Some(thread),
        })
    }

    /// Passes a login to the thread, without waiting.
    pub(super) fn record(&self, record: Record) {
        let is_sent = self
            .records
            .as_ref()
            .is_some_and(|records| records.try_send(record).is_ok());
        if !is_sent {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.records = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The event that records a login.
pub(super) fn login_event(
    outcome: LoginOutcome,
    subject: &Subject,
    identity: Option<&Identity>,
    now: Now,
    times: u32,
) -> Event {
    Event {
        time: now.date,
        action: LOGIN.to_owned(),
        outcome: Some(outcome),
        address: Some(subject.client().to_string()),
        user_uuid: identity.map(|identity| identity.user_uuid.clone()),
        org_uuid: identity.map(|identity| identity.org_uuid.clone()),
        object: identity.map(|identity| identity.username.clone()),
        times,
        ..Event::default()
    }
}

impl Worker {
    fn run(mut self, waiting: &Receiver<Record>) {
        loop {
            let first = match self.write_at {
                None => waiting.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(at) => waiting.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            let is_ended = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut ready = Vec::new();
            for record in first
                .into_iter()
                .chain(waiting.try_iter().take(MAX_WAITING))
            {
                match record.outcome {
                    Some(LoginOutcome::Throttled) => self.collect(record),
                    _ => ready.push((record, 1)),
                }
            }
            if is_ended || self.write_at.is_some_and(|at| at <= Instant::now()) {
                self.write_at = None;
                ready.extend(self.collected.drain().map(|(_, collected)| collected));
            }
            if !ready.is_empty() {
                self.write_all(ready);
                self.log_dropped();
            }
            if is_ended {
                return;
            }
        }
    }

    fn collect(&mut self, record: Record) {
        let key = record.subject.pair();
        let is_full = self.collected.len() >= MAX_WAITING;
        if let Some((_, times)) = self.collected.get_mut(&key) {
            *times = times.saturating_add(1);
        } else if is_full {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        } else {
            self.collected.insert(key, (record, 1));
            self.write_at
                .get_or_insert_with(|| Instant::now() + COLLECTED_FOR);
        }
    }

    /// Writes the logins. After a failure the remaining ones are dropped, since each write may wait for another
    /// process, even while the server stops.
    fn write_all(&mut self, mut ready: Vec<(Record, u32)>) {
        while !ready.is_empty() {
            let rest = ready.split_off(ready.len().min(MAX_WRITTEN));
            self.write(std::mem::replace(&mut ready, rest));
            if self.is_failing {
                let dropped = ready.drain(..).map(|(_, times)| u64::from(times)).sum();
                self.dropped.fetch_add(dropped, Ordering::Relaxed);
            }
        }
    }

    fn log_dropped(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                logins = dropped,
                "logins were not recorded: the database was too slow or unavailable"
            );
        }
    }

    fn write(&mut self, ready: Vec<(Record, u32)>) {
        let logins: Vec<(Record, Option<Event>)> = ready
            .into_iter()
            .map(|(record, times)| {
                let event = self.event(&record, times);
                (record, event)
            })
            .collect();
        // Events of unknown users are neither stored nor logged.
        let events = logins.iter().filter_map(|(_, event)| event.as_ref());
        events
            .filter(|event| event.user_uuid.is_some())
            .for_each(Event::log);
        let throttle = Arc::clone(&self.throttle);
        // The counters are read only when they are written, so that older values do not overwrite newer ones.
        let recorded = move || {
            let logins = logins.into_iter();
            logins
                .filter_map(|(record, event)| recorded(&throttle, &record, event))
                .collect()
        };
        match self.store.record_logins(recorded) {
            Ok(()) => self.is_failing = false,
            Err(error) if !self.is_failing => {
                self.is_failing = true;
                tracing::warn!(%error, "cannot record logins; they are answered anyway");
            }
            Err(_) => {}
        }
    }

    fn event(&self, record: &Record, times: u32) -> Option<Event> {
        let outcome = record.outcome.filter(|_| self.keeps_events)?;
        let identity = record.identity.as_ref();
        Some(login_event(
            outcome,
            &record.subject,
            identity,
            record.now,
            times,
        ))
    }
}

/// The login with its present counters; `None` when all logins have been forgotten since.
fn recorded(throttle: &Throttle, record: &Record, event: Option<Event>) -> Option<RecordedLogin> {
    let Record {
        subject,
        identity,
        now,
        ..
    } = record;
    let (counters, ended) = throttle.snapshot(subject, *now)?;
    let user_uuid = identity.as_ref().map(|identity| &*identity.user_uuid);
    let counters = counters.into_iter();
    let counters = counters.map(|counter| about(counter, user_uuid, subject.client()));
    Some(RecordedLogin {
        counters: counters.collect(),
        ended,
        event,
    })
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::account::Username;
    use crate::auth::FailedLoginLimits;
    use crate::store::{Durability, WhenMissing};

    fn worker(directory: &tempfile::TempDir) -> Worker {
        let path = directory.path().join("test.db");
        let (store, _) = Store::open(&path, WhenMissing::Create, Durability::None).unwrap();
        Worker {
            store: Arc::new(store),
            throttle: Arc::new(Throttle::new([7; 16], FailedLoginLimits::DEFAULT)),
            keeps_events: true,
            dropped: Arc::default(),
            is_failing: false,
            collected: HashMap::new(),
            write_at: None,
        }
    }

    fn throttled(throttle: &Throttle, name: &str) -> Record {
        let username = Username::parse(name).unwrap();
        Record {
            subject: throttle.subject(&username, IpAddr::from([192, 0, 2, 1])),
            identity: None,
            outcome: Some(LoginOutcome::Throttled),
            now: Now::read(),
        }
    }

    #[test]
    fn throttled_logins_are_collected_by_username_and_client_up_to_a_limit() {
        let directory = tempfile::tempdir().unwrap();
        let mut worker = worker(&directory);
        for number in 0..MAX_WAITING + 5 {
            let record = throttled(&worker.throttle, &format!("nobody{number}"));
            worker.collect(record);
        }
        for _ in 0..3 {
            let record = throttled(&worker.throttle, "NOBODY7");
            worker.collect(record);
        }
        assert_eq!(worker.collected.len(), MAX_WAITING);
        assert_eq!(worker.dropped.load(Ordering::Relaxed), 5);
        let key = throttled(&worker.throttle, "nobody7").subject.pair();
        assert_eq!(worker.collected[&key].1, 4);
    }

    #[test]
    fn after_a_failed_write_the_remaining_logins_are_dropped_and_counted() {
        let directory = tempfile::tempdir().unwrap();
        let mut worker = worker(&directory);
        rusqlite::Connection::open(directory.path().join("test.db"))
            .unwrap()
            .execute_batch("DROP TABLE failed_logins")
            .unwrap();
        let logins = (0..3 * MAX_WRITTEN).map(|_| (throttled(&worker.throttle, "nobody"), 2));
        let logins = logins.collect();
        worker.write_all(logins);
        let dropped = worker.dropped.load(Ordering::Relaxed);
        assert_eq!(dropped, 4 * MAX_WRITTEN as u64);
    }

    #[test]
    fn a_login_beyond_the_queue_is_dropped_and_counted() {
        let throttle = Throttle::new([7; 16], FailedLoginLimits::DEFAULT);
        let (records, _waiting) = sync_channel(1);
        let recorder = Recorder {
            records: Some(records),
            dropped: Arc::default(),
            thread: None,
        };
        for _ in 0..3 {
            recorder.record(throttled(&throttle, "nobody"));
        }
        assert_eq!(recorder.dropped.load(Ordering::Relaxed), 2);
    }
}
