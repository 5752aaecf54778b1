//! Other names for users and organizations that are there.

use rusqlite::{Connection, OptionalExtension, named_params};

use super::tokens::end_all_tokens;
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
    pub fn rename_user(&self, uuid: String, username: Username) -> Result<Renaming, Error> {
        self.write(move |connection| rename_user(connection, &uuid, username.as_str()))
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
    ) -> Result<Renaming, Error> {
        self.write(move |connection| rename_organization(connection, &uuid, &name, same_name))
    }
}

fn rename_user(connection: &Connection, uuid: &str, username: &str) -> rusqlite::Result<Renaming> {
    let found: Option<(i64, i64, String)> = connection
        .prepare_cached("SELECT id, person_id, username FROM users WHERE uuid = :uuid")?
        .query_one(named_params! { ":uuid": uuid }, |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    let Some((id, person_id, old)) = found else {
        return Ok(Renaming::Gone);
    };
    if old == username {
        return Ok(Renaming::Same);
    }
    let is_taken: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM users WHERE username = :username AND id <> :id)",
        )?
        .query_one(named_params! { ":username": username, ":id": id }, |row| {
            row.get(0)
        })?;
    if is_taken {
        return Ok(Renaming::Taken);
    }
    connection
        .prepare_cached(
            "UPDATE users SET username = :username, revision = revision + 1 WHERE id = :id",
        )?
        .execute(named_params! { ":username": username, ":id": id })?;
    connection
        .prepare_cached("UPDATE people SET email = :username WHERE id = :id AND email = :old")?
        .execute(named_params! { ":username": username, ":id": person_id, ":old": old })?;
    end_all_tokens(connection, id)?;
    Ok(Renaming::Done)
}

fn rename_organization(
    connection: &Connection,
    uuid: &str,
    name: &str,
    same_name: bool,
) -> rusqlite::Result<Renaming> {
    let old: Option<String> = connection
        .prepare_cached("SELECT name FROM organizations WHERE uuid = :uuid")?
        .query_one(named_params! { ":uuid": uuid }, |row| row.get(0))
        .optional()?;
    let Some(old) = old else {
        return Ok(Renaming::Gone);
    };
    if old == name {
        return Ok(Renaming::Same);
    }
    let is_taken: bool = connection
        .prepare_cached("SELECT EXISTS (SELECT 1 FROM organizations WHERE name = :name)")?
        .query_one(named_params! { ":name": name }, |row| row.get(0))?;
    if is_taken && !same_name {
        return Ok(Renaming::Taken);
    }
    connection
        .prepare_cached("UPDATE organizations SET name = :name WHERE uuid = :uuid")?
        .execute(named_params! { ":name": name, ":uuid": uuid })?;
    Ok(Renaming::Done)
}
