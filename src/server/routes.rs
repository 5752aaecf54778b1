//! Which endpoint answers a path, with which methods, and whether that may take long.

use std::sync::Arc;

use super::Answerer;
use crate::endpoint::{
    Error, Services, health, metrics, openapi, organization, token_verify, user_login, user_logout,
    users,
};
use crate::hashing::Permit;
use crate::http::{Reply, Request, path_of};

/// The name of whatever is no endpoint.
pub(super) const OTHER: &str = "other";

/// One endpoint.
struct Route {
    /// The path, with a name in place of what varies: what logs and figures group by.
    name: &'static str,
    methods: Methods,
    pace: Pace,
    handler: Handler,
}

/// What a request asks for.
#[derive(Clone, Copy)]
pub struct Call {
    /// The path of an endpoint, with a name in place of what varies; `other` where there is none.
    pub name: &'static str,
    /// What answering may have to wait for.
    pub pace: Pace,
    /// Whether the endpoint has the method.
    pub has_method: bool,
    /// The methods that the path has, as the Allow header lists them; `None` where no endpoint is.
    pub allow: Option<&'static str>,
    route: Option<&'static Route>,
}

/// Which endpoints a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// All calls.
    Api,
    /// All calls, and the figures for Prometheus.
    ApiAndMetrics,
    /// Nothing but the figures for Prometheus.
    Metrics,
}

/// What an endpoint is asked with.
#[derive(Clone, Copy)]
enum Methods {
    Get,
    Post,
}

/// What answering may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing: a read of microseconds.
    Quick,
    /// The disk, or a long list.
    Slow,
    /// Hashing, for which there are only so many permits.
    Hashes,
}

#[derive(Clone, Copy)]
enum Handler {
    Plain(fn(&Services, &mut Request<'_>) -> Result<Reply, Error>),
    WithPermit(fn(&Services, &mut Request<'_>, Option<&Permit>) -> Result<Reply, Error>),
}

impl Route {
    const fn get(
        name: &'static str,
        pace: Pace,
        handler: fn(&Services, &mut Request<'_>) -> Result<Reply, Error>,
    ) -> Self {
        Self {
            name,
            methods: Methods::Get,
            pace,
            handler: Handler::Plain(handler),
        }
    }

    const fn post(
        name: &'static str,
        handler: fn(&Services, &mut Request<'_>) -> Result<Reply, Error>,
    ) -> Self {
        Self {
            name,
            methods: Methods::Post,
            pace: Pace::Slow,
            handler: Handler::Plain(handler),
        }
    }
}

const LOGIN: Route = Route {
    name: user_login::PATH,
    methods: Methods::Post,
    pace: Pace::Hashes,
    handler: Handler::WithPermit(user_login::handle),
};
const METRICS: Route = Route::get(metrics::PATH, Pace::Slow, metrics::handle);

/// Every endpoint with a fixed path, but for the figures.
const ROUTES: &[Route] = &[
    LOGIN,
    Route::get(token_verify::PATH, Pace::Quick, token_verify::handle),
    Route::get(organization::PATH, Pace::Quick, organization::handle),
    Route::get(users::ALL_PATH, Pace::Slow, users::handle_all),
    Route::post(user_logout::PATH, user_logout::handle),
    Route::post(user_logout::ALL_PATH, user_logout::handle_all),
    Route::get(health::HEALTH_PATH, Pace::Quick, health::handle_health),
    Route::get(health::READY_PATH, Pace::Slow, health::handle_ready),
    Route::get(openapi::PATH, Pace::Quick, openapi::handle),
];
const USER_DETAIL: Route = Route::get(users::DETAIL_NAME, Pace::Quick, users::handle_detail);

/// The endpoints themselves.
pub struct Endpoints {
    exposure: Exposure,
    services: Arc<Services>,
}

impl Endpoints {
    /// Those that `exposure` says.
    pub fn new(exposure: Exposure, services: Arc<Services>) -> Self {
        Self { exposure, services }
    }

    /// The endpoint of a target, whose query counts for nothing.
    fn find(&self, target: &str) -> Option<&'static Route> {
        let path = path_of(target);
        if path == metrics::PATH {
            return (self.exposure != Exposure::Api).then_some(&METRICS);
        }
        if self.exposure == Exposure::Metrics {
            return None;
        }
        ROUTES
            .iter()
            .find(|route| route.name == path)
            .or_else(|| users::user_uuid(path).map(|_| &USER_DETAIL))
    }
}

impl Answerer for Endpoints {
    fn call(&self, method: &str, target: &str) -> Call {
        Call::of(self.find(target), method)
    }

    fn answer(
        &self,
        call: &Call,
        request: &mut Request<'_>,
        permit: Option<&Permit>,
    ) -> Result<Reply, Error> {
        let route = call.route.ok_or(Error::NotFound)?;
        if !call.has_method {
            return Err(Error::MethodNotAllowed {
                method: request.method().as_str().to_owned(),
                allow: route.methods.allow(),
            });
        }
        let reply = match route.handler {
            Handler::Plain(handler) => handler(&self.services, request),
            Handler::WithPermit(handler) => handler(&self.services, request, permit),
        };
        self.services.long_answers.admit(request, reply?)
    }
}

impl Call {
    /// Of an endpoint that stands outside of the table, and is always quick to refuse.
    pub fn apart(name: &'static str, pace: Pace, has_method: bool, allow: &'static str) -> Self {
        Self {
            name,
            pace: if has_method { pace } else { Pace::Quick },
            has_method,
            allow: Some(allow),
            route: None,
        }
    }

    fn of(route: Option<&'static Route>, method: &str) -> Self {
        let has_method = route.is_some_and(|route| route.methods.include(method));
        Self {
            name: route.map_or(OTHER, |route| route.name),
            // What the endpoint does not have is refused at once.
            pace: route
                .filter(|_| has_method)
                .map_or(Pace::Quick, |route| route.pace),
            has_method,
            allow: route.map(|route| route.methods.allow()),
            route,
        }
    }

    /// Whether this is the login, which is counted by its outcome too.
    pub(super) fn is_login(&self) -> bool {
        self.name == user_login::PATH
    }
}

impl Methods {
    /// HEAD goes wherever GET goes (RFC 9110, 9.3.2).
    fn include(self, method: &str) -> bool {
        match self {
            Self::Get => matches!(method, "GET" | "HEAD"),
            Self::Post => method == "POST",
        }
    }

    fn allow(self) -> &'static str {
        match self {
            Self::Get => "GET, HEAD",
            Self::Post => "POST",
        }
    }
}
