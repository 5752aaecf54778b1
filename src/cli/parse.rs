//! Values of flags: durations and addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

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

/// `IP:PORT` or `localhost:PORT`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    let localhost = |text: &str| {
        let port = text.strip_prefix("localhost:")?.parse().ok()?;
        Some(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    };
    localhost(text)
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            "an address is IP:PORT or localhost:PORT, such as 127.0.0.1:8080 or [::1]:8080"
                .to_owned()
        })
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

    #[test]
    fn addresses_have_a_port() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("localhost:0", "127.0.0.1:0"),
            ("[::1]:80", "[::1]:80"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), expected);
        }
        for text in [
            "",
            "8080",
            "127.0.0.1",
            "example.com:80",
            ":80",
            "::1:80x",
            "http://127.0.0.1:80",
        ] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
