//! `token`: what logins issued.

mod list;
mod purge;
mod revoke;

/// Manage tokens
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the valid tokens; only digests of tokens are kept
    List(list::Args),
    /// End tokens at once, pinned ones too
    Revoke(revoke::Args),
    /// Remove tokens that have expired, which a running server does by itself
    Purge(purge::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args),
        Command::Revoke(args) => revoke::run(args),
        Command::Purge(args) => purge::run(args),
    }
}
