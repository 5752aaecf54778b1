//! `events`: what happened to users and organizations, and who did it.

pub(super) mod list;

/// What is done with events
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List events, the oldest first
    List(list::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args),
    }
}
