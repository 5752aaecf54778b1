//! Which endpoint answers a path, with which methods, and whether that may take long.

use crate::endpoint::{
    Error, Services, health, metrics, openapi, organization, token_verify, user_login, user_logout,
    users,
};
use crate::hashing::Permit;
use crate::http::{Reply, Request, path_of};

/// One endpoint.
pub(super) struct Route {
    /// The path, with a name in place of what varies: what logs and figures group by.
    pub(super) name: &'static str,
    methods: Methods,
    pace: Pace,
    handler: Handler,
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
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
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

/// The endpoint of a target, whose query counts for nothing.
pub(super) fn find(exposure: Exposure, target: &str) -> Option<&'static Route> {
    let path = path_of(target);
    if path == metrics::PATH {
        return (exposure != Exposure::Api).then_some(&METRICS);
    }
    if exposure == Exposure::Metrics {
        return None;
    }
    ROUTES
        .iter()
        .find(|route| route.name == path)
        .or_else(|| users::user_uuid(path).map(|_| &USER_DETAIL))
}

/// Lets the endpoint answer.
pub(super) fn handle(
    route: Option<&Route>,
    services: &Services,
    request: &mut Request<'_>,
    permit: Option<&Permit>,
) -> Result<Reply, Error> {
    let route = route.ok_or(Error::NotFound)?;
    let method = request.method().as_str();
    if !route.methods.include(method) {
        return Err(Error::MethodNotAllowed {
            method: method.to_owned(),
            allow: route.methods.allow(),
        });
    }
    match route.handler {
        Handler::Plain(handler) => handler(services, request),
        Handler::WithPermit(handler) => handler(services, request, permit),
    }
}

impl Route {
    /// Whether this is the login, which is counted by its outcome too.
    pub(super) fn is_login(&self) -> bool {
        self.name == user_login::PATH
    }

    /// Whether answering this method may take long; another one is refused at once.
    pub(super) fn pace_of(&self, method: &str) -> Pace {
        if self.methods.include(method) {
            self.pace
        } else {
            Pace::Quick
        }
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
