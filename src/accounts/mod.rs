//! Accounts in files: reading, checking, importing and exporting organizations and users.
//!
//! A file becomes [`Accounts`]; what one place alone can say is checked first, then what the database says, then all
//! passwords are hashed, and then everything counts at once or nothing does.

mod finding;
mod json;
mod records;
mod validate;

pub use finding::{Finding, Findings, Place};
pub use records::{Organization, Permission, Person, User};

/// The accounts of the published example, and one for each other answer of a login.
pub const DEMO: &str = include_str!("../../fixtures/demo.json");

/// What a file says.
#[derive(Default)]
pub struct Accounts {
    /// Those of a fixture, their users taken out; in the order of the file.
    pub organizations: Vec<(Place, Organization)>,
    /// In the order of the file.
    pub users: Vec<Entry>,
}

/// A user of a file.
pub struct Entry {
    /// Where it is.
    pub place: Place,
    /// The index in [`Accounts::organizations`] of the one it is inside, in a fixture.
    pub organization: Option<usize>,
    /// What the file says of it.
    pub user: User,
    /// Whether the hash was made of a password in clear, and not given by the file.
    pub is_hashed_here: bool,
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
    /// Reads and checks a fixture.
    pub fn fixture(bytes: &[u8]) -> Self {
        let mut read = match text(bytes) {
            Ok(text) => json::fixture(text),
            Err(finding) => Self {
                findings: vec![finding],
                ..Self::default()
            },
        };
        validate::validate(&mut read);
        read
    }

    fn add(&mut self, place: Place, organization: Option<usize>, user: User) {
        self.accounts.users.push(Entry {
            place,
            organization,
            user,
            is_hashed_here: false,
        });
    }
}

fn text(bytes: &[u8]) -> Result<&str, Finding> {
    std::str::from_utf8(bytes).map_err(|_| Finding::new(Place::File, "", "not UTF-8"))
}
