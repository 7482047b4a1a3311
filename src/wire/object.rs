//! One JSON object whose members stay as they were written.
//!
//! Must never write a value anew: members are handed out as slices of the bytes they came in. It trusts
//! that the bytes are part of a message that was scanned for duplicate keys.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::encode;
use super::fault::Fault;
use super::scan::{self, Container, Key, Reader, ScanLimits};
use super::text;

/// One object of a message.
#[derive(Debug, Clone)]
pub struct Object {
    /// The bytes that all ranges below count in. Often the whole message.
    pub(super) source: Bytes,
    pub(super) span: Range<usize>,
    pub(super) entries: Vec<Entry>,
}

/// One member of an object, or one element of an array (whose key is empty).
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key with its quotes.
    pub key: Range<usize>,
    /// The key where it is written with escapes.
    pub unescaped: Option<Box<str>>,
    pub value: Range<usize>,
}

impl Object {
    /// The object that `raw` is. `raw` has to be (part of) a message that was parsed.
    ///
    /// # Errors
    /// [`Fault::NotObject`] where `raw` is another value, or a syntax fault where it is none at all.
    pub fn of(raw: &Bytes) -> Result<Self, Fault> {
        let children = Children::of(raw)?;
        if children.container != Some(Container::Object) {
            return Err(Fault::NotObject);
        }
        Ok(Self { source: raw.clone(), span: children.span, entries: children.entries })
    }

    /// The object as it was written.
    #[must_use]
    pub fn raw(&self) -> Bytes {
        self.source.slice(self.span.clone())
    }

    /// The value of the member `key`, as it was written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.entry(key).map(|entry| self.source.slice(entry.value.clone()))
    }

    /// The text of the member `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Result<String, Fault>> {
        let raw = self.get(key)?;
        Some(value_text(&raw))
    }

    /// The keys, unescaped, in the order they were written.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| self.key_of(entry))
    }

    /// The members in the order they were written: each key, unescaped, with its value as it was written.
    pub fn members(&self) -> impl Iterator<Item = (&str, Bytes)> {
        self.entries.iter().map(|entry| (self.key_of(entry), self.source.slice(entry.value.clone())))
    }

    /// The object with the value of the member `key` replaced by the JSON value `value`; every other byte
    /// is as it was. `None` where there is no such member.
    #[must_use]
    pub fn replace(&self, key: &str, value: &[u8]) -> Option<Bytes> {
        let range = self.entry(key)?.value.clone();
        let mut out = BytesMut::with_capacity(self.span.len() + value.len());
        out.extend_from_slice(self.bytes(self.span.start..range.start));
        out.extend_from_slice(value);
        out.extend_from_slice(self.bytes(range.end..self.span.end));
        Some(out.freeze())
    }

    /// The object without the members that `unwanted` names; every other byte is as it was.
    #[must_use]
    pub fn without(&self, unwanted: &[&str]) -> Bytes {
        let mut out = BytesMut::with_capacity(self.span.len());
        let mut copied = self.span.start;
        for cut in self.cuts(|key| unwanted.contains(&key)) {
            out.extend_from_slice(self.bytes(copied..cut.start));
            copied = cut.end;
        }
        out.extend_from_slice(self.bytes(copied..self.span.end));
        out.freeze()
    }

    /// The object with the JSON value `value` for its member `key`; every other member is as it was.
    #[must_use]
    pub fn with(&self, key: &str, value: &[u8]) -> Bytes {
        let rest = self.without(&[key]);
        let mut out = BytesMut::with_capacity(rest.len() + key.len() + value.len() + 8);
        out.extend_from_slice(b"{");
        out.extend_from_slice(&encode::quoted(key));
        out.extend_from_slice(b":");
        out.extend_from_slice(value);
        if self.keys().any(|name| name != key) {
            out.extend_from_slice(b",");
        }
        out.extend_from_slice(rest.get(1..).unwrap_or_default());
        out.freeze()
    }

    /// What has to be cut out so that the members that `unwanted` names are gone and the rest is an object.
    /// In order and apart; whitespace around what stays is kept.
    pub(super) fn cuts(&self, unwanted: impl Fn(&str) -> bool) -> Vec<Range<usize>> {
        let mut cuts = Vec::new();
        let mut kept_end = None;
        // The first of the unwanted members since the last one that stays.
        let mut first_unwanted = None;
        for entry in &self.entries {
            if unwanted(self.key_of(entry)) {
                first_unwanted.get_or_insert(entry.key.start);
                continue;
            }
            // Before one that stays they go together with the comma after each.
            if let Some(start) = first_unwanted.take() {
                cuts.push(start..entry.key.start);
            }
            kept_end = Some(entry.value.end);
        }
        // After the last one that stays they go together with the comma before each.
        if let (Some(start), Some(last)) = (first_unwanted, self.entries.last()) {
            cuts.push(kept_end.unwrap_or(start)..last.value.end);
        }
        cuts
    }

    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| match &entry.unescaped {
            Some(unescaped) => **unescaped == *key,
            None => self.bytes(entry.inner()) == key.as_bytes(),
        })
    }

    pub(super) fn key_of<'e>(&'e self, entry: &'e Entry) -> &'e str {
        match &entry.unescaped {
            Some(unescaped) => unescaped,
            // The whole message is valid UTF-8.
            None => std::str::from_utf8(self.bytes(entry.inner())).unwrap_or_default(),
        }
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.source.get(range).unwrap_or_default()
    }
}

/// The text of `raw` if that is a JSON string.
pub(super) fn value_text(raw: &[u8]) -> Result<String, Fault> {
    let raw = std::str::from_utf8(raw).map_err(|_| Fault::Utf8)?;
    Ok(text::of_value(raw)?.into_owned())
}

/// The elements of `raw` if that is an array, each as it was written.
#[must_use]
pub fn elements(raw: &Bytes) -> Option<Vec<Bytes>> {
    let children = Children::of(raw).ok()?;
    let is_array = children.container == Some(Container::Array);
    is_array.then(|| children.entries.into_iter().map(|entry| raw.slice(entry.value)).collect())
}

/// The outermost container and what stands directly in it.
struct Children {
    container: Option<Container>,
    span: Range<usize>,
    entries: Vec<Entry>,
    depth: usize,
}

impl Children {
    fn of(raw: &[u8]) -> Result<Self, Fault> {
        let document = std::str::from_utf8(raw).map_err(|_| Fault::Utf8)?;
        let mut children = Self { container: None, span: 0..raw.len(), entries: Vec::new(), depth: 0 };
        scan::scan(document, &ScanLimits::SCANNED, &mut children).map_err(|flaw| flaw.fault)?;
        Ok(children)
    }

    fn begin(&mut self, value: Range<usize>) {
        match self.container {
            Some(Container::Array) => self.entries.push(Entry { key: 0..0, unescaped: None, value }),
            Some(Container::Object) => set_value(&mut self.entries, value),
            None => {}
        }
    }
}

impl<'a> Reader<'a> for Children {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        if self.depth == 1 {
            self.entries.push(Entry::new(&key)?);
        }
        Ok(())
    }

    fn open(&mut self, container: Container, start: usize) {
        match self.depth {
            0 => {
                self.container = Some(container);
                self.span.start = start;
            }
            1 => self.begin(start..start),
            _ => {}
        }
        self.depth += 1;
    }

    fn close(&mut self, _: Container, end: usize) {
        self.depth -= 1;
        match self.depth {
            0 => self.span.end = end,
            1 => set_end(&mut self.entries, end),
            _ => {}
        }
    }

    fn scalar(&mut self, raw: &'a str, start: usize) {
        if self.depth == 1 {
            self.begin(start..start + raw.len());
        }
    }
}

impl Entry {
    /// The key between its quotes.
    fn inner(&self) -> Range<usize> {
        self.key.start + 1..self.key.end.saturating_sub(1)
    }

    /// A member whose value is still to come.
    pub(super) fn new(key: &Key<'_>) -> Result<Self, Fault> {
        let unescaped = match key.text()? {
            std::borrow::Cow::Borrowed(_) => None,
            std::borrow::Cow::Owned(text) => Some(text.into_boxed_str()),
        };
        Ok(Self { key: key.span.start - 1..key.span.end + 1, unescaped, value: 0..0 })
    }
}

/// The value of the last member is (or begins at) `value`.
pub(super) fn set_value(entries: &mut [Entry], value: Range<usize>) {
    if let Some(entry) = entries.last_mut() {
        entry.value = value;
    }
}

/// The value of the last member ends before `end`.
pub(super) fn set_end(entries: &mut [Entry], end: usize) {
    if let Some(entry) = entries.last_mut() {
        entry.value.end = end;
    }
}
