//! Which endpoint answers a path, with which methods, and whether that may take long.

use crate::endpoint::{
    Error, Services, organization, token_verify, user_login, user_logout, users,
};
use crate::hashing::Permit;
use crate::http::{Reply, Request, path_of};

/// One endpoint.
pub(super) struct Route {
    methods: Methods,
    pub(super) pace: Pace,
    handler: Handler,
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

const fn get(
    pace: Pace,
    handler: fn(&Services, &mut Request<'_>) -> Result<Reply, Error>,
) -> Route {
    Route {
        methods: Methods::Get,
        pace,
        handler: Handler::Plain(handler),
    }
}

const fn post(handler: fn(&Services, &mut Request<'_>) -> Result<Reply, Error>) -> Route {
    Route {
        methods: Methods::Post,
        pace: Pace::Slow,
        handler: Handler::Plain(handler),
    }
}

const LOGIN: Route = Route {
    methods: Methods::Post,
    pace: Pace::Hashes,
    handler: Handler::WithPermit(user_login::handle),
};

/// The endpoint of a target, whose query counts for nothing.
pub(super) fn find(target: &str) -> Option<Route> {
    Some(match path_of(target) {
        user_login::PATH => LOGIN,
        organization::PATH => get(Pace::Quick, organization::handle),
        users::ALL_PATH => get(Pace::Slow, users::handle_all),
        user_logout::PATH => post(user_logout::handle),
        user_logout::ALL_PATH => post(user_logout::handle_all),
        token_verify::PATH => get(Pace::Quick, token_verify::handle),
        path if users::user_uuid(path).is_some() => get(Pace::Quick, users::handle_detail),
        _ => return None,
    })
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
