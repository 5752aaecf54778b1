//! Links between pages, and from pages to files.

use std::path::Path;

use super::{CHECKOUT, PAGES, Page};

/// The targets of a page's links, without those of the web.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    let targets = targets.filter_map(|rest| Some(rest.split_once(')')?.0));
    targets.filter(|target| !target.starts_with("https://"))
}

/// The anchors that GitHub gives to headings.
fn anchors(text: &str) -> Vec<String> {
    let mut is_code = false;
    let mut anchors = Vec::new();
    for line in text.lines() {
        is_code ^= line.starts_with("```");
        if !is_code && line.starts_with('#') {
            let heading = line.trim_start_matches('#').trim().to_lowercase();
            let kept = heading.chars().filter_map(|character| match character {
                ' ' => Some('-'),
                _ => (character.is_alphanumeric() || "-_".contains(character)).then_some(character),
            });
            anchors.push(kept.collect());
        }
    }
    anchors
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_of_it() {
    for page in PAGES.map(Page::read) {
        let directory = Path::new(CHECKOUT).join(page.name);
        let directory = directory.parent().unwrap();
        for link in links(&page.text) {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let text = if file.is_empty() {
                page.text.clone()
            } else {
                let path = directory.join(file);
                assert!(path.exists(), "{}: {link}", page.name);
                std::fs::read_to_string(path).unwrap_or_default()
            };
            let is_there = anchor.is_empty() || anchors(&text).contains(&anchor.to_owned());
            assert!(is_there, "{}: {link}", page.name);
        }
    }
}

#[test]
fn readme_leads_to_every_page() {
    let readme = Page::read("README.md");
    for page in &PAGES[1..] {
        assert!(links(&readme.text).any(|link| link == *page), "{page}");
    }
}
