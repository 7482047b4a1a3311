//! One line of the journal: how it is built, chained and sealed, byte by byte (docs/AUDIT.md §2).
//!
//! Must never produce a line with a line break, a control or a format character inside, nor one without
//! its digest. Trusts the caller to write each member once.

mod kind;
mod time;

use std::io::Write;
use std::time::Duration;

use jiff::Timestamp;

use super::Seq;
use crate::clock::Clock;
use crate::model::digest::Sha256;
use crate::model::text::is_hidden;
pub use kind::Kind;
use time::TimeText;

/// The version that every line carries in `v`.
pub const FORMAT_VERSION: u64 = 1;
/// Longest line that a reader takes, in bytes. The writer stays below [`RECORD_BYTES_MAX`].
pub const LINE_BYTES_MAX: usize = 1024 * 1024;
/// Longest line that the writer makes, in bytes: the largest provenance that fits three times.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// What every line ends with, its digest in the middle.
pub(super) const DIGEST_HEAD: &[u8] = b",\"digest\":\"";
const DIGEST_TAIL: &[u8] = b"\"}";
const DIGEST_HEX_BYTES: usize = 64;

/// When something happened: by the wall, in whole microseconds, and by the clock that never goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) wall: Timestamp,
    pub(super) mono: Duration,
}

impl Stamp {
    pub(super) fn now(clock: &Clock) -> Self {
        let wall = clock.wall();
        let whole = Timestamp::from_microsecond(wall.as_microsecond()).unwrap_or(wall);
        Self { wall: whole, mono: clock.monotonic() }
    }
}

/// Where the next line stands in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Chain {
    /// The sequence number of the next line; it is its index as a leaf of the tree.
    pub(super) next: Seq,
    /// The RFC 6962 leaf hash of the line before; zeros before the first.
    pub(super) prev: Sha256,
}

impl Chain {
    /// The place of the first line of a journal.
    pub(super) fn genesis() -> Self {
        Self { next: Seq(0), prev: zeros() }
    }

    /// The sequence number of the last line; of the first where there is none yet.
    pub(super) fn last(&self) -> Seq {
        Seq(self.next.0.saturating_sub(1))
    }
}

fn zeros() -> Sha256 {
    // 64 zeros are 32 zero bytes in hexadecimal, so there is always such a digest.
    Sha256::from_hex(&"0".repeat(DIGEST_HEX_BYTES)).unwrap_or_else(|| Sha256::of(b""))
}

/// The leaf hash of a line: RFC 6962 §2.1, `SHA-256(0x00 || line)`, the line without its line break.
pub(super) fn leaf(line: &[u8]) -> Sha256 {
    Sha256::of_parts(&[&[0], line])
}

/// The part of a line that its digest covers, and the digest that it claims, if it ends in one.
pub(super) fn split_digest(line: &[u8]) -> Option<(&[u8], Sha256)> {
    let rest = line.strip_suffix(DIGEST_TAIL)?;
    let (rest, hex) = rest.split_at_checked(rest.len().checked_sub(DIGEST_HEX_BYTES)?)?;
    let covered = rest.strip_suffix(DIGEST_HEAD)?;
    Some((covered, Sha256::from_hex(std::str::from_utf8(hex).ok()?)?))
}

/// Builds the lines of one group into one buffer that is used again and again.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    pub(super) chain: Chain,
    /// Lines since [`Lines::clear`].
    pub(super) count: u64,
    /// Their leaf hashes.
    pub(super) leaves: Vec<(Seq, Sha256)>,
    second: TimeText,
    /// Monotonic time of the last line: what waited while a segment was begun comes after its head.
    mono: Duration,
}

impl Lines {
    pub(super) fn new(chain: Chain) -> Self {
        Self {
            bytes: Vec::with_capacity(64 * 1024),
            chain,
            count: 0,
            leaves: Vec::new(),
            second: TimeText::default(),
            mono: Duration::ZERO,
        }
    }

    /// Forgets the lines, keeps the place in the chain.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.leaves.clear();
        self.count = 0;
    }

    /// Appends one line and gives its sequence number.
    pub(super) fn push(&mut self, stamp: &Stamp, kind: Kind, body: impl FnOnce(&mut Object<'_>)) -> Seq {
        let (start, seq) = (self.bytes.len(), self.chain.next);
        self.mono = self.mono.max(stamp.mono);
        let out = &mut self.bytes;
        out.extend_from_slice(b"{\"v\":1,\"seq\":");
        number(out, seq.0);
        out.extend_from_slice(b",\"t\":\"");
        self.second.push(out, stamp.wall);
        out.extend_from_slice(b"\",\"mono_ns\":");
        number(out, u64::try_from(self.mono.as_nanos()).unwrap_or(u64::MAX));
        out.extend_from_slice(b",\"prev\":\"");
        hex(out, &self.chain.prev);
        out.extend_from_slice(b"\",\"kind\":\"");
        out.extend_from_slice(kind.as_str().as_bytes());
        out.push(b'"');
        body(&mut Object { out, first: First::No });
        let digest = Sha256::of(self.bytes.get(start..).unwrap_or_default());
        self.bytes.extend_from_slice(DIGEST_HEAD);
        hex(&mut self.bytes, &digest);
        self.bytes.extend_from_slice(DIGEST_TAIL);
        let prev = leaf(self.bytes.get(start..).unwrap_or_default());
        self.bytes.push(b'\n');
        self.chain = Chain { next: seq.next(), prev };
        self.leaves.push((seq, prev));
        self.count += 1;
        seq
    }
}

/// The members of one JSON object, written in order.
pub(super) struct Object<'a> {
    out: &'a mut Vec<u8>,
    first: First,
}

#[derive(PartialEq, Eq)]
enum First {
    Yes,
    No,
}

impl Object<'_> {
    fn key(&mut self, key: &str) {
        if self.first == First::No {
            self.out.push(b',');
        }
        self.first = First::No;
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }

    pub(super) fn number(&mut self, key: &str, value: u64) {
        self.key(key);
        number(self.out, value);
    }

    pub(super) fn signed(&mut self, key: &str, value: i64) {
        self.key(key);
        // Writing into a Vec cannot fail.
        let _ = write!(self.out, "{value}");
    }

    pub(super) fn flag(&mut self, key: &str, value: Flag) {
        self.key(key);
        self.out.extend_from_slice(match value {
            Flag::True => b"true",
            Flag::False => b"false",
        });
    }

    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.key(key);
        text(self.out, value);
    }

    pub(super) fn digest(&mut self, key: &str, value: &Sha256) {
        self.key(key);
        self.out.push(b'"');
        hex(self.out, value);
        self.out.push(b'"');
    }

    pub(super) fn digests<'d>(&mut self, key: &str, values: impl Iterator<Item = &'d Sha256>) {
        self.key(key);
        let mut sign = b'[';
        for value in values {
            self.out.extend_from_slice(&[sign, b'"']);
            hex(self.out, value);
            self.out.push(b'"');
            sign = b',';
        }
        self.close_list(sign);
    }

    pub(super) fn time(&mut self, key: &str, value: Timestamp) {
        self.key(key);
        self.out.push(b'"');
        TimeText::default().push(self.out, value);
        self.out.push(b'"');
    }

    /// One text made of two with a dot between, as tools are named.
    pub(super) fn dotted(&mut self, key: &str, left: &str, right: &str) {
        self.key(key);
        self.out.push(b'"');
        escape(self.out, left);
        self.out.push(b'.');
        escape(self.out, right);
        self.out.push(b'"');
    }

    /// A line as it stands, which is a JSON object already.
    pub(super) fn line(&mut self, key: &str, line: &[u8]) {
        self.key(key);
        self.out.extend_from_slice(line);
    }

    /// Any value, as its type writes itself.
    pub(super) fn json(&mut self, key: &str, value: &impl serde::Serialize) {
        self.key(key);
        // What has texts for keys and no fault of its own is always JSON.
        let text = serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned());
        // Outside its texts JSON has nothing that is hidden, and inside them these stand for the same.
        for c in text.chars() {
            match is_hidden(c) {
                true => hidden(self.out, c),
                false => self.out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }

    pub(super) fn texts<'t>(&mut self, key: &str, values: impl Iterator<Item = &'t str>) {
        self.key(key);
        let mut sign = b'[';
        for value in values {
            self.out.push(sign);
            text(self.out, value);
            sign = b',';
        }
        self.close_list(sign);
    }

    pub(super) fn object(&mut self, key: &str, body: impl FnOnce(&mut Object<'_>)) {
        self.key(key);
        self.braced(body);
    }

    pub(super) fn objects<T>(
        &mut self,
        key: &str,
        values: impl Iterator<Item = T>,
        mut body: impl FnMut(&mut Object<'_>, T),
    ) {
        self.key(key);
        let mut sign = b'[';
        for value in values {
            self.out.push(sign);
            self.braced(|object| body(object, value));
            sign = b',';
        }
        self.close_list(sign);
    }

    fn close_list(&mut self, sign: u8) {
        if sign == b'[' {
            self.out.push(b'[');
        }
        self.out.push(b']');
    }

    fn braced(&mut self, body: impl FnOnce(&mut Object<'_>)) {
        self.out.push(b'{');
        body(&mut Object { out: self.out, first: First::Yes });
        self.out.push(b'}');
    }
}

/// A truth value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flag {
    True,
    False,
}

impl From<bool> for Flag {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// The digest and length of the JSON array that [`Object::texts`] would have written.
pub(super) fn whole_list<'t>(values: impl Iterator<Item = &'t str>) -> (u64, Sha256) {
    whole_value(|object| object.texts("", values))
}

/// The digest and length of the JSON value that `write` writes under the empty key.
pub(super) fn whole_value(write: impl FnOnce(&mut Object<'_>)) -> (u64, Sha256) {
    let mut bytes = Vec::new();
    write(&mut Object { out: &mut bytes, first: First::Yes });
    // What comes before the value is the empty key and its colon.
    let value = bytes.strip_prefix(b"\"\":").unwrap_or_default();
    (value.len() as u64, Sha256::of(value))
}

/// How many bytes `value` takes as a JSON string.
pub(super) fn text_bytes(value: &str) -> usize {
    let mut bytes = Vec::new();
    text(&mut bytes, value);
    bytes.len()
}

fn number(out: &mut Vec<u8>, value: u64) {
    // Writing into a Vec cannot fail.
    let _ = write!(out, "{value}");
}

fn hex(out: &mut Vec<u8>, digest: &Sha256) {
    let mut text = [0; DIGEST_HEX_BYTES];
    data_encoding::HEXLOWER.encode_mut(digest.as_bytes(), &mut text);
    out.extend_from_slice(&text);
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.push(b'"');
    escape(out, value);
    out.push(b'"');
}

/// `value` inside a JSON string. Control and format characters are escaped too, though JSON would let
/// many of them stand: a line of the journal is one line for every pager, terminal and log shipper
/// (CASES A69).
fn escape(out: &mut Vec<u8>, value: &str) {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
        out.extend_from_slice(value.as_bytes());
        return;
    }
    for c in value.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            c if is_hidden(c) => hidden(out, c),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
}

/// `c` as JSON escapes it.
fn hidden(out: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        // Writing into a Vec cannot fail.
        let _ = write!(out, "\\u{unit:04x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a69_no_character_that_a_terminal_or_shipper_obeys_stands_in_a_line() {
        let mut lines = Lines::new(Chain::genesis());
        let nasty = "a\r\n\u{2028}\u{2029}\u{85}\u{1b}[2J\u{202e}\u{e0041}\"\\é日";
        let stamp = Stamp { wall: "2026-11-21T00:00:00.5Z".parse().unwrap(), mono: Duration::ZERO };
        lines.push(&stamp, Kind::Denial, |object| object.text("x", nasty));
        let line = std::str::from_utf8(&lines.bytes).unwrap().strip_suffix('\n').unwrap();
        assert!(!line.chars().any(is_hidden), "{line}");
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(value["x"], nasty);
        assert_eq!(value["t"], "2026-11-21T00:00:00.500000Z");
    }

    #[test]
    fn a_line_is_sealed_over_exactly_what_stands_before_its_digest() {
        let mut lines = Lines::new(Chain::genesis());
        let stamp = Stamp { wall: Timestamp::UNIX_EPOCH, mono: Duration::from_nanos(7) };
        lines.push(&stamp, Kind::Stop, |_| ());
        lines.push(&stamp, Kind::Stop, |_| ());
        let text = String::from_utf8(lines.bytes.clone()).unwrap();
        let mut prev = "0".repeat(64);
        for (index, line) in text.lines().enumerate() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            assert_eq!(value["seq"], index);
            assert_eq!(value["prev"], prev);
            let (covered, digest) = split_digest(line.as_bytes()).unwrap();
            assert_eq!(Sha256::of(covered), digest);
            assert_eq!(value["digest"], digest.to_string());
            prev = leaf(line.as_bytes()).to_string();
        }
    }
}
