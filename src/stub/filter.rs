//! The query of `GET /__stub/requests/`: which entries to list, and how many to wait for.

use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::entry::{Entry, MAX_ENTRIES};
use super::error::{Error, FieldErrors};
use crate::duration;
use crate::http::path_of;

const PARAMETERS: &[&str] = &[
    "path", "method", "status", "username", "since", "wait", "count",
];
const MAX_WAIT: Duration = Duration::from_secs(60);

/// A parsed query. By default it lists all entries without waiting.
#[derive(Default)]
pub(super) struct Filter {
    path: Option<String>,
    method: Option<String>,
    status: Option<u16>,
    username: Option<String>,
    since: u64,
    pub(super) wait: Duration,
    /// The number of entries to wait for.
    pub(super) count: usize,
}

impl Filter {
    /// Reads and checks a query.
    pub(super) fn read(target: &str) -> Result<Self, Error> {
        let (mut filter, mut errors) = (Self::default(), FieldErrors::default());
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs: Vec<_> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .collect();
        for (name, value) in &pairs {
            let given = pairs.iter().filter(|(other, _)| other == name).count();
            let set = match given {
                1 => filter.set(name, value),
                _ => Err("Given twice.".to_owned()),
            };
            if let Err(message) = set {
                errors.add(name, message);
            }
        }
        if filter.count > 0 && !pairs.iter().any(|(name, _)| name == "wait") {
            errors.add("count", "Needs wait, such as wait=2s.");
        }
        filter.count = filter.count.max(1);
        errors.into_result()?;
        Ok(filter)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let expected = |what: &str| format!("Expected {what}.");
        match name {
            "path" if value.starts_with('/') => self.path = Some(value.to_owned()),
            "path" => return Err(expected("a path, which begins with /")),
            "method" if !value.is_empty() => self.method = Some(value.to_owned()),
            "method" => return Err(expected("a method, such as POST")),
            "status" => {
                let status = number(value, 100, 599);
                self.status = Some(status.ok_or(expected("a status from 100 to 599"))?);
            }
            "username" if !value.trim().is_empty() => self.username = Some(value.trim().to_owned()),
            "username" => return Err(expected("a username")),
            "since" => {
                let since = number(value, 0, u64::MAX);
                self.since = since.ok_or(expected("the number of a request, or 0"))?;
            }
            "count" => {
                let count = number(value, 1, MAX_ENTRIES);
                let range = format!("a whole number from 1 to {MAX_ENTRIES}");
                self.count = count.ok_or(expected(&range))?;
            }
            "wait" => {
                self.wait = duration::parse(value)?;
                if self.wait > MAX_WAIT {
                    return Err(expected("at most 60s"));
                }
            }
            _ => {
                let known = PARAMETERS.join(", ");
                return Err(format!("Unknown parameter; known are {known}."));
            }
        }
        Ok(())
    }

    /// Whether an entry matches. The path may be a path or a path template; usernames are compared ignoring case, as
    /// logins do.
    pub(super) fn matches(&self, entry: &Entry) -> bool {
        let is = |wanted: &Option<String>, matches: &dyn Fn(&str) -> bool| {
            wanted.as_deref().is_none_or(matches)
        };
        let username = entry.username.as_deref().unwrap_or_default();
        entry.number > self.since
            && self.status.is_none_or(|status| status == entry.status)
            && is(&self.path, &|path| {
                path == path_of(&entry.path) || path == entry.call
            })
            && is(&self.method, &|method| {
                method.eq_ignore_ascii_case(&entry.method)
            })
            && is(&self.username, &|name| name.eq_ignore_ascii_case(username))
    }
}

fn number<N: std::str::FromStr + PartialOrd>(text: &str, least: N, most: N) -> Option<N> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_plain.then(|| text.parse().ok()).flatten();
    number.filter(|number| (least..=most).contains(number))
}

fn decoded(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}
