//! Events: logins of existing users, and changes by operators. An event is written in the transaction of the
//! change.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, Row, parameters};
use super::rows::{self, moment};
use crate::account::spelled;

spelled! {
    /// The outcome of a login of an existing user.
    LoginOutcome {
        /// The login got a token.
        Succeeded = "succeeded",
        /// The password was wrong.
        Failed = "failed",
        /// Too many earlier logins had failed.
        Throttled = "throttled",
        /// The password was right, but the user or its organization is not ACTIVE.
        Inactive = "inactive",
    }
}

/// The action of every login.
pub const LOGIN: &str = "login";

/// An event. The fields have the names and the order of `--json`. Contains no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When it happened.
    pub time: Timestamp,
    /// [`LOGIN`], or the command that made the change, such as `user set-status`.
    pub action: String,
    /// The outcome of a login. `None` for a change.
    pub outcome: Option<LoginOutcome>,
    /// The number of logins with this outcome that the event represents.
    pub times: u32,
    /// The system user who ran the command.
    pub actor: Option<String>,
    /// The client address of a login.
    pub address: Option<String>,
    /// The UUID of the user concerned.
    pub user_uuid: Option<String>,
    /// The UUID of the organization concerned.
    pub org_uuid: Option<String>,
    /// The username, the organization's name or the file name at that time.
    pub object: Option<String>,
    /// The changed value before the change.
    pub before: Option<String>,
    /// The changed value after the change.
    pub after: Option<String>,
}

impl Event {
    /// Logs the event. The log fields have the names of the columns.
    pub fn log(&self) {
        let Self {
            action,
            times,
            actor,
            address,
            user_uuid,
            org_uuid,
            object,
            before,
            after,
            ..
        } = self;
        let outcome = self.outcome.map(|outcome| outcome.as_str());
        tracing::info!(
            action, outcome, times, actor, address, user_uuid, org_uuid, object, before, after,
            "event"
        );
    }
}

/// The operator who changes a database, and the command.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The system user, such as `root`.
    pub system_user: Arc<str>,
    /// The command as it is typed, such as `user set-status`.
    pub command: &'static str,
}

impl Actor {
    /// Creates an event of this actor that does not concern any object yet.
    pub fn event(&self, time: Timestamp) -> Event {
        Event {
            time,
            action: self.command.to_owned(),
            actor: Some(self.system_user.to_string()),
            times: 1,
            ..Event::default()
        }
    }
}

/// Adds an event and returns its id. An event of an import of many rows becomes visible with the import, and is removed
/// with it. Logins of a user are numbered.
pub(super) fn insert(
    connection: &Connection,
    event: &Event,
    import_id: Option<i64>,
) -> engine::Result<i64> {
    connection.one("INSERT INTO events
                 (time, action, outcome, times, actor, address, user_uuid, org_uuid, object, before, after, import_id,
                  number)
             VALUES
                 (:time, :action, :outcome, :times, :actor, :address, :user_uuid, :org_uuid, :object, :before, :after,
                  :import_id,
                  CASE WHEN :outcome IS NOT NULL
                       THEN (SELECT coalesce(max(number), 0) + 1 FROM events WHERE user_uuid = :user_uuid) END)
             RETURNING id", parameters! {
            ":time": event.time.as_microsecond(),
            ":action": event.action,
            ":outcome": event.outcome.map(LoginOutcome::as_str),
            ":times": event.times,
            ":actor": event.actor,
            ":address": event.address,
            ":user_uuid": event.user_uuid,
            ":org_uuid": event.org_uuid,
            ":object": event.object,
            ":before": event.before,
            ":after": event.after,
            ":import_id": import_id,
        }, |row| row.get(0))
}

/// The columns that [`read`] expects.
pub(super) const COLUMNS: &str =
    "time, action, outcome, times, actor, address, user_uuid, org_uuid, object, before, after";

/// Reads [`COLUMNS`], starting with `first`.
pub(super) fn read(row: &Row<'_>, first: usize) -> engine::Result<Event> {
    let outcome: Option<String> = row.get(first + 2)?;
    Ok(Event {
        time: moment(row, first)?,
        action: row.get(first + 1)?,
        outcome: outcome.map(|_| rows::spelled(row, first + 2)).transpose()?,
        times: row.get(first + 3)?,
        actor: row.get(first + 4)?,
        address: row.get(first + 5)?,
        user_uuid: row.get(first + 6)?,
        org_uuid: row.get(first + 7)?,
        object: row.get(first + 8)?,
        before: row.get(first + 9)?,
        after: row.get(first + 10)?,
    })
}
