//! Receives a request from memory with the code that serves clients: for fuzzing, and for tests that compare the gate with
//! a simple parser of RFC 9112. Not part of the program.

use std::io;

use super::input::Input;
use super::normal::{BODY_TOO_LARGE, Forward};
use super::receive::{Failure, Receiver, Source};
use super::refusal;
use crate::gate::limits::GateLimits;

/// How the gate interprets some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reading {
    /// An incomplete request.
    More,
    /// A request of this many bytes, with this body.
    Whole(usize, Vec<u8>),
    /// A request whose body exceeds the limit.
    TooLarge,
    /// A request that is refused with this status.
    Refused(u16),
}

/// A source that returns its bytes in pieces of the given lengths, and the rest at once.
struct Pieces<'a> {
    bytes: &'a [u8],
    lengths: std::slice::Iter<'a, usize>,
}

impl Source for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Empty pieces are skipped: reading 0 bytes means the end of the input.
        let length = self.lengths.find(|length| **length > 0);
        let length = length.copied().unwrap_or(usize::MAX);
        let length = length.min(self.bytes.len()).min(buffer.len());
        let (piece, rest) = self.bytes.split_at(length);
        buffer[..length].copy_from_slice(piece);
        self.bytes = rest;
        Ok(length)
    }

    fn write_all(&mut self, _: &[u8]) -> io::Result<()> {
        Ok(())
    }
}

/// Receives one request that arrives in pieces of the given lengths, and the rest at once.
pub fn read(bytes: &[u8], pieces: &[usize], limits: &GateLimits) -> Reading {
    let mut input = Input::new();
    let mut receiver = Receiver {
        source: Pieces {
            bytes,
            lengths: pieces.iter(),
        },
        input: &mut input,
        limits,
        forward: Forward::Only(&[]),
        peer: "unix",
    };
    let received = receiver.receive();
    let left = receiver.source.bytes.len() + receiver.input.unread().len();
    match received {
        Ok(Some(request)) => {
            let head_end = request.bytes.windows(4).position(|end| end == b"\r\n\r\n");
            let (head, body) = request.bytes.split_at(head_end.map_or(0, |end| end + 4));
            if String::from_utf8_lossy(head).contains(BODY_TOO_LARGE) {
                return Reading::TooLarge;
            }
            Reading::Whole(bytes.len() - left, body.to_vec())
        }
        Ok(None)
        | Err(Failure::Refused {
            refusal: refusal::CUT_SHORT,
            ..
        }) => Reading::More,
        Err(Failure::Refused { refusal, .. }) => Reading::Refused(refusal.status),
        Err(Failure::Broken(error)) => panic!("reading from memory cannot fail: {error}"),
    }
}

/// Panics unless the result is the same for all piece lengths, and an accepted request ends where a simple parser of RFC
/// 9112 says.
pub fn check(bytes: &[u8], limits: &GateLimits) {
    let at_once = read(bytes, &[], limits);
    for piece in [1, 2, 7] {
        let pieces = vec![piece; bytes.len() / piece];
        let in_pieces = read(bytes, &pieces, limits);
        assert_eq!(in_pieces, at_once, "{}", bytes.escape_ascii());
    }
    if let Reading::Whole(end, body) = at_once {
        let expected = parse_simply(bytes);
        assert_eq!(expected, Some((end, body)), "{}", bytes.escape_ascii());
    }
}

/// The end of a request and its body, as a simple parser of RFC 9112 without checks finds them.
fn parse_simply(bytes: &[u8]) -> Option<(usize, Vec<u8>)> {
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
            // Starts at the end of the size line, so that the search also works without trailer fields.
            return Some((find(line, b"\r\n\r\n")? + 4, body));
        }
        body.extend_from_slice(bytes.get(at..at + size)?);
        at += size + 2;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

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

    /// The seeds of the fuzzer, by file name.
    fn seeds() -> Vec<(String, Vec<u8>)> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/requests");
        let mut seeds: Vec<_> = fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read(entry.path()).unwrap())
            })
            .collect();
        seeds.sort();
        seeds
    }

    /// The seeds with a few bytes replaced, removed or inserted; the inserted fragments are typical of parser errors.
    fn mutated_requests() -> impl Strategy<Value = Vec<u8>> {
        let change = (any::<Index>(), 0_usize..4, select(&FRAGMENTS[..]));
        (select(seeds()), vec(change, 0..4)).prop_map(|((_, mut bytes), changes)| {
            for (position, cut, fragment) in changes {
                let start = position.index(bytes.len() + 1);
                let end = (start + cut).min(bytes.len());
                bytes.splice(start..end, fragment.iter().copied());
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn an_accepted_request_ends_where_the_rfc_says(bytes in mutated_requests()) {
            check(&bytes, &GateLimits::default());
        }

        #[test]
        fn the_result_does_not_depend_on_the_pieces_in_which_bytes_arrive(
            bytes in mutated_requests(),
            pieces in vec(0_usize..9, 0..40),
        ) {
            let limits = small();
            let at_once = read(&bytes, &[], &limits);
            prop_assert_eq!(read(&bytes, &pieces, &limits), at_once, "{}", bytes.escape_ascii());
        }

        #[test]
        fn any_bytes_can_be_parsed(bytes: Vec<u8>) {
            check(&bytes, &GateLimits::default());
        }
    }

    fn small() -> GateLimits {
        GateLimits {
            max_head: 90,
            max_header_fields: 3,
            max_body: 6,
            ..GateLimits::default()
        }
    }

    #[test]
    fn each_seed_is_a_complete_request_or_refused_as_listed() {
        let refused = [
            ("bare_lf", 400),
            ("folded", 400),
            ("length_and_coding", 400),
            ("preface", 505),
            ("quoted_extension", 400),
            ("two_codings", 400),
        ];
        for (name, bytes) in seeds() {
            check(&bytes, &GateLimits::default());
            check(&bytes, &small());
            let expected = refused.iter().find(|(known, _)| *known == name);
            match (read(&bytes, &[], &GateLimits::default()), expected) {
                (Reading::Whole(..), None) => {}
                (Reading::TooLarge, None) => assert_eq!(name, "chunk_too_long"),
                (reading, expected) => {
                    let status = expected.map(|(_, status)| Reading::Refused(*status));
                    assert_eq!(Some(reading), status, "{name}");
                }
            }
        }
    }
}
