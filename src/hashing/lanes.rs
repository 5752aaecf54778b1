//! The lanes of one thread: up to ten bcrypt hashes in work at once, each at its own place.
//!
//! Lanes join and leave between rounds, and the loop runs with as many as there are. Nothing of a hash stays in memory
//! once it has left. Never waits and knows no queue: who joins next is for `worker` to say.

use zeroize::{Zeroize, Zeroizing};

use super::expansion::{MAX_LANES, State, Subkeys};
use super::{Cost, MAX_PASSWORD_BYTES};

/// The 23 bytes that bcrypt makes of a password.
pub type Digest = Zeroizing<[u8; 23]>;

/// All that one hash is made from.
pub struct Order {
    password: Subkeys,
    salt: Subkeys,
    cost: Cost,
    work: Cost,
}

impl Order {
    /// Takes the first 72 bytes of the password: the caller must refuse longer ones. The lane stays taken for the
    /// rounds of `work`, where that is more than `cost`.
    pub fn new(password: &[u8], salt: &[u8; 16], cost: Cost, work: Cost) -> Self {
        let mut key = Zeroizing::new([0; MAX_PASSWORD_BYTES]);
        let length = password.len().min(MAX_PASSWORD_BYTES);
        key[..length].copy_from_slice(&password[..length]);
        // bcrypt's key ends with a NUL where there is room for one.
        let key = &key[..(length + 1).min(MAX_PASSWORD_BYTES)];
        Self {
            password: repeated(key),
            salt: repeated(salt),
            cost,
            work: work.max(cost),
        }
    }

    /// The rounds that its lane takes.
    pub fn rounds(&self) -> u64 {
        self.work.rounds()
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.password.zeroize();
        self.salt.zeroize();
    }
}

/// The bytes over and over again, as big-endian words.
fn repeated(bytes: &[u8]) -> Subkeys {
    let mut bytes = bytes.iter().cycle();
    std::array::from_fn(|_| {
        (0..4).fold(0, |word, _| {
            word << 8 | u32::from(bytes.next().copied().unwrap_or_default())
        })
    })
}

/// The lanes of one thread; `T` is what tells their owner one hash from another.
pub struct Lanes<T> {
    state: State,
    /// Those in use come first.
    runs: [Option<Run<T>>; MAX_LANES],
    in_use: usize,
}

struct Run<T> {
    ticket: T,
    /// Below zero, the hash is known, and what is done in the lane only makes it take its time.
    rounds_to_digest: i64,
    rounds_to_end: u64,
    digest: Digest,
}

impl<T> Lanes<T> {
    /// All lanes empty.
    #[expect(clippy::new_without_default, reason = "40 KiB are not made in passing")]
    pub fn new() -> Self {
        Self {
            state: State::new(),
            runs: [const { None }; MAX_LANES],
            in_use: 0,
        }
    }

    /// How many hashes are in work.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Begins a hash.
    ///
    /// # Errors
    /// Gives the ticket back when all lanes are in use.
    pub fn join(&mut self, order: &Order, ticket: T) -> Result<(), T> {
        let Some(run) = self.runs.get_mut(self.in_use) else {
            return Err(ticket);
        };
        *run = Some(Run {
            ticket,
            rounds_to_digest: order.cost.rounds() as i64,
            rounds_to_end: order.work.rounds(),
            digest: Digest::default(),
        });
        self.state.begin(self.in_use, &order.password, &order.salt);
        self.in_use += 1;
        Ok(())
    }

    /// Works on every lane for one round, of which a hash of cost c takes 2^c; one that is finished only takes time until it
    /// is taken out.
    pub fn round(&mut self) {
        self.state.round(self.in_use);
        for (lane, run) in self.runs.iter_mut().flatten().enumerate() {
            run.rounds_to_digest -= 1;
            run.rounds_to_end = run.rounds_to_end.saturating_sub(1);
            if run.rounds_to_digest == 0 {
                run.digest = Zeroizing::new(self.state.digest(lane));
            }
        }
    }

    /// Takes one finished hash out of its lane; to be called until there is none.
    pub fn take_finished(&mut self) -> Option<(T, Digest)> {
        let lane = self
            .runs
            .iter()
            .position(|run| run.as_ref().is_some_and(|run| run.rounds_to_end == 0))?;
        let run = self.runs[lane].take()?;
        self.in_use -= 1;
        self.runs.swap(lane, self.in_use);
        self.state.close(lane, self.in_use);
        Some((run.ticket, run.digest))
    }
}
