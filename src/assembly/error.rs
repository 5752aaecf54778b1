//! Why a server does not start.

use std::io;
use std::path::{Path, PathBuf};

use crate::accounts::{self, Findings};
use crate::files::remedy;
use crate::{gate, hashing, store};

/// Why a server did not start. Every text names the file or address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address or a certificate cannot be used.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// The private socket cannot be made, or the threads that serve it.
    #[error("cannot serve on the private socket")]
    PrivateSocket(#[source] io::Error),
    /// The database was refused.
    #[error(transparent)]
    Database(#[from] store::OpenError),
    /// The fixture has mistakes.
    #[error("the fixture has mistakes")]
    Fixture(#[from] Findings),
    /// The fixture could not be loaded.
    #[error("cannot start with this fixture")]
    Seed(#[from] accounts::Error),
    /// The hashing threads could not be started.
    #[error("cannot start hashing")]
    Hashing(#[from] hashing::Error),
    /// What earlier servers counted cannot be read.
    #[error("cannot read the failed logins in {database}")]
    FailedLogins {
        /// Where they are.
        database: String,
        /// Why.
        source: store::Error,
    },
    /// The figures for Prometheus contradict each other.
    #[error("cannot count")]
    Metrics(#[source] prometheus::Error),
    /// There is no space for the private socket and the throw-away database.
    #[error("cannot make a temporary directory below {}{}; the variable TMPDIR says where", .parent.display(), remedy(&.parent.join("x"), source))]
    Scratch {
        /// Where it would be.
        parent: PathBuf,
        /// Why it is not.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// Not even one client could be served.
    #[error("the limit of file descriptors is too low (ulimit -n)")]
    Descriptors(#[source] io::Error),
}

/// That nothing temporary can be made below a directory.
pub(super) fn no_scratch(parent: &Path) -> impl FnOnce(io::Error) -> StartError {
    let parent = parent.to_owned();
    |source| StartError::Scratch { parent, source }
}
