//! What happened: logins of users that exist, and changes by administrators, each written with the change itself.

use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, named_params};
use serde::Serialize;

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

/// Adds an event, which counts with an import of many rows, and goes with it, if it is of one.
pub(super) fn insert(
    connection: &Connection,
    event: &Event,
    import_id: Option<i64>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO events
                 (time, action, outcome, times, actor, address, user_uuid, org_uuid, object, before, after, import_id)
             VALUES
                 (:time, :action, :outcome, :times, :actor, :address, :user_uuid, :org_uuid, :object, :before, :after,
                  :import_id)",
        )?
        .execute(named_params! {
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
        })?;
    Ok(())
}
