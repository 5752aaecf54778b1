//! Recording the changes of commands as events, in the transaction of the change. Changes by a server or a stub are not
//! recorded here.

use jiff::Timestamp;

use super::engine::{self, Connection, parameters};
use super::events::{self, Actor, Event};

/// Records the changes of one command as events. Records nothing if there is no actor.
#[derive(Clone)]
pub(super) struct EventRecorder {
    pub(super) actor: Option<Actor>,
    pub(super) now: Timestamp,
    /// The import of many rows that the events belong to: they become visible with it, and are removed with it.
    pub(super) import_id: Option<i64>,
}

impl EventRecorder {
    /// A recorder that records nothing.
    pub(super) fn none(now: Timestamp) -> Self {
        Self {
            actor: None,
            now,
            import_id: None,
        }
    }

    /// Records a change of a user, with its present username.
    pub(super) fn user(
        &self,
        connection: &Connection,
        id: i64,
        before: Option<&str>,
        after: Option<&str>,
    ) -> engine::Result<()> {
        let statement = "SELECT users.uuid, organizations.uuid, username
                         FROM users JOIN organizations ON organizations.id = org_id WHERE users.id = :id";
        self.about(connection, statement, id, before, after)
    }

    /// Records a change of an organization, with its present name.
    pub(super) fn organization(
        &self,
        connection: &Connection,
        id: i64,
        before: Option<&str>,
        after: Option<&str>,
    ) -> engine::Result<()> {
        let statement = "SELECT NULL, uuid, name FROM organizations WHERE id = :id";
        self.about(connection, statement, id, before, after)
    }

    /// Records a change that concerns no single user or organization, with the name of a file if there is one.
    pub(super) fn whole(
        &self,
        connection: &Connection,
        file: Option<&str>,
        after: String,
    ) -> engine::Result<()> {
        let Some(actor) = &self.actor else {
            return Ok(());
        };
        let event = Event {
            object: file.map(str::to_owned),
            after: Some(after),
            ..actor.event(self.now)
        };
        self.insert(connection, &event)
    }

    fn about(
        &self,
        connection: &Connection,
        statement: &str,
        id: i64,
        before: Option<&str>,
        after: Option<&str>,
    ) -> engine::Result<()> {
        let Some(actor) = &self.actor else {
            return Ok(());
        };
        let event = connection.one(statement, parameters! { ":id": id }, |row| {
            Ok(Event {
                user_uuid: row.get(0)?,
                org_uuid: row.get(1)?,
                object: row.get(2)?,
                before: before.map(str::to_owned),
                after: after.map(str::to_owned),
                ..actor.event(self.now)
            })
        })?;
        self.insert(connection, &event)
    }

    fn insert(&self, connection: &Connection, event: &Event) -> engine::Result<()> {
        events::insert(connection, event, self.import_id).map(drop)
    }
}
