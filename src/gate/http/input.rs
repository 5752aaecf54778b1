//! A buffer for what a client has sent and was not parsed yet.

use std::io;

use zeroize::Zeroize;

use super::wiped::Wiped;

/// The initial size of the buffer, in bytes. Most requests fit, so the buffer of an idle client has this size.
const SMALL: usize = 1024;

/// A buffer that grows with what arrives and shrinks again once everything is consumed. Its user limits the size by
/// refusing requests that are too long. Outside of the unread bytes it contains only zeros.
pub(crate) struct Input {
    buffer: Wiped,
    start: usize,
    end: usize,
}

impl Input {
    pub(crate) fn new() -> Self {
        Self {
            buffer: zeros(SMALL),
            start: 0,
            end: 0,
        }
    }

    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Discards the first `bytes` of the unread bytes, or all of them if there are fewer.
    pub(crate) fn consume(&mut self, bytes: usize) {
        let consumed = self.start..self.start + bytes.min(self.end - self.start);
        self.start = consumed.end;
        if !self.is_empty() {
            return self.buffer[consumed].zeroize();
        }
        self.end = 0;
        self.start = 0;
        if self.buffer.len() > SMALL {
            self.buffer = zeros(SMALL);
        } else {
            self.buffer[consumed].zeroize();
        }
    }

    /// Appends the bytes that `read` returns. The result is their number; 0 is the end of the input.
    pub(crate) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start.., 0);
                let moved = self.end - self.start;
                self.buffer[moved..].zeroize();
                (self.start, self.end) = (0, moved);
            } else {
                self.buffer.resize(self.buffer.len() * 2);
            }
        }
        let received = read(&mut self.buffer[self.end..])?;
        self.end += received;
        Ok(received)
    }
}

fn zeros(bytes: usize) -> Wiped {
    let mut buffer = Wiped::default();
    buffer.resize(bytes);
    buffer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn bytes_come_out_in_order_and_none_stay_in_the_buffer() {
        let sent: Vec<u8> = (1..10_000_u32).flat_map(u32::to_be_bytes).collect();
        let (mut source, mut input, mut received) = (&sent[..], Input::new(), Vec::new());
        while input.fill(|buffer| source.read(buffer)).unwrap() > 0 {
            // Always leaves some bytes unread, as with pipelined requests.
            let taken = input.unread().len() / 3;
            received.extend_from_slice(&input.unread()[..taken]);
            input.consume(taken);
            let mut read = input.buffer[..input.start].to_vec();
            read.extend_from_slice(&input.buffer[input.end..]);
            assert!(read.iter().all(|byte| *byte == 0));
        }
        received.extend_from_slice(input.unread());
        input.consume(usize::MAX);
        assert_eq!(received, sent);
        assert_eq!(&*input.buffer, [0; SMALL]);
    }
}
