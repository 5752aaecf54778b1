//! Taking passwords and tokens out of what is shown of a request.
//!
//! Three ways, each for what the others miss: a value is secret when its name says so, in JSON, forms, XML and whatever
//! else a client sends by mistake; so is every password of the fixture wherever it stands; so is everything that looks like
//! a token. Rather too much is taken out than too little.

use super::accounts::clear_password;
use crate::accounts::Accounts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";

/// What names of secrets have in them, in lower case.
const NAMES: &[&str] = &["passw", "passphrase", "pwd", "token", "secret"];

/// What a form or a query encodes.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Hexadecimal digits in a row that may be a token.
const TOKEN_DIGITS: usize = 40;

/// Shorter passwords are words that stand elsewhere too.
const MIN_PASSWORD_BYTES: usize = 6;
/// Looking for each costs time.
const MAX_PASSWORDS: usize = 256;

/// The fixture's passwords, in every spelling that they may come in.
pub(super) struct Secrets(Vec<String>);

impl Secrets {
    /// Those that are not part of a username, which must stay readable.
    pub(super) fn of(demo: &Accounts) -> Self {
        let users = || demo.users.iter().map(|entry| &entry.user);
        let mut passwords: Vec<&str> = users()
            .filter_map(clear_password)
            .filter(|password| password.len() >= MIN_PASSWORD_BYTES)
            .collect();
        passwords.sort_unstable();
        passwords.dedup();
        passwords.truncate(MAX_PASSWORDS);
        let names: Vec<&str> = users()
            .filter_map(|user| Some(user.username.as_ref()?.as_str()))
            .collect();
        let names = names.join("\n").to_lowercase();
        passwords.retain(|password| !names.contains(&password.to_lowercase()));
        let mut spellings: Vec<_> = passwords.into_iter().flat_map(spellings).collect();
        // The longest first: another may be a part of it.
        spellings.sort_by_key(|spelling| std::cmp::Reverse(spelling.len()));
        Self(spellings)
    }

    /// A header's value.
    pub(super) fn header(&self, name: &str, value: &str) -> String {
        let name = name.to_ascii_lowercase();
        if name.contains("authorization") {
            return authorization(value);
        }
        let is_secret =
            is_secret_name(&name) || name.contains("cookie") || name.contains("api-key");
        if is_secret {
            REDACTED.to_owned()
        } else {
            self.text(value)
        }
    }

    /// A request's path and query.
    pub(super) fn target(&self, target: &str) -> String {
        self.text(target)
    }

    /// A body, be it JSON or not.
    pub(super) fn body(&self, body: &str) -> String {
        self.text(body)
    }

    fn text(&self, text: &str) -> String {
        let is_json = text.trim_start().starts_with(['{', '[']);
        let text = if is_json {
            plain_letters(text)
        } else {
            pairs(text)
        };
        let mut text = named_values(&text, is_json);
        for password in &self.0 {
            if text.contains(password.as_str()) {
                text = text.replace(password.as_str(), REDACTED);
            }
        }
        tokens(&text)
    }
}

/// As it is, as JSON escapes it, as a form and a query encode it.
fn spellings(password: &str) -> Vec<String> {
    let json = serde_json::Value::from(password).to_string();
    let json = json.trim_start_matches('"');
    let encoded = utf8_percent_encode(password, RESERVED).to_string();
    let mut spellings = vec![
        password.to_owned(),
        json.strip_suffix('"').unwrap_or(json).to_owned(),
        encoded.replace("%20", "+"),
        encoded,
    ];
    spellings.dedup();
    spellings
}

fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|part| name.contains(part))
}

/// The scheme stays, which tells most mistakes.
fn authorization(value: &str) -> String {
    match value.trim().split_once(char::is_whitespace) {
        Some((scheme, _)) => format!("{scheme} {REDACTED}"),
        None if ["token", "bearer", "basic", ""]
            .contains(&value.trim().to_lowercase().as_str()) =>
        {
            value.to_owned()
        }
        None => REDACTED.to_owned(),
    }
}

/// `name=value` of a form or a query, where the name is percent-encoded: others are found in the text as it is.
fn pairs(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let pair = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let is_plain = !name.contains('%') || value.is_empty();
        let name_sent = percent_decode_str(name).decode_utf8_lossy();
        (!is_plain && is_secret_name(&name_sent)).then(|| format!("{name}={REDACTED}"))
    };
    let redacted = text
        .split_inclusive(['&', '?'])
        .map(|part| {
            let end = part.trim_end_matches(['&', '?']).len();
            let (inner, separator) = part.split_at(end);
            pair(inner).map_or(part.to_owned(), |pair| pair + separator)
        })
        .collect::<Vec<_>>();
    redacted.concat()
}

/// JSON's escapes of what needs none, as the letters that they stand for.
fn plain_letters(text: &str) -> String {
    let mut pieces = text.split("\\u00");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.as_bytes().first_chunk::<2>();
        let letter = digits.and_then(|digits| hex::decode(digits).ok());
        match letter.as_deref() {
            Some([letter]) if letter.is_ascii_alphanumeric() => {
                out.push(char::from(*letter));
                out.push_str(&piece[2..]);
            }
            _ => {
                out.push_str("\\u00");
                out.push_str(piece);
            }
        }
    }
    out
}

/// Takes out what follows a name of a secret.
fn named_values(text: &str, is_json: bool) -> String {
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let (mut written, mut from) = (0, 0);
    while let Some(name_end) = end_of_secret_name(&lower, from) {
        from = name_end;
        let Some((start, quote)) = start_of_value(text, name_end) else {
            continue;
        };
        from = start + length_of_value(&text[start..], quote, is_json);
        if from > start {
            out.push_str(&text[written..start]);
            out.push_str(REDACTED);
            written = from;
        }
    }
    out + &text[written..]
}

/// Where the first name of a secret ends.
fn end_of_secret_name(lower: &str, from: usize) -> Option<usize> {
    let found = NAMES
        .iter()
        .filter_map(|name| Some((from + lower[from..].find(name)?, name.len())));
    let (start, length) = found.min()?;
    let after = start + length;
    let tail = lower[after..].find(|char: char| !(char.is_alphanumeric() || "_-.".contains(char)));
    Some(tail.map_or(lower.len(), |tail| after + tail))
}

/// Where the value begins that a name is given, if it is given any, and the quote that it stands in.
fn start_of_value(text: &str, name_end: usize) -> Option<(usize, Option<char>)> {
    let rest = text[name_end..].trim_start_matches(['"', '\'', '\\', ']', ' ', '\t']);
    // A line's end is what stands between name and value in a multipart form.
    let rest = rest
        .strip_prefix([':', '=', '>'])
        .or_else(|| rest.starts_with(['\r', '\n']).then_some(rest))?;
    let rest = rest.trim_start();
    let bare = rest.strip_prefix('\\').unwrap_or(rest);
    let quote = bare
        .chars()
        .next()
        .filter(|char| ['"', '\''].contains(char));
    let value = match quote {
        Some(quote) => bare.strip_prefix(quote)?,
        None => rest,
    };
    Some((text.len() - value.len(), quote))
}

fn length_of_value(value: &str, quote: Option<char>, is_json: bool) -> usize {
    let ends: &[char] = match quote {
        Some(quote) => return quoted_end(value, quote),
        // Whatever is nested ends where only a parser could tell.
        None if is_json && value.starts_with(['{', '[']) => &[],
        None if is_json => &[',', '}', ']', '\r', '\n'],
        None => &['&', '<', '\r', '\n'],
    };
    value.find(ends).unwrap_or(value.len())
}

/// The length of what stands before a closing quote; of everything, if none closes.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (index, char) in text.char_indices() {
        if char == quote && !escaped {
            return index;
        }
        escaped = char == '\\' && !escaped;
    }
    text.len()
}

/// Takes out everything that may be a token.
fn tokens(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest
            .find(|char: char| !char.is_ascii_hexdigit())
            .unwrap_or(rest.len());
        let others = rest[digits..]
            .find(|char: char| char.is_ascii_hexdigit())
            .unwrap_or(rest.len() - digits);
        out.push_str(if digits >= TOKEN_DIGITS {
            REDACTED
        } else {
            &rest[..digits]
        });
        out.push_str(&rest[digits..digits + others]);
        rest = &rest[digits + others..];
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secrets() -> Secrets {
        Secrets::of(&Accounts::demo().unwrap())
    }

    #[test]
    fn no_password_and_no_token_is_shown() {
        let token = "a0f17278bed479ee719ea890b8caf0329e1f3e5b";
        for (text, expected) in [
            (
                r#"{"username":"jweir","password":"s3cr\"et x"}"#.to_owned(),
                r#"{"username":"jweir","password":"[redacted]"}"#,
            ),
            (
                r#"{"Password" : "s3cret", "username":"jweir"}"#.to_owned(),
                r#"{"Password" : "[redacted]", "username":"jweir"}"#,
            ),
            (
                r#"{"p\u0061ssword":"s3cret","username":"jweir"}"#.to_owned(),
                r#"{"password":"[redacted]","username":"jweir"}"#,
            ),
            (
                r#"{"note":"token x","p\u0061ssword":"s3cret","x":"th\u0061nosrocks \u00e9"}"#
                    .to_owned(),
                r#"{"note":"token x","password":"[redacted]","x":"[redacted] \u00e9"}"#,
            ),
            (
                r#"{"password":" =s3c,ret","username":"jweir"}"#.to_owned(),
                r#"{"password":"[redacted]","username":"jweir"}"#,
            ),
            (
                r#"{"tokens":["s3cret","s3cret"],"a":1}"#.to_owned(),
                r#"{"tokens":[redacted]"#,
            ),
            (
                r#"{"password":12345,"username":"jweir"}"#.to_owned(),
                r#"{"password":[redacted],"username":"jweir"}"#,
            ),
            (
                r#"{"username":"jweir","password":"s3cret"#.to_owned(),
                r#"{"username":"jweir","password":"[redacted]"#,
            ),
            (
                r#"{"password":"","username":"jweir"}"#.to_owned(),
                r#"{"password":"","username":"jweir"}"#,
            ),
            (
                "username=jweir&password=s3cret&x=1".to_owned(),
                "username=jweir&password=[redacted]&x=1",
            ),
            (
                "x=1&p%61ssword=s3cret&y=2".to_owned(),
                "x=1&p%61ssword=[redacted]&y=2",
            ),
            (
                "/api/?auth_token=abc&x=1".to_owned(),
                "/api/?auth_token=[redacted]&x=1",
            ),
            (
                "<user>jweir</user><password>s3cret</password>".to_owned(),
                "<user>jweir</user><password>[redacted]</password>",
            ),
            (
                "username: jweir\npassword: s3cret word\n".to_owned(),
                "username: jweir\npassword: [redacted]\n",
            ),
            (
                "name=\"password\"\r\n\r\ns3cret\r\n--x".to_owned(),
                "name=\"password\"\r\n\r\n[redacted]\r\n--x",
            ),
            ("jweir:thanosrocks".to_owned(), "jweir:[redacted]"),
            (format!("x {token} y"), "x [redacted] y"),
        ] {
            assert_eq!(secrets().body(&text), expected, "{text}");
        }
    }

    #[test]
    fn headers_keep_what_is_no_secret() {
        for (name, value, expected) in [
            ("Authorization", "Token abc", "Token [redacted]"),
            ("authorization", "abc", "[redacted]"),
            ("Authorization", "Token", "Token"),
            ("Cookie", "a=b", "[redacted]"),
            ("X-Auth-Token", "abc", "[redacted]"),
            ("X-Note", "thanosrocks", "[redacted]"),
            ("User-Agent", "curl/8", "curl/8"),
            ("Content-Type", "application/json", "application/json"),
        ] {
            assert_eq!(secrets().header(name, value), expected, "{name}: {value}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_through_without_a_panic(text: String) {
            secrets().body(&text);
        }

        #[test]
        fn any_text_close_to_a_secret_is_looked_through_without_a_panic(
            text in "(password|token|[\"':=>&%{}\\\\ \n]|u0061|é|[a-f0-9]{1,45}){0,20}"
        ) {
            secrets().body(&text);
        }

        #[test]
        fn a_password_is_in_no_json_body_that_is_shown(password in "[ -~é]{8,30}") {
            let body = serde_json::json!({"username": "jweir", "password": password}).to_string();
            prop_assume!(!REDACTED.contains(&password) && !body[..10].contains(&password));
            let shown = secrets().body(&body);
            prop_assert_eq!(shown, r#"{"password":"[redacted]","username":"jweir"}"#);
        }
    }
}
