//! `user`: manages users.

mod add;
mod delete;
mod export;
mod history;
mod import;
pub(super) mod list;
mod r#move;
mod passwd;
mod permission;
mod rename;
mod set;
mod set_status;
mod show;
mod unlock;

/// Manage users
#[derive(clap::Subcommand)]
pub(super) enum Command {
    /// Add a user to an organization
    Add(add::Args),
    /// List users
    List(list::Args),
    /// Show a user, with the last login, the number of tokens and locks
    Show(show::Args),
    /// List logins of a user and changes by commands, oldest first; also of a deleted user
    History(history::Args),
    /// Change the password of a user and end the user's tokens
    Passwd(passwd::Args),
    /// Change the status of a user and end the user's tokens
    SetStatus(set_status::Args),
    /// Change the name, email address, phone number and permissions of a user
    Set(set::Args),
    /// Move a user to another organization
    Move(r#move::Args),
    /// Change the username of a user and end the user's tokens
    Rename(rename::Args),
    /// Delete a user and end the user's tokens
    Delete(delete::Args),
    /// Unlock a user after too many failed logins; takes effect at once, also in a running server
    Unlock(unlock::Args),
    /// Add and change users from a file, all or none; values that the file leaves out are kept
    Import(import::Args),
    /// Export users with hashes, but without tokens; importing the export changes nothing
    Export(export::Args),
}

pub(super) fn run(command: &Command) -> anyhow::Result<()> {
    match command {
        Command::Add(args) => add::run(args),
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::History(args) => history::run(args),
        Command::Passwd(args) => passwd::run(args),
        Command::SetStatus(args) => set_status::run(args),
        Command::Set(args) => set::run(args),
        Command::Move(args) => r#move::run(args),
        Command::Rename(args) => rename::run(args),
        Command::Delete(args) => delete::run(args),
        Command::Unlock(args) => unlock::run(args),
        Command::Import(args) => import::run(args),
        Command::Export(args) => export::run(args),
    }
}
