//! Messages on stdio: one a line, the lines ended by a line feed (MCP, "stdio").
//!
//! Must never hold more than one line, nor more of it than the limit (CASES F11). What a line holds is
//! not looked at.

use bytes::{Bytes, BytesMut};

use super::fault::Fault;

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
pub struct Decoder {
    line_bytes_max: usize,
    pending: BytesMut,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// The line was too long, said so, and goes by unread.
    Skipping,
}

impl Decoder {
    /// A decoder of lines of at most `line_bytes_max` bytes, without their end.
    #[must_use]
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, pending: BytesMut::new(), state: State::Reading }
    }

    /// Takes in `chunk` and hands out each line that ends in it, without its end. Empty lines go by.
    /// A line that is too long is handed out as [`Fault::LineTooLong`] once, as soon as that is known;
    /// the next one works again.
    pub fn push(&mut self, chunk: &[u8], mut line: impl FnMut(Result<Bytes, Fault>)) {
        let mut rest = chunk;
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            self.take(head, &mut line);
            self.end(&mut line);
            rest = tail.get(1..).unwrap_or_default();
        }
        self.take(rest, &mut line);
    }

    /// The stream has ended. What is left is half a message: says how many bytes are lost.
    #[must_use]
    pub fn finish(self) -> usize {
        self.pending.len()
    }

    /// How many bytes wait for the end of their line.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// How much memory waits with them.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pending.capacity()
    }

    fn take(&mut self, part: &[u8], line: &mut impl FnMut(Result<Bytes, Fault>)) {
        if self.state == State::Skipping {
            return;
        }
        if part.len() > self.line_bytes_max - self.pending.len() {
            // A new buffer: the old one may be as large as the limit, and may be needed never again.
            self.pending = BytesMut::new();
            self.state = State::Skipping;
            line(Err(Fault::LineTooLong));
            return;
        }
        self.pending.extend_from_slice(part);
    }

    fn end(&mut self, line: &mut impl FnMut(Result<Bytes, Fault>)) {
        if self.state == State::Skipping {
            self.state = State::Reading;
            return;
        }
        let mut whole = self.pending.split().freeze();
        if whole.last() == Some(&b'\r') {
            whole.truncate(whole.len() - 1);
        }
        if !whole.trim_ascii().is_empty() {
            line(Ok(whole));
        }
    }
}
