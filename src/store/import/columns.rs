//! Rows as their columns: what a file says of one, what the database has of it, and what differs. The names of tables and
//! columns are text of this program.

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, ToSql, params_from_iter};

/// What a file says of a row; a column that it leaves out is not here.
#[derive(Default)]
pub(super) struct Columns(pub(super) Vec<(&'static str, Value)>);

/// A table, and the columns that are read of it.
pub(super) struct Table {
    pub(super) name: &'static str,
    columns: &'static str,
}

/// A row that is there.
pub(super) struct FoundRow {
    pub(super) table: &'static Table,
    values: Vec<Value>,
}

pub(super) const USERS: &Table = &Table {
    name: "users",
    columns: "id, uuid, org_id, person_id, username, password_hash, loaded_hash_digest, loaded_password_hash, status, import_id",
};

pub(super) const ORGANIZATIONS: &Table = &Table {
    name: "organizations",
    columns: "id, uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date, active_date, account_manager_id, import_id",
};

pub(super) const PEOPLE: &Table = &Table {
    name: "people",
    columns: "id, uuid, first_name, last_name, email, phone",
};

pub(super) const PERMISSIONS: &Table = &Table {
    name: "permissions",
    columns: "id, uuid, name, display_name, description",
};

impl Columns {
    /// Adds a column, if it has a value.
    pub(super) fn with(mut self, column: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.0.extend(value.map(|value| (column, value.into())));
        self
    }

    /// Adds a column that is left out.
    pub(super) fn or(self, column: &'static str, value: impl Into<Value>) -> Self {
        let is_left_out = !self.has(column);
        self.with(column, is_left_out.then_some(value))
    }

    pub(super) fn has(&self, column: &str) -> bool {
        self.0.iter().any(|(name, _)| *name == column)
    }

    pub(super) fn without(mut self, column: &str) -> Self {
        self.0.retain(|(name, _)| *name != column);
        self
    }

    /// Only the columns of which the row has another value.
    pub(super) fn differing_from(mut self, row: &FoundRow) -> Self {
        self.0.retain(|(column, value)| row.value(column) != value);
        self
    }

    /// Adds a row to a table; gives its number.
    pub(super) fn insert(self, connection: &Connection, table: &Table) -> rusqlite::Result<i64> {
        let (columns, values): (Vec<_>, Vec<_>) = self.0.into_iter().unzip();
        let (names, marks) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
        connection
            .prepare_cached(&format!(
                "INSERT INTO {} ({names}) VALUES ({marks})",
                table.name
            ))?
            .execute(params_from_iter(values))?;
        Ok(connection.last_insert_rowid())
    }
}

/// The row that has a value in a column in which no two rows have the same.
pub(super) fn find(
    connection: &Connection,
    table: &'static Table,
    column: &str,
    value: impl ToSql,
) -> rusqlite::Result<Option<FoundRow>> {
    let Table { name, columns } = table;
    connection
        .prepare_cached(&format!("SELECT {columns} FROM {name} WHERE {column} = ?"))?
        .query_one([value], |row| {
            let values = (0..row.as_ref().column_count()).map(|index| row.get(index));
            let values = values.collect::<rusqlite::Result<_>>()?;
            Ok(FoundRow { table, values })
        })
        .optional()
}

impl FoundRow {
    pub(super) fn value(&self, column: &str) -> &Value {
        let mut found = self.table.columns.split(", ").zip(&self.values);
        let found = found.find(|(name, _)| *name == column);
        found.map_or(&Value::Null, |(_, value)| value)
    }

    /// `None` for NULL.
    pub(super) fn number(&self, column: &str) -> Option<i64> {
        match self.value(column) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// Empty for NULL.
    pub(super) fn text(&self, column: &str) -> &str {
        match self.value(column) {
            Value::Text(text) => text,
            _ => "",
        }
    }

    pub(super) fn id(&self) -> i64 {
        self.number("id").unwrap_or_default()
    }
}
