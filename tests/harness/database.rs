//! The database of a test: a file, or a database on the PostgreSQL server that `TEST_POSTGRES` names. That variable is the
//! URL of a database whose role may create others; the tests are built with `--features postgres` then. `check` must have no
//! findings about the settings of that server. The SQL that tests run themselves is the same for both.

use std::cell::Cell;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rusqlite::Connection;
use rusqlite::types::{FromSql, ToSql, ToSqlOutput, Value as SqlValue, ValueRef};

/// The modules whose tests are about the SQLite file, or use no database but that of a demo.
const FILE_ONLY_MODULES: &str = include_str!("of-files");

/// Functions of SQLite that the statements of tests use and PostgreSQL lacks.
const SQLITE_FUNCTIONS: &str = "
    CREATE FUNCTION randomblob(bytes INTEGER) RETURNS BYTEA LANGUAGE sql AS
        $$ SELECT substr(sha256(gen_random_uuid()::TEXT::BYTEA), 1, bytes) $$;
    CREATE FUNCTION unixepoch() RETURNS BIGINT LANGUAGE sql AS
        $$ SELECT extract(epoch FROM clock_timestamp())::BIGINT $$;
    CREATE FUNCTION iif(condition BOOLEAN, a TEXT, b TEXT) RETURNS TEXT LANGUAGE sql AS
        $$ SELECT CASE WHEN condition THEN a ELSE b END $$;
    CREATE FUNCTION printf(format TEXT, number BIGINT) RETURNS TEXT LANGUAGE sql AS
        $$ SELECT replace(format, '%08x', lpad(to_hex(number), 8, '0')) $$;";

thread_local! {
    static IS_FILE_ONLY: Cell<bool> = const { Cell::new(false) };
}

/// Declares that the calling test is about the SQLite file, so that it gets no database on a server.
pub fn only_in_a_file() {
    IS_FILE_ONLY.set(true);
}

/// A database on the PostgreSQL server, created when its URL is first requested.
pub(super) struct PostgresDatabase {
    name: String,
    url: OnceLock<String>,
}

impl PostgresDatabase {
    /// `None` when the test uses a file.
    pub(super) fn of_this_test() -> Option<Self> {
        let server = env::var("TEST_POSTGRES").ok()?;
        let thread = thread::current();
        let test = thread.name().unwrap_or_default();
        let is_file_only = FILE_ONLY_MODULES
            .lines()
            .any(|module| test.starts_with(module));
        if server.is_empty() || is_file_only || IS_FILE_ONLY.get() {
            return None;
        }
        Some(Self::new())
    }

    pub(super) fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{count}", std::process::id());
        let url = OnceLock::new();
        Self { name, url }
    }

    pub(super) fn url(&self) -> &str {
        self.url.get_or_init(|| self.make(template()))
    }

    /// Creates this database as a copy of another one, which must have no open sessions.
    pub(super) fn copy(&self, other: &Self) {
        if other.url.get().is_some() {
            assert!(self.url.set(self.make(&other.name)).is_ok());
        }
    }

    fn make(&self, template: &str) -> String {
        let server = server();
        psql(
            &server,
            &format!("CREATE DATABASE {} TEMPLATE {template}", self.name),
        )
        .unwrap();
        url_of(&server, &self.name)
    }
}

impl Drop for PostgresDatabase {
    fn drop(&mut self) {
        if self.url.get().is_some() {
            // Leftovers are removed together with the server.
            let _ = psql(
                &server(),
                &format!("DROP DATABASE {} WITH (FORCE)", self.name),
            );
        }
    }
}

fn server() -> String {
    env::var("TEST_POSTGRES").unwrap()
}

fn template() -> &'static str {
    static TEMPLATE: OnceLock<String> = OnceLock::new();
    TEMPLATE.get_or_init(|| {
        let name = format!("template_{}", std::process::id());
        psql(&server(), &format!("CREATE DATABASE {name}")).unwrap();
        psql(&url_of(&server(), &name), SQLITE_FUNCTIONS).unwrap();
        name
    })
}

/// The URL of another database of the same server.
pub fn url_of(url: &str, database: &str) -> String {
    let (server, _) = url.rsplit_once('/').unwrap();
    format!("{server}/{database}")
}

/// Direct access of a test to the database, beside the program.
pub enum Sql {
    File(Connection),
    Postgres(String),
}

impl Sql {
    /// Runs statements without parameters or rows.
    pub fn execute_batch(&self, sql: &str) -> Result<(), String> {
        match self {
            Self::File(connection) => connection.execute_batch(sql).map_err(|e| e.to_string()),
            Self::Postgres(url) => psql(url, sql).map(drop),
        }
    }

    /// Runs a statement with the parameters `?1`, `?2` and so on; returns the number of changed rows.
    pub fn execute(&self, sql: &str, parameters: &[&dyn ToSql]) -> Result<usize, String> {
        match self {
            Self::File(connection) => connection
                .execute(sql, parameters)
                .map_err(|e| e.to_string()),
            Self::Postgres(url) => {
                // The last line of the output is the command and the number of rows.
                let output = psql(url, &with_literals(sql, parameters))?;
                Ok(output
                    .trim_end()
                    .rsplit([' ', ROW])
                    .next()
                    .unwrap()
                    .parse()
                    .unwrap())
            }
        }
    }

    /// The column names and all rows of a query.
    pub fn table(&self, sql: &str, parameters: &[&dyn ToSql]) -> (Vec<String>, Vec<Vec<SqlValue>>) {
        match self {
            Self::File(connection) => {
                let mut statement = connection.prepare(sql).unwrap();
                let names = statement.column_names().into_iter();
                let names: Vec<String> = names.map(String::from).collect();
                let read = |row: &rusqlite::Row| (0..names.len()).map(|i| row.get(i)).collect();
                let rows = statement.query_map(parameters, read).unwrap();
                let rows = rows.map(Result::unwrap).collect();
                (names, rows)
            }
            Self::Postgres(url) => {
                let output = psql(url, &with_literals(sql, parameters)).unwrap();
                let mut rows = output.trim_end_matches(['\n', ROW]).split(ROW);
                let names = rows
                    .next()
                    .unwrap()
                    .split(COLUMN)
                    .map(String::from)
                    .collect();
                // Empty records are not rows.
                let rows: Vec<&str> = rows.collect();
                let rows = rows.iter().filter(|row| !row.is_empty());
                (
                    names,
                    rows.map(|row| row.split(COLUMN).map(value).collect())
                        .collect(),
                )
            }
        }
    }

    pub fn rows(&self, sql: &str, parameters: &[&dyn ToSql]) -> Vec<Vec<SqlValue>> {
        self.table(sql, parameters).1
    }

    /// The first column of each row.
    pub fn column<T: FromSql>(&self, sql: &str, parameters: &[&dyn ToSql]) -> Vec<T> {
        let first = |row: &Vec<SqlValue>| T::column_result(ValueRef::from(&row[0])).unwrap();
        self.rows(sql, parameters).iter().map(first).collect()
    }

    /// The first column of the first row, which must exist.
    #[track_caller]
    pub fn one<T: FromSql>(&self, sql: &str, parameters: &[&dyn ToSql]) -> T {
        self.column(sql, parameters).remove(0)
    }

    /// Blocks all other writers until the lock is dropped. `mode` is the lock mode on PostgreSQL, where a stronger one
    /// blocks readers too.
    pub(super) fn lock(self, mode: &str) -> Lock {
        let url = match self {
            Self::File(connection) => {
                connection.execute_batch("BEGIN IMMEDIATE").unwrap();
                return Lock::File(connection);
            }
            Self::Postgres(url) => url,
        };
        let mut command = psql_command(&url);
        let mut program = command.stderr(Stdio::null()).spawn().unwrap();
        let mut output = BufReader::new(program.stdout.take().unwrap());
        let lock = format!(
            "BEGIN;
            DO $$ DECLARE name TEXT; BEGIN
                FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'thanos_login' LOOP
                    EXECUTE format('LOCK TABLE thanos_login.%I IN {mode} MODE', name);
                END LOOP;
            END $$;\n\\echo locked\n"
        );
        let input = program.stdin.as_mut().unwrap();
        input.write_all(lock.as_bytes()).unwrap();
        read_until(&mut output, "locked");
        Lock::Postgres(program, Box::new(output))
    }
}

/// Blocks all other writers until it is dropped.
pub enum Lock {
    File(#[expect(dead_code, reason = "its transaction ends with it")] Connection),
    Postgres(Child, Box<dyn BufRead + Send>),
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Self::Postgres(program, output) = self {
            let mut input = program.stdin.take().unwrap();
            input.write_all(b"ROLLBACK;\n\\echo released\n").unwrap();
            read_until(output, "released");
            drop(input);
            program.wait().unwrap();
        }
    }
}

fn read_until(output: &mut impl BufRead, word: &str) {
    let mut read = String::new();
    while !read.trim_end().ends_with(word) {
        assert_ne!(
            output.read_line(&mut read).unwrap(),
            0,
            "psql ended: {read:?}"
        );
    }
}

// Characters that occur in no text of a test.
const COLUMN: char = '\u{1f}';
const ROW: char = '\u{1e}';
const NULL: &str = "\u{1d}";

fn psql_command(url: &str) -> Command {
    let mut command = Command::new("psql");
    command
        .args(["-XA", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=terse"])
        .args(["-P", "footer=off", "-P", &format!("null={NULL}")])
        .args(["-F", &COLUMN.to_string(), "-R", &ROW.to_string(), url])
        .env(
            "PGOPTIONS",
            "-c search_path=thanos_login,public -c client_min_messages=warning",
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn psql(url: &str, sql: &str) -> Result<String, String> {
    let mut program = psql_command(url).spawn().unwrap();
    let mut input = program.stdin.take().unwrap();
    input.write_all(sql.as_bytes()).unwrap();
    drop(input);
    let output = program.wait_with_output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(error
            .split("ERROR:  ")
            .last()
            .unwrap()
            .trim_end()
            .to_owned()),
    }
}

fn with_literals(sql: &str, parameters: &[&dyn ToSql]) -> String {
    let mut sql = sql.to_owned();
    for (index, parameter) in parameters.iter().enumerate().rev() {
        let literal = match parameter.to_sql().unwrap() {
            ToSqlOutput::Borrowed(value) => literal(value),
            ToSqlOutput::Owned(value) => literal(ValueRef::from(&value)),
            _ => panic!("a value that only SQLite has"),
        };
        sql = sql.replace(&format!("?{}", index + 1), &literal);
    }
    sql
}

fn literal(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".into(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => format!("'{}'", str::from_utf8(text).unwrap().replace('\'', "''")),
        ValueRef::Blob(bytes) => format!("'\\x{}'::BYTEA", hex::encode(bytes)),
    }
}

/// Converts a cell of psql's output to the value that SQLite would return.
fn value(text: &str) -> SqlValue {
    if text == NULL {
        SqlValue::Null
    } else if let Some(bytes) = text.strip_prefix("\\x") {
        SqlValue::Blob(hex::decode(bytes).unwrap())
    } else if let Ok(number) = text.parse() {
        SqlValue::Integer(number)
    } else {
        SqlValue::Text(text.into())
    }
}
