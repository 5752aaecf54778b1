//! Reading a request out of memory, by the same steps as from a client: for fuzzing and for the tests that compare the
//! gate with a plain reading of RFC 9112.

use super::chunked::{Decoded, Decoder};
use super::framing::Framing;
use super::head::{Head, Scan, Scanner};
use super::limits::Limits;
use super::refusal::Refusal;

/// What bytes are to the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// The beginning of a request.
    More,
    /// A request of this many bytes, with this body.
    Whole(usize, Vec<u8>),
    /// A request whose body passes the limit.
    TooLarge,
    /// Refused with this status.
    Refused(u16),
}

/// Reads one request that arrives in pieces of the given lengths, and the rest at once.
pub fn read(bytes: &[u8], pieces: &[usize], limits: &Limits) -> Reading {
    let mut ends: Vec<usize> = pieces
        .iter()
        .scan(0, |end: &mut usize, piece| {
            *end = end.saturating_add(*piece).min(bytes.len());
            Some(*end)
        })
        .collect();
    ends.push(bytes.len());
    read_pieces(bytes, &ends, limits).unwrap_or_else(|refusal| Reading::Refused(refusal.status))
}

fn read_pieces(bytes: &[u8], ends: &[usize], limits: &Limits) -> Result<Reading, Refusal> {
    let mut ends = ends.iter();
    let mut scanner = Scanner::default();
    let (extent, arrived) = loop {
        let Some(end) = ends.next() else {
            return Ok(Reading::More);
        };
        if let Scan::Whole(extent) = scanner.advance(&bytes[..*end], limits)? {
            break (extent, *end);
        }
    };
    let framing = Head::parse(bytes, extent)?.framing;
    let (mut body, mut at) = (Vec::new(), extent.end);
    let mut decoder = Decoder::new(limits);
    match framing {
        Framing::None => Ok(Reading::Whole(at, body)),
        Framing::Length(length) if length > limits.max_body as u64 => Ok(Reading::TooLarge),
        Framing::Length(length) => match bytes[at..].get(..length as usize) {
            Some(body) => Ok(Reading::Whole(at + body.len(), body.to_vec())),
            None => Ok(Reading::More),
        },
        Framing::Chunked => {
            for end in [arrived].iter().chain(ends) {
                match decoder.decode(&bytes[at..*end], &mut body)? {
                    Decoded::More => at = *end,
                    Decoded::Whole(length) => return Ok(Reading::Whole(at + length, body)),
                    Decoded::TooLarge => return Ok(Reading::TooLarge),
                }
            }
            Ok(Reading::More)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    const REQUESTS: [&str; 7] = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n",
        "POST /a?b HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\nX: y\r\n\r\nhello",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n2;a=\"b\"\r\nhi\r\n00\r\nX: y\r\n\r\nGET",
        "POST / HTTP/1.0\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi",
        "\r\nHEAD http://b HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    const FRAGMENTS: [&[u8]; 26] = [
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"0",
        b"5",
        b"-",
        b"+",
        b"\xFF",
        b"\"",
        b"\\",
        b"HTTP/1.0",
        b"HTTP/1.1",
        b"Host: b\r\n",
        b"Content-Length: 3\r\n",
        b"Content-Length: 30\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"chunked",
        b"1\r\nx\r\n",
        b"0\r\n\r\n",
    ];

    /// Requests with a few places overwritten, cut out or grown by what parsers stumble over.
    fn nearly_requests() -> impl Strategy<Value = Vec<u8>> {
        let change = (any::<Index>(), 0_usize..4, select(&FRAGMENTS[..]));
        (select(&REQUESTS[..]), vec(change, 0..4)).prop_map(|(request, changes)| {
            let mut bytes = request.as_bytes().to_vec();
            for (place, cut, fragment) in changes {
                let start = place.index(bytes.len() + 1);
                let end = (start + cut).min(bytes.len());
                bytes.splice(start..end, fragment.iter().copied());
            }
            bytes
        })
    }

    /// Where a request ends, and its body, read as RFC 9112 has it and checked nowhere.
    fn plainly(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
        let find = |from: usize, what: &[u8]| {
            let found = bytes[from..]
                .windows(what.len())
                .position(|window| window == what);
            found.map(|at| from + at)
        };
        let start = if bytes.starts_with(b"\r\n") { 2 } else { 0 };
        let mut at = find(start, b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[start..at]).to_lowercase();
        let value = |name: &str| {
            let mut lines = head.split("\r\n").filter_map(|line| line.split_once(':'));
            lines
                .find(|(field, _)| *field == name)
                .map(|(_, value)| value.trim().to_owned())
        };
        if value("transfer-encoding").is_none() {
            let length = value("content-length").map_or(Ok(0), |value| value.parse());
            let end = at + length.ok()?;
            return Some((end, bytes.get(at..end)?.to_vec()));
        }
        let mut body = Vec::new();
        loop {
            let line = find(at, b"\r\n")?;
            let text = String::from_utf8_lossy(&bytes[at..line]).into_owned();
            let size = usize::from_str_radix(text.split(';').next()?, 16).ok()?;
            at = line + 2;
            if size == 0 {
                // From the size's own line end on, so that no trailer fields are found as well.
                return Some((find(line, b"\r\n\r\n")? + 4, body));
            }
            body.extend_from_slice(bytes.get(at..at + size)?);
            at += size + 2;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn what_the_gate_lets_through_ends_where_the_rfc_says(bytes in nearly_requests()) {
            if let Reading::Whole(end, body) = read(&bytes, &[], &Limits::default()) {
                prop_assert_eq!(plainly(&bytes), Some((end, body)), "{}", bytes.escape_ascii());
            }
        }

        #[test]
        fn it_does_not_matter_in_which_pieces_bytes_arrive(
            bytes in nearly_requests(),
            pieces in vec(0_usize..9, 0..40),
        ) {
            let limits = Limits { max_head: 90, max_header_fields: 3, max_body: 6, ..Limits::default() };
            let at_once = read(&bytes, &[], &limits);
            prop_assert_eq!(read(&bytes, &pieces, &limits), at_once, "{}", bytes.escape_ascii());
        }

        #[test]
        fn any_bytes_can_be_read(bytes: Vec<u8>, pieces in vec(0_usize..9, 0..9)) {
            read(&bytes, &pieces, &Limits::default());
        }
    }

    #[test]
    fn requests_that_are_in_order_are_whole() {
        let limits = Limits::default();
        let read = |request: &str| read(request.as_bytes(), &[], &limits);
        for request in &REQUESTS[..6] {
            assert!(matches!(read(request), Reading::Whole(..)), "{request:?}");
        }
        assert_eq!(read(REQUESTS[6]), Reading::Refused(400));
    }
}
