//! Tables of Markdown, and those of other pages than `answers` and `commands` hold.

use std::fs;
use std::path::Path;

use super::{Page, code};

/// The tables of a page: rows of cells, the head first.
pub(super) fn in_text(text: &str) -> Vec<Vec<Vec<&str>>> {
    let mut tables: Vec<Vec<Vec<&str>>> = Vec::new();
    let mut is_table = false;
    for line in text.lines() {
        let row = line
            .trim()
            .strip_prefix("| ")
            .and_then(|it| it.strip_suffix(" |"));
        match row {
            Some(row) => {
                if !is_table {
                    tables.push(Vec::new());
                }
                tables.last_mut().unwrap().push(row.split(" | ").collect());
                is_table = true;
            }
            // The line below the head.
            None => is_table &= line.trim().starts_with("|--"),
        }
    }
    tables
}

#[test]
fn every_test_that_shows_a_defence_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for directory in ["tests", "src"] {
        gather(&root.join(directory), &mut sources);
    }
    let page = Page::read("docs/security.md");
    let rows = page.rows(&["against", "how"]);
    let named: Vec<&str> = rows.iter().flat_map(|cells| code(cells[2])).collect();
    assert!(named.len() > 10, "{named:?}");
    for cells in &rows {
        assert!(cells[2].contains("::"), "no test shows {cells:?}");
    }
    for path in named {
        let name = path.rsplit("::").next().unwrap();
        assert!(sources.contains(&format!("fn {name}(")), "{path}");
    }
}

fn gather(directory: &Path, sources: &mut String) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            sources.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}
