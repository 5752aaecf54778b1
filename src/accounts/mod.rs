//! Accounts in files: reading, checking, importing and exporting organizations and users.
//!
//! A file becomes [`Accounts`]; what one place alone can say is checked first, then what the database says, then all
//! passwords are hashed, and then everything counts at once or nothing does.

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
pub use finding::{Finding, Findings, Place};
pub use format::Format;
pub use import::{Checked, Error, Options, check, load};
pub use records::{Organization, Permission, User};

use crate::hashing::PasswordHash;
use crate::text::{is_wide, without_mark};

/// The accounts of the published example, and one for each other answer of a login.
pub const DEMO: &str = include_str!("../../fixtures/demo.json");

const WIDE: &str = "UTF-16 or UTF-32: save the file as UTF-8";

/// What a file says.
#[derive(Clone, Default)]
pub struct Accounts {
    /// Those of a fixture, in the order of the file.
    pub organizations: Vec<(Place, Organization)>,
    /// In the order of the file, those inside an organization too.
    pub users: Vec<Entry>,
}

/// A user of a file.
#[derive(Clone)]
pub struct Entry {
    /// Where it is.
    pub place: Place,
    /// What the file says of it.
    pub user: User,
    /// What is kept of its password.
    pub loaded: Loaded,
}

/// What is kept of a password from a file, to see the next time whether the file has changed it. The user may have got
/// another one meanwhile, which the same file must not undo.
#[derive(Clone)]
pub enum Loaded {
    /// The digest of the hash that the file gives, if it gives one.
    GivenHash,
    /// A hash of the password that the file gives in clear.
    Password(PasswordHash),
    /// Nothing, since the password is from no file.
    Nothing,
}

/// What could be read of a file, and what could not.
#[derive(Default)]
pub struct Read {
    /// Without the records that could not be read.
    pub accounts: Accounts,
    /// What one file alone shows to be wrong.
    pub findings: Vec<Finding>,
}

impl Read {
    /// Reads and checks a file's content.
    pub fn of(format: Format, bytes: &[u8]) -> Self {
        let bytes = without_mark(bytes);
        let mut read = match format {
            _ if is_wide(bytes) => Self {
                findings: vec![Finding::new(Place::File, "", WIDE)],
                ..Self::default()
            },
            Format::Csv => csv::read(bytes),
            Format::JsonLines => json::lines(bytes),
            Format::Fixture => json::fixture(bytes),
        };
        validate::validate(&mut read);
        read
    }

    /// Checks records that come from no file.
    pub fn of_records(accounts: Accounts) -> Self {
        let mut read = Self {
            accounts,
            ..Self::default()
        };
        validate::validate(&mut read);
        read
    }

    /// The accounts, if nothing is wrong.
    ///
    /// # Errors
    /// All findings; `file` is what they call the file.
    pub fn without_findings(self, file: &Path) -> Result<Accounts, Findings> {
        if self.findings.is_empty() {
            Ok(self.accounts)
        } else {
            Err(Findings::of(file, self.findings))
        }
    }

    fn add(&mut self, place: Place, user: Result<User, Finding>) {
        match user {
            Ok(user) => self.accounts.users.push(Entry {
                place,
                user,
                loaded: Loaded::GivenHash,
            }),
            Err(finding) => self.findings.push(finding),
        }
    }
}

impl Accounts {
    /// Those of a fixture.
    ///
    /// # Errors
    /// All findings.
    pub fn parse(fixture: &str) -> Result<Self, Findings> {
        Read::of(Format::Fixture, fixture.as_bytes()).without_findings(Path::new("fixture"))
    }

    /// The UUIDs of organizations and users, as far as the accounts alone say them.
    pub fn identities(&self) -> Vec<String> {
        let organizations = self.organizations.iter();
        let user = |Entry { user, .. }: &Entry| Some(user.new_uuid(user.username.as_ref()?));
        organizations
            .map(|(_, organization)| organization.identity())
            .chain(self.users.iter().filter_map(user))
            .collect()
    }

    /// Those of the published example.
    ///
    /// # Errors
    /// None: a test reads the embedded file.
    pub fn demo() -> Result<Self, Findings> {
        Self::parse(DEMO)
    }
}

#[cfg(test)]
mod tests;
