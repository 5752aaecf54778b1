//! The formats of files of accounts.

use std::path::Path;

use crate::account::spelled;

spelled! {
    /// How users are in a file.
    Format {
        /// A header row, then a row a user.
        Csv = "csv",
        /// An object a line.
        JsonLines = "jsonl",
        /// Whole organizations.
        Fixture = "fixture",
    }
}

impl Format {
    /// By the ending of the file's name, whatever its case.
    pub fn of(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            "json" => Some(Self::Fixture),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_says_the_format_whatever_its_case() {
        for (name, expected) in [
            ("users.csv", Some(Format::Csv)),
            ("dir.json/USERS.CSV", Some(Format::Csv)),
            ("users.Jsonl", Some(Format::JsonLines)),
            ("users.NDJSON", Some(Format::JsonLines)),
            ("users.Json", Some(Format::Fixture)),
            ("users.csv.gz", None),
            ("csv", None),
            ("-", None),
        ] {
            assert_eq!(Format::of(Path::new(name)), expected, "{name}");
        }
    }
}
