//! `/__stub/requests/`: the last API requests, and those that the gate refused, as they came but for passwords and tokens.
//!
//! Secrets are taken out when somebody looks, not when a request is answered: logins are many, looks are few. Until then
//! they are kept like all secrets here, to be wiped.

use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::Serialize;

use super::redact::Secrets;
use crate::gate::{RESERVED_PREFIX, Refused};
use crate::http::{EveryField, Reply, Request};

/// How many requests are kept.
const MAX_REQUESTS: usize = 100;
/// What is kept of a target, of all headers together and of a body. Longer ones are possible, where limits were raised.
const MAX_PART_BYTES: usize = 16 * 1024;

/// The last requests, newest last.
pub(super) struct Journal {
    secrets: Secrets,
    every_field: EveryField,
    requests: Mutex<VecDeque<Recorded>>,
}

struct Recorded {
    time: Timestamp,
    method: String,
    target: Vec<u8>,
    fields: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    status: u16,
    duration: Duration,
}

#[derive(Serialize)]
struct Answer {
    requests: Vec<Shown>,
}

#[derive(Serialize)]
struct Shown {
    time: String,
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
    status: u16,
    duration_ms: f64,
}

impl Journal {
    pub(super) fn new(secrets: Secrets, every_field: EveryField) -> Self {
        Self {
            secrets,
            every_field,
            requests: Mutex::default(),
        }
    }

    /// Keeps a request that was answered.
    pub(super) fn record(
        &self,
        request: &mut Request<'_>,
        status: u16,
        time: Timestamp,
        duration: Duration,
    ) {
        // A body that cannot be read is one that broke off, which was answered.
        let body = request.body().map(|body| cut(body.as_bytes()));
        let recorded = Recorded {
            time,
            method: request.method().to_string(),
            target: cut(request.target().as_bytes()),
            fields: fields(request.fields(self.every_field)),
            body: body.unwrap_or_default(),
            status,
            duration,
        };
        self.keep(recorded);
    }

    /// Keeps what could be read of a request that the gate answered; nothing of its body.
    pub(super) fn record_refused(&self, request: &Refused<'_>, time: Timestamp) {
        let given = request.fields.iter();
        let given = given.map(|(name, value)| (Cow::Borrowed(*name), Cow::Borrowed(&**value)));
        self.keep(Recorded {
            time,
            method: request.method.unwrap_or_default().to_owned(),
            target: cut(request.target.as_deref().unwrap_or_default().as_bytes()),
            fields: fields(given),
            body: Vec::new(),
            status: request.status,
            duration: request.duration,
        });
    }

    fn keep(&self, recorded: Recorded) {
        let mut requests = self.requests.lock();
        if requests.len() >= MAX_REQUESTS {
            requests.pop_front();
        }
        requests.push_back(recorded);
    }

    pub(super) fn clear(&self) {
        self.requests.lock().clear();
    }

    pub(super) fn reply(&self) -> Reply {
        let requests = self.requests.lock();
        let requests = requests.iter().map(|request| self.show(request)).collect();
        Reply::json(200, &Answer { requests })
    }

    fn show(&self, request: &Recorded) -> Shown {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &request.fields {
            let value = self.secrets.header(name, &String::from_utf8_lossy(value));
            headers
                .entry(name.clone())
                .and_modify(|values| *values = format!("{values}, {value}"))
                .or_insert(value);
        }
        Shown {
            time: format!("{:.6}", request.time),
            method: request.method.clone(),
            path: self
                .secrets
                .target(&String::from_utf8_lossy(&request.target)),
            headers,
            body: self.secrets.body(&String::from_utf8_lossy(&request.body)),
            status: request.status,
            duration_ms: request.duration.as_micros() as f64 / 1000.0,
        }
    }
}

/// The client's own, as far as there is room.
fn fields<'f>(
    given: impl Iterator<Item = (Cow<'f, str>, Cow<'f, [u8]>)>,
) -> Vec<(String, Vec<u8>)> {
    let mut room = MAX_PART_BYTES;
    given
        .filter(|(name, _)| {
            let prefix = name.get(..RESERVED_PREFIX.len());
            !prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
        })
        .map_while(|(name, value)| {
            room = room.checked_sub(name.len() + value.len())?;
            Some((name.into_owned(), value.into_owned()))
        })
        .collect()
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len().min(MAX_PART_BYTES)].to_vec()
}
