//! CSV: a header row with the column names, then one row per user. An empty cell omits the value; any other cell is
//! taken literally.

mod scan;

use std::collections::BTreeMap;
use std::io;

use serde::Serialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::finding::{Finding, RecordPlace};
use super::{ParsedAccounts, User, json};
use scan::{Row, Scanner};

/// The column names, in the order in which they are written. A file that is read may have any of them, in any order.
const COLUMNS: [&str; 12] = [
    "username",
    "password",
    "password_hash",
    "status",
    "uuid",
    "org",
    "first_name",
    "last_name",
    "email",
    "phone",
    "person_uuid",
    "permissions",
];

/// A row, serialized with the same keys as a line of JSON.
#[derive(Default, Serialize)]
struct Cells<'r> {
    #[serde(flatten)]
    own: BTreeMap<&'static str, &'r str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    person: BTreeMap<&'static str, &'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    permissions: Option<&'r RawValue>,
}

/// Reads all rows. A quoting error that makes the row boundaries ambiguous is a finding of the whole file.
pub(super) fn read(bytes: &[u8]) -> ParsedAccounts {
    let mut read = ParsedAccounts::default();
    let mut rows = Scanner::new(bytes).filter(|row| !row.is_blank());
    let columns = match header(bytes, &mut rows) {
        Ok(columns) => columns,
        Err(messages) => {
            read.findings = messages.into_iter().map(in_file).collect();
            return read;
        }
    };
    for row in rows {
        let place = RecordPlace::Line(row.first_line);
        if let Some(finding) = shape_fault(&columns, &row) {
            read.findings.push(finding);
            if row.first_line < row.last_line {
                read.findings.push(in_file(format!(
                    "a misplaced quote makes it unclear which rows are on lines {} to {}: correct it first; --skip-bad cannot skip it",
                    row.first_line, row.last_line
                )));
            }
            continue;
        }
        let user = in_json(&columns, &row).and_then(|text| json::from_text(place, &text));
        read.add(place, user);
    }
    read
}

fn in_file(message: impl Into<String>) -> Finding {
    Finding::new(RecordPlace::File, "", message)
}

/// Determines the separator and reads the column names from the first row.
fn header(
    bytes: &[u8],
    rows: &mut impl Iterator<Item = Row>,
) -> Result<Vec<Option<&'static str>>, Vec<String>> {
    match separator(first_line(bytes)) {
        (b',', false) => {}
        // The `sep=,` line that Excel understands.
        (b',', true) => drop(rows.next()),
        (other, _) => return Err(vec![separated_by(other)]),
    }
    match rows.next() {
        None => Err(vec!["empty: the first row names the columns".to_owned()]),
        Some(Row {
            fault: Some(fault), ..
        }) => Err(vec![format!("the first row: {}", fault.message)]),
        Some(row) => columns(&row.cells),
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    let mut lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n'));
    lines.find(|line| !line.is_empty()).unwrap_or_default()
}

/// The separator of the columns, guessed from the first line, and whether the line only declares the separator
/// (`sep=;`).
fn separator(line: &[u8]) -> (u8, bool) {
    let start = line.strip_prefix(b"\"").unwrap_or(line);
    if let Some((name, [separator, ..])) = start.split_at_checked(4)
        && name.eq_ignore_ascii_case(b"sep=")
    {
        return (*separator, true);
    }
    let known = |separator: u8| {
        let names = line.split(|byte| *byte == separator);
        names.filter(|name| column(name).is_some()).count()
    };
    let has_comma = line.contains(&b',');
    let other = [b';', b'\t', b'|']
        .into_iter()
        .find(|other| line.contains(other) && (!has_comma || known(*other) > known(b',')));
    (other.unwrap_or(b','), false)
}

fn separated_by(separator: u8) -> String {
    let name = match separator {
        b';' => "semicolons".to_owned(),
        b'\t' => "tabs".to_owned(),
        other => format!("{:?}", char::from(other)),
    };
    format!(
        "the columns are separated by {name}: save the file with commas (as the field delimiter)"
    )
}

/// The known column with this header name, ignoring case and surrounding white space and quotes.
fn column(name: &[u8]) -> Option<&'static str> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.trim_matches(|char: char| char.is_whitespace() || char == '"');
    COLUMNS
        .into_iter()
        .find(|column| column.eq_ignore_ascii_case(name))
}

/// The column of each cell. `None` for a column without a name; spreadsheet programs write such columns after the last
/// one.
fn columns(header: &[Vec<u8>]) -> Result<Vec<Option<&'static str>>, Vec<String>> {
    let known = COLUMNS.join(", ");
    let columns: Vec<_> = header.iter().map(|name| column(name)).collect();
    if columns.iter().all(Option::is_none) {
        // If the header is missing, this row is a user, whose password must not be shown.
        return Err(vec![format!(
            "unknown columns: the first row names none of {known}"
        )]);
    }
    let mut messages = Vec::new();
    for (index, (column, name)) in columns.iter().zip(header).enumerate() {
        match column {
            None if !name.trim_ascii().is_empty() => {
                let name = String::from_utf8_lossy(name);
                messages.push(format!("unknown column {name:?} (known: {known})"));
            }
            Some(name) if columns[..index].contains(column) => {
                messages.push(format!("the column {name} appears twice"));
            }
            _ => {}
        }
    }
    if !["username", "uuid"]
        .iter()
        .any(|name| columns.contains(&Some(name)))
    {
        messages.push("there is no column `username`; the first row names the columns".to_owned());
    }
    if messages.is_empty() {
        Ok(columns)
    } else {
        Err(messages)
    }
}

fn shape_fault(columns: &[Option<&str>], row: &Row) -> Option<Finding> {
    if let Some(fault) = row.fault {
        return Some(Finding::new(
            RecordPlace::Line(fault.line),
            "",
            fault.message,
        ));
    }
    let (found, expected) = (row.cells.len(), columns.len());
    (found != expected).then(|| {
        let message = format!("{found} cells, and the first row has {expected}");
        Finding::new(RecordPlace::Line(row.first_line), "", message)
    })
}

/// The row as the equivalent line of JSON.
fn in_json(columns: &[Option<&'static str>], row: &Row) -> Result<Zeroizing<String>, Finding> {
    let finding =
        |key, message: &str| Finding::new(RecordPlace::Line(row.first_line), key, message);
    let mut cells = Cells::default();
    for (column, cell) in columns.iter().zip(&row.cells) {
        if cell.is_empty() {
            continue;
        }
        let Some(column) = *column else {
            return Err(finding("", "a cell in a column without a name"));
        };
        let text = std::str::from_utf8(cell)
            .map_err(|_| finding(column, "not UTF-8 (save the file as UTF-8)"))?;
        match (column, person_key(column)) {
            ("permissions", _) => {
                cells.permissions = Some(serde_json::from_str(text).map_err(|error| {
                    let column = error.column();
                    finding(
                        "permissions",
                        &format!("not JSON: a mistake at column {column}"),
                    )
                })?);
            }
            (_, Some(key)) => drop(cells.person.insert(key, text)),
            _ => drop(cells.own.insert(column, text)),
        }
    }
    let text = serde_json::to_string(&cells).expect("texts and JSON are written as JSON");
    Ok(text.into())
}

/// The key in `person` that a column sets. `None` for the other columns.
fn person_key(column: &'static str) -> Option<&'static str> {
    match column {
        "person_uuid" => Some("uuid"),
        "first_name" | "last_name" | "email" | "phone" => Some(column),
        _ => None,
    }
}

/// Writes a header and one row per user, never plain passwords. A cell that looks like a formula is written unchanged,
/// so that an import reads exactly what was exported.
pub(super) fn write(out: impl io::Write, users: &[User]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(out);
    let columns = COLUMNS.into_iter().filter(|name| *name != "password");
    writer.write_record(columns.clone())?;
    for user in users {
        let permissions = match &user.permissions {
            Some(permissions) if !permissions.is_empty() => serde_json::to_string(permissions)?,
            _ => String::new(),
        };
        let user = serde_json::to_value(user)?;
        let text = |column| match person_key(column) {
            Some(key) => user["person"][key].as_str(),
            None => user[column].as_str(),
        };
        writer.write_record(columns.clone().map(|column| match column {
            "permissions" => &permissions,
            _ => text(column).unwrap_or_default(),
        }))?;
    }
    writer.flush()
}

#[cfg(test)]
mod tests;
