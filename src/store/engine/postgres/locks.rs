//! The locks that changes take before they read what they change, so that several processes make them one after the other.

use super::session::Session;
use crate::store::engine::statement_error::Result;
use crate::store::engine::value::Value;

/// What changes of accounts lock: "THNA".
const ACCOUNTS_LOCK: i64 = 0x5448_4e41;

/// What servers lock while they do what one of them is to do: "THNW".
const COMMON_WORK_LOCK: i64 = 0x5448_4e57;

impl Session {
    /// Takes the lock of changes of accounts until the transaction's end, however long the import takes that has it: only
    /// commands do, and they have time.
    pub(in crate::store::engine) fn lock_accounts(&self) -> Result<()> {
        self.batch("SET LOCAL lock_timeout = 0")?;
        self.query(
            "SELECT pg_advisory_xact_lock(:lock)",
            &[(":lock", Value::Integer(ACCOUNTS_LOCK))],
            &mut |_| Ok(true),
        )
    }

    /// Takes the lock of work that one server is to do, if it is free. It ends before the server of the database looks for
    /// deadlocks, so that it is no login that one ends.
    pub(in crate::store::engine) fn takes_common_work(&self) -> Result<bool> {
        self.batch("SET LOCAL lock_timeout = '200ms'")?;
        self.takes("SELECT pg_try_advisory_xact_lock(:lock)", COMMON_WORK_LOCK)
    }

    /// Runs `read` in a transaction that keeps changes of accounts waiting, unless one is under way. Each statement sees what
    /// was committed before it.
    pub(in crate::store::engine) fn between_changes<T>(
        &self,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<Option<T>> {
        self.begin()?;
        let outcome = match self.hold_off_accounts() {
            Ok(true) => read().map(Some),
            Ok(false) => Ok(None),
            Err(error) => Err(error),
        };
        let rolled_back = self.roll_back();
        let value = outcome?;
        rolled_back?;
        Ok(value)
    }

    /// Shares the lock of changes of accounts with others that call this, if it is free.
    pub(in crate::store::engine) fn hold_off_accounts(&self) -> Result<bool> {
        let lock = "SELECT pg_try_advisory_xact_lock_shared(:lock)";
        self.takes(lock, ACCOUNTS_LOCK)
    }

    /// Takes the lock that a change of the row takes.
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
