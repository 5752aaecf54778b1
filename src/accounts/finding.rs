//! What is wrong in a file, and where.

use std::fmt;
use std::path::Path;

/// Where a record is in its file; ordered as in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// The line on which a record starts, from 1.
    Line(u64),
    /// `organizations[n]`.
    Organization(usize),
    /// `organizations[n].users[m]`.
    User(usize, usize),
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The record.
    pub place: Place,
    /// The key in the record, such as `person.uuid`; empty for the record as a whole.
    pub key: String,
    /// What is wrong there, without any secret.
    pub message: String,
}

/// All mistakes of a file; one line each when shown.
#[derive(Debug, thiserror::Error)]
pub struct Findings {
    /// What the file is called in messages.
    file: String,
    findings: Vec<Finding>,
}

impl Finding {
    /// Makes one.
    pub fn new(place: Place, key: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place,
            key: key.into(),
            message: message.into(),
        }
    }
}

impl Findings {
    /// Puts the findings into the order of the file.
    pub fn of(file: &Path, mut findings: Vec<Finding>) -> Self {
        findings.sort_by_key(|finding| finding.place);
        Self {
            file: file.display().to_string(),
            findings,
        }
    }
}

impl fmt::Display for Place {
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

/// `users.csv:7: uuid: …` for a line, `organizations[0].uuid: …` for a fixture, `file.json: …` for the file as a whole.
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = &self.file;
        for (index, finding) in self.findings.iter().enumerate() {
            let Finding {
                place,
                key,
                message,
            } = finding;
            if index > 0 {
                f.write_str("\n")?;
            }
            match (place, key.is_empty()) {
                (Place::File, true) => write!(f, "{file}: {message}")?,
                (Place::File, false) => write!(f, "{file}: {key}: {message}")?,
                (Place::Line(line), true) => write!(f, "{file}:{line}: {message}")?,
                (Place::Line(line), false) => write!(f, "{file}:{line}: {key}: {message}")?,
                (_, true) => write!(f, "{place}: {message}")?,
                (_, false) => write!(f, "{place}.{key}: {message}")?,
            }
        }
        Ok(())
    }
}
