//! Columns of one row that shall have other values.

use rusqlite::types::Value;
use rusqlite::{Connection, Row, params_from_iter};

/// Their names, which are text of this program, and their new values.
#[derive(Default)]
pub(super) struct Columns(Vec<(&'static str, Value)>);

impl Columns {
    /// Takes the texts that are given and differ from a row, which has them from its second column on.
    pub(super) fn texts<const N: usize>(
        row: &Row<'_>,
        given: [(&'static str, Option<&str>); N],
    ) -> rusqlite::Result<Self> {
        let mut columns = Self::default();
        for (index, (column, given)) in (1..).zip(given) {
            columns.text(column, given, row.get_ref(index)?.as_str_or_null()?);
        }
        Ok(columns)
    }

    /// Takes a text that is given and differs; says whether it does.
    pub(super) fn text(
        &mut self,
        column: &'static str,
        given: Option<&str>,
        present: Option<&str>,
    ) -> bool {
        let differs = given.is_some() && given != present;
        if let Some(given) = given.filter(|_| differs) {
            self.set(column, given.to_owned());
        }
        differs
    }

    /// Takes a number that is given and differs.
    pub(super) fn number(
        &mut self,
        column: &'static str,
        given: Option<i64>,
        present: Option<i64>,
    ) {
        if let Some(given) = given.filter(|given| present != Some(*given)) {
            self.set(column, given);
        }
    }

    pub(super) fn set(&mut self, column: &'static str, value: impl Into<Value>) {
        self.0.push((column, value.into()));
    }

    /// Says whether there are any, and writes them if `writes`: no other column, so that only indexes and triggers of these
    /// have work.
    pub(super) fn update(
        self,
        connection: &Connection,
        table: &str,
        id: i64,
        writes: bool,
    ) -> rusqlite::Result<bool> {
        let differs = !self.0.is_empty();
        if differs && writes {
            let assignment = |(column, _): &(&str, Value)| format!("{column} = :{column}");
            let assignments: Vec<String> = self.0.iter().map(assignment).collect();
            let assignments = assignments.join(", ");
            let values = self.0.into_iter().map(|(_, value)| value);
            // Named parameters are numbered in the order in which they come.
            connection
                .prepare_cached(&format!("UPDATE {table} SET {assignments} WHERE id = :id"))?
                .execute(params_from_iter(values.chain([id.into()])))?;
        }
        Ok(differs)
    }
}
