//! Reading JSON: a fixture, or one object per line. A malformed record is a finding; the other records are still read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::finding::{Finding, RecordPlace};
use super::object::Object;
use super::{Organization, ParsedAccounts};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture<'f> {
    #[serde(borrow)]
    organizations: Vec<&'f RawValue>,
}

/// The users of an organization. They are read even if the organization itself is malformed.
#[derive(Deserialize)]
struct Users<'f> {
    #[serde(borrow, default)]
    users: Vec<&'f RawValue>,
}

pub(super) fn fixture(bytes: &[u8]) -> ParsedAccounts {
    let mut read = ParsedAccounts::default();
    let fixture = text(RecordPlace::File, bytes)
        .and_then(|text| from_text::<Fixture<'_>>(RecordPlace::File, text));
    let organizations = match fixture {
        Ok(fixture) => fixture.organizations,
        Err(finding) => {
            read.findings.push(finding);
            return read;
        }
    };
    for (index, raw) in organizations.into_iter().enumerate() {
        let place = RecordPlace::Organization(index);
        match from_text::<Organization>(place, raw.get()) {
            Ok(organization) => read.accounts.organizations.push((place, organization)),
            Err(finding) => read.findings.push(finding),
        }
        let users = from_text::<Users<'_>>(place, raw.get()).map(|found| found.users);
        for (number, raw) in users.unwrap_or_default().into_iter().enumerate() {
            let place = RecordPlace::User(index, number);
            read.add(place, from_text(place, raw.get()));
        }
    }
    read
}

/// Reads one object per line. Blank lines are ignored.
pub(super) fn lines(bytes: &[u8]) -> ParsedAccounts {
    let mut read = ParsedAccounts::default();
    for (line, bytes) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        if bytes.trim_ascii().is_empty() {
            continue;
        }
        let place = RecordPlace::Line(line);
        let user = text(place, bytes).and_then(|text| from_text(place, text));
        read.add(place, user);
    }
    read
}

fn text(place: RecordPlace, bytes: &[u8]) -> Result<&str, Finding> {
    std::str::from_utf8(bytes).map_err(|_| Finding::new(place, "", "not UTF-8"))
}

/// Reads one JSON object. An error becomes a finding at `place`.
pub(super) fn from_text<'t, T: Deserialize<'t>>(
    place: RecordPlace,
    text: &'t str,
) -> Result<T, Finding> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let Object(value) = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path = error.path().to_string();
        // `.` is the path of the record itself.
        let key = if path == "." { String::new() } else { path };
        match error.into_inner() {
            error if error.is_data() => explained(place, key, &error),
            error => not_json(place, &error),
        }
    })?;
    deserializer
        .end()
        .map_err(|error| not_json(place, &error))?;
    Ok(value)
}

fn not_json(place: RecordPlace, error: &serde_json::Error) -> Finding {
    let message = match place {
        RecordPlace::File if error.is_eof() && error.column() == 0 => {
            "the file is empty".to_owned()
        }
        RecordPlace::File if error.is_eof() => "not JSON: the file ends too early".to_owned(),
        RecordPlace::File => format!(
            "not JSON: a mistake at line {} column {}",
            error.line(),
            error.column()
        ),
        _ => format!("not JSON: a mistake at column {}", error.column()),
    };
    Finding::new(place, "", message)
}

/// Converts serde's message to a finding: without the quoted value, which may be a secret, and with the key.
fn explained(place: RecordPlace, path: String, error: &serde_json::Error) -> Finding {
    let text = error.to_string();
    let (text, _) = text.rsplit_once(" at line ").unwrap_or((&text, ""));
    let below = |name: &str| match path.as_str() {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    };
    let after = |start: &str| text.strip_prefix(start);
    let name = |start: &str| Some(after(start)?.split_once('`')?.0);
    if let Some(name) = name("missing field `") {
        return Finding::new(place, below(name), "missing");
    }
    if let Some(name) = name("duplicate field `") {
        return Finding::new(place, below(name), "the key is given twice");
    }
    let halves = |start: &str| after(start)?.rsplit_once(", expected ");
    let message = if let Some((_, known)) = halves("unknown field `") {
        let known = known.replace("one of ", "").replace('`', "");
        format!("unknown key (known: {known})")
    } else if let Some((found, wanted)) = halves("invalid type: ") {
        format!("expected {}, but got {}", plain(wanted), plain(found))
    } else {
        text.to_owned()
    };
    Finding::new(place, path, message)
}

/// Translates serde's name of a type to the JSON term.
fn plain(of_serde: &str) -> &str {
    let kind = of_serde.split(['`', '"']).next().unwrap_or_default();
    match kind.split(' ').next().unwrap_or_default() {
        "struct" | "map" => "an object",
        "sequence" => "a list",
        "integer" | "floating" => "a number",
        "string" => "a string",
        "boolean" => "a boolean",
        "a" if kind == "a sequence" => "a list",
        "a" if kind == "a boolean" => "true or false",
        _ => kind.trim_end(),
    }
}
