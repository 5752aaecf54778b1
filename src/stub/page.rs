//! `/`: a page for people, in one file.
//!
//! The browser is told to run and show nothing but what is in the file: script and style are named by their hashes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::http::Reply;

const HTML: &str = include_str!("page.html");
const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The page, and what the browser may do with it.
pub(super) struct Page {
    policy: String,
}

impl Page {
    pub(super) fn embedded() -> Self {
        let (script, style) = (
            hash(between("<script>", "</script>")),
            hash(between("<style>", "</style>")),
        );
        Self {
            policy: format!(
                "default-src 'none'; connect-src 'self'; script-src {script}; style-src {style}; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        }
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::text(200, CONTENT_TYPE, HTML)
            .with("Content-Security-Policy", self.policy.as_str())
            .with("Referrer-Policy", "no-referrer")
    }
}

fn between(open: &str, close: &str) -> &'static str {
    let content = HTML
        .split_once(open)
        .and_then(|(_, rest)| rest.split_once(close));
    content.map_or("", |(content, _)| content)
}

fn hash(content: &str) -> String {
    format!("'sha256-{}'", STANDARD.encode(Sha256::digest(content)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_one_script_one_style_and_no_attribute_that_the_policy_forbids() {
        for (open, close) in [("<script", "<script>"), ("<style", "<style>")] {
            assert_eq!(HTML.matches(open).count(), 1, "{open}");
            assert_eq!(HTML.matches(close).count(), 1, "{close}");
        }
        for forbidden in [" style=", " onclick=", " onsubmit=", " src=", "javascript:"] {
            assert!(!HTML.contains(forbidden), "{forbidden}");
        }
    }
}
