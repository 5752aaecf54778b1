//! The file formats for accounts.

use std::path::Path;

use crate::account::spelled;

spelled! {
    /// The format of a file of accounts.
    FileFormat {
        /// A header row, then one row per user.
        Csv = "csv",
        /// One JSON object per line.
        JsonLines = "jsonl",
        /// One JSON document of organizations with their users.
        Fixture = "fixture",
    }
}

impl FileFormat {
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
            ("users.csv", Some(FileFormat::Csv)),
            ("dir.json/USERS.CSV", Some(FileFormat::Csv)),
            ("users.Jsonl", Some(FileFormat::JsonLines)),
            ("users.NDJSON", Some(FileFormat::JsonLines)),
            ("users.Json", Some(FileFormat::Fixture)),
            ("users.csv.gz", None),
            ("csv", None),
            ("-", None),
        ] {
            assert_eq!(FileFormat::of(Path::new(name)), expected, "{name}");
        }
    }
}
