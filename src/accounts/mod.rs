//! Accounts in files: reading, checking, importing and exporting organizations and users.
//!
//! A file becomes [`Accounts`]; what one place alone can say is checked first, then what the database says, then all
//! passwords are hashed, and then everything counts at once or nothing does.

mod finding;
mod records;

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
