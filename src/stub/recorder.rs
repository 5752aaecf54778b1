//! Creates the journal's entries from requests and answers, without secrets.

use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::content::Content;
use super::entry::{Entry, Headers, Progress, RecordedAnswer};
use super::presented::{Presented, TokenState};
use super::redaction::Redaction;
use crate::endpoint::user_login;
use crate::gate::{DELAY, FAULT, Fault, RESERVED_PREFIX, RefusedRequest};
use crate::http::{Body, COMMON_HEADERS, EveryField, ReadField, Reply, Request};
use crate::server::MatchedRoute;

pub(super) struct Recorder {
    pub(super) redaction: Redaction,
    pub(super) presented: Presented,
    pub(super) fields: EveryField,
    pub(super) fingerprints: RandomState,
}

/// A request that has not been answered yet.
pub(super) struct Arrival {
    time: Timestamp,
    started: Instant,
    token: (TokenState, Option<String>),
    /// Equal for two requests of the same client with the same bytes.
    pub(super) fingerprint: u64,
}

/// The steering of an answer, read from its headers.
#[derive(Default)]
struct AppliedSteering {
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
        // If the body ended early, the request is compared without it.
        if let Ok(body) = request.body() {
            body.as_bytes().hash(&mut hasher);
        }
        hasher.finish()
    }

    pub(super) fn answered(
        &self,
        arrival: Arrival,
        route: &MatchedRoute,
        request: &mut Request<'_>,
        reply: &Reply,
    ) -> Entry {
        let duration = arrival.started.elapsed();
        let content_type = request.joined(ReadField::ContentType).unwrap_or_default();
        let content = match request.body() {
            Ok(body) => Content::of(body, &content_type),
            Err(_) => Content::Other { length: 0 },
        };
        let applied = AppliedSteering::of(reply);
        let is_login = route.name == user_login::PATH && route.has_method;
        // The status of a forced answer says nothing about the request.
        let status = applied.code.is_none().then(|| reply.status());
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
            method: Redaction::method(method).to_owned(),
            path: self.redaction.target(request.target()),
            headers: self.request_headers(request),
            body: self.redaction.content(&content),
            status: reply.status(),
            duration_ms: milliseconds(duration),
            username: self.redaction.username(&content),
            token,
            token_user,
            password: is_login
                .then(|| self.presented.password(&content, status))
                .flatten(),
            code: applied.code,
            delay_ms: applied.delay_ms,
            fault: applied.fault,
            delivered: None,
            repeats: 0,
            answer: RecordedAnswer {
                headers: self
                    .redaction
                    .fields(headers.filter(|(name, _)| !is_reserved(name))),
                body: self.answer_body(request, &answer),
            },
            call: route.name,
            fingerprint: Some(arrival.fingerprint),
            progress: Progress::default(),
        }
    }

    fn request_headers(&self, request: &Request<'_>) -> Headers {
        let fields: Vec<_> = request.fields(self.fields).collect();
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        self.redaction
            .fields(fields.filter(|(name, _)| !is_reserved(name)))
    }

    /// The body as the client receives it; empty for HEAD. The answer 405 quotes the method, which may have to be
    /// redacted.
    fn answer_body(&self, request: &Request<'_>, answer: &Body) -> String {
        let method = request.method().as_str();
        if request.is_head() {
            return String::new();
        }
        let shown = self.redaction.answer(answer);
        match Redaction::method(method) {
            same if same == method => shown,
            hidden => shown.replace(method, hidden),
        }
    }

    /// The entry of a request that the gate refused: what the gate could read of it, and the header lines `own` of the
    /// answer. The body of the request is not included.
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
            method: Redaction::method(request.method.unwrap_or_default()).to_owned(),
            path: self
                .redaction
                .target(request.target.as_deref().unwrap_or_default()),
            headers: self
                .redaction
                .fields(fields.filter(|(name, _)| !is_reserved(name))),
            status: request.status,
            duration_ms: milliseconds(request.duration),
            token,
            token_user,
            answer: RecordedAnswer {
                headers: self.redaction.fields(lines),
                body: serde_json::json!({ "detail": request.detail }).to_string(),
            },
            ..Entry::default()
        }
    }
}

impl AppliedSteering {
    fn of(reply: &Reply) -> Self {
        let mut applied = Self::default();
        for (name, value) in reply.headers() {
            match name {
                DELAY => applied.delay_ms = value.parse().unwrap_or_default(),
                FAULT => applied.fault = Fault::named(value).map(Fault::name),
                "Preference-Applied" => applied.code = applied_code(value),
                _ => {}
            }
        }
        applied
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
