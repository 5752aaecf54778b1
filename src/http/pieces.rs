//! The body of a reply in pieces, so that a long one needs no large block of memory, and each piece is freed once it is sent.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// The capacity of the first piece, in bytes. Most bodies fit into it.
const FIRST_BYTES: usize = 1024;
/// The capacity of all other pieces, in bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// A queue of bytes: they are appended at the end and read from the front. They are wiped once they are read or dropped,
/// because they may contain a token.
#[derive(Default)]
pub struct Pieces {
    /// The pieces, none of which is empty.
    pieces: VecDeque<Zeroizing<Vec<u8>>>,
    /// How many bytes of the first piece were read.
    read: usize,
    /// How many bytes were not read yet.
    bytes: usize,
}

impl Pieces {
    /// The number of bytes that were not read yet.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// A copy of the bytes that were not read yet.
    pub fn copy(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.bytes));
        let mut skipped = self.read;
        for piece in &self.pieces {
            bytes.extend_from_slice(&piece[skipped..]);
            skipped = 0;
        }
        bytes
    }

    /// Whether all bytes were read.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

impl From<Vec<u8>> for Pieces {
    fn from(piece: Vec<u8>) -> Self {
        let bytes = piece.len();
        let piece = (bytes > 0).then(|| Zeroizing::new(piece));
        Self {
            pieces: piece.into_iter().collect(),
            read: 0,
            bytes,
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let last = self.pieces.back_mut();
        let piece = match last.filter(|piece| piece.len() < piece.capacity()) {
            Some(piece) => piece,
            None => {
                let is_first = self.pieces.is_empty();
                let capacity = if is_first { FIRST_BYTES } else { PIECE_BYTES };
                let piece = Zeroizing::new(Vec::with_capacity(capacity));
                self.pieces.push_back(piece);
                self.pieces.back_mut().expect("a piece was just pushed")
            }
        };
        // Never more than fits: a `Vec` that reallocates would leave a copy of its bytes behind.
        let taken = bytes.len().min(piece.capacity() - piece.len());
        piece.extend_from_slice(&bytes[..taken]);
        self.bytes += taken;
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(piece) = self.pieces.front() else {
            return Ok(0);
        };
        let taken = (&piece[self.read..]).read(buffer)?;
        self.read += taken;
        self.bytes -= taken;
        if self.read == piece.len() {
            self.pieces.pop_front();
            self.read = 0;
        }
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_the_order_in_which_they_were_written() {
        let sent: Vec<u8> = (0..50_000_u32).flat_map(u32::to_be_bytes).collect();
        for step in [
            1,
            1000,
            FIRST_BYTES,
            PIECE_BYTES,
            PIECE_BYTES + 1,
            sent.len(),
        ] {
            let mut pieces = Pieces::from(b"first ".to_vec());
            for part in sent.chunks(step) {
                pieces.write_all(part).unwrap();
            }
            assert_eq!(pieces.len(), 6 + sent.len());
            assert!(pieces.pieces.iter().all(|piece| !piece.is_empty()));
            let mut received = Vec::new();
            let mut buffer = vec![0; step];
            while let read @ 1.. = pieces.read(&mut buffer).unwrap() {
                received.extend_from_slice(&buffer[..read]);
            }
            assert_eq!(received, [b"first ", &sent[..]].concat());
            assert!(pieces.is_empty() && pieces.pieces.is_empty());
        }
    }

    #[test]
    fn pieces_that_were_read_are_freed() {
        let mut pieces = Pieces::default();
        pieces
            .write_all(&[1; FIRST_BYTES + 2 * PIECE_BYTES])
            .unwrap();
        pieces
            .read_exact(&mut [0; FIRST_BYTES + PIECE_BYTES])
            .unwrap();
        assert_eq!(pieces.pieces.len(), 1);
    }
}
