//! Where a message is gathered while it comes, whatever cuts the stream into messages.
//!
//! Must never be given more than its decoder allows: it counts, the decoder refuses.

use bytes::{Bytes, BytesMut};

/// Gathers the bytes of one message after the other.
pub trait Gather {
    /// A whole message.
    type Whole;

    /// Adds what came.
    fn put(&mut self, part: &[u8]);

    /// How many bytes came of this message.
    fn bytes(&self) -> usize;

    /// Ends the message.
    fn take(&mut self) -> Self::Whole;

    /// Ends the message as a line, without a carriage return at its end; `None` where it is blank.
    fn take_line(&mut self) -> Option<Self::Whole>;

    /// Forgets the message, and the room that it took.
    fn clear(&mut self);
}

impl Gather for BytesMut {
    type Whole = Bytes;

    fn put(&mut self, part: &[u8]) {
        self.extend_from_slice(part);
    }

    fn bytes(&self) -> usize {
        self.len()
    }

    fn take(&mut self) -> Bytes {
        self.split().freeze()
    }

    fn take_line(&mut self) -> Option<Bytes> {
        line(Gather::take(self))
    }

    fn clear(&mut self) {
        // A new buffer: the old one may be as large as the limit, and may be needed never again.
        *self = Self::new();
    }
}

/// `whole` as a line.
pub fn line(mut whole: Bytes) -> Option<Bytes> {
    if whole.last() == Some(&b'\r') {
        whole.truncate(whole.len() - 1);
    }
    (!whole.trim_ascii().is_empty()).then_some(whole)
}
