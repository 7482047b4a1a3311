//! A JSON value by its meaning: what a plan names, and what a call is compared with.
//!
//! Two values are equal if their decoded texts, exact numbers, elements and members are, however they are spelled.
//! Must never normalise a text: texts are equal byte for byte. Trusts the strict parse for one meaning a document.

use std::collections::BTreeMap;

use crate::model::digest::Sha256;
use crate::wire::Json;

use super::decimal::Decimal;

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Decimal),
    Text(String),
    Array(Vec<Value>),
    Object(BTreeMap<String, Value>),
}

impl Value {
    /// The value that `json` is; `None` where a number in it is beyond what is compared.
    pub(super) fn of(json: &Json<'_>) -> Option<Self> {
        Some(match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(*value),
            Json::Number(text) => Self::Number(Decimal::new(text)?),
            Json::Text(text) => Self::Text(text.clone().into_owned()),
            Json::Array(elements) => Self::Array(elements.iter().map(Self::of).collect::<Option<_>>()?),
            Json::Object(members) => {
                let each =
                    members.iter().map(|(key, value)| Some((key.clone().into_owned(), Self::of(value)?)));
                Self::Object(each.collect::<Option<_>>()?)
            }
        })
    }

    /// Whether `json` is this value. Looks at no more of it than is needed to tell.
    pub(super) fn equals(&self, json: &Json<'_>) -> bool {
        match (self, json) {
            (Self::Null, Json::Null) => true,
            (Self::Bool(mine), Json::Bool(theirs)) => mine == theirs,
            (Self::Number(mine), Json::Number(theirs)) => {
                Decimal::new(theirs).is_some_and(|number| number == *mine)
            }
            (Self::Text(mine), Json::Text(theirs)) => mine == theirs,
            (Self::Array(mine), Json::Array(theirs)) => {
                mine.len() == theirs.len()
                    && mine.iter().zip(theirs).all(|(mine, theirs)| mine.equals(theirs))
            }
            // No key stands twice: as many members that all are equal are all of them.
            (Self::Object(mine), Json::Object(theirs)) => {
                let is_mine = |(key, value): &(_, Json<'_>)| {
                    let key: &std::borrow::Cow<'_, str> = key;
                    mine.get(key.as_ref()).is_some_and(|mine| mine.equals(value))
                };
                mine.len() == theirs.len() && theirs.iter().all(is_mine)
            }
            _ => false,
        }
    }

    /// One word for what kind of value it is, as JSON Schema names types.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Number(_) => "number",
            Self::Text(_) => "string",
            Self::Array(_) => "array",
            Self::Object(_) => "object",
        }
    }
}

/// The digest of a scalar by its value: of a text by its decoded bytes, of a number by its exact decimal value.
/// `None` for what is no scalar, or a number beyond what is compared.
pub(super) fn scalar_digest(json: &Json<'_>) -> Option<Sha256> {
    // The first byte keeps the text `1`, the number and the word apart.
    Some(match json {
        Json::Null => Sha256::of(b"0"),
        Json::Bool(true) => Sha256::of(b"b1"),
        Json::Bool(false) => Sha256::of(b"b0"),
        Json::Number(text) => Sha256::of_parts(&[b"n", Decimal::new(text)?.to_string().as_bytes()]),
        Json::Text(text) => Sha256::of_parts(&[b"t", text.as_bytes()]),
        Json::Array(_) | Json::Object(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ScanLimits;

    fn json(raw: &str) -> Json<'_> {
        Json::read(raw.as_bytes(), ScanLimits::default()).unwrap()
    }

    #[test]
    fn values_are_equal_by_meaning_and_not_by_spelling() {
        let equal = |a: &str, b: &str| Value::of(&json(a)).unwrap().equals(&json(b));
        for (a, b) in [
            (r#"{"a":1,"b":["x"]}"#, r#"{ "b" : ["\u0078"], "a" : 1.0 }"#),
            ("null", " null"),
            (r#""a/b""#, r#""a\/b""#),
        ] {
            assert!(equal(a, b) && equal(b, a), "{a} {b}");
        }
        for (a, b) in [
            ("1", r#""1""#),
            ("null", "false"),
            ("[1]", "[1,1]"),
            ("{}", "[]"),
            (r#"{"a":1}"#, r#"{"a":1,"b":2}"#),
            (r#"{"a":1,"b":2}"#, r#"{"a":1,"c":2}"#),
            // The same to the eye: composed and decomposed.
            (r#""\u00e9""#, r#""e\u0301""#),
            (r#""a""#, r#""a ""#),
        ] {
            assert!(!equal(a, b) && !equal(b, a), "{a} {b}");
        }
    }

    #[test]
    fn digests_of_scalars_tell_values_and_kinds_apart() {
        let digest = |raw: &str| scalar_digest(&json(raw));
        assert_eq!(digest("1"), digest("1.0"));
        assert_eq!(digest(r#""a""#), digest(r#""\u0061""#));
        let all = ["1", r#""1""#, "true", "false", "null", r#""true""#, r#""null""#, r#""""#, r#""n1""#];
        let distinct: std::collections::BTreeSet<_> = all.iter().map(|raw| digest(raw).unwrap()).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!((digest("[]"), digest("{}"), digest("1e9999999999")), (None, None, None));
    }
}
