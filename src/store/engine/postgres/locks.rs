//! The locks that changes take before they read the rows to be changed, so that changes of several processes are
//! serialized.

use super::session::Session;
use crate::store::engine::statement_error::Result;
use crate::store::engine::value::Value;

/// The key of the advisory lock for changes of accounts: "THNA".
const ACCOUNTS_LOCK: i64 = 0x5448_4e41;

/// The key of the advisory lock for work that only one server needs to do: "THNW".
const COMMON_WORK_LOCK: i64 = 0x5448_4e57;

impl Session {
    /// Takes the exclusive lock on changes of accounts, until the end of the transaction. Waits without a time limit,
    /// because an import may hold the lock for long; only commands call this.
    pub(in crate::store::engine) fn lock_accounts(&self) -> Result<()> {
        self.batch("SET LOCAL lock_timeout = 0")?;
        self.query(
            "SELECT pg_advisory_xact_lock(:lock)",
            &[(":lock", Value::Integer(ACCOUNTS_LOCK))],
            &mut |_| Ok(true),
        )
    }

    /// Tries to take the lock for work that only one server needs to do. The lock timeout that is set here is shorter
    /// than `deadlock_timeout`, so that in a deadlock this transaction is aborted and not a login.
    pub(in crate::store::engine) fn try_lock_common_work(&self) -> Result<bool> {
        self.batch("SET LOCAL lock_timeout = '200ms'")?;
        self.takes("SELECT pg_try_advisory_xact_lock(:lock)", COMMON_WORK_LOCK)
    }

    /// Runs `read` in a transaction that blocks changes of accounts. Returns `None` if one is in progress. Each
    /// statement sees the rows that were committed before it.
    pub(in crate::store::engine) fn between_changes<T>(
        &self,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        self.begin()?;
        let outcome = match self.try_lock_accounts_shared() {
            Ok(true) => read().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let rolled_back = self.roll_back();
        let value = outcome?;
        rolled_back?;
        Ok(value)
    }

    /// Tries to take the shared lock on changes of accounts. Returns `false` if a change holds the exclusive one.
    pub(in crate::store::engine) fn try_lock_accounts_shared(&self) -> Result<bool> {
        let lock = "SELECT pg_try_advisory_xact_lock_shared(:lock)";
        self.takes(lock, ACCOUNTS_LOCK)
    }

    /// Locks the row of a user, as an update of the row does.
    pub(in crate::store::engine) fn lock_user(&self, user_id: i64) -> Result<()> {
        self.query(
            "SELECT 1 FROM users WHERE id = :user_id FOR NO KEY UPDATE",
            &[(":user_id", Value::Integer(user_id))],
            &mut |_| Ok(true),
        )
    }

    fn takes(&self, sql: &str, lock: i64) -> Result<bool> {
        let mut is_taken = false;
        self.query(sql, &[(":lock", Value::Integer(lock))], &mut |row| {
            is_taken = row.value(0)? == Value::Boolean(true);
            Ok(false)
        })?;
        Ok(is_taken)
    }
}
