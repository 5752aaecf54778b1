//! The directory and the database of one test. The directory is the working directory of the program; `tmp` in it is the
//! program's temporary directory.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use rusqlite::Connection;
use rusqlite::types::Value as SqlValue;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::database::{Lock, PostgresDatabase, Sql};
use super::{Finished, Launch, Server};

/// The directory and the database of one test. Clones share them; dropping the last clone removes both.
#[derive(Clone)]
pub struct Place(Arc<Contents>);

struct Contents {
    directory: TempDir,
    /// A database on a server; `None` when it is a file in the directory.
    database: Option<PostgresDatabase>,
}

impl Place {
    /// The file that is the database by default, unless the test uses a server.
    pub const DATABASE: &str = "thanos-login.db";

    pub fn new() -> Self {
        Self::with(PostgresDatabase::of_this_test())
    }

    fn with(database: Option<PostgresDatabase>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self(Arc::new(Contents {
            directory,
            database,
        }))
    }

    /// A new directory whose database has the accounts of a fixture.
    pub fn seeded(fixture: &Value) -> Self {
        let place = Self::new();
        place.seed(fixture).succeeded();
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.directory.path().join(name)
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// A new directory with copies of the files and of the database; subdirectories are created empty. May be called from
    /// any thread of the test.
    pub fn copy(&self) -> Self {
        let copy = Self::with(self.0.database.as_ref().map(|_| PostgresDatabase::new()));
        self.copy_into(&copy);
        copy
    }

    pub fn copy_into(&self, other: &Self) {
        for name in self.files("") {
            let (from, to) = (self.path(&name), other.path(&name));
            if from.is_file() {
                fs::copy(from, to).unwrap();
            } else if !to.is_dir() {
                fs::create_dir(to).unwrap();
            }
        }
        if let (Some(from), Some(to)) = (&self.0.database, &other.0.database) {
            to.copy(from);
        }
    }

    /// Changes the owner of the directory and its files to this user id, which only root can.
    pub fn give_to(&self, id: u32) {
        for name in self.files("").iter().map(String::as_str).chain([""]) {
            chown(self.path(name), Some(id), Some(id)).unwrap();
        }
    }

    /// The sorted names of the files in a subdirectory; `""` is the directory itself.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program with these arguments, to be run in this directory.
    pub fn program(&self, args: &[&str]) -> Launch {
        Launch::new(self.clone(), args)
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        self.program(args).finish()
    }

    /// Loads a fixture; a password in clear is hashed at the lowest cost that is allowed outside of a demo.
    #[track_caller]
    pub fn seed(&self, fixture: &Value) -> Finished {
        self.write("accounts.json", fixture.to_string());
        self.run(&["seed", "accounts.json", "--bcrypt-cost", "10"])
    }

    /// Starts a real server on the database of the test, with the lowest hashing cost that is allowed.
    #[track_caller]
    pub fn serve(&self, flags: &[&str]) -> Server {
        let args = [&["serve"], flags].concat();
        self.program(&args)
            .env("THANOS_LOGIN_BCRYPT_COST", "10")
            .start()
    }

    /// Starts a demo server with this fixture.
    #[track_caller]
    pub fn serve_demo(&self, fixture: &Value, flags: &[&str]) -> Server {
        self.write("demo.json", fixture.to_string());
        let args = [&["serve", "--demo", "--fixture", "demo.json"], flags].concat();
        self.program(&args).start()
    }

    /// The value of `THANOS_LOGIN_DB` for the program; `None` when the database is a file and the variable is not set.
    pub fn url(&self) -> Option<&str> {
        self.0.database.as_ref().map(PostgresDatabase::url)
    }

    /// The environment variable that names the database, for programs that the harness does not start itself.
    pub fn variable(&self) -> Option<(&str, &str)> {
        self.url().map(|url| ("THANOS_LOGIN_DB", url))
    }

    /// Opens the database file. Fails for a test that uses a server.
    #[track_caller]
    pub fn file(&self) -> Connection {
        assert!(self.0.database.is_none(), "this test has no database file");
        Connection::open(self.path(Self::DATABASE)).unwrap()
    }

    pub fn sql(&self) -> Sql {
        match self.url() {
            None => Sql::File(self.file()),
            Some(url) => Sql::Postgres(url.into()),
        }
    }

    /// Blocks all writers until the lock is dropped, and so keeps successful logins in progress: for a few seconds, after
    /// which a server stops waiting for the database.
    pub fn lock(&self) -> Lock {
        self.sql().lock("EXCLUSIVE")
    }

    /// Blocks all writers and, on PostgreSQL, all readers until the lock is dropped.
    pub fn lock_for_all(&self) -> Lock {
        self.sql().lock("ACCESS EXCLUSIVE")
    }

    /// The number that a query returns.
    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        self.sql().one(query, &[])
    }

    /// How many tokens of a user are in the database.
    pub fn tokens_of(&self, username: &str) -> i64 {
        let query =
            "SELECT count(*) FROM tokens JOIN users ON users.id = user_id WHERE username = ?1";
        self.sql().one(query, &[&username])
    }

    /// Whether a token is in the database, which stores only its digest.
    pub fn holds_token(&self, token: &str) -> bool {
        let query = "SELECT count(*) FROM tokens WHERE digest = ?1";
        self.sql()
            .one::<i64>(query, &[&Sha256::digest(token).as_slice()])
            == 1
    }

    /// The whole content of the database as bytes: the file and its log, or a dump of the server.
    pub fn stored(&self) -> Vec<u8> {
        if let Some(url) = self.url() {
            let dumped = Command::new("pg_dump").arg(url).output().unwrap();
            assert!(dumped.status.success(), "{dumped:?}");
            return dumped.stdout;
        }
        let log = fs::read(self.path(&format!("{}-wal", Self::DATABASE)));
        let mut bytes = fs::read(self.path(Self::DATABASE)).unwrap();
        bytes.extend(log.unwrap_or_default());
        bytes
    }

    /// The result of SQLite's integrity check; always `ok` on servers, which have none.
    pub fn integrity(&self) -> String {
        match self.sql() {
            Sql::File(file) => file
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap(),
            Sql::Postgres(_) => "ok".into(),
        }
    }

    /// How many rows refer to a missing row; always 0 on servers, which enforce references in every transaction.
    pub fn dangling_references(&self) -> i64 {
        match self.sql() {
            file @ Sql::File(_) => file.one("SELECT count(*) FROM pragma_foreign_key_check", &[]),
            Sql::Postgres(_) => 0,
        }
    }

    /// All rows of organizations, users and tokens that take effect, without the column that names their import.
    pub fn dump(&self) -> Vec<Vec<SqlValue>> {
        let sql = self.sql();
        let counts = "WHERE import_id IS NULL OR import_id NOT IN (SELECT id FROM imports)";
        let mut all = Vec::new();
        for (table, condition) in [("organizations", counts), ("users", counts), ("tokens", "")] {
            let query = format!("SELECT * FROM {table} {condition} ORDER BY 1");
            let (names, mut rows) = sql.table(&query, &[]);
            if let Some(column) = names.iter().position(|name| name == "import_id") {
                rows.iter_mut().for_each(|row| drop(row.remove(column)));
            }
            all.extend(rows);
        }
        all
    }
}
