//! What only `serve --demo` has: answers forced, delayed and spoiled on request, a journal, a clock that can be moved, a
//! page for people.
//!
//! It stands around the endpoints, which know nothing of it. Without `--demo` none of it is built: where a server is put
//! together, one line decides.
//!
//! ```text
//! OwnHosts (421) --> Stub (its own calls, the page, the journal) --> CorsPolicy (CORS) --> Steered (forced answers, delays, faults) --> the endpoints
//! ```

mod account_change;
mod accounts;
mod clock;
mod content;
mod description;
mod documented;
mod entry;
mod filter;
mod headers;
mod hosts;
mod input;
mod journal;
mod next;
mod order;
mod outcome;
mod own_answer;
mod page;
mod presented;
mod recorder;
mod shown;
mod steered;

use std::hash::RandomState;
use std::sync::Arc;

use crate::clock::Clock;
use crate::endpoint::{self, Services, openapi};
use crate::gate::{FAULT, NUMBER, RefusedRequest};
use crate::http::{EveryField, ReadField, Reply, Request, path_of};
use crate::server::{Answerer, Call, CorsPolicy, Endpoints, Origins, Pace};
use accounts::Accounts;
use clock::MovableClock;
use description::Description;
use documented::Documented;
use filter::Filter;
use journal::Journal;
use next::Next;
use outcome::Error;
use page::Page;
use presented::{Issued, Presented};
use recorder::Recorder;
use shown::Shown;
use steered::Steered;

pub use hosts::{Host, Hosts, NotAHost, OwnHosts};

/// What the paths of the API begin with.
const API: &str = "/api/";
/// What the stub's own begin with.
const OWN: &str = "/__stub/";

/// What pages of other origins may send, and read, besides what every page may.
const ALLOWED_HEADERS: &str = "Authorization, Content-Type, Prefer, X-Stub-Delay, X-Stub-Fault";
const EXPOSED_HEADERS: &str = "Retry-After, WWW-Authenticate, Preference-Applied";

/// A stub before there are endpoints to stand around.
pub struct Beginning {
    description: Description,
    clock: MovableClock,
    accounts: Accounts,
    shown: Shown,
    issued: Issued,
    pinned: Vec<String>,
}

impl Beginning {
    /// Remembers what only the fixture has: passwords in clear.
    pub fn of(demo: &crate::accounts::Accounts, has_tls: bool) -> Self {
        Self {
            description: Description::new(if has_tls { "https" } else { "http" }),
            clock: MovableClock::default(),
            accounts: Accounts::of(demo),
            shown: Shown::of(demo),
            issued: Issued::of(demo),
            pinned: accounts::pinned(demo),
        }
    }

    /// The clock that the whole server goes by.
    pub fn clock(&self) -> Clock {
        let clock = self.clock.clone();
        Arc::new(move || clock.now())
    }

    /// The stub, around these endpoints. Pages of these hosts may steer it.
    pub fn around(
        self,
        endpoints: Endpoints,
        services: Arc<Services>,
        origins: Origins,
        fields: EveryField,
        hosts: Hosts,
    ) -> Stub {
        let endpoints: Arc<dyn Answerer> = Arc::new(endpoints);
        let documented = Arc::new(Documented::read());
        let next = Arc::new(Next::default());
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
                shown: self.shown,
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

/// The endpoints with everything that steers them.
pub struct Stub {
    pages: CorsPolicy,
    steered: Steered,
    endpoints: Arc<dyn Answerer>,
    documented: Arc<Documented>,
    next: Arc<Next>,
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

/// The stub's own calls.
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
        // It may wait for requests.
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
        // It may wait for a change of one.
        Pace::Slow,
    ),
    (accounts::ONE, &["PUT", "DELETE"], "PUT, DELETE", Pace::Slow),
    ("/__stub/reset/", &["POST"], "POST", Pace::Slow),
];

impl Answerer for Stub {
    fn call(&self, method: &str, target: &str) -> Call {
        let path = path_of(target);
        let path = accounts::username_in(path).map_or(path, |_| accounts::ONE);
        match CALLS.iter().find(|(name, ..)| *name == path) {
            Some((name, methods, allow, pace)) => {
                Call::new(name, *pace, methods.contains(&method), allow)
            }
            None => self.steered.call(method, target),
        }
    }

    fn answer(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        if request.path().starts_with(API) {
            return self.answer_api(call, request);
        }
        self.pages
            .answer(call, request, |request| self.answer_other(call, request))
    }

    /// Kept whatever the path: that one was not looked at.
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
    /// What is no call of the API.
    fn answer_other(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        if !CALLS.iter().any(|(name, ..)| *name == call.name) {
            return self.endpoints.answer(call, request);
        }
        endpoint::reply(|| match self.answer_own(call, request) {
            Ok(reply) => self.services.long_answers.admit(request, reply),
            Err(Error::Endpoint(error)) => Err(error),
            Err(error) => Ok(error.into()),
        })
    }

    /// A client that retries silently would otherwise swallow a fault: it gets the same one again.
    fn answer_api(&self, call: &Call, request: &mut Request<'_>) -> Reply {
        let arrival = self.recorder.arrival(request, self.clock.now().date);
        if let Some((status, fault)) = self.journal.repeat(arrival.fingerprint) {
            return Reply::detail(status, "An injected fault, repeated.").with(FAULT, fault);
        }
        let reply = self
            .pages
            .answer(call, request, |request| self.steered.answer(call, request));
        let entry = self.recorder.answered(arrival, call, request, &reply);
        reply.with(NUMBER, self.journal.add(entry).to_string())
    }

    fn answer_own(&self, call: &Call, request: &mut Request<'_>) -> Result<Reply, Error> {
        call.check(request)?;
        let method = request.method().as_str().to_owned();
        if call.name.starts_with(OWN) {
            self.check_origin(request)?;
        }
        Ok(match (call.name, method.as_str()) {
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

    /// No page of the web may steer the stub.
    fn check_origin(&self, request: &Request<'_>) -> Result<(), Error> {
        match request.joined(ReadField::Origin) {
            Some(origin) if !self.hosts.include_origin(&origin) => Err(Error::NotFromHere),
            _ => Ok(()),
        }
    }

    fn has_call(&self, path: &str) -> bool {
        path.starts_with(API)
            && !path.contains('?')
            && (self.documented.has(path) || self.endpoints.call("GET", path).allow.is_some())
    }

    /// The clock goes back before tokens and counters are forgotten: none of a later time may be left over.
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
