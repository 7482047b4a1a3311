//! Server-sent events (WHATWG HTML §9.2), in both directions.
//!
//! Must never hold more of an event than the limit (CASES F11), hand out an event that was cut off
//! (CASES F05), or let text that it carries end an event and begin another (CASES A18).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::fault::Fault;
use super::gather::Gather;

/// A comment that keeps a quiet stream alive (2026-07-28, "Streamable HTTP").
pub const KEEP_ALIVE: &[u8] = b":\r\n\r\n";

/// Longest reconnection time that is believed, in milliseconds.
pub const RETRY_MS_MAX: u64 = 60_000;

/// Longest id of an event that is kept, in bytes; a longer one could not be sent back in a header.
pub const EVENT_ID_BYTES_MAX: usize = 1024;

/// The field that holds what an event says.
const DATA: &[u8] = b"data";

/// The mark that may stand before a stream and means nothing.
const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// One event with data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event<W = Bytes> {
    /// `event`; empty where the stream does not say.
    pub kind: Bytes,
    /// `data`, its lines joined by line feeds. Never empty: an event without data carries nothing.
    pub data: W,
    /// The id of the event, or the last one before it that had any.
    pub id: Option<Bytes>,
}

/// Cuts a stream of bytes into events. After a fault the rest of the stream means nothing.
#[derive(Debug)]
pub struct Decoder<G = BytesMut> {
    event_bytes_max: usize,
    /// The line, as far as it is no data.
    line: BytesMut,
    field: Field,
    data: G,
    /// Whether the event has a line of data.
    has_data: bool,
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

/// What the line that is being read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    /// It is not known yet, or it is no data.
    Other,
    /// `data`, of which everything goes where data is gathered.
    Data,
}

impl Decoder {
    /// A decoder of events that hold at most `event_bytes_max` bytes.
    #[must_use]
    pub fn new(event_bytes_max: usize) -> Self {
        Self::gathering(event_bytes_max, BytesMut::new())
    }

    /// How much memory waits with them.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.line.capacity() + self.data.capacity()
    }
}

impl<G: Gather> Decoder<G> {
    /// The same, the data of each event gathered in `data`.
    #[must_use]
    pub fn gathering(event_bytes_max: usize, data: G) -> Self {
        Self {
            event_bytes_max,
            line: BytesMut::new(),
            field: Field::Other,
            data,
            has_data: false,
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
    pub fn push(&mut self, chunk: &[u8], mut event: impl FnMut(Event<G::Whole>)) -> Result<(), Fault> {
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
        self.line.len() + self.data.bytes() + self.kind.len()
    }

    fn take(&mut self, part: &[u8]) -> Result<(), Fault> {
        if self.at == At::Broken {
            return Err(Fault::EventTooLarge);
        }
        if self.pending_bytes().saturating_add(part.len()) > self.event_bytes_max {
            self.line = BytesMut::new();
            self.data.clear();
            self.at = At::Broken;
            return Err(Fault::EventTooLarge);
        }
        match self.field {
            Field::Data => self.data.put(part),
            Field::Other => {
                self.line.extend_from_slice(part);
                self.notice_data(DATA.len() + 2);
            }
        }
        Ok(())
    }

    /// A line of data begins: its lines are joined by line feeds.
    fn begin_data(&mut self) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.put(b"\n");
        }
    }

    /// Sees whether the line is data, once `least` bytes of it are there: with the space after the colon, if there
    /// is one.
    fn notice_data(&mut self, least: usize) {
        let mark = self.at == At::Start && self.line.starts_with(BYTE_ORDER_MARK);
        let skipped = if mark { BYTE_ORDER_MARK.len() } else { 0 };
        let line = self.line.get(skipped..).unwrap_or_default();
        if line.len() < least || !line.starts_with(DATA) || line.get(DATA.len()) != Some(&b':') {
            return;
        }
        let line = self.line.split().freeze();
        self.begin_data();
        self.data.put(&after_colon(&line, skipped + DATA.len()));
        self.field = Field::Data;
        if self.at == At::Start {
            self.at = At::Inside;
        }
    }

    fn end_line(&mut self, event: &mut impl FnMut(Event<G::Whole>)) -> Result<(), Fault> {
        self.notice_data(DATA.len() + 1);
        if std::mem::replace(&mut self.field, Field::Other) == Field::Data {
            return Ok(());
        }
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
            // Without a colon: with one it never comes here.
            b"data" => self.begin_data(),
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

    fn end_event(&mut self, event: &mut impl FnMut(Event<G::Whole>)) {
        let kind = std::mem::take(&mut self.kind);
        self.has_data = false;
        self.ended_id.clone_from(&self.id);
        // An event without data primes a stream for resumption (2025-11-25); it carries no message.
        if self.data.bytes() > 0 {
            event(Event { kind, data: self.data.take(), id: self.id.clone() });
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

/// `data` as one event, with the id `id`, which has to be printable. Each of its lines gets a field of its own,
/// whatever ends it.
#[must_use]
pub fn encode(id: Option<&str>, data: &[u8]) -> Bytes {
    let id_bytes = id.map_or(0, |id| id.len() + ID.len() + 1);
    let mut out = BytesMut::with_capacity(data.len() + id_bytes + FIELD.len() + END.len());
    put_begin(&mut out, id);
    put_lines(&mut out, data);
    out.put_slice(END);
    out.freeze()
}

/// How an event begins whose data follows in pieces.
#[must_use]
pub fn begin(id: Option<&str>) -> Bytes {
    let mut out = BytesMut::new();
    put_begin(&mut out, id);
    out.freeze()
}

/// A piece of the data of an event; its end is [`END`].
#[must_use]
pub fn piece(data: &Bytes) -> Bytes {
    if memchr::memchr2(b'\r', b'\n', data).is_none() {
        return data.clone();
    }
    let mut out = BytesMut::with_capacity(data.len() + FIELD.len());
    put_lines(&mut out, data);
    out.freeze()
}

/// Asks the client to wait before it comes back (WHATWG HTML, 9.2.6, `retry`). It carries no message.
#[must_use]
pub fn retry(wait: Duration) -> Bytes {
    format!("retry: {}\n\n", wait.as_millis()).into()
}

/// How an event ends.
pub const END: &[u8] = b"\n\n";

const FIELD: &[u8] = b"data: ";
const ID: &[u8] = b"id: ";

fn put_begin(out: &mut BytesMut, id: Option<&str>) {
    if let Some(id) = id {
        out.put_slice(ID);
        out.put_slice(id.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_slice(FIELD);
}

fn put_lines(out: &mut BytesMut, data: &[u8]) {
    let mut rest = data;
    while let Some(end) = memchr::memchr2(b'\r', b'\n', rest) {
        let (line, tail) = rest.split_at(end);
        out.put_slice(line);
        out.put_u8(b'\n');
        out.put_slice(FIELD);
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..)).unwrap_or_default();
    }
    out.put_slice(rest);
}
