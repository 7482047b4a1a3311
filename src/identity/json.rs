//! The JSON of tokens, proofs and key sets: read strictly, then by type.
//!
//! Must never take one type for another, nor `null` for "absent": a member is what it has to be, is not
//! there, or refuses the whole. It trusts `wire` for the grammar: after that no key stands twice.

use serde_json::{Map, Value};

use crate::wire::strict;

/// Levels of nesting in a token or a key set.
const DEPTH_MAX: usize = 16;

/// The members of an object.
pub(super) type Members = Map<String, Value>;

/// A member that is not of the type it has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct WrongType;

/// The one object that `document` is, with at most `members_max` keys and elements.
pub(super) fn object(document: &[u8], members_max: usize) -> Option<Members> {
    let text = strict::document(document, DEPTH_MAX, members_max).ok()?;
    serde_json::from_str(text).ok()
}

/// The text that stands at `key`.
pub(super) fn text<'a>(members: &'a Members, key: &str) -> Result<Option<&'a str>, WrongType> {
    read(members, key, Value::as_str)
}

/// The object that stands at `key`.
pub(super) fn child<'a>(members: &'a Members, key: &str) -> Result<Option<&'a Members>, WrongType> {
    read(members, key, Value::as_object)
}

/// The array that stands at `key`.
pub(super) fn list<'a>(members: &'a Members, key: &str) -> Result<Option<&'a [Value]>, WrongType> {
    read(members, key, |value| value.as_array().map(Vec::as_slice))
}

/// The whole seconds that stand at `key` (RFC 7519 §2, `NumericDate`). Fractions are refused: nothing that
/// is decided here needs one, and readers disagree about them.
pub(super) fn seconds(members: &Members, key: &str) -> Result<Option<i64>, WrongType> {
    read(members, key, |value| value.as_i64().filter(|seconds| *seconds >= 0))
}

fn read<'a, T>(
    members: &'a Members,
    key: &str,
    as_type: impl Fn(&'a Value) -> Option<T>,
) -> Result<Option<T>, WrongType> {
    members.get(key).map(|value| as_type(value).ok_or(WrongType)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_of_its_type_or_absent() {
        let members =
            object(br#"{"a":"x","b":1,"c":null,"d":1.5,"e":-1,"f":1e3,"g":[1],"h":{}}"#, 32).unwrap();
        assert_eq!(text(&members, "a"), Ok(Some("x")));
        assert_eq!(text(&members, "z"), Ok(None));
        for key in ["b", "c", "g", "h"] {
            assert_eq!(text(&members, key), Err(WrongType), "{key}");
        }
        assert_eq!(seconds(&members, "b"), Ok(Some(1)));
        for key in ["a", "c", "d", "e", "f"] {
            assert_eq!(seconds(&members, key), Err(WrongType), "{key}");
        }
        assert!(list(&members, "g").unwrap().is_some() && child(&members, "h").unwrap().is_some());
        assert!(object(b"[]", 32).is_none() && object(b"{\"a\":1,\"a\":1}", 32).is_none());
    }
}
