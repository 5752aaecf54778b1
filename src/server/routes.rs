//! The routing table: which endpoint answers a path, with which methods, and whether that may take long.

use std::sync::Arc;

use super::answerer::{Answerer, Handler, MatchedRoute, Pace};
use crate::endpoint::{
    self, Error, Services, health, metrics, openapi, organization, token_verify, user_login,
    user_logout, users,
};
use crate::http::{Reply, Request, path_of};

/// One endpoint.
struct Route {
    /// The path, with placeholders for variable parts. Metrics are grouped by it.
    name: &'static str,
    methods: Methods,
    pace: Pace,
    handler: Handler,
}

/// Which endpoints a server has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposure {
    /// All calls.
    Api,
    /// All calls, and the metrics for Prometheus.
    ApiAndMetrics,
    /// Only the metrics for Prometheus.
    Metrics,
}

/// The methods of an endpoint.
#[derive(Clone, Copy)]
enum Methods {
    Get,
    Post,
}

impl Route {
    const fn get(name: &'static str, pace: Pace, handler: Handler) -> Self {
        Self {
            name,
            methods: Methods::Get,
            pace,
            handler,
        }
    }

    const fn post(name: &'static str, handler: Handler) -> Self {
        Self {
            name,
            methods: Methods::Post,
            pace: Pace::Slow,
            handler,
        }
    }
}

const METRICS: Route = Route::get(metrics::PATH, Pace::Slow, metrics::handle);

/// All endpoints with a fixed path, except the metrics.
const ROUTES: &[Route] = &[
    Route::post(user_login::PATH, user_login::handle),
    Route::get(token_verify::PATH, Pace::LookUp, token_verify::handle),
    Route::get(organization::PATH, Pace::LookUp, organization::handle),
    Route::get(users::ALL_PATH, Pace::Slow, users::handle_all),
    Route::post(user_logout::PATH, user_logout::handle),
    Route::post(user_logout::ALL_PATH, user_logout::handle_all),
    Route::get(health::HEALTH_PATH, Pace::Quick, health::handle_health),
    Route::get(health::READY_PATH, Pace::Slow, health::handle_ready),
    Route::get(openapi::PATH, Pace::Quick, openapi::handle),
];
const USER_DETAIL: Route = Route::get(users::DETAIL_NAME, Pace::LookUp, users::handle_detail);

/// The innermost answerer, which calls the endpoints.
pub struct Endpoints {
    exposure: Exposure,
    services: Arc<Services>,
}

impl Endpoints {
    /// The endpoints that `exposure` selects.
    pub fn new(exposure: Exposure, services: Arc<Services>) -> Self {
        Self { exposure, services }
    }

    /// The endpoint of a target. The query is ignored.
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
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute {
        let Some(route) = self.find(target) else {
            return MatchedRoute::other();
        };
        let (name, methods) = (route.name, route.methods);
        MatchedRoute {
            handler: Some(route.handler),
            ..MatchedRoute::new(name, route.pace, methods.include(method), methods.allow())
        }
    }

    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply {
        endpoint::reply(|| {
            route.check(request)?;
            let handler = route.handler.ok_or(Error::NotFound)?;
            let reply = handler(&self.services, request)?;
            self.services.long_answers.admit(request, reply)
        })
    }
}

impl Methods {
    /// Whether a method is included. HEAD is allowed wherever GET is (RFC 9110, 9.3.2).
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
