//! What answers a request: the endpoints, or a layer around them.

use crate::endpoint::{Error, Services};
use crate::gate::RefusedRequest;
use crate::http::{Reply, Request};

/// The name of whatever is no endpoint.
pub(super) const OTHER: &str = "other";

/// Answers requests.
pub trait Answerer: Send + Sync {
    /// What a request asks for.
    fn call(&self, method: &str, target: &str) -> Call;

    /// The answer to it, whatever its status.
    fn answer(&self, call: &Call, request: &mut Request<'_>) -> Reply;

    /// Takes note of a request that the gate answered itself; gives header lines for that answer.
    fn refused(&self, _request: &RefusedRequest<'_>) -> Vec<(&'static str, String)> {
        Vec::new()
    }

    /// Takes note of whether the client was sent the whole of an answer that has a number
    /// ([`NUMBER`](crate::gate::NUMBER)).
    fn delivered(&self, _number: u64, _is_whole: bool) {}

    /// Ends what waits: the server stops.
    fn stop(&self) {}
}

/// The function of one endpoint.
pub(super) type Handler = fn(&Services, &mut Request<'_>) -> Result<Reply, Error>;

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
    /// `None` where a layer answers, or nothing.
    pub(super) handler: Option<Handler>,
}

/// What answering may have to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing.
    Quick,
    /// A look-up in the database: of microseconds in a file, of seconds on servers that are away.
    LookUp,
    /// Hashing, the disk, or a long list.
    Slow,
}

impl Call {
    /// Of something that has this path.
    pub fn new(name: &'static str, pace: Pace, has_method: bool, allow: &'static str) -> Self {
        Self {
            name,
            // A method that it does not have is refused at once.
            pace: if has_method { pace } else { Pace::Quick },
            has_method,
            allow: Some(allow),
            handler: None,
        }
    }

    /// Of a path that nothing has.
    pub(super) fn other() -> Self {
        Self {
            name: OTHER,
            pace: Pace::Quick,
            has_method: false,
            allow: None,
            handler: None,
        }
    }

    /// Whether there is something to answer it.
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
