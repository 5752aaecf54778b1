//! `token`: manages the tokens that logins have issued.

mod list;
mod purge;
mod revoke;

/// Manage tokens
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List valid tokens; only their digests are stored
    List(list::Args),
    /// Revoke tokens at once, including pinned ones
    Revoke(revoke::Args),
    /// Remove expired tokens, as a running server does by itself
    Purge(purge::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args),
        Command::Revoke(args) => revoke::run(args),
        Command::Purge(args) => purge::run(args),
    }
}
