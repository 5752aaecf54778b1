//! Renaming users and organizations.

use jiff::Timestamp;

use super::engine::parameters;
use super::tokens::revoke_all_tokens;
use super::users::another_has_username;
use super::{Error, Store};
use crate::account::Username;

/// The outcome of renaming a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RenameOutcome {
    /// The row has the new name.
    Done,
    /// The row already had this name.
    Same,
    /// Another row has this name.
    Taken,
    /// The row does not exist.
    Gone,
}

impl Store {
    /// Changes the username of the user with a UUID, and revokes its tokens. If its email address equals the old
    /// username, it is changed too.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rename_user(
        &self,
        uuid: String,
        username: Username,
        now: Timestamp,
    ) -> Result<RenameOutcome, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let found: Option<(i64, i64, String)> = connection.first(
                "SELECT id, person_id, username FROM users WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let Some((id, person_id, old)) = found else {
                return Ok(RenameOutcome::Gone);
            };
            let new = username.as_str();
            if old == new {
                return Ok(RenameOutcome::Same);
            }
            if another_has_username(connection, &username, id)? {
                return Ok(RenameOutcome::Taken);
            }
            recorder.user(connection, id, Some(&old), Some(new))?;
            connection.execute(
                "UPDATE users SET username = :new, revision = revision + 1 WHERE id = :id",
                parameters! { ":new": new, ":id": id },
            )?;
            connection.execute(
                "UPDATE people SET email = :new WHERE id = :id AND email = :old",
                parameters! { ":new": new, ":id": person_id, ":old": old },
            )?;
            revoke_all_tokens(connection, id)?;
            Ok(RenameOutcome::Done)
        })
    }

    /// Changes the name of the organization with a UUID. `same_name` allows a name that another organization has. The
    /// tokens of its users remain valid, because logins do not use the name.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rename_organization(
        &self,
        uuid: String,
        name: String,
        same_name: bool,
        now: Timestamp,
    ) -> Result<RenameOutcome, Error> {
        let recorder = self.recorder(now);
        self.write_accounts(move |connection| {
            let found: Option<(i64, String)> = connection.first(
                "SELECT id, name FROM organizations WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let Some((id, old)) = found else {
                return Ok(RenameOutcome::Gone);
            };
            if old == name {
                return Ok(RenameOutcome::Same);
            }
            let with_name = "SELECT 1 FROM organizations WHERE name = :name";
            if !same_name && connection.exists(with_name, parameters! { ":name": name })? {
                return Ok(RenameOutcome::Taken);
            }
            recorder.organization(connection, id, Some(&old), Some(&name))?;
            connection.execute(
                "UPDATE organizations SET name = :name WHERE id = :id",
                parameters! { ":name": name, ":id": id },
            )?;
            Ok(RenameOutcome::Done)
        })
    }
}
