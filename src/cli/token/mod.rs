//! `token`: what logins issued.

mod list;
mod purge;
mod revoke;

/// What is done with tokens
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List the tokens that count now; the tokens themselves are not kept, only their digests
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
