//! What a client has sent and nobody has read yet.

use std::io;

/// Most requests of most clients fit, so that an idle client costs no more.
const SMALL: usize = 1024;

/// A buffer that starts small, grows with what arrives and becomes small again. Whoever reads from it bounds it, by
/// refusing what is too long.
#[derive(Debug)]
pub(super) struct Input {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
}

impl Input {
    pub(super) fn new() -> Input {
        Input {
            buffer: vec![0; SMALL],
            start: 0,
            end: 0,
        }
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Drops the first bytes of what is unread, or all there are.
    pub(super) fn consume(&mut self, bytes: usize) {
        self.start += bytes.min(self.end - self.start);
        if self.is_empty() {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > SMALL {
                self.buffer = vec![0; SMALL];
            }
        }
    }

    /// Adds what `read` brings; 0 is the end of the input.
    pub(super) fn fill(
        &mut self,
        read: impl FnOnce(&mut [u8]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        if self.end == self.buffer.len() {
            if self.start > 0 {
                self.buffer.copy_within(self.start.., 0);
                (self.start, self.end) = (0, self.end - self.start);
            } else {
                self.buffer.resize(self.buffer.len() * 2, 0);
            }
        }
        let brought = read(&mut self.buffer[self.end..])?;
        self.end += brought;
        Ok(brought)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn bytes_come_out_in_order_and_the_buffer_shrinks_again() {
        let sent: Vec<u8> = (0..10_000_u32).flat_map(u32::to_be_bytes).collect();
        let (mut source, mut input, mut received) = (&sent[..], Input::new(), Vec::new());
        while input.fill(|buffer| source.read(buffer)).unwrap() > 0 {
            // Leaves a rest every time, as pipelined requests do.
            let taken = input.unread().len() / 3;
            received.extend_from_slice(&input.unread()[..taken]);
            input.consume(taken);
        }
        received.extend_from_slice(input.unread());
        input.consume(usize::MAX);
        assert_eq!(received, sent);
        assert_eq!(input.buffer.len(), SMALL);
    }
}
