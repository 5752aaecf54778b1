//! README.md and docs/, run as they are: the examples of each page from top to bottom, and its tables held against the program.
//!
//! docs/several-machines.md is run by `postgres::deploy`. Pages are read when the tests run.

use std::fs;
use std::path::Path;

use crate::harness::page::{self, Block};

mod answers;
mod commands;
mod containers;
mod examples;
mod links;
mod package;
mod tables;

const CHECKOUT: &str = env!("CARGO_MANIFEST_DIR");

/// Every page, the one that leads to the others first.
const PAGES: [&str; 9] = [
    "README.md",
    "docs/accounts.md",
    "docs/api.md",
    "docs/container.md",
    "docs/operating.md",
    "docs/performance.md",
    "docs/security.md",
    "docs/several-machines.md",
    "docs/stub.md",
];

pub struct Page {
    name: &'static str,
    text: String,
}

impl Page {
    pub fn read(name: &'static str) -> Self {
        let path = Path::new(CHECKOUT).join(name);
        let text = fs::read_to_string(path).unwrap();
        Self { name, text }
    }

    pub fn examples(&self) -> Vec<(Block, Option<String>)> {
        page::examples(&self.text)
    }

    /// The first block in a language that starts with a text.
    #[track_caller]
    fn example(&self, language: &str, start: &str) -> (Block, Option<String>) {
        let mut examples = self.examples().into_iter();
        examples
            .find(|(block, _)| block.language == language && block.text.starts_with(start))
            .unwrap_or_else(|| panic!("{} has no {language} block {start:?}", self.name))
    }

    /// The cells of each row of the tables below heads that start with these cells.
    #[track_caller]
    fn rows(&self, head: &[&str]) -> Vec<Vec<&str>> {
        let tables = tables::in_text(&self.text);
        let found = tables
            .into_iter()
            .filter(|table| table[0].starts_with(head));
        let rows: Vec<_> = found.flat_map(|table| table.into_iter().skip(1)).collect();
        assert!(!rows.is_empty(), "{} has no table {head:?}", self.name);
        rows
    }
}

/// The texts between backticks.
fn code(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_page_is_checked() {
    let files = fs::read_dir(Path::new(CHECKOUT).join("docs")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut pages: Vec<_> = names
        .filter(|name| name.ends_with(".md"))
        .map(|name| format!("docs/{name}"))
        .chain(["README.md".to_owned()])
        .collect();
    pages.sort();
    assert_eq!(pages, PAGES);
}

#[test]
fn every_block_is_of_a_kind_that_is_checked() {
    for page in PAGES.map(Page::read) {
        for (block, _) in page.examples() {
            // A Rust block is a doc test of the crate, `pg_hba.conf` is what PostgreSQL starts with in its test.
            let known = ["sh", "python", "javascript", "rust", "pg_hba.conf"];
            assert!(
                known.contains(&&*block.language),
                "{}: {}",
                page.name,
                block.text
            );
        }
    }
}
