//! Noting what commands change, each in the transaction of the change. What a server or a stub changes is not noted here.

use jiff::Timestamp;

use super::engine::{self, Connection, parameters};
use super::events::{self, Actor, Event};

/// Notes the changes of one command, if it is one that makes them.
#[derive(Clone)]
pub(super) struct Notes {
    pub(super) actor: Option<Actor>,
    pub(super) now: Timestamp,
    /// What is noted counts with this import of many rows, and goes with it.
    pub(super) import_id: Option<i64>,
}

impl Notes {
    /// Notes nothing.
    pub(super) fn none(now: Timestamp) -> Self {
        Self {
            actor: None,
            now,
            import_id: None,
        }
    }

    /// About a user, whose name is the one that it has at this moment.
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

    /// About an organization, whose name is the one that it has at this moment.
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

    /// About no single user or organization, but a file if it has a name.
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
