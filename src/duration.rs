//! Durations as people write them: `250ms`, `10s`, `1h30m`, `2d`, `1w` or `0`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

/// Parses a duration in whole milliseconds.
///
/// # Errors
/// A text that describes the format.
pub fn parse(text: &str) -> Result<Duration, String> {
    let read = || {
        let span = SpanParser::new().parse_span(text).ok()?;
        let span = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        let duration = Duration::try_from(span).ok()?;
        (duration.subsec_nanos() % 1_000_000 == 0).then_some(duration)
    };
    match text {
        "0" => Ok(Duration::ZERO),
        _ => read().ok_or_else(|| {
            format!("a duration is a number with ms, s, m, h, d or w, such as 250ms or 2h, or 0: not {text:?}")
        }),
    }
}

/// Formats a duration in a form that [`parse`] accepts.
pub fn format(duration: Duration) -> String {
    const UNITS: [(&str, u128); 6] = [
        ("w", 7 * 24 * 3_600_000),
        ("d", 24 * 3_600_000),
        ("h", 3_600_000),
        ("m", 60_000),
        ("s", 1000),
        ("ms", 1),
    ];
    let milliseconds = duration.as_millis();
    let fits = |(_, unit): &(&str, u128)| milliseconds.is_multiple_of(*unit);
    let (name, unit) = UNITS.into_iter().find(fits).unwrap_or(UNITS[5]);
    format!("{}{name}", milliseconds / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, milliseconds) in [
            ("0", 0),
            ("0s", 0),
            ("250ms", 250),
            ("10s", 10_000),
            ("015m", 900_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1.5h", 5_400_000),
            ("2d", 172_800_000),
            ("1w", 604_800_000),
            ("631107417600s", 631_107_417_600_000),
        ] {
            assert_eq!(
                parse(text).unwrap(),
                Duration::from_millis(milliseconds),
                "{text}"
            );
        }
        for text in ["250ms", "75s", "15m", "2h", "3d", "1w"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        for text in [
            "",
            "10",
            "s",
            "-1s",
            "1s ago",
            "1mo",
            "1y",
            "1H",
            "1.0005s",
            "1us",
            "10s10",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
