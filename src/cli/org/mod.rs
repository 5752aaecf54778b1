//! `org`: organizations.

mod add;
mod list;
mod set_status;
mod show;

/// What is done with organizations
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add an organization
    Add(add::Args),
    /// List organizations
    List(list::Args),
    /// Show one organization
    Show(show::Args),
    /// Change where an organization stands; users of one that is not ACTIVE are refused at once
    SetStatus(set_status::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Add(args) => add::run(args),
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::SetStatus(args) => set_status::run(args),
    }
}
