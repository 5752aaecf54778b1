//! Queries about a server and the program's schema.

use super::session::Session;
use crate::store::engine::statement_error::{Result, StatementError};
use crate::store::engine::value::Value;

impl Session {
    /// Whether the server accepts only reads.
    pub(super) fn is_read_only(&self) -> Result<bool> {
        let mut is_read_only = false;
        self.query("SHOW transaction_read_only", &[], &mut |row| {
            is_read_only = row.value(0)? == Value::Text("on");
            Ok(false)
        })?;
        Ok(is_read_only)
    }

    /// The size of the program's tables and their indexes in bytes.
    pub(in crate::store::engine) fn bytes(&self) -> Result<u64> {
        let sizes =
            "SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS BIGINT) FROM pg_class
                     WHERE relnamespace = 'thanos_login'::regnamespace AND relkind = 'r'";
        Ok(self.number(sizes)?.unsigned_abs())
    }

    /// The names of the server settings that are off and without which it may lose commits.
    pub(in crate::store::engine) fn unsafe_settings(&self) -> Result<Vec<String>> {
        let mut settings = Vec::new();
        self.query(
            "SELECT name FROM pg_settings
             WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit') AND reset_val = 'off' ORDER BY name",
            &[],
            &mut |row| {
                if let Value::Text(name) = row.value(0)? {
                    settings.push(name.to_owned());
                }
                Ok(true)
            },
        )?;
        Ok(settings)
    }

    pub(in crate::store::engine) fn schema_version(&self) -> Result<i64> {
        self.number("SELECT CAST(version AS BIGINT) FROM thanos_login.schema_version")
    }

    pub(in crate::store::engine) fn write_schema_version(&self) -> Result<()> {
        self.execute("UPDATE schema_version SET version = version", &[])
            .map(drop)
    }

    /// Does nothing: PostgreSQL needs no preparation for many rows.
    pub(in crate::store::engine) fn tune_for_many_rows(&self) -> Result<()> {
        Ok(())
    }

    fn number(&self, sql: &str) -> Result<i64> {
        let mut number = None;
        self.query(sql, &[], &mut |row| {
            number = match row.value(0)? {
                Value::Integer(found) => Some(found),
                _ => None,
            };
            Ok(false)
        })?;
        number.ok_or(StatementError::NoRow)
    }
}
