//! `/`: the web page of the demo, in one file.
//!
//! The content security policy names script and style by their hashes, so that the browser runs and loads nothing else.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::http::Reply;

const HTML: &str = include_str!("page.html");
const CONTENT_TYPE: &str = "text/html; charset=utf-8";

/// The page and its content security policy.
pub(super) struct Page {
    html: String,
    policy: String,
}

impl Page {
    /// `pinned` are the usernames with a pinned token, in lower case.
    pub(super) fn new(pinned: &[String], token_ttl: Option<Duration>) -> Self {
        let token_ttl_ms = token_ttl.unwrap_or_default().as_millis().to_string();
        let html = HTML
            .replace("{{version}}", env!("CARGO_PKG_VERSION"))
            .replace("{{token_ttl_ms}}", &token_ttl_ms)
            .replace("{{pinned}}", &attribute(&json!(pinned).to_string()));
        let (script, style) = (
            hash(between("<script>", "</script>")),
            hash(between("<style>", "</style>")),
        );
        let policy = format!(
            "default-src 'none'; connect-src 'self'; script-src {script}; style-src {style}; \
             base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        );
        Self { html, policy }
    }

    pub(super) fn reply(&self) -> Reply {
        Reply::text(200, CONTENT_TYPE, self.html.as_str())
            .with("Content-Security-Policy", self.policy.as_str())
            .with("Referrer-Policy", "no-referrer")
    }
}

/// Escapes a text for an attribute in double quotes.
fn attribute(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;")
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
    fn the_page_has_one_script_one_style_and_nothing_that_its_policy_forbids() {
        for (open, close) in [("<script", "<script>"), ("<style", "<style>")] {
            assert_eq!(HTML.matches(open).count(), 1, "{open}");
            assert_eq!(HTML.matches(close).count(), 1, "{close}");
        }
        for forbidden in [" style=", " onclick=", " onsubmit=", " src=", "javascript:"] {
            assert!(!HTML.contains(forbidden), "{forbidden}");
        }
    }
    #[test]
    fn a_username_cannot_end_its_attribute() {
        let page = Page::new(&["\"><b>&me".to_owned()], None);
        let expected = r#"data-token-ttl-ms="0" data-pinned="[&quot;\&quot;><b>&amp;me&quot;]">"#;
        assert!(page.html.contains(expected), "{}", page.html);
    }
}
