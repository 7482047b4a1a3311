//! The strict reader: refuses duplicate keys at every depth, and notes where the parts of a message stand.
//!
//! Only the members of the message, of `params`, of `params._meta` and of `result` are noted: what lies
//! deeper is data and stays raw. Must never look into `arguments` for anything but duplicate keys.

use std::ops::Range;

use super::fault::Fault;
use super::keys::Keys;
use super::object::{Entry, set_end, set_value};
use super::scan::{Container, Key, Reader};

/// What was noted of a message.
#[derive(Debug, Default)]
pub(super) struct Outline<'a> {
    /// What the document is; `None` where it is neither object nor array.
    pub root: Option<Container>,
    /// The members of the message.
    pub envelope: Vec<Entry>,
    /// `params`, where that is an object.
    pub params: Option<Part>,
    /// `params._meta`, where that is an object.
    pub meta: Option<Part>,
    /// `result`, where that is an object.
    pub result: Option<Part>,
    keys: Keys<'a>,
    depth: usize,
    /// The part that is open at depth 2, and whether `_meta` is open inside of it at depth 3.
    second: Noted,
    third: Noted,
    /// What the value of the last key is, if it is an object. Every key says so anew.
    coming: Noted,
}

/// An object that is noted.
#[derive(Debug, Default)]
pub(super) struct Part {
    pub span: Range<usize>,
    pub entries: Vec<Entry>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Noted {
    #[default]
    No,
    Params,
    Meta,
    Result,
}

impl Outline<'_> {
    /// The members that a key or value at the present depth belongs to, if they are noted.
    fn noted(&mut self) -> Option<&mut Vec<Entry>> {
        let part = match (self.depth, self.root) {
            (1, Some(Container::Object)) => return Some(&mut self.envelope),
            (2, _) => self.second,
            (3, _) => self.third,
            _ => Noted::No,
        };
        self.part(part).map(|part| &mut part.entries)
    }

    fn part(&mut self, noted: Noted) -> Option<&mut Part> {
        match noted {
            Noted::No => None,
            Noted::Params => self.params.as_mut(),
            Noted::Meta => self.meta.as_mut(),
            Noted::Result => self.result.as_mut(),
        }
    }

    /// Which part the value of `key` is, if it turns out to be an object.
    fn part_named(&self, key: &str) -> Noted {
        match (self.depth, self.second, key) {
            (1, _, "params") => Noted::Params,
            (1, _, "result") => Noted::Result,
            (2, Noted::Params, "_meta") => Noted::Meta,
            _ => Noted::No,
        }
    }

    fn begin(&mut self, noted: Noted, start: usize) {
        let part = Some(Part { span: start..start, entries: Vec::new() });
        match noted {
            Noted::No => {}
            Noted::Params => self.params = part,
            Noted::Meta => self.meta = part,
            Noted::Result => self.result = part,
        }
    }
}

impl<'a> Reader<'a> for Outline<'a> {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        let text = key.text()?;
        self.coming = self.part_named(&text);
        if let Some(entries) = self.noted() {
            entries.push(Entry::new(&key)?);
        }
        self.keys.insert(text)
    }

    fn open(&mut self, container: Container, start: usize) {
        if let Some(entries) = self.noted() {
            set_value(entries, start..start);
        }
        let coming = std::mem::take(&mut self.coming);
        let noted = if container == Container::Object { coming } else { Noted::No };
        match self.depth {
            0 => self.root = Some(container),
            1 => self.second = noted,
            2 => self.third = noted,
            _ => {}
        }
        self.begin(noted, start);
        self.depth += 1;
        if container == Container::Object {
            self.keys.open();
        }
    }

    fn close(&mut self, container: Container, end: usize) {
        if container == Container::Object {
            self.keys.close();
        }
        self.depth -= 1;
        let closed = match self.depth {
            1 => std::mem::take(&mut self.second),
            2 => std::mem::take(&mut self.third),
            _ => Noted::No,
        };
        if let Some(part) = self.part(closed) {
            part.span.end = end;
        }
        if let Some(entries) = self.noted() {
            set_end(entries, end);
        }
    }

    fn scalar(&mut self, raw: &'a str, start: usize) {
        if let Some(entries) = self.noted() {
            set_value(entries, start..start + raw.len());
        }
    }
}
