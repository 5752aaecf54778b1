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
    /// Whole organizations, with their users.
    Fixture(Vec<(Organization, Vec<User>)>),
}

#[derive(Serialize)]
struct Fixture<'o> {
    organizations: Vec<Whole<'o>>,
}

#[derive(Serialize)]
struct Whole<'o> {
    #[serde(flatten)]
    organization: &'o Organization,
    users: &'o [User],
}

impl Export {
    /// How many users there are in it.
    pub fn users(&self) -> u64 {
        let count = match self {
            Self::Csv(users) | Self::JsonLines(users) => users.len(),
            Self::Fixture(organizations) => {
                organizations.iter().map(|(_, users)| users.len()).sum()
            }
        };
        count as u64
    }

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
                let whole = organizations.iter().map(|(organization, users)| Whole {
                    organization,
                    users,
                });
                let organizations = whole.collect();
                serde_json::to_writer_pretty(&mut out, &Fixture { organizations })?;
                writeln!(out)
            }
        }
    }
}
