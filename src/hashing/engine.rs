//! The hashing engine as callers see it: start a verification or a hash, then wait for its result.
//!
//! Digests are compared and formatted here, in the caller's thread; the hashing threads know neither users nor the
//! texts of hashes. `queue` decides which job comes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use subtle::ConstantTimeEq;

use super::job::{Job, Owner};
use super::lanes::{Digest, HashInput};
use super::pending::{Finish, Pending};
use super::queue::Queue;
use super::{Cost, Error, MAX_LANES, Member, Password, PasswordHash, Permit, Precedence};
use super::{default_threads, fastest_lanes, self_test, worker};

/// How the engine is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// The number of hashing threads: one per core is best, since a hashing thread never waits for I/O.
    pub threads: usize,
    /// How many passwords one thread hashes at once, 1 to [`MAX_LANES`]; `None` is what [`fastest_lanes`] measures at
    /// the start. Each thread has one more lane (with [`MAX_LANES`], the last one), which is reserved for groups that
    /// have no other job, neither running nor waiting. So such a group finds a free lane whatever the others do.
    pub lanes: Option<usize>,
    /// How long a login may wait until its hashing starts, counted from its admission.
    pub max_wait: Duration,
}

impl EngineConfig {
    /// The configuration that suits this machine.
    pub fn new(max_wait: Duration) -> Self {
        Self {
            threads: default_threads(),
            lanes: None,
            max_wait,
        }
    }
}

/// The hashing threads and their queue. Dropping it ends the threads after the jobs that they have started.
pub struct Engine {
    shared: Arc<EngineShared>,
    threads: Vec<JoinHandle<()>>,
    lanes: usize,
    max_wait: Duration,
}

/// What the hashing threads and the engine share.
struct EngineShared {
    queue: Queue,
    rounds_done: AtomicU64,
}

/// How busy the engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The configured number of lanes, over all threads.
    pub lanes: usize,
    /// Lanes in use, which may be one more than configured for each thread.
    pub in_work: usize,
    /// Jobs that wait for a lane.
    pub waiting: usize,
}

impl Engine {
    /// Checks that this machine computes bcrypt correctly, and starts the threads.
    ///
    /// # Errors
    /// [`Error::BadLanes`], [`Error::SelfTest`], or [`Error::Spawn`] when the operating system gives no thread.
    pub fn start(config: EngineConfig) -> Result<Self, Error> {
        let lanes = config.lanes.unwrap_or_else(fastest_lanes);
        if !(1..=MAX_LANES).contains(&lanes) {
            return Err(Error::BadLanes);
        }
        let shared_lanes = lanes.min(MAX_LANES - 1);
        self_test::run(shared_lanes + 1, config.threads)?;
        let mut engine = Self {
            shared: Arc::new(EngineShared {
                queue: Queue::new(config.threads.max(1)),
                rounds_done: AtomicU64::new(0),
            }),
            threads: Vec::new(),
            lanes,
            max_wait: config.max_wait,
        };
        for number in 0..config.threads.max(1) {
            let shared = Arc::clone(&engine.shared);
            let thread = thread::Builder::new()
                .name(format!("hash-{number}"))
                .spawn(move || {
                    worker::work(shared.queue.slot(), shared_lanes, &shared.rounds_done);
                })
                .map_err(Error::Spawn)?;
            engine.threads.push(thread);
        }
        Ok(engine)
    }

    /// Verifies `password` against `hash`, and always does `work`: with a cheaper hash, or without one, the remaining
    /// rounds are padding, so that neither the time nor the load shows which case it was. For a password longer than 72
    /// bytes the same work is done, and the result is `false`. A hash that is more expensive than `work` takes its own
    /// cost.
    ///
    /// Blocks until the result is known. The job takes a turn of the permit's group, and within the group a turn of
    /// `member`.
    ///
    /// # Errors
    /// [`Error::WaitTooLong`] when hashing could not start in time, [`Error::Stopped`] when the engine ends.
    pub fn verify(
        &self,
        permit: &Permit,
        member: Member,
        password: &Password,
        hash: Option<&PasswordHash>,
        work: Cost,
    ) -> Result<bool, Error> {
        let start_before = self.start_before(permit);
        if start_before.is_some_and(|limit| Instant::now() > limit) {
            return Err(Error::WaitTooLong);
        }
        let owner = Owner {
            group: permit.group(),
            member,
            held: Some(Arc::clone(permit.held())),
        };
        self.add_verification(owner, password, hash, work, start_before)
            .wait()
    }

    /// How long a login may wait until its hashing starts.
    pub fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// How much longer a login may wait until its hashing starts.
    pub fn time_left(&self, permit: &Permit) -> Duration {
        self.start_before(permit).map_or(Duration::MAX, |limit| {
            limit.saturating_duration_since(Instant::now())
        })
    }

    fn start_before(&self, permit: &Permit) -> Option<Instant> {
        permit.admitted().checked_add(self.max_wait)
    }

    /// Starts a verification like [`Engine::verify`], for a caller that has many of them and no time limit.
    pub fn start_verification(
        &self,
        password: &Password,
        hash: Option<&PasswordHash>,
        work: Cost,
    ) -> Pending<'_, bool> {
        self.add_verification(Owner::default(), password, hash, work, None)
    }

    /// Hashes a new password with a random salt. Blocks until the hash is known, without a time limit.
    ///
    /// # Errors
    /// [`Error::PasswordTooLong`], [`Error::Random`], or [`Error::Stopped`] when the engine ends.
    pub fn hash(
        &self,
        password: &Password,
        cost: Cost,
        precedence: Precedence,
    ) -> Result<PasswordHash, Error> {
        self.start_hash(password, cost, precedence)?.wait()
    }

    /// Starts to hash a new password. A caller that has many of them starts them all before it waits for the first, so
    /// that they share lanes and cores.
    ///
    /// # Errors
    /// [`Error::PasswordTooLong`] or [`Error::Random`].
    pub fn start_hash(
        &self,
        password: &Password,
        cost: Cost,
        precedence: Precedence,
    ) -> Result<Pending<'_, PasswordHash>, Error> {
        if password.is_too_long() {
            return Err(Error::PasswordTooLong);
        }
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(Error::Random)?;
        let input = HashInput::new(password.as_bytes(), &salt, cost, cost);
        let finish = move |digest: Digest| PasswordHash::from_parts(cost, salt, *digest);
        let owner = Owner::default();
        Ok(self.add(input, owner, precedence, None, Box::new(finish)))
    }

    /// Drops the waiting jobs of normal precedence, and all that are added later. Their callers get [`Error::Stopped`].
    pub fn give_up_waiting(&self) {
        self.shared.queue.give_up_waiting();
    }

    /// Whether all threads still run. A thread only ends early if it panics.
    pub fn is_alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// All work done so far, in rounds of key expansion (a hash of cost c takes 2^c rounds).
    pub fn rounds_done(&self) -> u64 {
        self.shared.rounds_done.load(Ordering::Relaxed)
    }

    /// How busy the engine is now.
    pub fn load(&self) -> Load {
        Load {
            lanes: self.threads.len() * self.lanes,
            in_work: self.shared.queue.in_work(),
            waiting: self.shared.queue.waiting(),
        }
    }

    fn add_verification(
        &self,
        owner: Owner,
        password: &Password,
        hash: Option<&PasswordHash>,
        work: Cost,
        start_before: Option<Instant>,
    ) -> Pending<'_, bool> {
        let (salt, cost) = hash.map_or(([0; 16], work), |hash| (hash.salt(), hash.cost()));
        let input = HashInput::new(password.as_bytes(), &salt, cost, work);
        let expected = hash.map(|hash| *hash.digest());
        let can_match = expected.is_some() && !password.is_too_long();
        let finish = move |digest: Digest| {
            let equal = digest.ct_eq(&expected.unwrap_or_default());
            bool::from(equal) && can_match
        };
        let precedence = Precedence::Normal;
        self.add(input, owner, precedence, start_before, Box::new(finish))
    }

    fn add<T>(
        &self,
        input: HashInput,
        owner: Owner,
        precedence: Precedence,
        start_before: Option<Instant>,
        finish: Finish<T>,
    ) -> Pending<'_, T> {
        let (done, answer) = sync_channel(1);
        let job = self.shared.queue.add(Job {
            input: Box::new(input),
            owner,
            precedence,
            start_before,
            done,
        });
        Pending::new(&self.shared.queue, job, start_before, answer, finish)
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shared.queue.stop();
        for thread in self.threads.drain(..) {
            // The panic of a thread has already been reported.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hashing::{Group, Permits};

    const GROUP: Group = Group(1);
    const MEMBER: Member = Member(1);

    fn engine() -> Engine {
        Engine::start(EngineConfig {
            threads: 2,
            lanes: Some(8),
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
        let permit = Permits::new(1).admit(GROUP).unwrap();
        engine
            .verify(&permit, MEMBER, &password(text), hash, cost(work))
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
    fn a_verification_that_waited_too_long_is_not_hashed() {
        let engine = Engine::start(EngineConfig {
            threads: 1,
            lanes: Some(8),
            max_wait: Duration::ZERO,
        })
        .unwrap();
        let permit = Permits::new(1).admit(GROUP).unwrap();
        while permit.admitted().elapsed().is_zero() {}
        let outcome = engine.verify(&permit, MEMBER, &password("any"), None, cost(4));
        assert!(matches!(outcome, Err(Error::WaitTooLong)));
        assert_eq!(engine.rounds_done(), 0);
    }

    #[test]
    fn a_caller_behind_full_lanes_gets_an_error_once_its_wait_is_over() {
        let engine = Engine::start(EngineConfig {
            threads: 1,
            lanes: Some(1),
            max_wait: Duration::from_millis(5),
        })
        .unwrap();
        let expensive = engine.start_verification(&password("any"), None, cost(12));
        let permits = Permits::new(2);
        let _first = permits.admit(GROUP).unwrap();
        let permit = permits.admit(GROUP).unwrap();
        let outcome = engine.verify(&permit, MEMBER, &password("any"), None, cost(4));
        assert!(matches!(outcome, Err(Error::WaitTooLong)));
        assert_eq!(engine.rounds_done(), 0);
        assert!(!expensive.wait().unwrap());
        assert_eq!(engine.rounds_done(), 1 << 12);
        assert_eq!(engine.load().waiting, 0);
    }

    #[test]
    fn each_of_many_concurrent_jobs_gets_its_own_hash() {
        let engine = engine();
        let texts: Vec<String> = (0..40).map(|number| format!("password {number}")).collect();
        let pending: Vec<_> = texts
            .iter()
            .zip((4..=7).cycle())
            .map(|(text, work)| engine.start_hash(&password(text), cost(work), Precedence::Normal))
            .collect();
        for (text, pending) in texts.iter().zip(pending) {
            let hash = pending.unwrap().wait().unwrap();
            assert!(bcrypt::verify(text, hash.as_str()).unwrap(), "{text}");
        }
    }

    #[test]
    fn an_engine_without_lanes_does_not_start() {
        let engine = Engine::start(EngineConfig {
            threads: 1,
            lanes: Some(0),
            max_wait: Duration::ZERO,
        });
        assert!(matches!(engine, Err(Error::BadLanes)));
    }
}
