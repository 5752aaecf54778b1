//! The errors of a start.

use std::io;
use std::path::{Path, PathBuf};

use crate::accounts::{self, Findings};
use crate::files::remedy;
use crate::{gate, hashing, store};

/// Why a server did not start. Each text names the file or address.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// An address or a certificate cannot be used.
    #[error(transparent)]
    Gate(#[from] gate::Error),
    /// The private socket or the threads that serve it could not be created.
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
    /// The failed logins that earlier servers have stored cannot be read.
    #[error("cannot read the failed logins in {database}")]
    FailedLogins {
        /// The path or URL of the database.
        database: String,
        /// The error of the database.
        source: store::Error,
    },
    /// Two metrics have the same name.
    #[error("cannot register the metrics")]
    Metrics(#[source] prometheus::Error),
    /// The directory for the private sockets and a demo's database could not be created.
    #[error("cannot create a temporary directory below {}{}; set TMPDIR to another directory", .parent.display(), remedy(&.parent.join("x"), source))]
    Scratch {
        /// The directory in which it was to be created.
        parent: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start a thread")]
    Thread(#[source] io::Error),
    /// There are too few file descriptors to serve one client.
    #[error("the limit of file descriptors is too low (ulimit -n)")]
    Descriptors(#[source] io::Error),
}

/// The error that no directory can be created below this one.
pub(super) fn no_scratch(parent: &Path) -> impl FnOnce(io::Error) -> StartError {
    let parent = parent.to_owned();
    |source| StartError::Scratch { parent, source }
}
