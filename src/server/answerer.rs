//! The interface of the components that answer requests: the endpoints, and layers around them.

use crate::endpoint::{Error, Services};
use crate::gate::RefusedRequest;
use crate::http::{Reply, Request};

/// The name under which requests to unknown paths are counted.
pub(super) const OTHER: &str = "other";

/// A component that answers requests.
pub trait Answerer: Send + Sync {
    /// Matches a request to a route.
    fn match_route(&self, method: &str, target: &str) -> MatchedRoute;

    /// Answers a request, with any status.
    fn answer(&self, route: &MatchedRoute, request: &mut Request<'_>) -> Reply;

    /// Called for every request that the gate answers itself. Returns header fields for the answer.
    fn refused(&self, _request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Called with the number of every answer that has one ([`NUMBER`](crate::gate::NUMBER)), and whether the client was
    /// sent the whole answer.
    fn delivered(&self, _number: u64, _is_whole: bool) {}

    /// Called when the server stops. Must end all waits.
    fn stop(&self) {}
}

/// The function that answers the requests of one endpoint.
pub(super) type Handler = fn(&Services, &mut Request<'_>) -> Result<Reply, Error>;

/// The route that a request matches: an endpoint, and whether it has the method.
#[derive(Clone, Copy)]
pub struct MatchedRoute {
    /// The path of the endpoint, with placeholders for variable parts; `other` if there is no such endpoint.
    pub name: &'static str,
    /// What answering may have to wait for.
    pub pace: Pace,
    /// Whether the endpoint has the method.
    pub has_method: bool,
    /// The methods of the endpoint, in the format of the `Allow` header field; `None` if there is no such endpoint.
    pub allow: Option<&'static str>,
    /// The endpoint's function; `None` if a layer answers, or if there is no such endpoint.
    pub(super) handler: Option<Handler>,
}

/// What answering a request may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Answering waits for nothing.
    Quick,
    /// Answering waits for a look-up in the database. It takes microseconds in a file, and up to seconds if the database
    /// servers cannot be reached.
    LookUp,
    /// Answering waits for hashing or the disk, or produces a long list.
    Slow,
}

impl MatchedRoute {
    /// A route to an endpoint, whose path is `name`.
    pub fn new(name: &'static str, pace: Pace, has_method: bool, allow: &'static str) -> Self {
        Self {
            name,
            // A method that the endpoint does not have is refused at once.
            pace: if has_method { pace } else { Pace::Quick },
            has_method,
            allow: Some(allow),
            handler: None,
        }
    }

    /// The route of an unknown path.
    pub(super) fn other() -> Self {
        Self {
            name: OTHER,
            pace: Pace::Quick,
            has_method: false,
            allow: None,
            handler: None,
        }
    }

    /// Checks that the endpoint exists and has the method.
    ///
    /// # Errors
    /// [`Error::NotFound`] and [`Error::MethodNotAllowed`].
    pub fn check(&self, request: &Request<'_>) -> Result<(), Error> {
        let allow = self.allow.ok_or(Error::NotFound)?;
        if self.has_method {
            return Ok(());
        }
        let method = request.method().as_str().to_owned();
        Err(Error::MethodNotAllowed { method, allow })
    }
}
