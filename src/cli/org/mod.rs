//! `org`: organizations.

mod add;
mod delete;
mod list;
mod rename;
mod set;
mod set_status;
mod show;

/// Manage organizations
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add an organization
    Add(add::Args),
    /// List organizations
    List(list::Args),
    /// Show one organization
    Show(show::Args),
    /// Change the status of an organization; users of one that is not ACTIVE are refused at once
    SetStatus(set_status::Args),
    /// Change the account manager and the dates of an organization
    Set(set::Args),
    /// Give an organization another name
    Rename(rename::Args),
    /// Delete an organization, with its users only if --with-users is given
    Delete(delete::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Add(args) => add::run(args),
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::SetStatus(args) => set_status::run(args),
        Command::Set(args) => set::run(args),
        Command::Rename(args) => rename::run(args),
        Command::Delete(args) => delete::run(args),
    }
}

/// What an organization may be called, without the blanks around it.
fn checked_name(name: &str) -> anyhow::Result<&str> {
    match name.trim() {
        "" => anyhow::bail!("the name is blank"),
        name => Ok(name),
    }
}
