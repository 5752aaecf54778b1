//! `events`: lists logins and changes by commands.

pub(super) mod list;

/// List events
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// List events, oldest first
    List(list::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::List(args) => list::run(args),
    }
}
