//! Rows as lists of columns: the values of a file, the values in the database, and the differences. The names of tables
//! and columns are constants of this program, never input.

use crate::store::engine::{
    self, Connection, OwnedValue as Value, Parameters, ToValue, parameters,
};

/// The values that a file gives for a row. Columns that it omits are missing.
#[derive(Default)]
pub(super) struct Columns(pub(super) Vec<(&'static str, Value)>);

/// A table, the table or view that its rows are read from, and the columns that are read.
pub(super) struct Table {
    pub(super) name: &'static str,
    source: &'static str,
    columns: &'static str,
}

/// An existing row.
pub(super) struct FoundRow {
    pub(super) table: &'static Table,
    values: Vec<Value>,
}

pub(super) const USERS: &Table = &Table {
    name: "users",
    source: "all_users",
    columns: "id, uuid, org_id, person_id, username, password_hash, loaded_hash_digest, loaded_password_hash, status, import_id",
};

pub(super) const ORGANIZATIONS: &Table = &Table {
    name: "organizations",
    source: "organizations",
    columns: "id, uuid, name, org_type, retailer_uuid, supplier_uuid, status, created_date, active_date, account_manager_id, import_id",
};

pub(super) const PEOPLE: &Table = &Table {
    name: "people",
    source: "people",
    columns: "id, uuid, first_name, last_name, email, phone",
};

pub(super) const PERMISSIONS: &Table = &Table {
    name: "permissions",
    source: "permissions",
    columns: "id, uuid, name, display_name, description",
};

impl Columns {
    /// Adds a column, if it has a value.
    pub(super) fn with(mut self, column: &'static str, value: Option<impl Into<Value>>) -> Self {
        self.0.extend(value.map(|value| (column, value.into())));
        self
    }

    /// Adds a column unless it is present.
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

    /// Keeps only the columns whose value differs from that of the row.
    pub(super) fn differing_from(mut self, row: &FoundRow) -> Self {
        self.0.retain(|(column, value)| row.value(column) != value);
        self
    }

    /// Inserts a row into a table, and returns its id.
    pub(super) fn insert(&self, connection: &Connection, table: &Table) -> engine::Result<i64> {
        self.insert_by(table.name, |insert, parameters| {
            let insert = format!("{insert} RETURNING id");
            connection.one(&insert, parameters, |row| row.get(0))
        })
    }

    /// Calls `run` with the statement, and its parameters, that inserts a row into a table.
    pub(super) fn insert_by<T>(
        &self,
        table: &str,
        run: impl FnOnce(&str, Parameters<'_>) -> engine::Result<T>,
    ) -> engine::Result<T> {
        let columns: Vec<&str> = self.0.iter().map(|(column, _)| *column).collect();
        let names: Vec<String> = columns.iter().map(|column| format!(":{column}")).collect();
        let given = names.iter().zip(&self.0);
        let parameters: Vec<_> = given
            .map(|(name, (_, value))| (name.as_str(), value.to_value()))
            .collect();
        let (columns, names) = (columns.join(", "), names.join(", "));
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({names})");
        run(&insert, &parameters)
    }
}

/// The row with a value in a unique column.
pub(super) fn find(
    connection: &Connection,
    table: &'static Table,
    column: &str,
    value: impl ToValue,
) -> engine::Result<Option<FoundRow>> {
    let Table {
        source, columns, ..
    } = table;
    connection.first(
        &format!("SELECT {columns} FROM {source} WHERE {column} = :value"),
        parameters! { ":value": value },
        |row| {
            let values = (0..columns.split(", ").count()).map(|index| row.get(index));
            let values = values.collect::<engine::Result<_>>()?;
            Ok(FoundRow { table, values })
        },
    )
}

impl FoundRow {
    pub(super) fn value(&self, column: &str) -> &Value {
        let mut found = self.table.columns.split(", ").zip(&self.values);
        let found = found.find(|(name, _)| *name == column);
        found.map_or(&Value::Null, |(_, value)| value)
    }

    /// The integer in a column. `None` for NULL.
    pub(super) fn number(&self, column: &str) -> Option<i64> {
        match self.value(column) {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The text in a column. Empty for NULL.
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
