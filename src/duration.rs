//! Durations as people write them: `250ms`, `10s`, `15m`, `2h` or `0`.

use std::time::Duration;

/// Reads one.
///
/// # Errors
/// What a duration looks like.
pub fn parse(text: &str) -> Result<Duration, String> {
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
                parse(text).unwrap(),
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
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
