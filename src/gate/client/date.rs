//! The `Date` of the gate's own answers.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// Now, as RFC 9110, 5.6.7 writes it: `Tue, 15 Nov 1994 08:12:31 GMT`.
pub(crate) fn now() -> String {
    DateTimePrinter::new()
        .timestamp_to_rfc9110_string(&Timestamp::now())
        .expect("only years outside 0 to 9999 cannot be written")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_date_has_its_fixed_form() {
        let date = super::now();
        assert_eq!(date.len(), "Tue, 15 Nov 1994 08:12:31 GMT".len());
        assert!(date.ends_with(" GMT"));
    }
}
