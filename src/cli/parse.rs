//! Parses values of flags: durations, dates, networks, numbers.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::ops::{Bound, RangeBounds};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::builder::{PathBufValueParser, TypedValueParser};
use ipnet::IpNet;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use crate::account::Username;
pub(super) use crate::duration::parse as duration;
use crate::gate::Address;
use crate::hashing::MAX_LANES;

/// The maximum number of hashing threads: more cores than machines have, and so few that the system can start them.
const MAX_THREADS: usize = 4096;

/// Parses a duration longer than 0.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| {
        if duration.is_zero() {
            Err("must be longer than 0".to_owned())
        } else {
            Ok(duration)
        }
    })
}

/// Parses a date and time, in UTC if it has no offset, or a duration before now.
pub(super) fn since(text: &str) -> Result<Timestamp, String> {
    // A text with a time zone in `[...]` is excluded, since parsing it without an offset would ignore the zone.
    let utc = || {
        let moment = text
            .parse::<DateTime>()
            .ok()
            .filter(|_| !text.contains('['))?;
        TimeZone::UTC.to_timestamp(moment).ok()
    };
    let before_now = || {
        let duration = SignedDuration::try_from(duration(text).ok()?).ok()?;
        Some(
            Timestamp::now()
                .saturating_sub(duration)
                .unwrap_or(Timestamp::MIN),
        )
    };
    let moment = text.parse().ok().or_else(utc).or_else(before_now);
    moment.ok_or_else(|| {
        "must be a time such as 2026-11-26T04:00:00Z, a day such as 2026-11-26, or a duration before now such as 2h or 1d"
            .to_owned()
    })
}

/// Parses an item of a list with commas.
pub(super) fn listed<T>(text: &str) -> Result<T, String>
where
    T: FromStr<Err: Display>,
{
    item(text)?
        .parse()
        .map_err(|error: T::Err| error.to_string())
}

/// An item without white space around it.
fn item(text: &str) -> Result<&str, String> {
    match text.trim() {
        "" => Err("empty: there is one comma between two items, and none at the end".to_owned()),
        item => Ok(item),
    }
}

/// Parses a network: `10.0.0.0/8`, `2001:db8::/32` or a single address. It is an item of a list with commas.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let text = item(text)?;
    let single = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(|| single(text)).ok_or_else(|| {
        "a network is ADDRESS/BITS, such as 10.0.0.0/8 or 2001:db8::/32, or one address".to_owned()
    })
}

/// Parses the username of a new user.
pub(super) fn new_username(text: &str) -> Result<Username, String> {
    let username = Username::parse(text).map_err(|faults| faults.to_string())?;
    username.rejection_reason().map_or(Ok(username), Err)
}

/// Parses a date with time and offset, or a day, which means its start in UTC.
pub(super) fn date(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    text.parse()
        .or_else(|_| format!("{text}T00:00:00Z").parse())
        .map_err(|_| "a date is 2017-10-23, or 2017-10-23T18:20:43Z with an offset".to_owned())
}

/// An optional date.
#[derive(Clone, Copy)]
pub(super) struct MaybeDate(pub(super) Option<Timestamp>);

/// Parses an optional date; an empty value means none.
pub(super) fn maybe_date(text: &str) -> Result<MaybeDate, String> {
    match text {
        "" => Ok(MaybeDate(None)),
        text => date(text).map(|date| MaybeDate(Some(date))),
    }
}

/// A parser for the path of a copy, which cannot be a standard stream.
pub(super) fn copy_path() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| {
        if path.as_os_str() == "-" {
            return Err("a backup cannot be a standard stream; `./-` names a file called `-`");
        }
        Ok(path)
    })
}

/// Parses a TCP address, which must not need a name look-up.
pub(super) fn tcp_address(text: &str) -> Result<SocketAddr, String> {
    match text.parse() {
        Ok(Address::Tcp(address)) => Ok(address),
        Ok(Address::Unix(_)) => Err("not IP:PORT or localhost:PORT".to_owned()),
        Err(error) => {
            let text = error.to_string();
            Err(text.replace(", localhost:PORT or unix:PATH", " or localhost:PORT"))
        }
    }
}

/// Parses a whole number in a range.
pub(super) fn number<T>(range: impl RangeBounds<T>, text: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let from = match range.start_bound() {
            Bound::Included(from) | Bound::Excluded(from) => from.to_string(),
            Bound::Unbounded => "0".to_owned(),
        };
        match range.end_bound() {
            Bound::Included(to) | Bound::Excluded(to) => {
                format!("must be a whole number from {from} to {to}")
            }
            Bound::Unbounded if text.parse::<u128>().is_ok_and(|number| number > 0) => {
                "is too large".to_owned()
            }
            Bound::Unbounded => format!("must be a whole number from {from}"),
        }
    })
}

/// Parses a number of things, from 0.
pub(super) fn count<T>(text: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    number(.., text)
}

/// Parses a number of bytes or things, from 1.
pub(super) fn size<T>(text: &str) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display + From<u8>,
{
    number(T::from(1).., text)
}

/// Parses a number of hashing threads.
pub(super) fn threads(text: &str) -> Result<usize, String> {
    number(1..=MAX_THREADS, text)
}

/// Parses a number of hashing lanes.
pub(super) fn lanes(text: &str) -> Result<usize, String> {
    number(1..=MAX_LANES, text)
}

/// Parses a UUID, with or without hyphens.
pub(super) fn uuid(text: &str) -> Result<Uuid, String> {
    let wrong = "a UUID has 32 hexadecimal digits, such as 3a7acb28-ab13-437e-8c35-46cf4f0bea49";
    Uuid::parse_str(text).map_err(|_| wrong.to_owned())
}

/// Parses the environment variable of a flag without a value.
pub(super) fn switch(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "on" | "1" => Ok(true),
        "false" | "f" | "no" | "n" | "off" | "0" => Ok(false),
        _ => Err("must be true or false".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_a_day_or_a_time_with_an_offset() {
        for (text, moment) in [
            ("2017-10-23", "2017-10-23T00:00:00Z"),
            (" 2017-10-23T18:20:43.5Z", "2017-10-23T18:20:43.5Z"),
            ("2017-10-23T18:20:43+02:00", "2017-10-23T16:20:43Z"),
        ] {
            assert_eq!(date(text).unwrap().to_string(), moment, "{text}");
        }
        for text in [
            "",
            "2017",
            "2017-13-01",
            "23.10.2017",
            "2017-10-23T18:20:43",
        ] {
            assert!(date(text).is_err(), "{text}");
        }
        assert_eq!(maybe_date("").unwrap().0, None);
    }
}
