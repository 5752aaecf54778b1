//! One entry of the journal: a request and its answer.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::presented::{PasswordState, TokenState};
use crate::gate::Fault;

/// The maximum number of entries.
pub(super) const MAX_ENTRIES: usize = 1000;
/// How long a fault is repeated for the same request. Clients that retry silently do so at once.
const REPEATED_FOR: Duration = Duration::from_secs(1);

pub(super) type Headers = BTreeMap<String, String>;

/// One request and its answer, without secrets.
#[derive(Default, Serialize)]
pub(super) struct Entry {
    /// Assigned by the journal when the entry is added.
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
    /// `None` until the answer has been sent.
    pub(super) delivered: Option<bool>,
    pub(super) repeats: u32,
    pub(super) answer: RecordedAnswer,
    /// The path template of the call.
    #[serde(skip)]
    pub(super) call: &'static str,
    /// Equal for two requests of the same client with the same bytes.
    #[serde(skip)]
    pub(super) fingerprint: Option<u64>,
    #[serde(skip)]
    pub(super) progress: Progress,
}

#[derive(Default, Serialize)]
pub(super) struct RecordedAnswer {
    pub(super) headers: Headers,
    pub(super) body: String,
}

/// The journal's internal state of an entry.
#[derive(Default)]
pub(super) struct Progress {
    pub(super) bytes: usize,
    /// When the answer is to be sent.
    pub(super) due: Option<Instant>,
    /// When the answer was delivered, or its fault was injected.
    pub(super) ended: Option<Instant>,
}

impl Entry {
    /// Whether the fault of this entry is to be repeated for a request with this fingerprint.
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
