//! Values of flags: durations, networks, sizes.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;

use crate::hashing::MAX_LANES;

/// `250ms`, `10s`, `15m`, `2h` or `0`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "a duration is a whole number with ms, s, m or h, such as 250ms or 2h, or 0: not {text:?}"
        )
    };
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let unit_at = text
        .find(|char: char| !char.is_ascii_digit())
        .ok_or_else(wrong)?;
    let (number, unit) = text.split_at(unit_at);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let seconds = |unit: u64| {
        number
            .checked_mul(unit)
            .map(Duration::from_secs)
            .ok_or_else(wrong)
    };
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(60 * 60),
        _ => Err(wrong()),
    }
}

/// A duration that is not `0`.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    duration(text).and_then(|duration| {
        if duration.is_zero() {
            Err("must be longer than 0".to_owned())
        } else {
            Ok(duration)
        }
    })
}

/// `10.0.0.0/8`, `2001:db8::/32` or a single address.
pub(super) fn network(text: &str) -> Result<IpNet, String> {
    let single = |text: &str| text.parse::<IpAddr>().ok().map(IpNet::from);
    text.parse().ok().or_else(|| single(text)).ok_or_else(|| {
        "a network is ADDRESS/BITS, such as 10.0.0.0/8 or 2001:db8::/32, or one address".to_owned()
    })
}

/// A number of bytes or things, at least one.
pub(super) fn size(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("must be a whole number from 1".to_owned()),
        Ok(size) => Ok(size),
    }
}

/// A number of hashing lanes.
pub(super) fn lanes(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(lanes) if (1..=MAX_LANES).contains(&lanes) => Ok(lanes),
        _ => Err(format!("must be a whole number from 1 to {MAX_LANES}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [
            ("0", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("15m", 900_000),
            ("2h", 7_200_000),
        ] {
            assert_eq!(
                duration(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1.5h",
            "1d",
            "1 s",
            "+1s",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
