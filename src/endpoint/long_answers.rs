//! Limits the memory of long answers over all clients. A long answer is in memory until its last byte is sent, and its
//! client may read slowly. Short answers are passed to the gate at once and are not counted.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Error;
use crate::http::{Reply, Request};

/// Once long answers use this many bytes, no further one is admitted. The last admitted one may exceed the limit;
/// otherwise an answer that is longer than the limit could never be sent.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The limit for the long answers of one organization, so that other organizations get a share.
const MAX_BYTES_OF_ORGANIZATION: usize = MAX_BYTES / 2;
/// The number of bytes for which an answer counts at least, because each also uses threads and a connection.
const MIN_BYTES: usize = 1024 * 1024;

/// Counts the long answers that are being sent.
pub struct LongAnswers {
    max_short_bytes: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    of_organization: HashMap<Organization, usize>,
}

/// The UUID of an organization; `None` stands for all calls without a token.
type Organization = Option<String>;

/// A long answer that is being sent. It is no longer counted once this is dropped.
struct LongAnswer {
    held: Arc<Mutex<Held>>,
    organization: Organization,
    bytes: usize,
}

impl LongAnswers {
    /// Counts answers with a body over `max_short_bytes`: the gate reads them only as fast as their clients do.
    pub fn new(max_short_bytes: usize) -> Self {
        Self {
            max_short_bytes,
            held: Arc::default(),
        }
    }

    /// Whether sending an answer may have to wait for its client.
    pub fn include(&self, reply: &Reply) -> bool {
        reply.body_bytes() > self.max_short_bytes
    }

    /// Refuses a request whose answer may become long, before any work is done for it.
    ///
    /// # Errors
    /// [`Error::TooManyLongAnswers`] when the long answers of the organization already use too much memory.
    pub fn check(&self, organization: &str) -> Result<(), Error> {
        let organization = Some(organization.to_owned());
        if self.held.lock().is_over_share(&organization) {
            return Err(Error::TooManyLongAnswers);
        }
        Ok(())
    }

    /// Counts an answer, if it is long, until it is sent.
    ///
    /// # Errors
    /// [`Error::TooManyLongAnswers`] when long answers already use too much memory.
    pub fn admit(&self, request: &Request<'_>, reply: Reply) -> Result<Reply, Error> {
        if !self.include(&reply) {
            return Ok(reply);
        }
        let held = self.hold(request.org_uuid(), reply.body_bytes());
        Ok(reply.holding(held.ok_or(Error::TooManyLongAnswers)?))
    }

    fn hold(&self, organization: Option<&str>, bytes: usize) -> Option<LongAnswer> {
        let organization = organization.map(str::to_owned);
        let bytes = bytes.max(MIN_BYTES);
        let mut held = self.held.lock();
        if held.bytes >= MAX_BYTES || held.is_over_share(&organization) {
            return None;
        }
        held.bytes += bytes;
        *held
            .of_organization
            .entry(organization.clone())
            .or_default() += bytes;
        Some(LongAnswer {
            held: Arc::clone(&self.held),
            organization,
            bytes,
        })
    }
}

impl Held {
    fn is_over_share(&self, organization: &Organization) -> bool {
        let bytes = self.of_organization.get(organization);
        bytes.is_some_and(|bytes| *bytes >= MAX_BYTES_OF_ORGANIZATION)
    }
}

impl Drop for LongAnswer {
    fn drop(&mut self) {
        let mut held = self.held.lock();
        held.bytes -= self.bytes;
        if let Some(bytes) = held.of_organization.get_mut(&self.organization) {
            *bytes -= self.bytes;
            if *bytes == 0 {
                held.of_organization.remove(&self.organization);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_may_use_half_of_the_memory_and_the_last_answer_may_have_any_length() {
        let all = LongAnswers::new(0);
        let hold = |organization, bytes| all.hold(organization, bytes);
        let first = hold(Some("a"), MAX_BYTES_OF_ORGANIZATION - 1).unwrap();
        let second = hold(Some("a"), 1).unwrap();
        assert!(hold(Some("a"), 1).is_none());
        let others = hold(Some("b"), 10 * MAX_BYTES).unwrap();
        drop(first);
        assert!(hold(Some("a"), 1).is_none());
        assert!(hold(None, 1).is_none());
        drop(others);
        assert!(hold(None, 1).is_some());
        drop(second);
        let held = all.held.lock();
        assert_eq!((held.bytes, held.of_organization.len()), (0, 0));
    }

    #[test]
    fn the_number_of_long_answers_is_limited_however_short_they_are() {
        let all = LongAnswers::new(0);
        let organizations = ["a", "b", "c"];
        let held: Vec<_> = (0..99)
            .filter_map(|number| all.hold(Some(organizations[number % 3]), 1))
            .collect();
        assert_eq!(held.len(), MAX_BYTES / MIN_BYTES);
    }
}
