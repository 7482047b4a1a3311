//! The grammar of JSON (RFC 8259), in one pass over the bytes and without recursion.
//!
//! There is one grammar in the gateway: whatever has to be read out of JSON is a [`Reader`] of this
//! scanner. Must never allocate in proportion to nesting beyond one byte a level, and never accept what
//! the grammar does not: no comments, no trailing commas, no second document.

use std::borrow::Cow;
use std::ops::Range;

use super::fault::Fault;
use super::text;

/// Levels of nesting of a message from downstream. Deeper than any tool takes its arguments.
pub const DEPTH_MAX: usize = 64;
/// Keys and elements in one message from downstream, together.
pub const MEMBERS_MAX: usize = 100_000;

/// What a document may cost (I11). Its size is bounded by whoever read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanLimits {
    /// Levels of nesting.
    pub depth_max: usize,
    /// Keys and elements in the whole document.
    pub members_max: usize,
}

impl Default for ScanLimits {
    fn default() -> Self {
        Self { depth_max: DEPTH_MAX, members_max: MEMBERS_MAX }
    }
}

impl ScanLimits {
    /// For parts of a message that was scanned within its limits already.
    pub(super) const SCANNED: Self = Self { depth_max: usize::MAX, members_max: usize::MAX };
}

/// What holds other values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// `{}`.
    Object,
    /// `[]`.
    Array,
}

/// A key as it is written between its quotes.
#[derive(Debug, Clone)]
pub(super) struct Key<'a> {
    /// What stands between the quotes.
    pub inner: &'a str,
    /// Where that is.
    pub span: Range<usize>,
    escapes: Escapes,
}

/// Whether a string is written with escapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escapes {
    None,
    Some,
}

impl<'a> Key<'a> {
    /// The key without escapes.
    pub(super) fn text(&self) -> Result<Cow<'a, str>, Fault> {
        match self.escapes {
            Escapes::None => Ok(Cow::Borrowed(self.inner)),
            Escapes::Some => text::unescape(self.inner),
        }
    }
}

/// Is told what the scanner sees, in the order of the bytes.
pub(super) trait Reader<'a> {
    /// A member begins; its value follows.
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault>;
    /// A container begins at `start`.
    fn open(&mut self, container: Container, start: usize);
    /// The innermost container ends before `end`.
    fn close(&mut self, container: Container, end: usize);
    /// A string, number or literal, raw.
    fn scalar(&mut self, raw: &'a str, start: usize);
}

/// A fault and the byte at which it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flaw {
    /// What is wrong.
    pub fault: Fault,
    /// Where, counted from the first byte.
    pub at: usize,
}

/// Reads `document` to its end and tells `reader` what it holds.
pub(super) fn scan<'a>(
    document: &'a str,
    limits: &ScanLimits,
    reader: &mut impl Reader<'a>,
) -> Result<(), Flaw> {
    let mut scanner =
        Scanner { document, bytes: document.as_bytes(), at: 0, open: Vec::new(), members: 0, limits };
    scanner.run(reader).map_err(|fault| Flaw { fault, at: scanner.at })
}

struct Scanner<'a, 'l> {
    document: &'a str,
    bytes: &'a [u8],
    at: usize,
    /// The containers that are open, outermost first. At most `limits.depth_max`.
    open: Vec<Container>,
    members: usize,
    limits: &'l ScanLimits,
}

impl<'a> Scanner<'a, '_> {
    fn run(&mut self, reader: &mut impl Reader<'a>) -> Result<(), Fault> {
        loop {
            // A value has to begin here. An open container whose first value begins comes round again.
            if self.value(reader)? == Next::Value {
                continue;
            }
            // A value has ended here: close what ends with it, or go on to the next value.
            loop {
                self.skip_whitespace();
                let Some(container) = self.open.last().copied() else {
                    return if self.at == self.bytes.len() { Ok(()) } else { Err(Fault::Trailing) };
                };
                match (container, self.peek()) {
                    (_, Some(b',')) => {
                        self.at += 1;
                        self.skip_whitespace();
                        self.member(container, reader)?;
                        break;
                    }
                    (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => {
                        self.close(container, reader)
                    }
                    (_, Some(_)) => return Err(Fault::Comma),
                    (_, None) => return Err(Fault::End),
                }
            }
        }
    }

    fn value(&mut self, reader: &mut impl Reader<'a>) -> Result<Next, Fault> {
        self.skip_whitespace();
        let start = self.at;
        match self.peek() {
            Some(b'{') => return self.enter(Container::Object, b'}', reader),
            Some(b'[') => return self.enter(Container::Array, b']', reader),
            Some(b'"') => self.string().map(drop)?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(b't') => self.literal(b"true")?,
            Some(b'f') => self.literal(b"false")?,
            Some(b'n') => self.literal(b"null")?,
            Some(_) => return Err(Fault::Value),
            None => return Err(Fault::End),
        }
        reader.scalar(self.document.get(start..self.at).unwrap_or_default(), start);
        Ok(Next::AfterValue)
    }

    fn enter(&mut self, container: Container, end: u8, reader: &mut impl Reader<'a>) -> Result<Next, Fault> {
        if self.open.len() >= self.limits.depth_max {
            return Err(Fault::TooDeep);
        }
        reader.open(container, self.at);
        self.open.push(container);
        self.at += 1;
        self.skip_whitespace();
        if self.peek() == Some(end) {
            self.close(container, reader);
            return Ok(Next::AfterValue);
        }
        self.member(container, reader)?;
        Ok(Next::Value)
    }

    fn close(&mut self, container: Container, reader: &mut impl Reader<'a>) {
        self.at += 1;
        self.open.pop();
        reader.close(container, self.at);
    }

    /// Counts a member or element, and reads the key of a member up to and with its colon.
    fn member(&mut self, container: Container, reader: &mut impl Reader<'a>) -> Result<(), Fault> {
        self.members += 1;
        if self.members > self.limits.members_max {
            return Err(Fault::TooMany);
        }
        if container == Container::Array {
            return Ok(());
        }
        match self.peek() {
            Some(b'"') => {}
            Some(_) => return Err(Fault::Key),
            None => return Err(Fault::End),
        }
        let key = self.string()?;
        reader.key(key)?;
        self.skip_whitespace();
        match self.peek() {
            Some(b':') => self.at += 1,
            Some(_) => return Err(Fault::Colon),
            None => return Err(Fault::End),
        }
        Ok(())
    }

    /// Reads the string that begins here, with its quotes.
    fn string(&mut self) -> Result<Key<'a>, Fault> {
        let start = self.at + 1;
        self.at = start;
        let mut escapes = Escapes::None;
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            self.at += plain_run(rest);
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => {
                    let (_, bytes) = text::escape(self.bytes.get(self.at..).unwrap_or_default())?;
                    self.at += bytes;
                    escapes = Escapes::Some;
                }
                Some(_) => return Err(Fault::Control),
                None => return Err(Fault::End),
            }
        }
        let span = start..self.at;
        self.at += 1;
        Ok(Key { inner: self.document.get(span.clone()).unwrap_or_default(), span, escapes })
    }

    /// RFC 8259 §6. The digits are kept as they are: nothing is ever computed from them (CASES F51, A11).
    fn number(&mut self) -> Result<(), Fault> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return Err(Fault::Number);
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start { Err(Fault::Number) } else { Ok(()) }
    }

    fn literal(&mut self, word: &[u8]) -> Result<(), Fault> {
        if !self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            return Err(Fault::Value);
        }
        self.at += word.len();
        Ok(())
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }
}

/// What has to follow.
#[derive(PartialEq, Eq)]
enum Next {
    Value,
    AfterValue,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// How many bytes go by before a quote, a backslash or a control character, eight at a time.
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let hits = special_bytes(u64::from_le_bytes(*word));
        if hits != 0 {
            return index * 8 + (hits.trailing_zeros() / 8) as usize;
        }
    }
    let plain = tail.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
    words.len() * 8 + plain
}

/// The high bit of each byte of `word` that ends a run of plain text.
///
/// A borrow can mark bytes above a true hit wrongly, never below it: the lowest mark is exact, and only
/// that one is used.
const fn special_bytes(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let quotes = quote.wrapping_sub(ONES) & !quote;
    let backslashes = backslash.wrapping_sub(ONES) & !backslash;
    (control | quotes | backslashes) & HIGH_BITS
}
