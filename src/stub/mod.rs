//! The stub of `serve --demo`: forced and delayed answers, injected faults, a journal, a movable clock and a web page.
//!
//! The stub wraps the endpoints, which know nothing about it. Without `--demo` it is not created; see `stub` in
//! `assembly::Server::start_reporting`.
//!
//! ```text
//! Stub (its own calls, the page, the journal, a repeated fault) --> CorsPolicy --> Hosts (421) --> Steered (forced answers,
//! delays, faults) --> the endpoints
//! ```

mod account_change;
mod accounts;
mod clock;
mod content;
mod description;
mod documented;
mod entry;
mod error;
mod filter;
mod headers;
mod hosts;
mod input;
mod instruction;
mod journal;
mod next;
mod own_answer;
mod page;
mod presented;
mod recorder;
mod redaction;
mod steered;

use std::hash::RandomState;
use std::sync::Arc;

use crate::clock::Clock;
use crate::endpoint::{self, Services, openapi};
use crate::gate::{FAULT, NUMBER, RefusedRequest};
use crate::http::{EveryField, ReadField, Reply, Request, path_of};
use crate::server::{Answerer, CorsPolicy, Endpoints, MatchedRoute, Origins, Pace};
use accounts::Accounts;
use clock::MovableClock;
use description::Description;
use documented::Documented;
use error::Error;
use filter::Filter;
use journal::Journal;
use next::InstructionQueue;
use page::Page;
use presented::{Issued, Presented};
use recorder::Recorder;
use redaction::Redaction;
use steered::Steered;

pub use hosts::{Host, HostFilter, Hosts, NotAHost};

/// The prefix of the API's paths.
const API: &str = "/api/";
/// The prefix of the stub's own paths.
const OWN: &str = "/__stub/";

/// The header fields that pages of other origins may send and read, in addition to those that CORS always allows.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Prefer, X-Stub-Delay, X-Stub-Fault";
const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate, Preference-Applied";

/// Builds a [`Stub`]. Exists before the endpoints do, since they need the stub's clock.
pub struct StubBuilder {
    description: Description,
    clock: MovableClock,
    accounts: Accounts,
    redaction: Redaction,
    issued: Issued,
    pinned: Vec<String>,
}

impl StubBuilder {
    /// Starts from a fixture, and keeps what only the fixture has: passwords in clear text.
    pub fn new(demo: &crate::accounts::Accounts, has_tls: bool) -> Self {
        Self {
            description: Description::new(if has_tls { "https" } else { "http" }),
            clock: MovableClock::default(),
            accounts: Accounts::of(demo),
            redaction: Redaction::of(demo),
            issued: Issued::of(demo),
            pinned: accounts::pinned(demo),
        }
    }

    /// The clock for the whole server.
    pub fn clock(&self) -> Clock {
        let clock = self.clock.clone();
        Arc::new(move || clock.now())
    }

    /// Builds the stub around `endpoints`. It answers for `hosts`, whose pages may steer it.
    pub fn build(
        self,
        endpoints: Endpoints,
        services: Arc<Services>,
        origins: Origins,
        fields: EveryField,
        hosts: Hosts,
    ) -> Stub {
        let endpoints: Arc<dyn Answerer> = Arc::new(endpoints);
        let documented = Arc::new(Documented::read());
        let next = Arc::new(InstructionQueue::default());
        let steered = Steered {
            inner: Arc::clone(&endpoints),
            documented: Arc::clone(&documented),
            next: Arc::clone(&next),
            fields,
        };
        let pages = hosts.clone();
        let origins = Origins {
            own: Some(Arc::new(move |origin| pages.include_page(origin))),
            ..origins
        };
        Stub {
            pages: CorsPolicy::new(origins)
                .with_paths(&[API, OWN])
                .with_headers(ALLOWED_HEADERS, EXPOSED_HEADERS),
            steered,
            endpoints,
            documented,
            next,
            journal: Journal::default(),
            recorder: Recorder {
                redaction: self.redaction,
                presented: Presented {
                    issued: self.issued,
                    services: Arc::clone(&services),
                },
                fields,
                fingerprints: RandomState::new(),
            },
            clock: self.clock,
            accounts: self.accounts,
            page: Page::new(&self.pinned, services.auth.token_ttl()),
            services,
            hosts,
            fields,
            description: self.description,
        }
    }
}

/// The endpoints, together with the calls that steer them.
pub struct Stub {
    pages: CorsPolicy,
    steered: Steered,
    endpoints: Arc<dyn Answerer>,
    documented: Arc<Documented>,
    next: Arc<InstructionQueue>,
    journal: Journal,
    recorder: Recorder,
    clock: MovableClock,
    accounts: Accounts,
    page: Page,
    services: Arc<Services>,
    hosts: Hosts,
    fields: EveryField,
    description: Description,
}

/// The stub's own calls: path, methods, `Allow` and pace.
const CALLS: &[(&str, &[&str], &str, Pace)] = &[
    ("/", &["GET", "HEAD"], "GET, HEAD", Pace::Quick),
    (openapi::PATH, &["GET", "HEAD"], "GET, HEAD", Pace::Quick),
    (
        "/__stub/next/",
        &["GET", "HEAD", "PUT", "DELETE"],
        "GET, HEAD, PUT, DELETE",
        Pace::Quick,
    ),
    (
        "/__stub/requests/",
        &["GET", "HEAD", "DELETE"],
        "GET, HEAD, DELETE",
        // May wait for requests.
        Pace::Slow,
    ),
    (
        "/__stub/clock/",
        &["GET", "HEAD", "POST"],
        "GET, HEAD, POST",
        Pace::Quick,
    ),
    (
        accounts::ALL,
        &["GET", "HEAD"],
        "GET, HEAD",
        // May wait while an account is changed.
        Pace::Slow,
    ),
    (accounts::ONE, &["PUT", "DELETE"], "PUT, DELETE", Pace::Slow),
    ("/__stub/reset/", &["POST"], "POST", Pace::Slow),
];

impl Answerer for Stub {
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        let path = path_of(target);
        let path = accounts::username_in(path).map_or(path, |_| accounts::ONE);
        match CALLS.iter().find(|(name, ..)| *name == path) {
            Some((name, methods, allow, pace)) => {
                MatchedRoute::new(name, *pace, methods.contains(&method), allow)
            }
            None => self.steered.match_route(method, target),
        }
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        if request.path().starts_with(API) {
            return self.answer_api(route, request);
        }
        self.pages.answer(route, request, |request| {
            let refusal = self.hosts.refusal(request, self.fields);
            refusal.unwrap_or_else(|| self.answer_other(route, request))
        })
    }

    /// Records the request in the journal whatever its path, since the gate refuses requests without looking at the
    /// path.
    fn refused(&self, request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        let mut headers = self.pages.refused(request);
        let entry = self
            .recorder
            .refused(request, &headers, self.clock.now().date);
        headers.push((NUMBER, self.journal.add(entry).to_string()));
        headers
    }

    fn delivered(&self, number: u64, is_whole: bool) {
        self.journal.delivered(number, is_whole);
    }

    fn stop(&self) {
        self.journal.stop();
    }
}

impl Stub {
    /// Answers requests whose path does not belong to the API.
    fn answer_other(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        if !CALLS.iter().any(|(name, ..)| *name == route.name) {
            return self.endpoints.answer(route, request);
        }
        endpoint::reply(|| match self.answer_own(route, request) {
            Ok(reply) => self.services.long_answers.admit(request, reply),
            Err(Error::Endpoint(error)) => Err(error),
            Err(error) => Ok(error.into()),
        })
    }

    /// Answers a request to the API. A client that silently retries after a fault gets the same fault again, since it
    /// would otherwise hide the fault.
    fn answer_api(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        let arrival = self.recorder.arrival(request, self.clock.now().date);
        if let Some((status, fault)) = self.journal.repeat(arrival.fingerprint) {
            return Reply::detail(status, "An injected fault, repeated.").with(FAULT, fault);
        }
        let reply = self.pages.answer(route, request, |request| {
            let refusal = self.hosts.refusal(request, self.fields);
            refusal.unwrap_or_else(|| self.steered.answer(route, request))
        });
        let entry = self.recorder.answered(arrival, route, request, &reply);
        reply.with(NUMBER, self.journal.add(entry).to_string())
    }

    fn answer_own(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Result<Reply, Error> {
        route.check(request)?;
        let method = request.method().as_str().to_owned();
        if route.name.starts_with(OWN) {
            self.check_origin(request)?;
        }
        Ok(match (route.name, method.as_str()) {
            ("/", _) => self.page.reply(),
            (openapi::PATH, _) => {
                let host = request.joined_any(self.fields, "Host");
                self.description.reply(host.as_deref())
            }
            ("/__stub/next/", "PUT") => {
                let body = request.json_body().map_err(endpoint::Error::from)?;
                let has_call = |path: &str| self.has_call(path);
                let reply = self.next.put(body, &self.documented, has_call)?;
                self.journal.end_repeats();
                reply
            }
            ("/__stub/next/", "DELETE") => {
                self.next.clear();
                self.journal.end_repeats();
                Reply::no_content()
            }
            ("/__stub/next/", _) => self.next.reply(),
            ("/__stub/requests/", "DELETE") => {
                self.journal.clear();
                Reply::no_content()
            }
            ("/__stub/requests/", _) => self.journal.reply(&Filter::read(request.target())?),
            ("/__stub/clock/", "POST") => {
                let body = request.json_body().map_err(endpoint::Error::from)?;
                self.clock.change(&clock::Setting::read(body)?)?;
                self.clock.reply()
            }
            ("/__stub/clock/", _) => self.clock.reply(),
            (accounts::ALL, _) => self.accounts.reply(),
            (accounts::ONE, "DELETE") => {
                let username = accounts::read_username(request.path())?;
                self.accounts.remove(&username, &self.services)?
            }
            (accounts::ONE, _) => {
                let username = accounts::read_username(request.path());
                let body = request.json_body().map_err(endpoint::Error::from)?;
                self.accounts.put(&username?, body, &self.services)?
            }
            _ => self.reset()?,
        })
    }

    /// Refuses requests by pages of other origins, so that no page of the web can steer the stub.
    fn check_origin(&self, request: &Request<'_>) -> Result<(), Error> {
        match request.joined(ReadField::Origin) {
            Some(origin) if !self.hosts.include_origin(&origin) => Err(Error::NotFromHere),
            _ => Ok(()),
        }
    }

    fn has_call(&self, path: &str) -> bool {
        path.starts_with(API)
            && !path.contains('?')
            && (self.documented.has(path)
                || self.endpoints.match_route("GET", path).allow.is_some())
    }

    /// Restores the state of the start. The clock is reset before tokens and counters are removed, so that none with a
    /// later date remains.
    fn reset(&self) -> Result<Reply, Error> {
        self.next.clear();
        self.clock.reset();
        self.accounts.reset(&self.services)?;
        self.services
            .auth
            .forget_logins()
            .map_err(endpoint::Error::from)?;
        self.journal.reset();
        Ok(Reply::no_content())
    }
}
