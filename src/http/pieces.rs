//! The body of an answer: in pieces, so that a long one needs no memory in one block, and each piece is gone once it is sent.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

use zeroize::Zeroizing;

/// Most answers fit into the first piece, which has this length unless it comes as a whole.
const FIRST_BYTES: usize = 1024;
/// The others have this length.
const PIECE_BYTES: usize = 64 * 1024;

/// Bytes that are written at one end and read at the other. Wiped when read or dropped, since a token may be in them.
#[derive(Default)]
pub struct Pieces {
    /// None of them is empty.
    pieces: VecDeque<Zeroizing<Vec<u8>>>,
    /// Of the first piece.
    read: usize,
    bytes: usize,
}

impl Pieces {
    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes
    }

    /// A copy of what was not read yet.
    pub fn copy(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.bytes));
        let mut skipped = self.read;
        for piece in &self.pieces {
            bytes.extend_from_slice(&piece[skipped..]);
            skipped = 0;
        }
        bytes
    }

    /// Whether there are none.
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
                self.pieces.back_mut().expect("it was pushed just now")
            }
        };
        // Never more than fits: a vector that grows would move, and leave its bytes where they were.
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
    fn bytes_come_out_as_they_went_in_whatever_the_steps() {
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
    fn what_was_read_is_no_longer_in_memory() {
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
