//! Whether a user is locked because of failed logins, according to the stored counters.

use jiff::Timestamp;
use serde::Serialize;

use super::engine::{self, Row};
use super::rows::{optional_moment, unsigned};
use crate::text::{counted, moment};

/// The maximum number of addresses that a description names.
const NAMED_ADDRESSES: usize = 3;

/// The effect of failed logins on a user. The fields have the names and the order of `--json`.
#[derive(Clone, Debug, Serialize)]
pub struct UserLock {
    /// The number of failed logins that count towards a limit now, as stored by the servers.
    pub failed_logins: u64,
    /// The latest end of a lock, for any address.
    pub locked_until: Option<Timestamp>,
    /// The addresses from which logins are refused.
    pub locked_addresses: Vec<String>,
    /// Until when logins are refused from all addresses that have not logged in as this user before.
    pub account_locked_until: Option<Timestamp>,
}

/// The columns of `users` that [`UserLock::of`] reads, at the time `:now`. Failures counted before the last unlocking
/// are ignored.
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

    /// A description of the lock, or of the number of failed logins if there is no lock. `None` if there are no failed
    /// logins.
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
    fn the_lock_of_a_user_is_read_by_an_index() {
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
