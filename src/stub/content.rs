//! The parsed body of a request: a JSON object or a form.
//!
//! The journal reads it to show its names and the username of a login, whatever the server answers.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use crate::http::{Body, Field};

/// The names that the server reads of a login.
const NAMES: &[&str] = &["username", "password"];

const FORM: &[u8] = b"application/x-www-form-urlencoded";

/// The names with their values in the order of the body, or a body that is neither a form nor a JSON object.
pub(super) enum Content {
    Json { pairs: Vec<Pair>, length: usize },
    Form { pairs: Vec<Pair>, length: usize },
    Other { length: usize },
}

type Pair = (String, Field);

impl Content {
    /// Parses a body. A form is recognised only by its media type, since any text with a `=` looks like a form.
    pub(super) fn of(body: &Body, content_type: &[u8]) -> Self {
        let bytes = body.as_bytes();
        let length = bytes.len();
        if length == 0 {
            return Self::Other { length };
        }
        if is_form(content_type) {
            let text = String::from_utf8_lossy(bytes);
            let pairs = text.split('&').filter(|pair| !pair.is_empty());
            let pairs = pairs.map(|pair| {
                let (name, value) = named(pair).unwrap_or(("", pair));
                (decoded(name).to_string(), Field::Text(decoded(value)))
            });
            let pairs = pairs.collect();
            return Self::Form { pairs, length };
        }
        let Ok(object) = body.object() else {
            return Self::Other { length };
        };
        let value = |key: &str| object.field(key).unwrap_or(Field::Other);
        let pairs = object.keys().map(|key| (key.to_owned(), value(key)));
        let pairs = pairs.collect();
        Self::Json { pairs, length }
    }

    /// The value of a name; [`Field::Missing`] if there is none.
    pub(super) fn value(&self, wanted: &str) -> &Field {
        let pairs = match self {
            Self::Json { pairs, .. } | Self::Form { pairs, .. } => &pairs[..],
            Self::Other { .. } => &[],
        };
        let found = pairs.iter().find(|(name, _)| name == wanted);
        found.map_or(&Field::Missing, |(_, value)| value)
    }
}

fn is_form(content_type: &[u8]) -> bool {
    let essence = content_type.split(|byte| *byte == b';').next();
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(FORM))
}

/// Splits a pair into name and value. A pair without a value has no name, since it may be a secret as a whole, such as
/// base 64 with its padding.
fn named(pair: &str) -> Option<(&str, &str)> {
    let (name, value) = pair.split_once('=')?;
    let has_value = !value.trim_matches('=').is_empty();
    (has_value || NAMES.contains(&name)).then_some((name, value))
}

fn decoded(text: &str) -> Zeroizing<String> {
    let spaced = Zeroizing::new(text.replace('+', " "));
    let decoded = percent_decode_str(&spaced).decode_utf8_lossy();
    Zeroizing::new(decoded.into_owned())
}
