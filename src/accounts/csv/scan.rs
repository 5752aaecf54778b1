//! Splits CSV into rows according to RFC 4180. The `csv` crate accepts every file and does not report where a quote is
//! wrong, so this program uses that crate only for writing.

use zeroize::Zeroize;

/// A row, as far as it could be read.
pub(super) struct Row {
    /// The first line of the row, counted from 1. For a row with a fault this may be an earlier line: the first one for
    /// which the quotes make the row boundaries ambiguous.
    pub(super) first_line: u64,
    /// The last line of the row.
    pub(super) last_line: u64,
    pub(super) cells: Vec<Vec<u8>>,
    /// The first quoting error in the row.
    pub(super) fault: Option<Fault>,
}

/// A quoting error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the quote.
    pub(super) line: u64,
    pub(super) message: &'static str,
}

const UNCLOSED: &str = "a quote is not closed";
const AFTER_QUOTE: &str =
    "text after a closing quote (a quote that is part of a quoted cell is written twice)";
const IN_CELL: &str =
    "a quote in a cell without quotes (put the cell in quotes, and write the quote twice)";

/// Reads rows one by one. A row with a fault is read to its likely end, so that the rows after it can be read too.
pub(super) struct Scanner<'b> {
    rest: &'b [u8],
    line: u64,
    /// The first line of an earlier row with text after a closing quote. Its cell may in fact continue up to the
    /// present line.
    maybe_open: Option<u64>,
}

/// How much of a cell has been read. The quoted states hold the line of the opening quote.
#[derive(Clone, Copy)]
enum Cell {
    Start,
    Plain,
    Quoted(u64),
    Closed(u64),
}

impl<'b> Scanner<'b> {
    pub(super) fn new(bytes: &'b [u8]) -> Self {
        let after = bytes.iter().rposition(|byte| !is_break(*byte));
        Self {
            rest: &bytes[..after.map_or(0, |last| last + 1)],
            line: 1,
            maybe_open: None,
        }
    }

    /// Takes the next byte and counts lines. CR LF, CR and LF each end a line.
    fn take(&mut self) -> Option<u8> {
        let (&byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        if byte == b'\n' || (byte == b'\r' && !rest.starts_with(b"\n")) {
            self.line += 1;
        }
        Some(byte)
    }

    /// Records a misplaced quote, and returns the state in which the cell continues.
    fn misplaced(&mut self, row: &mut Row, is_first_in_cell: bool) -> Cell {
        row.record_fault(self.line, IN_CELL);
        if is_first_in_cell {
            // The quote follows blanks only, so it was meant to enclose the cell, which may contain line breaks.
            return Cell::Quoted(self.line);
        }
        let looks_like_an_end = self
            .rest
            .first()
            .is_none_or(|next| *next == b',' || is_break(*next));
        if looks_like_an_end && let Some(line) = self.maybe_open.take() {
            row.first_line = line.min(row.first_line);
        }
        Cell::Plain
    }
}

impl Iterator for Scanner<'_> {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.rest.is_empty() {
            return None;
        }
        let mut row = Row {
            first_line: self.line,
            last_line: self.line,
            cells: Vec::new(),
            fault: None,
        };
        let mut text = Vec::new();
        let mut cell = Cell::Start;
        loop {
            row.last_line = self.line;
            let byte = self.take();
            cell = match (cell, byte) {
                (Cell::Quoted(line), None) => {
                    row.record_fault(line, UNCLOSED);
                    break;
                }
                (Cell::Quoted(line), Some(b'"')) => Cell::Closed(line),
                (Cell::Closed(line), Some(b'"')) => {
                    text.push(b'"');
                    Cell::Quoted(line)
                }
                (Cell::Quoted(_), Some(byte)) => {
                    text.push(byte);
                    cell
                }
                (_, None) => break,
                (_, Some(byte)) if is_break(byte) => {
                    if byte == b'\r' && self.rest.starts_with(b"\n") {
                        self.take();
                    }
                    break;
                }
                (_, Some(b',')) => {
                    row.cells.push(std::mem::take(&mut text));
                    Cell::Start
                }
                (Cell::Start, Some(b'"')) => Cell::Quoted(self.line),
                (Cell::Plain, Some(b'"')) => {
                    let is_first = text.trim_ascii().is_empty();
                    text.push(b'"');
                    self.misplaced(&mut row, is_first)
                }
                (Cell::Closed(line), Some(byte)) => {
                    row.record_fault(line, AFTER_QUOTE);
                    self.maybe_open = Some(row.first_line);
                    text.push(byte);
                    Cell::Plain
                }
                (Cell::Start | Cell::Plain, Some(byte)) => {
                    text.push(byte);
                    Cell::Plain
                }
            };
        }
        row.cells.push(text);
        Some(row)
    }
}

impl Row {
    pub(super) fn is_blank(&self) -> bool {
        self.fault.is_none() && self.cells.iter().all(Vec::is_empty)
    }

    fn record_fault(&mut self, line: u64, message: &'static str) {
        self.fault.get_or_insert(Fault { line, message });
    }
}

/// Wipes the cells, because one of them may be a password.
impl Drop for Row {
    fn drop(&mut self) {
        self.cells.zeroize();
    }
}

fn is_break(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Shows each row as its line numbers and its cells, or its fault.
    fn shown(text: &str) -> Vec<String> {
        let show = |row: Row| {
            let lines = format!("{}-{}", row.first_line, row.last_line);
            match row.fault {
                Some(Fault { line, message }) => format!("{lines} {line}: {message}"),
                None => {
                    let cells = row.cells.iter().map(|cell| String::from_utf8_lossy(cell));
                    format!("{lines} {}", cells.collect::<Vec<_>>().join("|"))
                }
            }
        };
        Scanner::new(text.as_bytes()).map(show).collect()
    }

    #[test]
    fn rows_are_read_strictly_and_each_fault_is_reported_with_its_line() {
        let fault = |lines: &str, line: u64, message: &str| format!("{lines} {line}: {message}");
        let ok = |row: &str| row.to_owned();
        for (label, text, expected) in [
            ("nothing", "", vec![]),
            ("only line breaks", "\r\n\n\r", vec![]),
            ("one cell", "a", vec![ok("1-1 a")]),
            ("empty cells", ",a,", vec![ok("1-1 |a|")]),
            ("blanks are data", " a , b\t\n", vec![ok("1-1  a | b\t")]),
            (
                "every row end",
                "a\r\nb\rc\nd\n\re",
                vec![
                    ok("1-1 a"),
                    ok("2-2 b"),
                    ok("3-3 c"),
                    ok("4-4 d"),
                    ok("5-5 "),
                    ok("6-6 e"),
                ],
            ),
            (
                "line breaks in quotes",
                "\"a\r\nb\",\"c\rd\ne\"\r\nf",
                vec![ok("1-4 a\r\nb|c\rd\ne"), ok("5-5 f")],
            ),
            (
                "quotes in quotes",
                "\"\"\"a\"\"\",\"\",\"\"\"\"",
                vec![ok("1-1 \"a\"||\"")],
            ),
            ("separators in quotes", "\"a,b\",c", vec![ok("1-1 a,b|c")]),
            (
                "text after a quote",
                "\"a\"b,c\n\"a\" ,b\nd",
                vec![
                    fault("1-1", 1, AFTER_QUOTE),
                    fault("2-2", 2, AFTER_QUOTE),
                    ok("3-3 d"),
                ],
            ),
            (
                "a quote in a cell",
                "a,5\" x,\"b\nc\"\n\nd\"\n",
                vec![
                    fault("1-2", 1, IN_CELL),
                    ok("3-3 "),
                    fault("4-4", 4, IN_CELL),
                ],
            ),
            (
                "a blank before a quote",
                "a, \"b\nc\",d\ne",
                vec![fault("1-2", 1, IN_CELL), ok("3-3 e")],
            ),
            (
                "a quote in the line after it closes the one before",
                "a,\"b\nc\n\"d\",e\nf",
                vec![fault("1-3", 1, AFTER_QUOTE), ok("4-4 f")],
            ),
            (
                "an end without a start, after a start without an end",
                "\"say \"so\nb\nc\",d\ne",
                vec![
                    fault("1-1", 1, AFTER_QUOTE),
                    ok("2-2 b"),
                    fault("1-3", 3, IN_CELL),
                    ok("4-4 e"),
                ],
            ),
            (
                "quotes that are not doubled, twice",
                "\"say \"so\" now\",d\n\"say \"so\" now\",d\n",
                vec![fault("1-1", 1, AFTER_QUOTE), fault("2-2", 2, AFTER_QUOTE)],
            ),
            (
                "an open quote",
                "a\nb,\"c,d\r\n",
                vec![ok("1-1 a"), fault("2-2", 2, UNCLOSED)],
            ),
            (
                "an open quote before other rows",
                "\"a\nb\",\"c\nd\n\n",
                vec![fault("1-3", 2, UNCLOSED)],
            ),
            (
                "a doubled quote at the end",
                "\"a\"\"",
                vec![fault("1-1", 1, UNCLOSED)],
            ),
        ] {
            assert_eq!(shown(text), expected, "{label}");
        }
    }

    proptest! {
        /// If no row has a fault, the `csv` crate reads the same rows.
        #[test]
        fn rows_without_a_fault_are_those_that_the_csv_crate_reads(text in r#"[a,";é \r\n]{0,40}"#) {
            let rows: Vec<Row> = Scanner::new(text.as_bytes()).collect();
            prop_assume!(rows.iter().all(|row| row.fault.is_none()));
            let rows: Vec<Vec<Vec<u8>>> = rows
                .into_iter()
                .filter(|row| !row.is_blank())
                .map(|row| row.cells.clone())
                .collect();
            let by_crate: Vec<Vec<Vec<u8>>> = csv::ReaderBuilder::new()
                .has_headers(false)
                .flexible(true)
                .from_reader(text.as_bytes())
                .into_byte_records()
                .map(|row| row.unwrap().iter().map(<[u8]>::to_vec).collect::<Vec<_>>())
                .filter(|row| row.iter().any(|cell| !cell.is_empty()))
                .collect();
            prop_assert_eq!(rows, by_crate);
        }
    }
}
