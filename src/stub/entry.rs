//! What is said of one request and its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::presented::{PasswordState, TokenState};
use crate::gate::Fault;

/// How many entries are kept.
pub(super) const MAX_ENTRIES: usize = 1000;
/// How long a fault is repeated for the same request: clients that retry silently do it at once.
const REPEATED_FOR: Duration = Duration::from_secs(1);

pub(super) type Headers = BTreeMap<String, String>;

/// One request and its answer.
#[derive(Default, Serialize)]
pub(super) struct Entry {
    /// Set when it is added.
    pub(super) number: u64,
    pub(super) time: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) headers: Headers,
    pub(super) body: String,
    pub(super) status: u16,
    pub(super) duration_ms: f64,
    pub(super) username: Option<String>,
    pub(super) token: TokenState,
    pub(super) token_user: Option<String>,
    pub(super) password: Option<PasswordState>,
    pub(super) code: Option<u16>,
    pub(super) delay_ms: u64,
    pub(super) fault: Option<&'static str>,
    /// `None` while the answer is on its way.
    pub(super) delivered: Option<bool>,
    pub(super) repeats: u32,
    pub(super) answer: Answer,
    /// The path with a name in place of what varies.
    #[serde(skip)]
    pub(super) call: &'static str,
    /// Equal for two requests of one client with the same bytes.
    #[serde(skip)]
    pub(super) fingerprint: Option<u64>,
    #[serde(skip)]
    pub(super) progress: Progress,
}

#[derive(Default, Serialize)]
pub(super) struct Answer {
    pub(super) headers: Headers,
    pub(super) body: String,
}

/// What the journal notes for itself.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) bytes: usize,
    /// When the answer goes out.
    pub(super) due: Option<Instant>,
    /// When it was delivered, or a fault injected.
    pub(super) ended: Option<Instant>,
}

impl Entry {
    /// Whether the fault in its answer is repeated for a request.
    pub(super) fn is_repeated(&self, fingerprint: u64) -> bool {
        let lost = [Fault::Reset, Fault::Empty].map(Fault::name);
        self.fingerprint == Some(fingerprint)
            && self.fault.is_some_and(|fault| lost.contains(&fault))
            && self
                .progress
                .ended
                .is_some_and(|ended| ended.elapsed() < REPEATED_FOR)
    }
}
