//! Findings: what is wrong in a file of accounts, and where.

use std::fmt;
use std::path::Path;

/// The position of a record in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordPlace {
    /// The file as a whole.
    File,
    /// The line on which a record starts, counted from 1.
    Line(u64),
    /// `organizations[n]`.
    Organization(usize),
    /// `organizations[n].users[m]`.
    User(usize, usize),
}

/// One problem in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The position of the record.
    pub place: RecordPlace,
    /// The key in the record, such as `person.uuid`; empty for the record as a whole.
    pub key: String,
    /// What is wrong. Contains no secret.
    pub message: String,
}

/// All findings of a file. `Display` writes one line for each.
#[derive(Debug, thiserror::Error)]
pub struct Findings {
    /// The name of the file in messages.
    file: String,
    findings: Vec<Finding>,
}

impl RecordPlace {
    /// The index in a fixture of the organization at this position or around it.
    pub fn organization(self) -> Option<usize> {
        match self {
            Self::Organization(index) | Self::User(index, _) => Some(index),
            Self::File | Self::Line(_) => None,
        }
    }
}

impl Finding {
    /// Creates a finding.
    pub fn new(place: RecordPlace, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            key: key.into(),
            message: message.into(),
        }
    }
}

impl Findings {
    /// Sorts the findings by their position in the file.
    pub fn of(file: &Path, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|Finding { place, .. }| (place.organization(), *place));
        Self {
            file: file.display().to_string(),
            findings,
        }
    }

    /// The number of findings.
    pub fn count(&self) -> usize {
        self.findings.len()
    }

    /// The findings in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter()
    }

    /// The number of records that have at least one finding.
    pub fn records(&self) -> usize {
        let places = self.findings.chunk_by(|one, next| one.place == next.place);
        places.count()
    }

    /// One line of text per finding: `users.csv:7: uuid: …` for a line, `organizations[0].uuid: …` in a fixture,
    /// `file.json: …` for the file as a whole.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.findings.iter().map(|finding| {
            let Finding { place, key, .. } = finding;
            let (start, joint) = match place {
                RecordPlace::File => (self.file.clone(), ": "),
                RecordPlace::Line(line) => (format!("{}:{line}", self.file), ": "),
                RecordPlace::Organization(_) | RecordPlace::User(..) => (place.to_string(), "."),
            };
            let joint = if key.is_empty() { "" } else { joint };
            format!("{start}{joint}{key}: {}", finding.message)
        })
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Organization(number) => write!(f, "organizations[{number}]"),
            Self::User(organization, number) => {
                write!(f, "organizations[{organization}].users[{number}]")
            }
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join("\n"))
    }
}
