//! `org`: manages organizations.

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
    /// Show an organization
    Show(show::Args),
    /// Change the status of an organization; its users are refused at once unless it is ACTIVE
    SetStatus(set_status::Args),
    /// Change the account manager or the dates of an organization
    Set(set::Args),
    /// Change the name of an organization
    Rename(rename::Args),
    /// Delete an organization; its users only with --with-users
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

/// The name of an organization without white space around it, if it is not blank.
fn checked_name(name: &str) -> anyhow::Result<&str> {
    match name.trim() {
        "" => anyhow::bail!("the name is blank"),
        name => Ok(name),
    }
}
