//! Decides what the journal shows of a request and its answer. Everything that is not listed here is redacted.
//!
//! Names are shown if they look like words, values if their field, parameter or key is listed. A value that contains a
//! token or a password of the fixture is never shown.

use percent_encoding::percent_decode_str;

use super::accounts::clear_password;
use super::content::Content;
use super::entry::Headers;
use crate::accounts::Accounts;
use crate::http::{Body, Field};

/// Shown in place of a redacted name or value.
pub(super) const REDACTED: &str = "[redacted]";

// In these lists a final `*` matches the rest of a name.

/// Header fields whose values are shown, in lower case.
const FIELDS: &str = "accept* access-control-* allow cache-control connection content-* date dnt expect forwarded host \
    idempotency-key if-* keep-alive origin pragma prefer preference-applied priority range request-id retry-after \
    sec-ch-* sec-fetch-* te traceparent tracestate trailer transfer-encoding upgrade upgrade-insecure-requests \
    user-agent vary via www-authenticate x-auth-org x-auth-org-type x-auth-user x-content-type-options \
    x-correlation-id x-forwarded-* x-real-ip x-request-id x-requested-with x-stub-*";
/// Header fields of which only the scheme is shown, and the known schemes.
const AUTHORIZATIONS: &str = "authorization proxy-authorization";
const SCHEMES: &str = "token bearer basic digest negotiate";
/// Query parameters whose values are shown.
const PARAMETERS: &str = "username format limit offset ordering page page_size";
/// The only key of a request's body whose value is shown.
pub(super) const USERNAME: &str = "username";
/// Keys of an answer's body whose values are shown.
const ANSWER_KEYS: &str = "active_date created_date detail expires_at name non_field_errors org_type org_uuid \
    retailer_uuid status supplier_uuid user_uuid username uuid";

/// The number of consecutive hexadecimal digits that may be a token.
const TOKEN_DIGITS: usize = 40;
/// The maximum length of a word: shorter than a token, and long enough for a UUID.
const MAX_WORD_BYTES: usize = TOKEN_DIGITS - 1;
/// Values up to this length are shown in any header or parameter: they are switches and small numbers, too short for a
/// secret.
const MAX_SWITCH_BYTES: usize = 3;
const MAX_METHOD_BYTES: usize = 16;
/// The maximum shown length of a target, of a body, or of all headers together.
const MAX_PART_BYTES: usize = 16 * 1024;

/// Shorter passwords are not searched for, since they occur in other texts too.
const MIN_PASSWORD_BYTES: usize = 6;
/// The maximum number of passwords to search for, since each takes time.
const MAX_PASSWORDS: usize = 256;

/// Decides what is shown of requests and answers.
pub(super) struct Redaction {
    /// The known passwords of the fixture.
    passwords: Vec<String>,
}

impl Redaction {
    /// The redaction for a fixture. A password that is part of a username is not searched for, since usernames have to
    /// remain readable.
    pub(super) fn of(demo: &Accounts) -> Self {
        let users = || demo.users.iter().map(|entry| &entry.user);
        let names: Vec<&str> = users()
            .filter_map(|user| Some(user.username.as_ref()?.as_str()))
            .collect();
        let names = names.join("\n").to_lowercase();
        let mut passwords: Vec<String> = users()
            .filter_map(clear_password)
            .filter(|password| password.len() >= MIN_PASSWORD_BYTES)
            .filter(|password| !names.contains(&password.to_lowercase()))
            .map(str::to_owned)
            .collect();
        passwords.sort_unstable();
        passwords.dedup();
        passwords.truncate(MAX_PASSWORDS);
        Self { passwords }
    }

    /// The method, if it is short and in upper case.
    pub(super) fn method(method: &str) -> &str {
        let is_shown = method.len() <= MAX_METHOD_BYTES
            && method.bytes().all(|byte| byte.is_ascii_uppercase());
        if is_shown { method } else { REDACTED }
    }

    /// The path and the query of a target.
    pub(super) fn target(&self, target: &str) -> String {
        let (path, query) = match target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (target, None),
        };
        let segments: Vec<&str> = path.split('/').map(|segment| self.word(segment)).collect();
        let mut shown = segments.join("/");
        if let Some(query) = query {
            let pairs: Vec<String> = query.split('&').map(|pair| self.parameter(pair)).collect();
            shown = format!("{shown}?{}", pairs.join("&"));
        }
        bounded(shown, target.len())
    }

    /// One parameter of a query. A parameter without a value may be a secret as a whole, such as base 64 with its
    /// padding.
    fn parameter(&self, pair: &str) -> String {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let is_known = lists(PARAMETERS, name);
        if !is_known && value.trim_matches('=').is_empty() {
            return self.value(false, pair).to_owned();
        }
        let decoded = percent_decode_str(value).decode_utf8_lossy();
        let value = self.value(is_known && !self.has_secret(&decoded), value);
        format!("{}={value}", self.word(name))
    }

    /// The names and values of header fields, up to [`MAX_PART_BYTES`]. Fields with the same name are joined by commas.
    pub(super) fn fields<'f>(&self, fields: impl Iterator<Item = (&'f str, &'f [u8])>) -> Headers {
        let mut headers = Headers::new();
        let mut left = MAX_PART_BYTES;
        for (name, value) in fields {
            let (name, value) = self.field(name, &String::from_utf8_lossy(value));
            let Some(rest) = left.checked_sub(name.len() + value.len()) else {
                break;
            };
            left = rest;
            headers
                .entry(name)
                .and_modify(|values| *values = format!("{values}, {value}"))
                .or_insert(value);
        }
        headers
    }

    fn field(&self, name: &str, value: &str) -> (String, String) {
        let lower = name.to_ascii_lowercase();
        let value = if lists(AUTHORIZATIONS, &lower) {
            authorization(value)
        } else {
            self.value(lists(FIELDS, &lower), value).to_owned()
        };
        (self.word(name).to_owned(), value)
    }

    /// The body of a request.
    pub(super) fn content(&self, content: &Content) -> String {
        let (pairs, length) = match content {
            Content::Json { pairs, length } | Content::Form { pairs, length } => (pairs, *length),
            Content::Other { length: 0 } => return String::new(),
            Content::Other { length } => return bytes(*length),
        };
        let shown = |name: &str, value: &Field| match value {
            Field::Text(text) if name == USERNAME => self.value(true, text).to_owned(),
            _ => REDACTED.to_owned(),
        };
        let pairs = pairs.iter();
        let text = match content {
            Content::Form { .. } => {
                let pairs = pairs
                    .map(|(name, value)| format!("{}={}", self.word(name), shown(name, value)));
                pairs.collect::<Vec<_>>().join("&")
            }
            _ => object(pairs.map(|(name, value)| match value {
                Field::Null if name == USERNAME => (self.word(name), "null".to_owned()),
                _ => (self.word(name), quoted(&shown(name, value))),
            })),
        };
        bounded(text, length)
    }

    /// The username in the body of a request.
    pub(super) fn username(&self, content: &Content) -> Option<String> {
        match content.value(USERNAME) {
            Field::Text(text) => Some(self.value(true, text.trim()).to_owned()),
            _ => None,
        }
    }

    /// The body of an answer.
    pub(super) fn answer(&self, body: &Body) -> String {
        let length = body.as_bytes().len();
        let answered = (length > 0 && length <= MAX_PART_BYTES).then(|| body.object().ok());
        let Some(answered) = answered.flatten() else {
            return if length == 0 {
                String::new()
            } else {
                bytes(length)
            };
        };
        object(answered.keys().map(|key| {
            let raw = answered.raw(key).unwrap_or_default();
            let is_flat = raw.starts_with('"') || !raw.contains('{');
            let is_shown = lists(ANSWER_KEYS, key) && is_flat && !self.has_secret(raw);
            let value = if is_shown {
                raw.to_owned()
            } else {
                quoted(REDACTED)
            };
            (self.word(key), value)
        }))
    }

    fn value<'v>(&self, is_known: bool, value: &'v str) -> &'v str {
        let is_short = value.len() <= MAX_SWITCH_BYTES;
        if is_short || (is_known && !self.has_secret(value)) {
            value
        } else {
            REDACTED
        }
    }

    fn word<'w>(&self, word: &'w str) -> &'w str {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte);
        if word.len() <= MAX_WORD_BYTES && word.bytes().all(is_plain) && !self.has_secret(word) {
            word
        } else {
            REDACTED
        }
    }

    fn has_secret(&self, text: &str) -> bool {
        let mut runs = text.split(|char: char| !char.is_ascii_hexdigit());
        runs.any(|run| run.len() >= TOKEN_DIGITS)
            || self
                .passwords
                .iter()
                .any(|password| text.contains(&**password))
    }
}

fn lists(list: &str, name: &str) -> bool {
    list.split(' ')
        .any(|listed| match listed.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => listed == name,
        })
}

/// The value of an authorization field with only its scheme, which is enough to recognise most mistakes.
fn authorization(value: &str) -> String {
    let (scheme, rest) = match value.trim().split_once(char::is_whitespace) {
        Some((scheme, _)) => (scheme, Some(REDACTED)),
        None => (value.trim(), None),
    };
    if scheme.is_empty() {
        return String::new();
    }
    let is_known = lists(SCHEMES, &scheme.to_ascii_lowercase());
    match rest {
        _ if !is_known => REDACTED.to_owned(),
        Some(rest) => format!("{scheme} {rest}"),
        None => scheme.to_owned(),
    }
}

fn object<'k>(pairs: impl Iterator<Item = (&'k str, String)>) -> String {
    let pairs: Vec<String> = pairs
        .map(|(key, value)| format!("{}:{value}", quoted(key)))
        .collect();
    format!("{{{}}}", pairs.join(","))
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn bounded(shown: String, length: usize) -> String {
    if shown.len() > MAX_PART_BYTES {
        bytes(length)
    } else {
        shown
    }
}

fn bytes(length: usize) -> String {
    format!("[{length} bytes]")
}

#[cfg(test)]
mod tests;
