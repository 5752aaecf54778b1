//! A directory for one test: it is the program's working directory, and `tmp` in it is what the program calls temporary.

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

use super::database::{Lock, ServersDatabase, Sql};
use super::{Finished, Launch, Server};

/// Clones are the same directory; the last one removes it, and the database.
#[derive(Clone)]
pub struct Place(Arc<Contents>);

struct Contents {
    directory: TempDir,
    /// Instead of a file.
    database: Option<ServersDatabase>,
}

impl Place {
    /// Where the program keeps its database when nothing else is said, and the test is in files.
    pub const DATABASE: &str = "thanos-login.db";

    pub fn new() -> Self {
        Self::with(ServersDatabase::of_this_test())
    }

    fn with(database: Option<ServersDatabase>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("tmp")).unwrap();
        Self(Arc::new(Contents {
            directory,
            database,
        }))
    }

    /// One whose database holds the accounts of a fixture.
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

    /// Another place with the same files, and directories of the same names without anything in them. Other threads of a
    /// test may make it.
    pub fn copy(&self) -> Self {
        let copy = Self::with(self.0.database.as_ref().map(|_| ServersDatabase::new()));
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

    /// Makes it all the property of the user of this number, which only root can.
    pub fn give_to(&self, id: u32) {
        for name in self.files("").iter().map(String::as_str).chain([""]) {
            chown(self.path(name), Some(id), Some(id)).unwrap();
        }
    }

    /// The names of the files in a directory of this place, sorted.
    pub fn files(&self, directory: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(directory))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// The program, about to run here.
    pub fn program(&self, args: &[&str]) -> Launch {
        Launch::new(self.clone(), args)
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Finished {
        self.program(args).finish()
    }

    /// Loads a fixture; a password in clear is hashed at the lowest cost that a real database takes.
    #[track_caller]
    pub fn seed(&self, fixture: &Value) -> Finished {
        self.write("accounts.json", fixture.to_string());
        self.run(&["seed", "accounts.json", "--bcrypt-cost", "10"])
    }

    /// A real server on the database here; hashes cost as little as they may.
    #[track_caller]
    pub fn serve(&self, flags: &[&str]) -> Server {
        let args = [&["serve"], flags].concat();
        self.program(&args)
            .env("THANOS_LOGIN_BCRYPT_COST", "10")
            .start()
    }

    /// A demo server with a fixture of its own.
    #[track_caller]
    pub fn serve_demo(&self, fixture: &Value, flags: &[&str]) -> Server {
        self.write("demo.json", fixture.to_string());
        let args = [&["serve", "--demo", "--fixture", "demo.json"], flags].concat();
        self.program(&args).start()
    }

    /// What the program finds in `THANOS_LOGIN_DB`; `None` if that is not set, so that the database is a file.
    pub fn url(&self) -> Option<&str> {
        self.0.database.as_ref().map(ServersDatabase::url)
    }

    /// The variable that has a program find the database, for those that the harness does not start itself.
    pub fn variable(&self) -> Option<(&str, &str)> {
        self.url().map(|url| ("THANOS_LOGIN_DB", url))
    }

    /// The file of a test in files.
    #[track_caller]
    pub fn file(&self) -> Connection {
        assert!(self.0.database.is_none(), "this test is not only in a file");
        Connection::open(self.path(Self::DATABASE)).unwrap()
    }

    pub fn sql(&self) -> Sql {
        match self.url() {
            None => Sql::File(self.file()),
            Some(url) => Sql::Servers(url.into()),
        }
    }

    /// Keeps every other program from writing until it is dropped, and so every login that succeeds in work: for some
    /// seconds, since a server waits no longer for the database.
    pub fn lock(&self) -> Lock {
        self.sql().lock("EXCLUSIVE")
    }

    /// Keeps every other program from reading too, on servers.
    pub fn lock_for_all(&self) -> Lock {
        self.sql().lock("ACCESS EXCLUSIVE")
    }

    /// One number out of the database.
    #[track_caller]
    pub fn number(&self, query: &str) -> i64 {
        self.sql().one(query, &[])
    }

    /// How many tokens of a user the database holds.
    pub fn tokens_of(&self, username: &str) -> i64 {
        let query =
            "SELECT count(*) FROM tokens JOIN users ON users.id = user_id WHERE username = ?1";
        self.sql().one(query, &[&username])
    }

    /// Whether the database holds a token, which it knows by its digest only.
    pub fn holds_token(&self, token: &str) -> bool {
        let query = "SELECT count(*) FROM tokens WHERE digest = ?1";
        self.sql()
            .one::<i64>(query, &[&Sha256::digest(token).as_slice()])
            == 1
    }

    /// All that the database keeps, as bytes; as a dump on servers.
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

    /// What SQLite says of its file; servers look after theirs themselves.
    pub fn integrity(&self) -> String {
        match self.sql() {
            Sql::File(file) => file
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap(),
            Sql::Servers(_) => "ok".into(),
        }
    }

    /// How many rows refer to one that is not there, which servers allow in no transaction.
    pub fn dangling_references(&self) -> i64 {
        match self.sql() {
            file @ Sql::File(_) => file.one("SELECT count(*) FROM pragma_foreign_key_check", &[]),
            Sql::Servers(_) => 0,
        }
    }

    /// Everything that the database says, row by row, whichever import has added it.
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
