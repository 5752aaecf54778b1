//! Other names for users and organizations that are there.

use jiff::Timestamp;

use super::engine::parameters;
use super::tokens::end_all_tokens;
use super::users::another_has_username;
use super::{Error, Store};
use crate::account::Username;

/// What became of a new name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renaming {
    /// It counts from now on.
    Done,
    /// It was the name before.
    Same,
    /// Another row has it.
    Taken,
    /// There is no row to have it.
    Gone,
}

impl Store {
    /// Gives the user with a UUID another username, and ends its tokens. An email address that is the old username follows.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rename_user(
        &self,
        uuid: String,
        username: Username,
        now: Timestamp,
    ) -> Result<Renaming, Error> {
        let notes = self.notes(now);
        self.write_accounts(move |connection| {
            let found: Option<(i64, i64, String)> = connection.first(
                "SELECT id, person_id, username FROM users WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
            )?;
            let Some((id, person_id, old)) = found else {
                return Ok(Renaming::Gone);
            };
            let new = username.as_str();
            if old == new {
                return Ok(Renaming::Same);
            }
            if another_has_username(connection, &username, id)? {
                return Ok(Renaming::Taken);
            }
            notes.user(connection, id, Some(&old), Some(new))?;
            connection.execute(
                "UPDATE users SET username = :new, revision = revision + 1 WHERE id = :id",
                parameters! { ":new": new, ":id": id },
            )?;
            connection.execute(
                "UPDATE people SET email = :new WHERE id = :id AND email = :old",
                parameters! { ":new": new, ":id": person_id, ":old": old },
            )?;
            end_all_tokens(connection, id)?;
            Ok(Renaming::Done)
        })
    }

    /// Gives the organization with a UUID another name, which another one may have only if `same_name` allows it. Its
    /// users do not log in with it, so their tokens stay.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn rename_organization(
        &self,
        uuid: String,
        name: String,
        same_name: bool,
        now: Timestamp,
    ) -> Result<Renaming, Error> {
        let notes = self.notes(now);
        self.write_accounts(move |connection| {
            let found: Option<(i64, String)> = connection.first(
                "SELECT id, name FROM organizations WHERE uuid = :uuid",
                parameters! { ":uuid": uuid },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            let Some((id, old)) = found else {
                return Ok(Renaming::Gone);
            };
            if old == name {
                return Ok(Renaming::Same);
            }
            let with_name = "SELECT 1 FROM organizations WHERE name = :name";
            if !same_name && connection.exists(with_name, parameters! { ":name": name })? {
                return Ok(Renaming::Taken);
            }
            notes.organization(connection, id, Some(&old), Some(&name))?;
            connection.execute(
                "UPDATE organizations SET name = :name WHERE id = :id",
                parameters! { ":name": name, ":id": id },
            )?;
            Ok(Renaming::Done)
        })
    }
}
