//! The output of commands: aligned tables for people, and one JSON object per line for programs.
//!
//! A result waits for its reader, and is an error if it cannot be written. A message about what was done does not wait,
//! and is not an error.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use anyhow::{Context, bail};
use clap::Args;
use indexmap::IndexMap;
use jiff::Timestamp;
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::stdio;
use serde::Serialize;
use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::escape::{printable, visible_json};
use super::parse;
use super::stream::{STDERR, STDOUT};
use crate::accounts::Finding;
use crate::store::{EditedRow, Listing};
use crate::{fields, text};

const CANNOT_WRITE: &str = "cannot write to standard output";
const INCOMPLETE: &str = "the result is incomplete; run the command again";

/// The output format of a command.
#[derive(Args)]
#[group(skip)]
pub(super) struct JsonArgs {
    /// Print JSON, one object per line, instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl JsonArgs {
    /// The format of a command without the flag.
    pub(super) const TEXT: Self = Self { json: false };
}

/// The order and length of a listing.
#[derive(Args)]
#[group(skip)]
pub(super) struct ListingArgs {
    /// Reverse the order
    #[arg(long)]
    reverse: bool,
    /// Print at most this number of entries
    #[arg(long, value_name = "NUMBER", value_parser = parse::count::<u32>)]
    limit: Option<u32>,
    #[command(flatten)]
    pub(super) output: JsonArgs,
}

impl ListingArgs {
    pub(super) fn by<O>(&self, order: O) -> Listing<O> {
        Listing {
            order,
            reverse: self.reverse,
            limit: self.limit,
        }
    }
}

/// One row of a table.
pub(super) trait Row: Serialize {
    /// The headings of the columns, each with its key in the JSON.
    const COLUMNS: &'static [(&'static str, &'static str)];
}

/// Writes a result to standard output. A reader that stops early, such as `head`, is not an error.
pub(super) fn print(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    match write_out(write) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context(CANNOT_WRITE).context(INCOMPLETE),
    }
}

/// Writes a result to standard output, and fails if any part of it cannot be written.
pub(super) fn deliver(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    if is_standard_output_closed() {
        bail!("standard output is closed");
    }
    write_out(write).context(CANNOT_WRITE)
}

/// Writes to standard output, after the pending output to standard error, which may be the same terminal.
fn write_out(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    STDERR.drain();
    let mut out = io::BufWriter::new(STDOUT.direct());
    let result = write(&mut out).and_then(|()| out.flush());
    if result.is_err() {
        // Otherwise dropping the buffer would try to write its content again.
        let _ = out.into_parts();
    }
    result
}

/// Whether standard output was closed at the start. Rust's runtime then opens `/dev/null` for reading and writing; a
/// shell's `>/dev/null` opens it only for writing.
fn is_standard_output_closed() -> bool {
    let is_read_write = |flags: OFlags| flags & OFlags::RWMODE == OFlags::RDWR;
    let is_null = |null: fs::Metadata| {
        null.file_type().is_char_device()
            && rustix::fs::fstat(stdio::stdout()).is_ok_and(|stat| stat.st_rdev == null.rdev())
    };
    fcntl_getfl(stdio::stdout()).is_ok_and(is_read_write)
        && fs::metadata("/dev/null").is_ok_and(is_null)
}

/// Reports what was done, as one line (unless `--quiet` is given) or as one JSON object. Does not fail if it cannot be
/// written.
pub(super) fn report(
    json: &JsonArgs,
    object: &impl Serialize,
    text: std::fmt::Arguments<'_>,
) -> anyhow::Result<()> {
    STDERR.drain();
    if json.json {
        STDOUT.message(visible_json(&serde_json::to_string(object)?));
    } else if STDOUT.has_notes() {
        STDOUT.message(printable(&text.to_string()));
    }
    Ok(())
}

/// Reports the fields that a command has changed.
pub(super) fn report_edit<R: Serialize>(
    json: &JsonArgs,
    edited: &EditedRow<R>,
    name: &str,
    end: &str,
) -> anyhow::Result<()> {
    let changed = edited.changed.iter();
    let changed = changed.map(|it| format!("{}={} (was {})", it.name, it.after, it.before));
    let changed: Vec<String> = changed.collect();
    match changed.is_empty() {
        true => report(json, &edited.row, format_args!("{name}: nothing to change")),
        false => report(
            json,
            &edited.row,
            format_args!("changed {name}: {}{end}", changed.join(", ")),
        ),
    }
}

/// Prints a whole listing.
pub(super) fn list<R: Row>(json: &JsonArgs, rows: &[R]) -> anyhow::Result<()> {
    print(|out| {
        if json.json {
            rows.iter().try_for_each(|row| write_json(out, row))
        } else {
            Table::default().write(out, rows)
        }
    })
}

/// Prints a listing page by page, so that it need not fit into memory; an empty page is its end. The columns of a table
/// become wider if a page needs it.
pub(super) fn list_pages<R: Row>(
    json: &JsonArgs,
    mut next: impl FnMut() -> anyhow::Result<Vec<R>>,
) -> anyhow::Result<()> {
    let mut table = Table::default();
    loop {
        let rows = next()?;
        let written = write_out(|out| match json.json {
            true => rows.iter().try_for_each(|row| write_json(out, row)),
            false => table.write(out, &rows),
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            result => result.context(CANNOT_WRITE).context(INCOMPLETE)?,
        }
        if rows.is_empty() {
            return Ok(());
        }
    }
}

/// Prints one object, with one line for each field.
pub(super) fn show(json: &JsonArgs, object: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string(object)?;
    print(|out| {
        if json.json {
            return writeln!(out, "{}", visible_json(&text));
        }
        let fields: IndexMap<&str, Value> = serde_json::from_str(&text)?;
        let width = fields.keys().map(|name| name.len()).max().unwrap_or(0);
        fields
            .iter()
            .try_for_each(|(name, value)| writeln!(out, "{name:width$}  {}", cell(name, value)))
    })
}

pub(super) fn write_json(out: &mut dyn Write, object: &impl Serialize) -> io::Result<()> {
    writeln!(out, "{}", visible_json(&serde_json::to_string(object)?))
}

/// The present widths of the columns; `None` before the headings are written.
#[derive(Default)]
struct Table(Option<Vec<usize>>);

impl Table {
    /// Writes rows, and the headings before the first ones.
    fn write<R: Row>(&mut self, out: &mut dyn Write, rows: &[R]) -> io::Result<()> {
        let mut lines: Vec<Vec<String>> = Vec::new();
        let has_headings = self.0.is_none();
        if has_headings {
            let headings = R::COLUMNS.iter().map(|(heading, _)| (*heading).to_owned());
            lines.push(headings.collect());
        }
        for row in rows {
            let fields = serde_json::to_value(row)?;
            let cells = R::COLUMNS.iter().map(|(_, name)| cell(name, &fields[name]));
            lines.push(cells.collect());
        }
        let widths = self.0.get_or_insert_with(|| vec![0; R::COLUMNS.len()]);
        for line in &lines {
            for (width, cell) in widths.iter_mut().zip(line) {
                *width = cell.width().max(*width);
            }
        }
        for (number, line) in lines.iter().enumerate() {
            let line = aligned(line, widths);
            if has_headings && number == 0 && STDOUT.wants_colour() {
                writeln!(out, "\x1b[1m{line}\x1b[0m")?;
            } else {
                writeln!(out, "{line}")?;
            }
        }
        Ok(())
    }
}

fn aligned(cells: &[String], widths: &[usize]) -> String {
    let mut line = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        line.push_str(cell);
        line.extend(std::iter::repeat_n(
            ' ',
            width.saturating_sub(cell.width()) + 2,
        ));
    }
    line.truncate(line.trim_end().len());
    line
}

/// Formats a field for people: dates to the second, and `-` for null.
fn cell(name: &str, value: &Value) -> String {
    let is_moment = name == "time"
        || ["_at", "_date", "_login", "_until"]
            .iter()
            .any(|end| name.ends_with(end));
    let moment = value.as_str().filter(|_| is_moment);
    match moment.and_then(|text| text.parse::<Timestamp>().ok()) {
        Some(moment) => text::moment(moment),
        None => printable(&fields::text(value)),
    }
}

/// The error of a record from flags that the database refuses, one line per finding.
pub(super) fn refused(findings: &[Finding]) -> anyhow::Error {
    let lines = findings
        .iter()
        .map(|Finding { key, message, .. }| format!("{key}: {message}"));
    anyhow::anyhow!(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_text_on_a_terminal() {
        let cells = vec!["日本".to_owned(), "b".to_owned()];
        assert_eq!(aligned(&cells, &[5, 3]), "日本   b");
    }
}
