//! Accounts in files: reading, checking, importing and exporting organizations and users.
//!
//! A file becomes [`Accounts`]. First each record is checked by itself, then against the database, then all passwords
//! are hashed, and then everything is written atomically.

mod csv;
mod export;
mod finding;
mod format;
mod import;
mod json;
mod object;
mod records;
mod validate;

use std::path::Path;

pub use crate::account::Person;
pub use export::Export;
pub use finding::{Finding, Findings, RecordPlace};
pub use format::FileFormat;
pub use import::{CheckedImport, Error, ImportOptions, check, load};
pub use records::{Organization, Permission, User};

use crate::hashing::PasswordHash;
use crate::text::{is_wide, without_mark};

/// The demo accounts: the published example, and one account for each other reply of a login.
pub const DEMO: &str = include_str!("../../fixtures/demo.json");

const WIDE: &str = "UTF-16 or UTF-32: save the file as UTF-8";

/// The accounts in a file.
#[derive(Clone, Default)]
pub struct Accounts {
    /// The organizations of a fixture, in the order of the file.
    pub organizations: Vec<(RecordPlace, Organization)>,
    /// The users, in the order of the file, including those inside organizations.
    pub users: Vec<UserEntry>,
}

/// A user in a file.
#[derive(Clone)]
pub struct UserEntry {
    /// The position in the file.
    pub place: RecordPlace,
    /// The user's data.
    pub user: User,
    /// What is stored to detect whether a later file changes the password.
    pub loaded: Loaded,
}

/// What is stored of a password from a file, to detect whether the file has changed it the next time it is loaded. The
/// user's password may have been changed in the meantime, and loading the same file again must not undo that.
#[derive(Clone)]
pub enum Loaded {
    /// The digest of the hash in the file, if it has one.
    GivenHash,
    /// A hash of the plain password in the file.
    Password(PasswordHash),
    /// Nothing, because the password does not come from a file.
    Nothing,
}

/// The accounts that were read, and the findings.
#[derive(Default)]
pub struct ParsedAccounts {
    /// The records that could be read.
    pub accounts: Accounts,
    /// The findings that do not depend on the database.
    pub findings: Vec<Finding>,
}

impl ParsedAccounts {
    /// Reads and checks a file's content.
    pub fn of(format: FileFormat, bytes: &[u8]) -> Self {
        let bytes = without_mark(bytes);
        let mut read = match format {
            _ if is_wide(bytes) => Self {
                findings: vec![Finding::new(RecordPlace::File, "", WIDE)],
                ..Self::default()
            },
            FileFormat::Csv => csv::read(bytes),
            FileFormat::JsonLines => json::lines(bytes),
            FileFormat::Fixture => json::fixture(bytes),
        };
        validate::validate(&mut read);
        read
    }

    /// Checks records that do not come from a file.
    pub fn of_records(accounts: Accounts) -> Self {
        let mut read = Self {
            accounts,
            ..Self::default()
        };
        validate::validate(&mut read);
        read
    }

    /// The accounts, if there are no findings.
    ///
    /// # Errors
    /// All findings. `file` is the name of the file in messages.
    pub fn without_findings(self, file: &Path) -> Result<Accounts, Findings> {
        if self.findings.is_empty() {
            Ok(self.accounts)
        } else {
            Err(Findings::of(file, self.findings))
        }
    }

    fn add(&mut self, place: RecordPlace, user: Result<User, Finding>) {
        match user {
            Ok(user) => self.accounts.users.push(UserEntry {
                place,
                user,
                loaded: Loaded::GivenHash,
            }),
            Err(finding) => self.findings.push(finding),
        }
    }
}

impl Accounts {
    /// Parses a fixture.
    ///
    /// # Errors
    /// All findings.
    pub fn parse(fixture: &str) -> Result<Self, Findings> {
        ParsedAccounts::of(FileFormat::Fixture, fixture.as_bytes())
            .without_findings(Path::new("fixture"))
    }

    /// The UUIDs of organizations and users, as given in the file or derived from their names.
    pub fn identities(&self) -> Vec<String> {
        let organizations = self.organizations.iter();
        let user =
            |UserEntry { user, .. }: &UserEntry| Some(user.new_uuid(user.username.as_ref()?));
        organizations
            .map(|(_, organization)| organization.identity())
            .chain(self.users.iter().filter_map(user))
            .collect()
    }

    /// The demo accounts, see [`DEMO`].
    ///
    /// # Errors
    /// Never fails: a test parses the embedded file.
    pub fn demo() -> Result<Self, Findings> {
        Self::parse(DEMO)
    }
}

#[cfg(test)]
mod tests;
