//! The `Date` header field of the gate's own answers.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// The current time in the format of RFC 9110, 5.6.7: `Tue, 15 Nov 1994 08:12:31 GMT`.
pub(crate) fn now() -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&Timestamp::now())
        .expect("only years outside of 0 to 9999 cannot be formatted")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_has_the_fixed_format_of_rfc_9110() {
        let date = super::now();
        assert_eq!(date.len(), "Tue, 15 Nov 1994 08:12:31 GMT".len());
        assert!(date.ends_with(" GMT"));
    }
}
