//! Reading events in the order in which they were written. Dates do not define the order, because the clock may be set.

use jiff::Timestamp;

use super::engine::parameters;
use super::events::{self, COLUMNS, Event};
use super::{Error, Store};
use crate::account::{normalized_uuid, trimmed};

/// Selects the events to be listed.
#[derive(Clone, Debug, Default)]
pub struct EventFilter {
    /// Only events that concern this user.
    pub user_uuid: Option<String>,
    /// Only events from this time on.
    pub since: Option<Timestamp>,
    /// Whether the newest events come first.
    pub reverse: bool,
}

impl Store {
    /// A page of at most `limit` events, each with its id. `after` is the last id of the previous page.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn events(
        &self,
        filter: &EventFilter,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<(i64, Event)>, Error> {
        let (sign, direction, start) = match filter.reverse {
            false => (">", "ASC", i64::MIN),
            true => ("<", "DESC", i64::MAX),
        };
        // The `+` makes SQLite use the index on user_uuid instead of scanning all events by id.
        let (user, id) = match filter.user_uuid {
            Some(_) => ("user_uuid = :user_uuid", "+id"),
            None => (":user_uuid IS NULL", "id"),
        };
        self.read(|connection| {
            connection.rows(
                &format!(
                    "SELECT id, {COLUMNS} FROM visible_events
                     WHERE {user} AND time >= :since AND {id} {sign} :after
                     ORDER BY {id} {direction} LIMIT :limit"
                ),
                parameters! {
                    ":user_uuid": filter.user_uuid,
                    ":since": filter.since.map_or(i64::MIN, Timestamp::as_microsecond),
                    ":after": after.unwrap_or(start),
                    ":limit": limit,
                },
                |row| Ok((row.get(0)?, events::read(row, 1)?)),
            )
        })
    }

    /// The UUIDs of the users, including deleted ones, that appear in events under a username or UUID. Scans all
    /// events.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn users_of_events(&self, text: &str) -> Result<Vec<String>, Error> {
        let text = trimmed(text);
        self.read(|connection| {
            connection.rows(
                "SELECT DISTINCT user_uuid FROM visible_events
                     WHERE user_uuid IS NOT NULL AND (lower(object) = :name OR user_uuid = :uuid)
                     ORDER BY user_uuid",
                parameters! { ":name": text.to_ascii_lowercase(), ":uuid": normalized_uuid(text) },
                |row| row.get(0),
            )
        })
    }
}
