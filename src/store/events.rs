//! What happened: logins of users that exist, and changes by administrators, each written with the change itself.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Connection, Row, parameters};
use super::rows::{self, moment};
use crate::account::spelled;

spelled! {
    /// What became of a login of a user that exists.
    LoginOutcome {
        /// It got a token.
        Succeeded = "succeeded",
        /// The password was wrong.
        Failed = "failed",
        /// Too many had failed before it.
        Throttled = "throttled",
        /// The password was right, but the user or its organization is not ACTIVE.
        Inactive = "inactive",
    }
}

/// The action of every login.
pub const LOGIN: &str = "login";

/// Something that happened; the names and the order of the fields are those of `--json`. Holds no secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When.
    pub time: Timestamp,
    /// [`LOGIN`], or the command that made the change, such as `user set-status`.
    pub action: String,
    /// Of a login.
    pub outcome: Option<LoginOutcome>,
    /// How many logins with this outcome it stands for.
    pub times: u32,
    /// The system user who ran the command.
    pub actor: Option<String>,
    /// The client's address of a login.
    pub address: Option<String>,
    /// The user that it is about.
    pub user_uuid: Option<String>,
    /// The organization that it is about.
    pub org_uuid: Option<String>,
    /// The username, the organization's name or the file, as it was then.
    pub object: Option<String>,
    /// What was changed, as it was before.
    pub before: Option<String>,
    /// What was changed, as it is after.
    pub after: Option<String>,
}

impl Event {
    /// Logs it, with the names that its columns have.
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

/// Who changes a database by which command.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The system user, such as `root`.
    pub system_user: Arc<str>,
    /// The command as it is typed, such as `user set-status`.
    pub command: &'static str,
}

impl Actor {
    /// An event about nothing yet.
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

/// Adds an event and says its number; it counts with an import of many rows, and goes with it, if it is of one. Logins of a user
/// are numbered.
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

/// What [`read`] reads.
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
