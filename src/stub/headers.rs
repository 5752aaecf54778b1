//! `Prefer`, `X-Stub-Delay` and `X-Stub-Fault`: the headers by which a request steers its own answer.

use std::str::FromStr;

use super::documented::Documented;
use super::error::{Error, list, list_examples};
use super::own_answer::OwnAnswer;
use crate::gate::Fault;
use crate::http::{EveryField, Request};

/// The longest delay in milliseconds.
pub(super) const MAX_DELAY_MS: u64 = 60_000;

/// The preference that forces an answer.
const CODE: &str = "code";
/// The preference that chooses among the examples of an answer.
const EXAMPLE: &str = "example";

/// The fault that generated clients may send by default, together with a delay of 0. It injects no fault.
pub(super) const NO_FAULT: &str = "none";

/// How one request is to be answered.
#[derive(Clone, Default)]
pub(super) struct Steering {
    /// Forces an answer with this code: the custom body if there is one, else the documented answer, else an empty one.
    pub(super) code: Option<u16>,
    /// The name of the documented example; `None` is the first one.
    pub(super) example: Option<String>,
    pub(super) own: OwnAnswer,
    pub(super) delay_ms: u64,
    pub(super) fault: Option<Fault>,
}

/// The steering headers of one request, still unchecked.
pub(super) struct Headers {
    code: Option<String>,
    example: Option<String>,
    delay: Option<String>,
    fault: Option<String>,
}

impl Headers {
    /// Reads the headers; `None` if the request has no steering header.
    pub(super) fn of(request: &Request<'_>, fields: EveryField) -> Option<Self> {
        let text = |name| {
            let value = request.joined_any(fields, name)?;
            Some(String::from_utf8_lossy(&value).into_owned())
        };
        let prefer = text("Prefer").unwrap_or_default();
        let (delay, fault) = (text("X-Stub-Delay"), text("X-Stub-Fault"));
        let is_none = fault.as_deref() == Some(NO_FAULT);
        let headers = Self {
            code: preference(&prefer, CODE),
            example: preference(&prefer, EXAMPLE),
            delay: delay.filter(|delay| !(is_none && delay == "0")),
            fault: fault.filter(|_| !is_none),
        };
        let Self {
            code,
            example,
            delay,
            fault,
        } = &headers;
        let steers = [code, example, delay, fault].iter().any(|it| it.is_some());
        steers.then_some(headers)
    }

    /// Checks the headers. The code and the example must be documented for the call.
    pub(super) fn check(&self, call: &str, documented: &Documented) -> Result<Steering, Error> {
        let refuse = |expected| Error::Header {
            name: "Prefer",
            expected,
        };
        let code = match self.code.as_deref() {
            None => None,
            Some(text) => {
                let codes = documented.codes(call);
                let code = number(text).filter(|code| codes.contains(code));
                let expected = || {
                    let codes = list(&codes);
                    refuse(format!(
                        "a code that this call has: {codes} (/__stub/next/ takes others too)"
                    ))
                };
                Some(code.ok_or_else(expected)?)
            }
        };
        let code = match &self.example {
            None => code,
            Some(name) => {
                let expected = || {
                    let examples = list_examples(documented.examples(call, code));
                    refuse(format!("an example that this call has: {examples}"))
                };
                let found = documented.code_with(call, code, name);
                Some(found.ok_or_else(expected)?)
            }
        };
        Ok(Steering {
            code,
            example: self.example.clone(),
            ..self.delay_and_fault()?
        })
    }

    /// Checks only the delay and the fault, for a request that belongs to no call.
    pub(super) fn delay_and_fault(&self) -> Result<Steering, Error> {
        let delay = self.delay.as_deref().map(|text| {
            number(text)
                .filter(|delay| *delay <= MAX_DELAY_MS)
                .ok_or_else(|| Error::Header {
                    name: "X-Stub-Delay",
                    expected: format!("a whole number of milliseconds up to {MAX_DELAY_MS}"),
                })
        });
        let fault = self.fault.as_deref().map(|text| {
            Fault::named(text).ok_or_else(|| Error::Header {
                name: "X-Stub-Fault",
                expected: format!("one of {}", Fault::NAMES.join(", ")),
            })
        });
        Ok(Steering {
            delay_ms: delay.transpose()?.unwrap_or_default(),
            fault: fault.transpose()?,
            ..Steering::default()
        })
    }
}

/// A number that consists of digits only.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// The value of a preference (RFC 7240, section 2): the first one with this name. Parameters and unknown preferences
/// are ignored.
fn preference(prefer: &str, name: &str) -> Option<String> {
    split(prefer, ',').into_iter().find_map(|preference| {
        let preference = *split(preference, ';').first()?;
        let (given, value) = preference.split_once('=').unwrap_or((preference, ""));
        let value = value.trim();
        let unquoted = value
            .strip_prefix('"')
            .and_then(|value| value.strip_suffix('"'));
        given
            .trim()
            .eq_ignore_ascii_case(name)
            .then(|| unquoted.unwrap_or(value).to_owned())
    })
}

/// Splits at separators outside of quoted strings.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(|char| {
        let is_end = !quoted && char == separator;
        if char == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = quoted && char == '\\' && !escaped;
        is_end
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preference_is_found_among_others() {
        for (prefer, expected) in [
            ("code=503", Some("503")),
            ("CODE = \"503\"; a=b", Some("503")),
            ("respond-async, wait=10,code=401, code=503", Some("401")),
            ("x=\"a,code=200\", code=403", Some("403")),
            ("code", Some("")),
            ("codes=503, return=minimal", None),
            ("", None),
        ] {
            assert_eq!(preference(prefer, CODE).as_deref(), expected, "{prefer}");
        }
    }

    #[test]
    fn a_number_consists_of_digits() {
        assert_eq!(number::<u64>("1500"), Some(1500));
        for text in ["", "+1", "-1", " 1", "1.0", "1, 2", "99999999999999999999"] {
            assert_eq!(number::<u64>(text), None, "{text}");
        }
    }
}
