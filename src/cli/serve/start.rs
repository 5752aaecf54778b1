//! Starts the server, and adds advice to the errors of a start.

use std::path::{self, Path};

use anyhow::{Context, anyhow};
use clap::ArgMatches;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::args::Args;
use super::next_steps::NextSteps;
use super::warnings;
use crate::cli::progress::Progress;
use crate::cli::stream::{STDERR, STDOUT};
use crate::store::OpenError;
use crate::{Server, StartError};

/// A server that answers.
pub(super) struct Started {
    pub(super) server: Server,
    /// Warnings about the flags.
    pub(super) warnings: Vec<String>,
    /// For a demo.
    pub(super) next_steps: Option<NextSteps>,
}

/// Starts the server up to the ready lines.
pub(super) fn start(args: Args, matches: &ArgMatches) -> anyhow::Result<Started> {
    let config = args.into_config(matches)?;
    let warnings = warnings::of(&config);
    let next_steps = NextSteps::of(&config);
    for stream in [&STDOUT, &STDERR] {
        stream.start().context("cannot start a thread")?;
    }
    raise_descriptor_limit();
    let progress = Progress::new("pages").reporter();
    let server = Server::start_reporting(config, progress).map_err(with_next_step)?;
    Ok(Started {
        server,
        warnings,
        next_steps,
    })
}

/// Adds advice to an error. A missing database is mostly a typing error, which the absolute path shows.
pub(super) fn with_next_step(error: StartError) -> anyhow::Error {
    match error {
        StartError::Database(OpenError::Missing(path)) => missing_database(&path),
        error => error.into(),
    }
}

fn missing_database(given: &Path) -> anyhow::Error {
    let path = path::absolute(given).unwrap_or_else(|_| given.to_owned());
    let (path, given) = (path.display(), given.display());
    anyhow!(
        "{path}: no such database; `thanos-login init --db {given}` creates it, or `serve` with --create"
    )
}

/// Raises the limit of file descriptors. Every connection needs some, and the usual limit of a shell is too low.
pub(super) fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "cannot raise the limit of file descriptors");
    }
}
