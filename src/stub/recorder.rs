//! Makes the entries of the journal: of a request and its answer, what may be shown.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::content::Content;
use super::entry::{Answer, Entry, Headers, Progress};
use super::presented::{Presented, TokenState};
use super::shown::Shown;
use crate::endpoint::user_login;
use crate::gate::{DELAY, FAULT, Fault, RESERVED_PREFIX, RefusedRequest};
use crate::http::{Body, COMMON_HEADERS, EveryField, ReadField, Reply, Request};
use crate::server::Call;

pub(super) struct Recorder {
    pub(super) shown: Shown,
    pub(super) presented: Presented,
    pub(super) fields: EveryField,
    pub(super) fingerprints: RandomState,
}

/// A request before it is answered.
pub(super) struct Arrival {
    time: Timestamp,
    started: Instant,
    token: (TokenState, Option<String>),
    /// Equal for two requests of one client with the same bytes.
    pub(super) fingerprint: u64,
}

/// The orders in the headers of an answer.
#[derive(Default)]
struct Ordered {
    code: Option<u16>,
    delay_ms: u64,
    fault: Option<&'static str>,
}

impl Recorder {
    pub(super) fn arrival(&self, request: &mut Request<'_>, time: Timestamp) -> Arrival {
        let header = request.joined(ReadField::Authorization);
        let header = Zeroizing::new(header.unwrap_or_default());
        Arrival {
            time,
            started: Instant::now(),
            token: self.presented.token(&header, time),
            fingerprint: self.fingerprint(request),
        }
    }

    fn fingerprint(&self, request: &mut Request<'_>) -> u64 {
        let mut hasher = self.fingerprints.build_hasher();
        request
            .client(&self.presented.services.trusted_proxies)
            .hash(&mut hasher);
        request.method().as_str().hash(&mut hasher);
        request.target().hash(&mut hasher);
        request
            .fields(self.fields)
            .for_each(|field| field.hash(&mut hasher));
        // A body that cannot be read is one that broke off, which is answered.
        if let Ok(body) = request.body() {
            body.as_bytes().hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn answered(
        &self,
        arrival: Arrival,
        call: &Call,
        request: &mut Request<'_>,
        reply: &Reply,
    ) -> Entry {
        let duration = arrival.started.elapsed();
        let content_type = request.joined(ReadField::ContentType).unwrap_or_default();
        let content = match request.body() {
            Ok(body) => Content::of(body, &content_type),
            Err(_) => Content::Other { length: 0 },
        };
        let ordered = Ordered::of(reply);
        let is_login = call.name == user_login::PATH && call.has_method;
        // A forced answer says nothing about the request.
        let status = ordered.code.is_none().then(|| reply.status());
        let answer = reply.copy_body();
        if is_login && status == Some(200) {
            self.presented.note_login(&answer, arrival.time);
        }
        let method = request.method().as_str();
        let headers = reply
            .headers()
            .map(|(name, value)| (name, value.as_bytes()));
        let (token, token_user) = arrival.token;
        Entry {
            number: 0,
            time: format!("{:.6}", arrival.time),
            method: Shown::method(method).to_owned(),
            path: self.shown.target(request.target()),
            headers: self.request_headers(request),
            body: self.shown.content(&content),
            status: reply.status(),
            duration_ms: milliseconds(duration),
            username: self.shown.username(&content),
            token,
            token_user,
            password: is_login
                .then(|| self.presented.password(&content, status))
                .flatten(),
            code: ordered.code,
            delay_ms: ordered.delay_ms,
            fault: ordered.fault,
            delivered: None,
            repeats: 0,
            answer: Answer {
                headers: self
                    .shown
                    .fields(headers.filter(|(name, _)| !is_reserved(name))),
                body: self.answer_body(request, &answer),
            },
            call: call.name,
            fingerprint: Some(arrival.fingerprint),
            progress: Progress::default(),
        }
    }

    fn request_headers(&self, request: &Request<'_>) -> Headers {
        let fields: Vec<_> = request.fields(self.fields).collect();
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        self.shown
            .fields(fields.filter(|(name, _)| !is_reserved(name)))
    }

    /// As the client gets it: without one to a HEAD. A 405 quotes the method.
    fn answer_body(&self, request: &Request<'_>, answer: &Body) -> String {
        let method = request.method().as_str();
        if request.is_head() {
            return String::new();
        }
        let shown = self.shown.answer(answer);
        match Shown::method(method) {
            same if same == method => shown,
            hidden => shown.replace(method, hidden),
        }
    }

    /// An entry of what could be read of a request that the gate answers, with these header lines; nothing of its body.
    pub(super) fn refused(
        &self,
        request: &RefusedRequest<'_>,
        own: &[(&'static str, String)],
        time: Timestamp,
    ) -> Entry {
        let header = request.joined(ReadField::Authorization.name());
        let header = Zeroizing::new(header.unwrap_or_default());
        let (token, token_user) = self.presented.token(&header, time);
        let fields = request.fields.iter().map(|(name, value)| (*name, &**value));
        let own = own.iter().map(|(name, value)| (*name, &**value));
        let lines = COMMON_HEADERS.iter().copied().chain(own);
        let lines = lines.map(|(name, value)| (name, value.as_bytes()));
        Entry {
            time: format!("{time:.6}"),
            method: Shown::method(request.method.unwrap_or_default()).to_owned(),
            path: self
                .shown
                .target(request.target.as_deref().unwrap_or_default()),
            headers: self
                .shown
                .fields(fields.filter(|(name, _)| !is_reserved(name))),
            status: request.status,
            duration_ms: milliseconds(request.duration),
            token,
            token_user,
            answer: Answer {
                headers: self.shown.fields(lines),
                body: serde_json::json!({ "detail": request.detail }).to_string(),
            },
            ..Entry::default()
        }
    }
}

impl Ordered {
    fn of(reply: &Reply) -> Self {
        let mut ordered = Self::default();
        for (name, value) in reply.headers() {
            match name {
                DELAY => ordered.delay_ms = value.parse().unwrap_or_default(),
                FAULT => ordered.fault = Fault::named(value).map(Fault::name),
                "Preference-Applied" => ordered.code = applied_code(value),
                _ => {}
            }
        }
        ordered
    }
}

/// The code in `code=503`.
fn applied_code(preferences: &str) -> Option<u16> {
    let mut preferences = preferences.split([',', ';']);
    preferences.find_map(|preference| preference.trim().strip_prefix("code=")?.parse().ok())
}

fn is_reserved(name: &str) -> bool {
    let prefix = name.get(..RESERVED_PREFIX.len());
    prefix.is_some_and(|prefix| prefix.eq_ignore_ascii_case(RESERVED_PREFIX))
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}
