//! Finds organizations and users by name or UUID. If there is none, the error suggests a similar name.

use anyhow::{Context, anyhow};
use jiff::Timestamp;

use crate::nearest::Nearest;
use crate::store::{OrganizationRow, Store, UserRow};

/// The error of a command whose organization or user was deleted before it could write.
pub(super) const DELETED_MEANWHILE: &str = "another command has deleted it meanwhile";

/// Finds an organization by its name or UUID.
pub(super) fn organization(store: &Store, name: &str) -> anyhow::Result<OrganizationRow> {
    let found = store.organization_called(name)?;
    found.map_err(|message| anyhow!(message))
}

/// Finds a user by its username or UUID.
pub(super) fn user(store: &Store, name: &str, now: Timestamp) -> anyhow::Result<UserRow> {
    if let Some(user) = store.user_called(name, now)? {
        return Ok(user);
    }
    let mut nearest = Nearest::to(name);
    store.for_each_username(|username| nearest.offer(username))?;
    Err(anyhow!(nearest.missing("user", "user")))
}

/// Finds the UUID of a user by its username or UUID, including deleted users and former usernames in events.
pub(super) fn user_ever(store: &Store, name: &str, now: Timestamp) -> anyhow::Result<String> {
    if let Some(user) = store.user_called(name, now)? {
        return Ok(user.uuid);
    }
    let mut known = store.users_of_events(name)?;
    match (known.pop(), known.len()) {
        (Some(uuid), 0) => Ok(uuid),
        (Some(last), others) => Err(anyhow!(
            "{} users had the name {name:?}: give the UUID of one ({}, {last})",
            others + 1,
            known.join(", ")
        )),
        (None, _) => user(store, name, now).map(|user| user.uuid),
    }
}

/// Reads an organization again, after it has been found or written.
pub(super) fn organization_again(store: &Store, uuid: &str) -> anyhow::Result<OrganizationRow> {
    let found = store.organization_row(uuid)?;
    found.context(DELETED_MEANWHILE)
}

/// Reads a user again, after it has been found or written.
pub(super) fn user_again(store: &Store, uuid: &str, now: Timestamp) -> anyhow::Result<UserRow> {
    let found = store.user(uuid, now)?;
    found.context(DELETED_MEANWHILE)
}
