//! Every text that stands in a JSON value, with the way to it: what a person or a model would read of it.
//!
//! Must never leave one out, keys included: whoever looks for something in a definition looks everywhere.

use bytes::Bytes;

use super::fault::Fault;
use super::scan::{self, Container, Key, Reader, ScanLimits};
use super::text;

/// Longest way that is spelled out, in bytes; deeper texts are found under its beginning.
const AT_BYTES_MAX: usize = 256;

/// One text of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// The keys and indices that lead to it, joined by dots.
    pub at: String,
    /// Whether it is a key or a value.
    pub is_key: bool,
    /// The text, without escapes.
    pub text: String,
}

/// The texts of `raw`, in the order in which they stand there.
///
/// # Errors
/// A syntax fault where `raw` is no JSON.
pub fn texts(raw: &Bytes) -> Result<Vec<Text>, Fault> {
    let document = std::str::from_utf8(raw).map_err(|_| Fault::Utf8)?;
    let mut walk = Walk { open: Vec::new(), found: Vec::new() };
    scan::scan(document, &ScanLimits::SCANNED, &mut walk).map_err(|flaw| flaw.fault)?;
    Ok(walk.found)
}

struct Walk {
    open: Vec<Level>,
    found: Vec<Text>,
}

/// An open container: where it stands, and which of its children is next.
struct Level {
    container: Container,
    at: String,
    key: String,
    index: usize,
}

impl Walk {
    /// The way to the next value, which counts as begun.
    fn next(&mut self) -> String {
        let Some(level) = self.open.last_mut() else { return String::new() };
        let step = match level.container {
            Container::Object => std::mem::take(&mut level.key),
            Container::Array => level.index.to_string(),
        };
        level.index += 1;
        join(&level.at, &step)
    }
}

fn join(at: &str, step: &str) -> String {
    if at.is_empty() {
        return step.to_owned();
    }
    if at.len() + step.len() > AT_BYTES_MAX { at.to_owned() } else { format!("{at}.{step}") }
}

impl<'a> Reader<'a> for Walk {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        let text = key.text()?.into_owned();
        if let Some(level) = self.open.last_mut() {
            self.found.push(Text { at: join(&level.at, &text), is_key: true, text: text.clone() });
            level.key = text;
        }
        Ok(())
    }

    fn open(&mut self, container: Container, _: usize) {
        let at = self.next();
        self.open.push(Level { container, at, key: String::new(), index: 0 });
    }

    fn close(&mut self, _: Container, _: usize) {
        self.open.pop();
    }

    fn scalar(&mut self, raw: &'a str, _: usize) {
        let at = self.next();
        if let Ok(text) = text::of_value(raw) {
            self.found.push(Text { at, is_key: false, text: text.into_owned() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_and_every_string_is_found_where_it_stands() {
        let raw = br#"{"name":"a\u0062","schema":{"enum":["x",7,{"y":"z"}],"n":1}}"#;
        let found = texts(&Bytes::from_static(raw)).unwrap();
        let values: Vec<_> = found.iter().filter(|text| !text.is_key).collect();
        let shown: Vec<_> = values.iter().map(|text| (text.at.as_str(), text.text.as_str())).collect();
        assert_eq!(shown, [("name", "ab"), ("schema.enum.0", "x"), ("schema.enum.2.y", "z")]);
        let keys: Vec<_> = found.iter().filter(|text| text.is_key).map(|text| text.at.as_str()).collect();
        assert_eq!(keys, ["name", "schema", "schema.enum", "schema.enum.2.y", "schema.n"]);
        let alone = texts(&Bytes::from_static(b"\"alone\"")).unwrap();
        assert_eq!((alone[0].at.as_str(), alone[0].text.as_str()), ("", "alone"));
    }
}
