//! The gate's own answers to requests that it refuses. They have the same form as all other answers.
//!
//! A refusal always closes the connection, because it is no longer certain where the next request would start. Its text
//! never quotes what the client sent.

use super::connection_option::ConnectionOption;

/// A status and a sentence that says what was wrong with the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) detail: &'static str,
}

macro_rules! refusals {
    ($($name:ident = $status:literal $detail:literal;)*) => {
        $(pub(crate) const $name: Refusal = Refusal { status: $status, detail: $detail };)*
    };
}

refusals! {
    // Lines
    BARE_LF = 400 "A line that does not end in CR LF.";
    BARE_CR = 400 "A CR that is not the end of a line.";
    NUL = 400 "A NUL byte in the head.";
    CUT_SHORT = 400 "The connection ended in the middle of the request.";
    // The request line
    METHOD = 400 "Not a valid HTTP method.";
    REQUEST_LINE = 400 "Not a valid HTTP request line.";
    TARGET = 400 "Not a valid request target.";
    VERSION = 400 "Not a valid HTTP version.";
    UNSUPPORTED_VERSION = 505 "Only HTTP/1.1 and HTTP/1.0 are supported.";
    // Header fields
    FIELD_NAME = 400 "Not a valid header field name.";
    FIELD_VALUE = 400 "Not a valid header field value.";
    FIELD = 400 "Not a valid header field.";
    FOLDED = 400 "A header field folded over two lines.";
    NO_HOST = 400 "No Host header field.";
    TWO_HOSTS = 400 "Two Host header fields.";
    HOST = 400 "Not a valid Host header field.";
    // Framing
    TWO_LENGTHS = 400 "Two Content-Length header fields.";
    LENGTH = 400 "Not a valid Content-Length header field.";
    LENGTH_AND_CODING = 400 "Both Content-Length and Transfer-Encoding.";
    TWO_CODINGS = 400 "More than one transfer coding.";
    CODING = 400 "Not a valid Transfer-Encoding header field.";
    CODING_IN_1_0 = 400 "Transfer-Encoding in an HTTP/1.0 request.";
    UNKNOWN_CODING = 501 "The only transfer coding supported is chunked.";
    EXPECTATION = 417 "The only expectation supported is 100-continue.";
    // Chunks
    CHUNK_SIZE = 400 "Not a valid chunk size.";
    CHUNK_EXTENSION = 400 "Not a valid chunk extension.";
    CHUNK_END = 400 "A chunk that does not end where its size says.";
    TRAILER = 400 "Not a valid trailer field.";
    // Limits
    HEAD_TOO_LARGE = 431 "The request head is too large.";
    TOO_MANY_FIELDS = 431 "Too many header fields.";
    EXTENSIONS_TOO_LARGE = 431 "The chunk extensions are too large.";
    TRAILERS_TOO_LARGE = 431 "The trailer fields are too large.";
    TOO_SLOW = 408 "The request took too long to arrive.";
    // The server behind the gate
    UNAVAILABLE = 503 "The service is not available at the moment.";
    DEFECT = 500 "A server error occurred.";
}

impl Refusal {
    /// Appends the complete answer to `out`. `common` are the header fields of every answer, `own` those of this one only.
    pub(crate) fn write(
        &self,
        date: &str,
        common: &[(&str, &str)],
        own: &[(&str, String)],
        without_body: bool,
        out: &mut Vec<u8>,
    ) {
        let body = format!("{{\"detail\":\"{}\"}}", self.detail);
        line(
            out,
            &["HTTP/1.1 ", &self.status.to_string(), " ", self.reason()],
        );
        line(out, &["Date: ", date]);
        for (name, value) in common {
            line(out, &[name, ": ", value]);
        }
        for (name, value) in own {
            line(out, &[name, ": ", value]);
        }
        if self.status == 503 {
            line(out, &["Retry-After: 1"]);
        }
        line(out, &["Content-Length: ", &body.len().to_string()]);
        out.extend_from_slice(ConnectionOption::Close.line().as_bytes());
        line(out, &[]);
        if !without_body {
            out.extend_from_slice(body.as_bytes());
        }
    }

    fn reason(&self) -> &'static str {
        match self.status {
            400 => "Bad Request",
            408 => "Request Timeout",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            500 => "Internal Server Error",
            501 => "Not Implemented",
            503 => "Service Unavailable",
            505 => "HTTP Version Not Supported",
            _ => "Refused",
        }
    }
}

fn line(out: &mut Vec<u8>, parts: &[&str]) {
    for part in parts {
        out.extend_from_slice(part.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_complete_json_answer_that_closes_the_connection() {
        let mut out = Vec::new();
        let (common, own) = (
            [("Content-Type", "application/json")],
            [("Vary", "a".into())],
        );
        TWO_HOSTS.write("now", &common, &own, false, &mut out);
        let text = String::from_utf8(out).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 400 Bad Request\r\nDate: now\r\n"),
            "{head}"
        );
        assert!(head.contains("\r\nContent-Type: application/json\r\nVary: a\r\n"));
        assert!(head.contains("\r\nConnection: close"));
        assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
        assert_eq!(body, r#"{"detail":"Two Host header fields."}"#);
    }
}
