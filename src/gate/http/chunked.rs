//! Decodes a chunked body (RFC 9112, 7.1) that arrives in pieces of any size.
//!
//! Extensions and trailers are checked, limited in the same way as a head, and discarded. The decoder buffers only the
//! current line or the trailer section, and never needs to look ahead.

use super::fields::parse_fields;
use super::refusal::{self, Refusal};
use super::request_line::is_token;
use super::wiped::Wiped;
use crate::gate::limits::GateLimits;

/// Maximum number of hexadecimal digits in a chunk size: a 64-bit number has no more.
const MAX_SIZE_DIGITS: usize = 16;

/// Decodes one chunked body.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: DecoderState,
    /// What has arrived of the current line (a chunk's size and extensions), or of the whole trailer section.
    line: Vec<u8>,
    /// The total length of the extensions of all chunks so far.
    extension_bytes: usize,
    trailer_fields: usize,
    max_line_bytes: usize,
    max_trailer_fields: usize,
    max_body: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecoderState {
    SizeLine,
    Data { left: u64 },
    DataEnd { cr_seen: bool },
    Trailers,
}

/// The result of [`Decoder::decode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decoded {
    /// All input was consumed, and more is needed.
    More,
    /// The body is complete; this many bytes of the input belong to it.
    Whole(usize),
    /// The body exceeds its limit, so the request cannot be read to its end.
    TooLarge,
}

impl Decoder {
    pub(crate) fn new(limits: &GateLimits) -> Self {
        Self {
            state: DecoderState::SizeLine,
            line: Vec::new(),
            extension_bytes: 0,
            trailer_fields: 0,
            max_line_bytes: limits.max_head,
            max_trailer_fields: limits.max_header_fields,
            max_body: limits.max_body,
        }
    }

    /// Decodes what has arrived, and appends the decoded bytes to `body`.
    pub(crate) fn decode(&mut self, input: &[u8], body: &mut Wiped) -> Result<Decoded, Refusal> {
        let mut at = 0;
        while at < input.len() {
            match self.state {
                DecoderState::Data { left } => {
                    let available = input.len() - at;
                    let taken = usize::try_from(left).map_or(available, |left| left.min(available));
                    body.extend_from_slice(&input[at..at + taken]);
                    at += taken;
                    self.state = match left - taken as u64 {
                        0 => DecoderState::DataEnd { cr_seen: false },
                        left => DecoderState::Data { left },
                    };
                    continue;
                }
                DecoderState::DataEnd { cr_seen } => {
                    self.state = match (cr_seen, input[at]) {
                        (false, b'\r') => DecoderState::DataEnd { cr_seen: true },
                        (true, b'\n') => DecoderState::SizeLine,
                        _ => return Err(refusal::CHUNK_END),
                    };
                }
                DecoderState::SizeLine => {
                    if self.push(input[at])? {
                        let size = self.end_size_line()?;
                        if size > self.max_body.saturating_sub(body.len()) as u64 {
                            return Ok(Decoded::TooLarge);
                        }
                    }
                }
                DecoderState::Trailers => {
                    if self.push(input[at])? && self.end_trailer_line()? {
                        return Ok(Decoded::Whole(at + 1));
                    }
                }
            }
            at += 1;
        }
        Ok(Decoded::More)
    }

    /// Adds a byte to the line. True if it ended the line.
    fn push(&mut self, byte: u8) -> Result<bool, Refusal> {
        let after_cr = self.line.last() == Some(&b'\r');
        match (after_cr, byte) {
            (true, b'\n') => {}
            (true, _) => return Err(refusal::BARE_CR),
            (false, b'\n') => return Err(refusal::BARE_LF),
            _ => {}
        }
        self.line.push(byte);
        if self.line.len() > self.max_line_bytes {
            return Err(match self.state {
                DecoderState::Trailers => refusal::TRAILERS_TOO_LARGE,
                _ => refusal::EXTENSIONS_TOO_LARGE,
            });
        }
        if self.state == DecoderState::SizeLine && self.line.len() <= MAX_SIZE_DIGITS + 1 {
            // Checked before the end of the line, which may never come if this is not a chunk size.
            split_size(&self.line)?;
        }
        Ok(byte == b'\n')
    }

    fn end_size_line(&mut self) -> Result<u64, Refusal> {
        let line = &self.line[..self.line.len() - 2];
        let (digits, extensions) = split_size(line)?;
        let digits = std::str::from_utf8(digits).map_err(|_| refusal::CHUNK_SIZE)?;
        let size = u64::from_str_radix(digits, 16).map_err(|_| refusal::CHUNK_SIZE)?;
        check_extensions(extensions)?;
        self.extension_bytes += extensions.len();
        if self.extension_bytes > self.max_line_bytes {
            return Err(refusal::EXTENSIONS_TOO_LARGE);
        }
        self.line.clear();
        self.state = match size {
            0 => DecoderState::Trailers,
            left => DecoderState::Data { left },
        };
        Ok(size)
    }

    /// Checks a line of the trailer section. True if it is the empty line that ends the body.
    fn end_trailer_line(&mut self) -> Result<bool, Refusal> {
        if self.line == b"\r\n" || self.line.ends_with(b"\r\n\r\n") {
            parse_fields(&self.line, self.trailer_fields).map_err(|_| refusal::TRAILER)?;
            return Ok(true);
        }
        self.trailer_fields += 1;
        if self.trailer_fields > self.max_trailer_fields {
            return Err(refusal::TRAILERS_TOO_LARGE);
        }
        Ok(false)
    }
}

/// Splits a line after the digits of the chunk size. What follows must start with `;` or CR, or be empty.
fn split_size(line: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let end = line.iter().position(|byte| !byte.is_ascii_hexdigit());
    let (digits, rest) = line.split_at(end.unwrap_or(line.len()));
    match rest.first() {
        _ if digits.is_empty() || digits.len() > MAX_SIZE_DIGITS => Err(refusal::CHUNK_SIZE),
        None | Some(b';' | b'\r') => Ok((digits, rest)),
        Some(_) => Err(refusal::CHUNK_SIZE),
    }
}

/// Checks chunk extensions (RFC 9112, 7.1.1): `;name`, `;name=token` or `;name="text"`, with optional blanks on both sides
/// of `=` and after `;`.
fn check_extensions(mut rest: &[u8]) -> Result<(), Refusal> {
    while let [b';', after @ ..] = rest {
        let (name, after) = split_token(skip_blanks(after))?;
        debug_assert!(is_token(name));
        rest = match skip_blanks(after) {
            [b'=', value @ ..] => match skip_blanks(value) {
                [b'"', text @ ..] => after_quoted(text)?,
                token => split_token(token)?.1,
            },
            _ => after,
        };
        if let next @ [b';', ..] = skip_blanks(rest) {
            rest = next;
        }
    }
    if rest.is_empty() {
        Ok(())
    } else {
        Err(refusal::CHUNK_EXTENSION)
    }
}

fn skip_blanks(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|byte| !matches!(byte, b' ' | b'\t'));
    &bytes[start.unwrap_or(bytes.len())..]
}

fn split_token(bytes: &[u8]) -> Result<(&[u8], &[u8]), Refusal> {
    let end = bytes.iter().position(|byte| !is_token(&[*byte]));
    match bytes.split_at(end.unwrap_or(bytes.len())) {
        ([], _) => Err(refusal::CHUNK_EXTENSION),
        split => Ok(split),
    }
}

/// The bytes after the closing quote of a quoted string.
fn after_quoted(text: &[u8]) -> Result<&[u8], Refusal> {
    let mut bytes = text.iter().enumerate();
    while let Some((at, byte)) = bytes.next() {
        let text_byte = match byte {
            b'"' => return Ok(&text[at + 1..]),
            b'\\' => bytes.next().map_or(0, |(_, escaped)| *escaped),
            byte => *byte,
        };
        if text_byte != b'\t' && text_byte.is_ascii_control() {
            break;
        }
    }
    Err(refusal::CHUNK_EXTENSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits() -> GateLimits {
        GateLimits {
            max_head: 64,
            max_header_fields: 2,
            max_body: 20,
            ..GateLimits::default()
        }
    }

    /// Decodes a text at once and byte by byte, and checks that the results are equal.
    fn decode(text: &str) -> Result<(Decoded, Vec<u8>), Refusal> {
        let mut body = Wiped::default();
        let whole = Decoder::new(&limits()).decode(text.as_bytes(), &mut body);
        let mut decoder = Decoder::new(&limits());
        let mut dripped_body = Wiped::default();
        let mut dripped = Ok(Decoded::More);
        for (at, byte) in text.bytes().enumerate() {
            dripped = match decoder.decode(&[byte], &mut dripped_body) {
                Ok(Decoded::Whole(1)) => Ok(Decoded::Whole(at + 1)),
                other => other,
            };
            if dripped != Ok(Decoded::More) {
                break;
            }
        }
        assert_eq!(whole, dripped, "{}", text.escape_debug());
        assert_eq!(*body, *dripped_body);
        whole.map(|decoded| (decoded, body.to_vec()))
    }

    #[test]
    fn chunks_are_decoded_and_bytes_after_the_body_are_not_consumed() {
        for (text, body) in [
            ("0\r\n\r\n", ""),
            ("5\r\nhello\r\n0\r\n\r\n", "hello"),
            ("5\r\nhello\r\n6\r\n world\r\n000\r\n\r\n", "hello world"),
            ("a\r\n\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n", "\r\n0\r\n\r\n0\r\n"),
            ("5;a\r\nhello\r\n0;b=c;d=\"e;\\\"\"\r\n\r\n", "hello"),
            ("5; a = b ; c\r\nhello\r\n0\r\n\r\n", "hello"),
            (
                "5\r\nhello\r\n0\r\nA: b\r\nContent-Length: 9\r\n\r\n",
                "hello",
            ),
        ] {
            let expected = (Decoded::Whole(text.len()), body.as_bytes().to_vec());
            assert_eq!(
                decode(text),
                Ok(expected.clone()),
                "{}",
                text.escape_debug()
            );
            assert_eq!(decode(&format!("{text}GET /")), Ok(expected));
        }
        assert_eq!(decode("5\r\nhel"), Ok((Decoded::More, b"hel".to_vec())));
    }

    #[test]
    fn each_malformed_chunk_is_refused() {
        for (text, expected) in [
            ("\r\n", refusal::CHUNK_SIZE),
            (" 5\r\nhello", refusal::CHUNK_SIZE),
            ("+5\r\nhello", refusal::CHUNK_SIZE),
            ("-1\r\nhello", refusal::CHUNK_SIZE),
            ("0x5\r\nhello", refusal::CHUNK_SIZE),
            ("1_0\r\nhello", refusal::CHUNK_SIZE),
            ("5 \r\nhello", refusal::CHUNK_SIZE),
            ("5 ;a\r\nhello", refusal::CHUNK_SIZE),
            ("g\r\n", refusal::CHUNK_SIZE),
            ("FFFFFFFFFFFFFFFF0\r\n", refusal::CHUNK_SIZE),
            (";a\r\n", refusal::CHUNK_SIZE),
            ("5;\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a;\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a=\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a \r\nhello", refusal::CHUNK_EXTENSION),
            ("5;bad[=x\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a=\"b\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a=\"\u{1}\"\r\nhello", refusal::CHUNK_EXTENSION),
            ("5;a=\u{7f}\r\nhello", refusal::CHUNK_EXTENSION),
            ("5\nhello", refusal::BARE_LF),
            ("5;a\nhello", refusal::BARE_LF),
            ("5\rhello", refusal::BARE_CR),
            ("5;a\rb\r\nhello", refusal::BARE_CR),
            ("5\r\nhello0\r\n\r\n", refusal::CHUNK_END),
            ("5\r\nhello!!\r\n", refusal::CHUNK_END),
            ("5\r\nhello\n0\r\n\r\n", refusal::CHUNK_END),
            ("5\r\nhello\r0\r\n\r\n", refusal::CHUNK_END),
            ("0\r\n\n", refusal::BARE_LF),
            ("0\r\nA: b\n\r\n", refusal::BARE_LF),
            ("0\r\nA : b\r\n\r\n", refusal::TRAILER),
            ("0\r\nA: b\r\n c\r\n\r\n", refusal::TRAILER),
            ("0\r\nGET / HTTP/1.1\r\n\r\n", refusal::TRAILER),
            (
                "0\r\nA: 1\r\nB: 2\r\nC: 3\r\n\r\n",
                refusal::TRAILERS_TOO_LARGE,
            ),
        ] {
            assert_eq!(decode(text), Err(expected), "{}", text.escape_debug());
        }
    }

    #[test]
    fn bodies_extensions_and_trailers_are_limited() {
        let x = |times| "x".repeat(times);
        let body = |bytes: usize| format!("{bytes:x}\r\n{}\r\n0\r\n\r\n", x(bytes));
        assert!(matches!(decode(&body(20)), Ok((Decoded::Whole(_), _))));
        assert!(matches!(decode(&body(21)), Ok((Decoded::TooLarge, _))));
        assert!(matches!(
            decode("FFFFFFFFFFFFFFFF\r\n"),
            Ok((Decoded::TooLarge, _))
        ));
        let one_long = format!("5;{}\r\nhello\r\n0\r\n\r\n", x(70));
        let many_short = format!("1;{0}\r\na\r\n1;{0}\r\nb\r\n1;{0}\r\nc\r\n", x(30));
        for text in [one_long, many_short] {
            assert_eq!(decode(&text), Err(refusal::EXTENSIONS_TOO_LARGE));
        }
        let trailer = format!("0\r\nA: {}\r\n\r\n", x(70));
        assert_eq!(decode(&trailer), Err(refusal::TRAILERS_TOO_LARGE));
    }
}
