//! Writing accounts to a file, from which the same accounts can be read.

use std::io::{self, Write};

use serde::Serialize;

use super::{Organization, User, csv};

/// What is written, in the format it is written in.
pub enum Export {
    /// A row a user.
    Csv(Vec<User>),
    /// An object a line.
    JsonLines(Vec<User>),
    /// Whole organizations.
    Fixture(Vec<Organization>),
}

#[derive(Serialize)]
struct Fixture<'o> {
    organizations: &'o [Organization],
}

impl Export {
    /// Writes all of it, piece by piece: passwords in clear and tokens are never a part.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Csv(users) => csv::write(out, users),
            Self::JsonLines(users) => users.iter().try_for_each(|user| {
                serde_json::to_writer(&mut out, user)?;
                writeln!(out)
            }),
            Self::Fixture(organizations) => {
                serde_json::to_writer_pretty(&mut out, &Fixture { organizations })?;
                writeln!(out)
            }
        }
    }
}
