//! `select`: which values of an earlier answer are meant, as a JSONPath (RFC 9535) without what makes one costly.
//!
//! Names, indices, slices without a step, wildcards, and one filter that compares a member with a literal. Left out:
//! descendants (`..`), several selectors in one bracket, functions, and everything else a filter can say. So a query
//! visits no part of an answer twice for one segment. Must never follow more segments than its limit, nor take an
//! answer for another document than the strict parse read. Trusts nothing: a model wrote the query and a stranger
//! the answer.

mod read;

use crate::wire::Json;

use super::value::Value;

/// Longest query, in bytes.
pub const SELECT_BYTES_MAX: usize = 256;
/// Most segments of a query.
pub const SELECT_SEGMENTS_MAX: usize = 16;

/// A query that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Select {
    text: String,
    segments: Vec<Segment>,
}

/// Why a text is no query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// It is too long.
    #[error("the path is longer than {SELECT_BYTES_MAX} bytes")]
    TooLong,
    /// It has too many segments.
    #[error("the path has more than {SELECT_SEGMENTS_MAX} segments")]
    TooManySegments,
    /// It does not begin with the root.
    #[error("a path begins with `$`, which is the whole answer; write `$.items[0].id`")]
    NoRoot,
    /// `..`.
    #[error("`..` is not taken here; write every step of the path, `[*]` for all elements")]
    Descendant,
    /// More than one selector in a bracket.
    #[error("one bracket takes one selector here; write `[*]` or `[0:3]` for several elements")]
    Several,
    /// A filter that is more than one comparison.
    #[error("a filter is one comparison here, of a member with a literal: `[?@.name=='Bob']`")]
    Filter,
    /// A name that is not written as RFC 9535 writes names.
    #[error("a name is written `.name`, or `['a name']` where it is no plain word")]
    Name,
    /// An index or slice that is none.
    #[error("an index is a whole number of at most nine digits, a slice two of them: `[0]`, `[-1]`, `[0:3]`")]
    Index,
    /// Something else.
    #[error("the path cannot be read; write it like `$.items[*].email`")]
    Syntax,
}

/// One step down.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    One(Key),
    All,
    /// The elements from the first index on and before the second.
    Slice(Option<i64>, Option<i64>),
    /// The children of which what lies along these keys is this value.
    Where(Vec<Key>, Value),
}

/// The way to one child.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Key {
    Name(String),
    Index(i64),
}

impl Select {
    /// The query that `text` is.
    pub(super) fn new(text: &str) -> Result<Self, SelectError> {
        Ok(Self { text: text.to_owned(), segments: read::segments(text)? })
    }

    /// As it was written.
    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// What it selects of `document`, in the order in which it stands there.
    pub(super) fn of<'j, 'a>(&self, document: &'j Json<'a>) -> Vec<&'j Json<'a>> {
        let mut nodes = vec![document];
        for segment in &self.segments {
            nodes = nodes.into_iter().flat_map(|node| segment.children(node)).collect();
        }
        nodes
    }
}

impl Segment {
    fn children<'j, 'a>(&self, node: &'j Json<'a>) -> Vec<&'j Json<'a>> {
        match self {
            Self::One(key) => key.child(node).into_iter().collect(),
            Self::All => every(node).collect(),
            Self::Slice(from, to) => {
                let elements = node.elements().unwrap_or_default();
                let at =
                    |index: Option<i64>, absent: usize| index.map_or(absent, |i| bound(i, elements.len()));
                let (from, to) = (at(*from, 0), at(*to, elements.len()));
                elements.get(from..to).unwrap_or_default().iter().collect()
            }
            Self::Where(keys, value) => {
                let holds = |child: &&'j Json<'a>| {
                    let found = keys.iter().try_fold(*child, |node, key| key.child(node));
                    found.is_some_and(|found| value.equals(found))
                };
                every(node).filter(holds).collect()
            }
        }
    }
}

impl Key {
    fn child<'j, 'a>(&self, node: &'j Json<'a>) -> Option<&'j Json<'a>> {
        match self {
            Self::Name(name) => node.get(name),
            Self::Index(index) => {
                let elements = node.elements()?;
                // RFC 9535, 2.3.3.2: a negative index counts from the end.
                let from_end = || elements.len().checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
                elements.get(if *index < 0 { from_end()? } else { usize::try_from(*index).ok()? })
            }
        }
    }
}

/// Every child of an array or object.
fn every<'j, 'a>(node: &'j Json<'a>) -> impl Iterator<Item = &'j Json<'a>> {
    let members = node.members().unwrap_or_default().iter().map(|(_, value)| value);
    node.elements().unwrap_or_default().iter().chain(members)
}

/// RFC 9535, 2.3.4.2.2: an index of a slice, brought within the array.
fn bound(index: i64, len: usize) -> usize {
    let distance = usize::try_from(index.unsigned_abs()).unwrap_or(usize::MAX);
    if index < 0 { len.saturating_sub(distance) } else { distance.min(len) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::ScanLimits;

    const DOCUMENT: &str = r#"{"items":[{"id":1,"to":"a","tags":["x","y"]},{"id":2.0,"to":"b"},{"id":"2","to":"c"}],
        "a b":{"c":true},"'":7,"":8,"n":null}"#;

    fn selected(path: &str) -> Vec<String> {
        let document = Json::read(DOCUMENT.as_bytes(), ScanLimits::default()).unwrap();
        let select = Select::new(path).unwrap_or_else(|error| panic!("{path}: {error}"));
        select
            .of(&document)
            .into_iter()
            .map(|node| match node {
                Json::Text(text) => text.to_string(),
                Json::Number(text) => (*text).to_owned(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_path_selects_what_the_rfc_says() {
        let cases: &[(&str, &[&str])] = &[
            ("$.items[0].to", &["a"]),
            ("$['items'][-1]['to']", &["c"]),
            ("$.items[*].to", &["a", "b", "c"]),
            ("$.items.*.to", &["a", "b", "c"]),
            ("$.items[1:].to", &["b", "c"]),
            ("$.items[:-1].to", &["a", "b"]),
            ("$.items[ 0 : 2 ].to", &["a", "b"]),
            ("$.items[2:1].to", &[]),
            ("$.items[-9:9].to", &["a", "b", "c"]),
            ("$.items[?@.id==2].to", &["b"]),
            ("$.items[?@.id == \"2\"].to", &["c"]),
            ("$.items[?@.tags[1]=='y'].to", &["a"]),
            ("$.items[?@.missing==null].to", &[]),
            ("$[\"a b\"].c", &["Bool(true)"]),
            ("$['\\'']", &["7"]),
            ("$['']", &["8"]),
            ("$.items[3]", &[]),
            ("$.items[-4]", &[]),
            ("$.items.to", &[]),
            ("$.to[0]", &[]),
        ];
        for (path, expected) in cases {
            assert_eq!(selected(path), *expected, "{path}");
        }
        assert_eq!(Select::new("$").unwrap().of(&Json::Null), [&Json::Null]);
    }

    #[test]
    fn what_is_left_out_is_refused_with_its_reason() {
        let cases = [
            ("items", SelectError::NoRoot),
            ("", SelectError::NoRoot),
            ("$..to", SelectError::Descendant),
            ("$[0,1]", SelectError::Several),
            ("$['a','b']", SelectError::Several),
            ("$[?@.a]", SelectError::Filter),
            ("$[?@.a!=1]", SelectError::Filter),
            ("$[?@.a==1 && @.b==2]", SelectError::Filter),
            ("$[?length(@.a)==1]", SelectError::Filter),
            ("$[?@.a==$.b]", SelectError::Filter),
            ("$.1a", SelectError::Name),
            ("$.", SelectError::Name),
            ("$['a", SelectError::Name),
            ("$['\\u0061']", SelectError::Name),
            ("$[01]", SelectError::Index),
            ("$[-0]", SelectError::Index),
            ("$[1234567890]", SelectError::Index),
            ("$[0:2:2]", SelectError::Index),
            ("$[]", SelectError::Index),
            ("$a", SelectError::Syntax),
            ("$ .a ", SelectError::Syntax),
            ("$[0", SelectError::Syntax),
        ];
        for (path, error) in cases {
            assert_eq!(Select::new(path).err(), Some(error), "{path}");
        }
        let deep = format!("${}", "[0]".repeat(SELECT_SEGMENTS_MAX + 1));
        assert_eq!(Select::new(&deep).err(), Some(SelectError::TooManySegments));
        assert_eq!(Select::new(&"$".repeat(SELECT_BYTES_MAX + 1)).err(), Some(SelectError::TooLong));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\$[\\[\\]'\"?@=.a0-9:*,\\\\ -]{0,24}") {
            if let Ok(select) = Select::new(&text) {
                let document = Json::read(DOCUMENT.as_bytes(), ScanLimits::default()).unwrap();
                prop_assert!(select.of(&document).len() <= 32);
            }
        }
    }
}
