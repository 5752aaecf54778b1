//! Whether failed logins keep a user out, from the counters that the server writes.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Row};
use super::rows::{optional_moment, unsigned};
use crate::text::{counted, moment};

/// How many addresses are named where all would be too many.
const NAMED_ADDRESSES: usize = 3;

/// What failed logins have led to; the names and the order of the fields are those of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct UserLock {
    /// The failed logins that count now, as the servers on this database have written them.
    pub failed_logins: u64,
    /// The last moment at which a login is refused, from whichever address.
    pub locked_until: Option<Timestamp>,
    /// The addresses whose next login is refused.
    pub locked_addresses: Vec<String>,
    /// Until when the next login is refused for every address that has not logged in as this user.
    pub account_locked_until: Option<Timestamp>,
}

/// The columns of `users` that [`UserLock::of`] reads, at `:now`. What was counted before the last unlocking does not count.
pub(super) const COLUMNS: &str = "(SELECT coalesce(max(counted.failures), 0)
      FROM (SELECT CAST(sum(failures) AS BIGINT) AS failures FROM failed_logins AS failed
            WHERE failed.user_uuid = users.uuid AND failed.unlocks = users.unlocks
                  AND (failed.locked_until IS NULL OR failed.locked_until > :now)
            GROUP BY kind) AS counted),
     (SELECT max(failed.locked_until) FROM failed_logins AS failed
      WHERE failed.user_uuid = users.uuid AND failed.unlocks = users.unlocks
            AND failed.locked_until > :now),
     (SELECT string_agg(address, ' ' ORDER BY address) FILTER (WHERE kind = 'user') FROM failed_logins AS failed
      WHERE failed.user_uuid = users.uuid AND failed.unlocks = users.unlocks
            AND failed.locked_until > :now),
     (SELECT max(failed.locked_until) FILTER (WHERE kind = 'account') FROM failed_logins AS failed
      WHERE failed.user_uuid = users.uuid AND failed.unlocks = users.unlocks
            AND failed.locked_until > :now)";

/// Whether a user of `users` has [`UserLock::locked_until`].
pub(super) const IS_LOCKED: &str = "EXISTS (SELECT 1 FROM failed_logins AS failed
      WHERE failed.user_uuid = users.uuid AND failed.unlocks = users.unlocks
            AND failed.locked_until > :now)";

impl UserLock {
    /// Reads [`COLUMNS`], starting with `first`.
    pub(super) fn of(row: &Row<'_>, first: usize) -> engine::Result<Self> {
        let addresses: Option<String> = row.get(first + 2)?;
        let addresses = addresses.unwrap_or_default();
        Ok(Self {
            failed_logins: unsigned(row, first)?,
            locked_until: optional_moment(row, first + 1)?,
            locked_addresses: addresses.split_whitespace().map(str::to_owned).collect(),
            account_locked_until: optional_moment(row, first + 3)?,
        })
    }

    /// Who is kept out until when, or how many failed logins count; `None` when there are none.
    pub fn described(&self) -> Option<String> {
        let Some(until) = self.locked_until else {
            let failed = self.failed_logins;
            return (failed > 0).then(|| counted(failed, "failed login"));
        };
        let mut kept_out: Vec<&str> = self.locked_addresses.iter().map(String::as_str).collect();
        let others = counted(kept_out.len().saturating_sub(NAMED_ADDRESSES), "other");
        if kept_out.len() > NAMED_ADDRESSES {
            kept_out.truncate(NAMED_ADDRESSES);
            kept_out.push(&others);
        }
        if self.account_locked_until.is_some() {
            kept_out.push("every address that has not logged in");
        }
        let (until, kept_out) = (moment(until), kept_out.join(", "));
        Some(format!("locked until {until} for {kept_out}"))
    }
}

#[cfg(test)]
mod tests {
    use rusqlite::{Connection, named_params};

    use super::*;

    #[test]
    fn only_the_counters_of_the_user_are_read() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(include_str!("../../schema.sql"))
            .unwrap();
        let query = format!("EXPLAIN QUERY PLAN SELECT {COLUMNS} FROM users");
        let mut statement = connection.prepare(&query).unwrap();
        let plan = statement
            .query_map(named_params! { ":now": 0 }, |row| row.get(3))
            .unwrap();
        let mut plan: Vec<String> = plan.collect::<Result<_, _>>().unwrap();
        plan.retain(|step| step.contains(" failed "));
        let by_user = "SEARCH failed USING INDEX failed_logins_by_user (user_uuid=?)";
        assert_eq!(plan, [by_user; 4]);
    }
}
