//! The lanes of one thread: up to ten bcrypt hashes that run at once.
//!
//! Hashes join and leave between rounds, and each round runs over the lanes in use. Nothing of a hash remains in memory
//! once it has left. Never waits and knows no queue: `worker` decides which hash joins next.

use zeroize::{Zeroize, Zeroizing};

use super::expansion::{BlowfishState, MAX_LANES, Subkeys};
use super::{Cost, MAX_PASSWORD_BYTES};

/// The 23 bytes that bcrypt computes from a password.
pub type Digest = Zeroizing<[u8; 23]>;

/// The input of one hash: password, salt, cost and work.
pub struct HashInput {
    password: Subkeys,
    salt: Subkeys,
    cost: Cost,
    work: Cost,
}

impl HashInput {
    /// Uses the first 72 bytes of the password: the caller must refuse longer passwords. The lane stays in use for the
    /// rounds of `work` if `work` is higher than `cost`.
    pub fn new(password: &[u8], salt: &[u8; 16], cost: Cost, work: Cost) -> Self {
        let mut key = Zeroizing::new([0; MAX_PASSWORD_BYTES]);
        let length = password.len().min(MAX_PASSWORD_BYTES);
        key[..length].copy_from_slice(&password[..length]);
        // bcrypt's key ends with a NUL if the password is shorter than 72 bytes.
        let key = &key[..(length + 1).min(MAX_PASSWORD_BYTES)];
        Self {
            password: repeated(key),
            salt: repeated(salt),
            cost,
            work: work.max(cost),
        }
    }

    /// The number of rounds for which its lane is in use.
    pub fn rounds(&self) -> u64 {
        self.work.rounds()
    }
}

impl Drop for HashInput {
    fn drop(&mut self) {
        self.password.zeroize();
        self.salt.zeroize();
    }
}

/// The bytes, repeated cyclically, as big-endian words.
fn repeated(bytes: &[u8]) -> Subkeys {
    let mut bytes = bytes.iter().cycle();
    std::array::from_fn(|_| {
        (0..4).fold(0, |word, _| {
            word << 8 | u32::from(bytes.next().copied().unwrap_or_default())
        })
    })
}

/// The lanes of one thread. The caller recognises a hash by its tag of type `T`.
pub struct Lanes<T> {
    state: BlowfishState,
    /// The lanes in use come first.
    runs: [Option<Run<T>>; MAX_LANES],
    in_use: usize,
}

struct Run<T> {
    tag: T,
    /// Negative once the digest is known; the remaining rounds are padding, so that every login costs the same.
    rounds_to_digest: i64,
    rounds_to_end: u64,
    digest: Digest,
}

impl<T> Lanes<T> {
    /// All lanes empty.
    #[expect(
        clippy::new_without_default,
        reason = "allocating 40 KiB is to be explicit"
    )]
    pub fn new() -> Self {
        Self {
            state: BlowfishState::new(),
            runs: [const { None }; MAX_LANES],
            in_use: 0,
        }
    }

    /// The number of lanes in use.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// Starts a hash in a free lane.
    ///
    /// # Errors
    /// Returns the tag when all lanes are in use.
    pub fn join(&mut self, input: &HashInput, tag: T) -> Result<(), T> {
        let Some(run) = self.runs.get_mut(self.in_use) else {
            return Err(tag);
        };
        *run = Some(Run {
            tag,
            rounds_to_digest: input.cost.rounds() as i64,
            rounds_to_end: input.work.rounds(),
            digest: Digest::default(),
        });
        self.state.start(self.in_use, &input.password, &input.salt);
        self.in_use += 1;
        Ok(())
    }

    /// Runs one round of every lane in use; a hash of cost c takes 2^c rounds. A finished hash uses time until it is
    /// taken out.
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

    /// Takes one finished hash out of its lane. To be called until it returns `None`.
    pub fn take_finished(&mut self) -> Option<(T, Digest)> {
        let lane = self
            .runs
            .iter()
            .position(|run| run.as_ref().is_some_and(|run| run.rounds_to_end == 0))?;
        let run = self.runs[lane].take()?;
        self.in_use -= 1;
        self.runs.swap(lane, self.in_use);
        self.state.close(lane, self.in_use);
        Some((run.tag, run.digest))
    }
}
