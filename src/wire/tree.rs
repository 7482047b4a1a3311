//! A JSON document as a value: for what has to be compared by its meaning, and is never sent on.
//!
//! Texts are decoded, numbers stay as they were written: nothing is rounded (CASES F51, A11). Must never be what is
//! forwarded (I7), and must never let a document pass that two readers could understand differently (CASES A01,
//! A12). Trusts nothing; depth and number of parts are bounded by whoever reads.

use std::borrow::Cow;

use super::fault::Fault;
use super::keys::Keys;
use super::scan::{self, Container, Key, Reader, ScanLimits};
use super::text;

/// One JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json<'a> {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written (RFC 8259 §6).
    Number(&'a str),
    /// A string, decoded.
    Text(Cow<'a, str>),
    /// An array.
    Array(Vec<Json<'a>>),
    /// An object: its members in the order they were written, no key twice.
    Object(Vec<(Cow<'a, str>, Json<'a>)>),
}

impl<'a> Json<'a> {
    /// The value that `document` is, strictly read.
    ///
    /// # Errors
    /// [`Fault`] says what is wrong with it.
    pub fn read(document: &'a [u8], limits: ScanLimits) -> Result<Self, Fault> {
        let text = std::str::from_utf8(document).map_err(|_| Fault::Utf8)?;
        let mut tree = Tree { keys: Keys::default(), open: Vec::new(), whole: Json::Null };
        scan::scan(text, &limits, &mut tree).map_err(|flaw| flaw.fault)?;
        Ok(tree.whole)
    }

    /// The member `key` of an object.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members()?.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// The members of an object.
    #[must_use]
    pub fn members(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The elements of an array.
    #[must_use]
    pub fn elements(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text of a string.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }
}

/// Builds the value from the inside out.
struct Tree<'a> {
    keys: Keys<'a>,
    open: Vec<Level<'a>>,
    whole: Json<'a>,
}

/// A container that is open, with what is complete in it.
struct Level<'a> {
    value: Json<'a>,
    /// The key whose value comes next.
    key: Cow<'a, str>,
}

impl<'a> Tree<'a> {
    fn complete(&mut self, value: Json<'a>) {
        let Some(level) = self.open.last_mut() else {
            self.whole = value;
            return;
        };
        match &mut level.value {
            Json::Array(elements) => elements.push(value),
            Json::Object(members) => members.push((std::mem::take(&mut level.key), value)),
            _ => {}
        }
    }
}

impl<'a> Reader<'a> for Tree<'a> {
    fn key(&mut self, key: Key<'a>) -> Result<(), Fault> {
        let text = key.text()?;
        if let Some(level) = self.open.last_mut() {
            level.key = text.clone();
        }
        self.keys.insert(text)
    }

    fn open(&mut self, container: Container, _: usize) {
        let value = match container {
            Container::Object => {
                self.keys.open();
                Json::Object(Vec::new())
            }
            Container::Array => Json::Array(Vec::new()),
        };
        self.open.push(Level { value, key: Cow::Borrowed("") });
    }

    fn close(&mut self, container: Container, _: usize) {
        if container == Container::Object {
            self.keys.close();
        }
        if let Some(level) = self.open.pop() {
            self.complete(level.value);
        }
    }

    fn scalar(&mut self, raw: &'a str, _: usize) {
        self.complete(match raw {
            "null" => Json::Null,
            "true" => Json::Bool(true),
            "false" => Json::Bool(false),
            // The scanner has checked the escapes of a string: what cannot be decoded is a number.
            _ => text::of_value(raw).map_or(Json::Number(raw), Json::Text),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_as_it_is_meant_and_numbers_as_they_are_written() {
        let raw = br#" {"a\u0062":[1.0e2,"\u00e9",true,null,{}],"c":{"d":-0}} "#;
        let read = Json::read(raw, ScanLimits::default()).unwrap();
        let list = read.get("ab").and_then(Json::elements).unwrap();
        assert_eq!(list[..2], [Json::Number("1.0e2"), Json::Text("é".into())]);
        assert_eq!(list[2..], [Json::Bool(true), Json::Null, Json::Object(Vec::new())]);
        assert_eq!(read.get("c").unwrap().get("d"), Some(&Json::Number("-0")));
        assert_eq!(Json::read(b"7", ScanLimits::default()), Ok(Json::Number("7")));
    }

    #[test]
    fn a01_what_two_readers_could_understand_differently_is_refused() {
        let read = |raw: &str| Json::read(raw.as_bytes(), ScanLimits { depth_max: 3, members_max: 4 }).err();
        assert_eq!(read(r#"{"a":1,"\u0061":2}"#), Some(Fault::DuplicateKey));
        assert_eq!(read(r#""\ud800""#), Some(Fault::Surrogate));
        assert_eq!(read("[[[[]]]]"), Some(Fault::TooDeep));
        assert_eq!(read("[1,2,3,4,5]"), Some(Fault::TooMany));
        assert_eq!(read("1 2"), Some(Fault::Trailing));
        assert_eq!(read(r#"[{"a":1},{"a":1}]"#), None);
    }
}
