//! The file formats for accounts.

use std::path::Path;

use crate::account::spelled;

spelled! {
    /// The format of a file of accounts.
    Format {
        /// A header row, then one row per user.
        Csv = "csv",
        /// One JSON object per line.
        JsonLines = "jsonl",
        /// One JSON document of organizations with their users.
        Fixture = "fixture",
    }
}

impl Format {
    /// The format for the extension of a file name, in any case. `None` for an unknown extension.
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
    fn the_file_extension_determines_the_format_in_any_case() {
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
