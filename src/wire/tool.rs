//! Tool definitions as upstreams send them: renamed, described otherwise, pinned.
//!
//! Must never change a definition but for its `name` and its `description` (I7), nor trust what it says about itself.

use bytes::Bytes;

use super::encode;
use super::fault::Fault;
use super::object::Object;
use super::scan::{self, Container, Key, Reader, ScanLimits};
use super::text;

pub use super::param_header::{ParamHeader, param_headers};

/// `raw` with its `name` replaced; every other byte is as it was.
///
/// # Errors
/// [`Fault::Tool`] where it has none.
pub fn rename(raw: &Bytes, name: &str) -> Result<Bytes, Fault> {
    let tool = Object::of(raw).map_err(|_| Fault::Tool("it is not an object"))?;
    tool.replace("name", &encode::quoted(name)).ok_or(Fault::Tool("it has no name"))
}

/// `raw` described as `text`; every other byte is as it was.
///
/// # Errors
/// [`Fault::Tool`] where it is no object.
pub fn describe(raw: &Bytes, text: &str) -> Result<Bytes, Fault> {
    let tool = Object::of(raw).map_err(|_| Fault::Tool("it is not an object"))?;
    let text = encode::quoted(text);
    Ok(tool.replace("description", &text).unwrap_or_else(|| tool.with("description", &text)))
}

/// The input schema as it is written; empty where the definition has none.
#[must_use]
pub fn input_schema(raw: &Bytes) -> Bytes {
    let tool = Object::of(raw);
    tool.ok().and_then(|tool| tool.get("inputSchema")).unwrap_or_default()
}

/// Whether the tool promises a `structuredContent`: official clients then check every result for it.
#[must_use]
pub fn has_output_schema(raw: &Bytes) -> bool {
    Object::of(raw).is_ok_and(|tool| tool.entry("outputSchema").is_some())
}

/// The definition in one spelling, to be pinned by its digest: keys sorted by their bytes, no whitespace,
/// strings with as few escapes as possible, numbers as they are written.
///
/// # Errors
/// A syntax fault where `raw` is no JSON.
pub fn canonical(raw: &Bytes) -> Result<Vec<u8>, Fault> {
    let document = std::str::from_utf8(raw).map_err(|_| Fault::Utf8)?;
    let mut canon = Canon { open: Vec::new(), whole: Vec::new() };
    scan::scan(document, &ScanLimits::SCANNED, &mut canon).map_err(|flaw| flaw.fault)?;
    Ok(canon.whole)
}

/// Builds the canonical spelling from the inside out.
struct Canon {
    open: Vec<Level>,
    whole: Vec<u8>,
}

/// An open container: the keys and canonical values of what is complete in it. Elements have empty keys.
struct Level {
    members: Vec<(String, Vec<u8>)>,
    key: String,
}

impl Canon {
    fn complete(&mut self, value: Vec<u8>) {
        match self.open.last_mut() {
            Some(level) => level.members.push((std::mem::take(&mut level.key), value)),
            None => self.whole = value,
        }
    }
}

impl<'a> Reader<'a> for Canon {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        if let Some(level) = self.open.last_mut() {
            level.key = key.text()?.into_owned();
        }
        Ok(())
    }

    fn open(&mut self, _: Container, _: usize) {
        self.open.push(Level { members: Vec::new(), key: String::new() });
    }

    fn close(&mut self, container: Container, _: usize) {
        let Some(mut level) = self.open.pop() else { return };
        let (first, last) = match container {
            Container::Object => (b'{', b'}'),
            Container::Array => (b'[', b']'),
        };
        if container == Container::Object {
            level.members.sort();
        }
        let mut out = vec![first];
        for (index, (key, value)) in level.members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if container == Container::Object {
                text::push_quoted(&mut out, key);
                out.push(b':');
            }
            out.extend_from_slice(value);
        }
        out.push(last);
        self.complete(out);
    }

    fn scalar(&mut self, raw: &'a str, _: usize) {
        let mut out = Vec::with_capacity(raw.len());
        match text::of_value(raw) {
            Ok(text) => text::push_quoted(&mut out, &text),
            Err(_) => out.extend_from_slice(raw.as_bytes()),
        }
        self.complete(out);
    }
}
