//! The threads that hash, one per core, fed from one queue.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::{Cost, Error, MAX_PASSWORD_BYTES, Password, PasswordHash, Permit};

/// How the engine is built.
#[derive(Clone, Copy, Debug)]
pub struct EngineConfig {
    /// Hashing threads; one per core is right, since hashing never waits.
    pub threads: usize,
    /// How long a login may wait before its hashing begins, counted from its admission.
    pub max_wait: Duration,
}

/// The hashing threads and their queue. Dropping it ends the threads after the work they have begun.
pub struct Engine {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    max_wait: Duration,
}

struct Shared {
    queue: Mutex<Queue>,
    work_added: Condvar,
    rounds_done: AtomicU64,
}

#[derive(Default)]
struct Queue {
    /// Logins and whatever else somebody waits for.
    first: VecDeque<Job>,
    /// Rehashes: begun only when nobody waits.
    last: VecDeque<Job>,
    stopped: bool,
}

struct Job {
    password: Password,
    task: Task,
    begin_before: Option<Instant>,
    done: SyncSender<Result<Outcome, Error>>,
}

enum Task {
    Verify {
        hash: Option<PasswordHash>,
        work: Cost,
    },
    Hash(Cost),
}

enum Outcome {
    Verified(bool),
    Hashed(PasswordHash),
}

/// Whether somebody waits for a new hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Precedence {
    /// In the order of arrival, with the logins.
    Normal,
    /// After everything else.
    Low,
}

impl Engine {
    /// Starts the threads.
    ///
    /// # Errors
    /// [`Error::Spawn`] when the operating system gives no thread.
    pub fn start(config: EngineConfig) -> Result<Self, Error> {
        let mut engine = Self {
            shared: Arc::new(Shared {
                queue: Mutex::default(),
                work_added: Condvar::new(),
                rounds_done: AtomicU64::new(0),
            }),
            threads: Vec::new(),
            max_wait: config.max_wait,
        };
        for number in 0..config.threads.max(1) {
            let shared = Arc::clone(&engine.shared);
            let thread = thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || shared.work())
                .map_err(Error::Spawn)?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// Says whether `password` belongs to `hash`, after exactly `work` was done: a cheaper hash is topped up with decoy
    /// hashing, and without a hash all of it is decoy. So neither the time nor the load tells which of these it was.
    /// Over 72 bytes the same work is done and the answer is no. A hash dearer than `work` costs what it costs.
    ///
    /// Blocks until the answer is there.
    ///
    /// # Errors
    /// [`Error::WaitTooLong`] when hashing could not begin in time, [`Error::Stopped`] when the engine ends.
    pub fn verify(
        &self,
        permit: &Permit,
        password: &Password,
        hash: Option<&PasswordHash>,
        work: Cost,
    ) -> Result<bool, Error> {
        let task = Task::Verify {
            hash: hash.cloned(),
            work,
        };
        let begin_before = permit.admitted().checked_add(self.max_wait);
        match self.run(password, task, begin_before, Precedence::Normal)? {
            Outcome::Verified(matches) => Ok(matches),
            Outcome::Hashed(_) => Err(Error::Stopped),
        }
    }

    /// Says whether `password` belongs to `hash`, for callers other than a login: no limit on the wait and no decoys.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the engine ends.
    pub fn matches(&self, password: &Password, hash: &PasswordHash) -> Result<bool, Error> {
        let task = Task::Verify {
            hash: Some(hash.clone()),
            work: hash.cost(),
        };
        match self.run(password, task, None, Precedence::Normal)? {
            Outcome::Verified(matches) => Ok(matches),
            Outcome::Hashed(_) => Err(Error::Stopped),
        }
    }

    /// Hashes a new password with a fresh salt. Blocks until the hash is there, however long the queue is.
    ///
    /// # Errors
    /// [`Error::PasswordTooLong`], [`Error::Random`], or [`Error::Stopped`] when the engine ends.
    pub fn hash(
        &self,
        password: &Password,
        cost: Cost,
        precedence: Precedence,
    ) -> Result<PasswordHash, Error> {
        if password.is_too_long() {
            return Err(Error::PasswordTooLong);
        }
        match self.run(password, Task::Hash(cost), None, precedence)? {
            Outcome::Hashed(hash) => Ok(hash),
            Outcome::Verified(_) => Err(Error::Stopped),
        }
    }

    /// All work done so far, in rounds of key expansion (a hash of cost c is 2^c of them).
    pub fn rounds_done(&self) -> u64 {
        self.shared.rounds_done.load(Ordering::Relaxed)
    }

    fn run(
        &self,
        password: &Password,
        task: Task,
        begin_before: Option<Instant>,
        precedence: Precedence,
    ) -> Result<Outcome, Error> {
        let (done, outcome) = sync_channel(1);
        let job = Job {
            password: password.clone(),
            task,
            begin_before,
            done,
        };
        {
            let mut queue = self.shared.lock();
            match precedence {
                Precedence::Normal => queue.first.push_back(job),
                Precedence::Low => queue.last.push_back(job),
            }
        }
        self.shared.work_added.notify_one();
        outcome.recv().map_err(|_| Error::Stopped)?
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        {
            let mut queue = self.shared.lock();
            queue.stopped = true;
            // Dropping a job closes its channel, which tells its caller.
            queue.first.clear();
            queue.last.clear();
        }
        self.shared.work_added.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to say.
            let _ = thread.join();
        }
    }
}

impl Shared {
    /// The queue is whole after every statement, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let outcome = if job.begin_before.is_some_and(|limit| Instant::now() > limit) {
                Err(Error::WaitTooLong)
            } else {
                self.perform(&job.password, &job.task)
            };
            // A caller that is gone needs no answer.
            let _ = job.done.send(outcome);
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            if queue.stopped {
                return None;
            }
            if let Some(job) = queue.first.pop_front().or_else(|| queue.last.pop_front()) {
                return Some(job);
            }
            queue = self
                .work_added
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn perform(&self, password: &Password, task: &Task) -> Result<Outcome, Error> {
        match task {
            Task::Verify { hash, work } => Ok(Outcome::Verified(self.verify(
                password,
                hash.as_ref(),
                *work,
            ))),
            Task::Hash(cost) => {
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(Error::Random)?;
                let digest = self.bcrypt(password, *cost, salt);
                Ok(Outcome::Hashed(PasswordHash::from_parts(
                    *cost, salt, digest,
                )))
            }
        }
    }

    fn verify(&self, password: &Password, hash: Option<&PasswordHash>, work: Cost) -> bool {
        let Some(hash) = hash else {
            self.bcrypt(password, work, [0; 16]);
            return false;
        };
        let digest = self.bcrypt(password, hash.cost(), hash.salt());
        // One decoy at each of c … C-1 adds up to 2^C - 2^c rounds.
        for cost in (hash.cost().get()..work.get()).filter_map(|cost| Cost::new(cost).ok()) {
            self.bcrypt(password, cost, [0; 16]);
        }
        bool::from(digest.ct_eq(hash.digest())) && !password.is_too_long()
    }

    fn bcrypt(&self, password: &Password, cost: Cost, salt: [u8; 16]) -> [u8; 23] {
        let bytes = password.as_bytes();
        let mut key = zeroize::Zeroizing::new([0; MAX_PASSWORD_BYTES]);
        let length = bytes.len().min(MAX_PASSWORD_BYTES);
        key[..length].copy_from_slice(&bytes[..length]);
        // bcrypt's key ends with a NUL where there is room for one.
        let key = &key[..(length + 1).min(MAX_PASSWORD_BYTES)];
        let output = bcrypt::bcrypt(u32::from(cost.get()), salt, key);
        self.rounds_done.fetch_add(cost.rounds(), Ordering::Relaxed);
        let mut digest = [0; 23];
        digest.copy_from_slice(&output[..23]);
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::Permits;

    fn engine() -> Engine {
        Engine::start(EngineConfig {
            threads: 2,
            max_wait: Duration::from_secs(30),
        })
        .unwrap()
    }

    fn password(text: &str) -> Password {
        Password::new(text.to_owned())
    }

    fn cost(cost: u8) -> Cost {
        Cost::new(cost).unwrap()
    }

    fn verifies(engine: &Engine, text: &str, hash: Option<&PasswordHash>, work: u8) -> bool {
        let permit = Permits::new(1).admit().unwrap();
        engine
            .verify(&permit, &password(text), hash, cost(work))
            .unwrap()
    }

    #[test]
    fn the_bcrypt_crate_agrees_in_both_directions() {
        let engine = engine();
        for text in ["", "a", "thanosrocks", &"ü".repeat(36)] {
            let ours = engine
                .hash(&password(text), cost(4), Precedence::Normal)
                .unwrap();
            assert!(bcrypt::verify(text, ours.as_str()).unwrap(), "{text}");
            let theirs: PasswordHash = bcrypt::hash(text, 4).unwrap().parse().unwrap();
            assert!(verifies(&engine, text, Some(&theirs), 4), "{text}");
            assert!(
                !verifies(&engine, &format!("{text}x"), Some(&theirs), 4),
                "{text}"
            );
        }
    }

    #[test]
    fn over_72_bytes_nothing_matches_and_nothing_is_hashed() {
        let engine = engine();
        let longest = "x".repeat(72);
        let hash = engine
            .hash(&password(&longest), cost(4), Precedence::Normal)
            .unwrap();
        assert!(verifies(&engine, &longest, Some(&hash), 4));
        assert!(!verifies(&engine, &format!("{longest}x"), Some(&hash), 4));
        let refused = engine.hash(
            &password(&format!("{longest}x")),
            cost(4),
            Precedence::Normal,
        );
        assert!(matches!(refused, Err(Error::PasswordTooLong)));
    }

    #[test]
    fn every_verification_does_the_same_work() {
        let engine = engine();
        let hash = engine
            .hash(&password("right"), cost(5), Precedence::Normal)
            .unwrap();
        let too_long = "x".repeat(73);
        for (label, text, hash) in [
            ("right", "right", Some(&hash)),
            ("wrong", "wrong", Some(&hash)),
            ("too long", &too_long, Some(&hash)),
            ("unknown", "right", None),
            ("unknown, too long", &too_long, None),
        ] {
            let before = engine.rounds_done();
            assert_eq!(verifies(&engine, text, hash, 8), label == "right");
            assert_eq!(engine.rounds_done() - before, 1 << 8, "{label}");
        }
    }

    #[test]
    fn a_caller_who_waited_too_long_is_not_hashed_for() {
        let engine = Engine::start(EngineConfig {
            threads: 1,
            max_wait: Duration::ZERO,
        })
        .unwrap();
        let permit = Permits::new(1).admit().unwrap();
        while permit.admitted().elapsed().is_zero() {}
        let outcome = engine.verify(&permit, &password("any"), None, cost(4));
        assert!(matches!(outcome, Err(Error::WaitTooLong)));
        assert_eq!(engine.rounds_done(), 0);
    }
}
