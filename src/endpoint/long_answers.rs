//! What long answers may hold in memory, over all clients: each is held until its last byte is sent, and its client may read
//! slowly. Short ones are in the hands of the gate at once.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Error;
use crate::http::{Reply, Request};

/// Once long answers hold as much as this, no further one is sent. The last one may be as long as it is, or nobody could
/// ever get one that is longer.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The same for those of one organization: others get theirs.
const MAX_BYTES_OF_ORGANIZATION: usize = MAX_BYTES / 2;
/// What an answer counts for at least: each has threads and a connection as long as it is sent.
const MIN_BYTES: usize = 1024 * 1024;

/// The long answers that are sent.
pub struct LongAnswers {
    max_short_bytes: usize,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    bytes: usize,
    of_organization: HashMap<Organization, usize>,
}

/// By its UUID; `None` is everybody who needs no token.
type Organization = Option<String>;

/// A long answer that is sent. Dropped, it is no longer.
struct LongAnswer {
    held: Arc<Mutex<Held>>,
    organization: Organization,
    bytes: usize,
}

impl LongAnswers {
    /// Bodies that are longer than `max_short_bytes` are long: the gate takes them only as fast as their clients read.
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

    /// Refuses what may become a long answer before there is work in it, as far as that is known by now.
    ///
    /// # Errors
    /// [`Error::TooManyLongAnswers`] when the organization holds too much already.
    pub fn check(&self, organization: &str) -> Result<(), Error> {
        let organization = Some(organization.to_owned());
        if self.held.lock().is_over_its_half(&organization) {
            return Err(Error::TooManyLongAnswers);
        }
        Ok(())
    }

    /// Counts an answer, if it is a long one, until it is sent.
    ///
    /// # Errors
    /// [`Error::TooManyLongAnswers`] when too much is held already.
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
        if held.bytes >= MAX_BYTES || held.is_over_its_half(&organization) {
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
    fn is_over_its_half(&self, organization: &Organization) -> bool {
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
    fn an_organization_holds_half_of_what_all_hold_and_the_last_answer_has_any_length() {
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
    fn there_are_only_so_many_however_short_they_are() {
        let all = LongAnswers::new(0);
        let organizations = ["a", "b", "c"];
        let held: Vec<_> = (0..99)
            .filter_map(|number| all.hold(Some(organizations[number % 3]), 1))
            .collect();
        assert_eq!(held.len(), MAX_BYTES / MIN_BYTES);
    }
}
