//! `user`: the people who log in.

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
    /// Show one user, with the last login, the number of tokens, and whether it is locked
    Show(show::Args),
    /// List what happened to a user: logins, and changes by commands, the oldest first; also of a deleted user
    History(history::Args),
    /// Change the password of a user, and end the user's tokens
    Passwd(passwd::Args),
    /// Change the status of a user, and end the user's tokens
    SetStatus(set_status::Args),
    /// Change the name, email address, phone number and permissions of a user
    Set(set::Args),
    /// Move a user into another organization
    Move(r#move::Args),
    /// Change the username of a user, and end the user's tokens
    Rename(rename::Args),
    /// Delete a user and the user's tokens, at once
    Delete(delete::Args),
    /// Let a user log in again who failed too often, at once, in a running server too
    Unlock(unlock::Args),
    /// Add and change users as a file says, all or nothing; what the file leaves out of a user stays as it is
    Import(import::Args),
    /// Write users to a file, with hashes and never with tokens; importing the file changes nothing
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
