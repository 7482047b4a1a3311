//! Messages on stdio: one a line, the lines ended by a line feed (MCP, "stdio").
//!
//! Must never hold more than one line, nor more of it than the limit (CASES F11). What a line holds is
//! not looked at.

use bytes::BytesMut;

use super::fault::Fault;
use super::gather::Gather;

/// Cuts a stream of bytes into lines.
#[derive(Debug)]
pub struct Decoder<G = BytesMut> {
    line_bytes_max: usize,
    pending: G,
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
        Self::gathering(line_bytes_max, BytesMut::new())
    }

    /// How much memory waits with them.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.pending.capacity()
    }
}

impl<G: Gather> Decoder<G> {
    /// The same, each line gathered in `pending`.
    #[must_use]
    pub fn gathering(line_bytes_max: usize, pending: G) -> Self {
        Self { line_bytes_max, pending, state: State::Reading }
    }

    /// Takes in `chunk` and hands out each line that ends in it, without its end. Empty lines go by.
    /// A line that is too long is handed out as [`Fault::LineTooLong`] once, as soon as that is known;
    /// the next one works again.
    pub fn push(&mut self, chunk: &[u8], mut line: impl FnMut(Result<G::Whole, Fault>)) {
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
        self.pending.bytes()
    }

    /// How many bytes wait for the end of their line.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending.bytes()
    }

    fn take(&mut self, part: &[u8], line: &mut impl FnMut(Result<G::Whole, Fault>)) {
        if self.state == State::Skipping {
            return;
        }
        if part.len() > self.line_bytes_max - self.pending.bytes() {
            self.pending.clear();
            self.state = State::Skipping;
            line(Err(Fault::LineTooLong));
            return;
        }
        self.pending.put(part);
    }

    fn end(&mut self, line: &mut impl FnMut(Result<G::Whole, Fault>)) {
        if self.state == State::Skipping {
            self.state = State::Reading;
            return;
        }
        if let Some(whole) = self.pending.take_line() {
            line(Ok(whole));
        }
    }
}
