//! Server-sent events (WHATWG HTML §9.2), in both directions.
//!
//! Must never hold more of an event than the limit (CASES F11), hand out an event that was cut off
//! (CASES F05), or let text that it carries end an event and begin another (CASES A18).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::Fault;

/// A comment that keeps a quiet stream alive (2026-07-28, "Streamable HTTP").
pub const KEEP_ALIVE: &[u8] = b":\r\n\r\n";

/// Longest reconnection time that is believed, in milliseconds.
pub const RETRY_MS_MAX: u64 = 60_000;

/// Longest id of an event that is kept, in bytes; a longer one could not be sent back in a header.
pub const EVENT_ID_BYTES_MAX: usize = 1024;

/// The mark that may stand before a stream and means nothing.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One event with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `event`; empty where the stream does not say.
    pub kind: Bytes,
    /// `data`, its lines joined by line feeds. Never empty: an event without data carries nothing.
    pub data: Bytes,
    /// The id of the event, or the last one before it that had any.
    pub id: Option<Bytes>,
}

/// Cuts a stream of bytes into events. After a fault the rest of the stream means nothing.
#[derive(Debug)]
pub struct Decoder {
    event_bytes_max: usize,
    line: BytesMut,
    data: BytesMut,
    kind: Bytes,
    id: Option<Bytes>,
    /// The id as it was when the last event ended.
    ended_id: Option<Bytes>,
    retry_ms: Option<u64>,
    at: At,
}

/// What has to be known of the bytes before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// The last byte was a carriage return: a line feed belongs to it (CASES F09).
    AfterReturn,
    Inside,
    Broken,
}

impl Decoder {
    /// A decoder of events that hold at most `event_bytes_max` bytes.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            line: BytesMut::new(),
            data: BytesMut::new(),
            kind: Bytes::new(),
            id: None,
            ended_id: None,
            retry_ms: None,
            at: At::Start,
        }
    }

    /// Takes in `chunk` and hands out each event that ends in it.
    ///
    /// # Errors
    /// [`Fault::EventTooLarge`] where an event outgrows its limit; from then on always.
    pub fn push(&mut self, chunk: &[u8], mut event: impl FnMut(Event)) -> Result<(), Fault> {
        let mut rest = chunk;
        if self.at == At::AfterReturn && !rest.is_empty() {
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            self.at = At::Inside;
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
            let (head, tail) = rest.split_at(end);
            self.take(head)?;
            self.end_line(&mut event)?;
            rest = match tail {
                [b'\r', b'\n', next @ ..] => next,
                [b'\r'] => {
                    self.at = At::AfterReturn;
                    &[]
                }
                [_, next @ ..] => next,
                [] => &[],
            };
        }
        self.take(rest)
    }

    /// The id of the last event that ended, to resume after (`Last-Event-ID`): not that of one that was
    /// cut off, which has to come again (CASES F05).
    #[must_use]
    pub fn last_id(&self) -> Option<&Bytes> {
        self.ended_id.as_ref()
    }

    /// The reconnection time that the stream asked for, at most [`RETRY_MS_MAX`].
    #[must_use]
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// How many bytes wait for the end of their event.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.line.len() + self.data.len() + self.kind.len()
    }

    /// How much memory waits with them.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        if self.at == At::Broken {
            return Err(Fault::EventTooLarge);
        }
        if self.pending_bytes().saturating_add(part.len()) > self.event_bytes_max {
            self.line = BytesMut::new();
            self.data = BytesMut::new();
            self.at = At::Broken;
            return Err(Fault::EventTooLarge);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn end_line(&mut self, event: &mut impl FnMut(Event)) -> Result<(), Fault> {
        let mut line = self.line.split().freeze();
        if self.at == At::Start {
            if line.starts_with(BYTE_ORDER_MARK) {
                line = line.slice(BYTE_ORDER_MARK.len()..);
            }
            self.at = At::Inside;
        }
        if line.is_empty() {
            self.end_event(event);
            return Ok(());
        }
        let (field, value) = match memchr::memchr(b':', &line) {
            // A comment.
            Some(0) => return Ok(()),
            Some(colon) => (line.slice(..colon), after_colon(&line, colon)),
            None => (line.clone(), Bytes::new()),
        };
        match field.as_ref() {
            b"data" => {
                self.data.put_slice(&value);
                self.data.put_u8(b'\n');
            }
            // What outlives the line is copied: a slice would keep the whole buffer.
            b"event" => self.kind = Bytes::copy_from_slice(&value),
            b"id" if !value.contains(&0) && value.len() <= EVENT_ID_BYTES_MAX => {
                self.id = Some(Bytes::copy_from_slice(&value));
            }
            b"retry" => self.retry_ms = milliseconds(&value).or(self.retry_ms),
            _ => {}
        }
        Ok(())
    }

    fn end_event(&mut self, event: &mut impl FnMut(Event)) {
        let kind = std::mem::take(&mut self.kind);
        self.ended_id.clone_from(&self.id);
        let mut data = self.data.split().freeze();
        // The line feed after the last line of data is not part of it.
        data.truncate(data.len().saturating_sub(1));
        // An event without data primes a stream for resumption (2025-11-25); it carries no message.
        if !data.is_empty() {
            event(Event { kind, data, id: self.id.clone() });
        }
    }
}

/// The value of a field: one space after the colon does not belong to it.
fn after_colon(line: &Bytes, colon: usize) -> Bytes {
    let space = usize::from(line.get(colon + 1) == Some(&b' '));
    line.slice(colon + 1 + space..)
}

fn milliseconds(value: &[u8]) -> Option<u64> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse::<u64>().ok().map(|ms| ms.min(RETRY_MS_MAX))
}

/// `data` as one event. Each of its lines gets a field of its own, whatever ends it.
#[must_use]
pub fn encode(data: &[u8]) -> Bytes {
    encode_after(BytesMut::with_capacity(data.len() + FIELD.len() + ENDS_BYTES), data)
}

/// The same with the id `id`, which has to be printable.
#[must_use]
pub fn encode_with_id(id: &str, data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + id.len() + 2 * FIELD.len() + ENDS_BYTES);
    out.put_slice(b"id: ");
    out.put_slice(id.as_bytes());
    out.put_u8(b'\n');
    encode_after(out, data)
}

/// Asks the client to wait before it comes back (WHATWG HTML, 9.2.6, `retry`). It carries no message.
#[must_use]
pub fn retry(wait: Duration) -> Bytes {
    format!("retry: {}\n\n", wait.as_millis()).into()
}

const FIELD: &[u8] = b"data: ";
/// What an event has beside its fields, in bytes; only a hint for the allocation.
const ENDS_BYTES: usize = 8;

fn encode_after(mut out: BytesMut, data: &[u8]) -> Bytes {
    let mut rest = data;
    loop {
        out.put_slice(FIELD);
        let Some(end) = memchr::memchr2(b'\r', b'\n', rest) else { break };
        let (line, tail) = rest.split_at(end);
        out.put_slice(line);
        out.put_u8(b'\n');
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    out.put_slice(rest);
    out.put_slice(b"\n\n");
    out.freeze()
}
