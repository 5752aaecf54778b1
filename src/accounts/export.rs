//! Writing accounts to a file that can be imported again.

use std::io::{self, Write};

use serde::Serialize;

use super::{Organization, User, csv};

/// The accounts to be written, by file format.
pub enum Export {
    /// One row per user.
    Csv(Vec<User>),
    /// One JSON object per line.
    JsonLines(Vec<User>),
    /// Organizations, each with its users.
    Fixture(Vec<(Organization, Vec<User>)>),
}

#[derive(Serialize)]
struct Fixture<'o> {
    organizations: Vec<FixtureOrganization<'o>>,
}

#[derive(Serialize)]
struct FixtureOrganization<'o> {
    #[serde(flatten)]
    organization: &'o Organization,
    users: &'o [User],
}

impl Export {
    /// The number of users.
    pub fn users(&self) -> u64 {
        let count = match self {
            Self::Csv(users) | Self::JsonLines(users) => users.len(),
            Self::Fixture(organizations) => {
                organizations.iter().map(|(_, users)| users.len()).sum()
            }
        };
        count as u64
    }

    /// Writes all accounts piece by piece, never plain passwords or tokens.
    ///
    /// # Errors
    /// The errors of `out`.
    pub fn write(&self, mut out: impl Write) -> io::Result<()> {
        match self {
            Self::Csv(users) => csv::write(out, users),
            Self::JsonLines(users) => users.iter().try_for_each(|user| {
                serde_json::to_writer(&mut out, user)?;
                writeln!(out)
            }),
            Self::Fixture(organizations) => {
                let whole = organizations
                    .iter()
                    .map(|(organization, users)| FixtureOrganization {
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
