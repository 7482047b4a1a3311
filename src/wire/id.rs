//! Request ids: what a peer calls its own request, echoed as it was written.
//!
//! Must never be longer than its limit (CASES A10), and never take a string for a number (CASES F29).

use std::hash::{Hash, Hasher};

use super::fault::Fault;
use super::text;

/// Longest id, as JSON text, in bytes.
pub const ID_BYTES_MAX: usize = 256;

/// A string or an integer (JSON-RPC 2.0 §4; MCP forbids null and fractions).
///
/// Equal and hashed by meaning: `"1"` is not `1`, and `"\u0061"` is `"a"`.
#[derive(Debug, Clone)]
pub struct Id {
    raw: Box<str>,
    meaning: Meaning,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Meaning {
    Integer(i64),
    /// Beyond `i64`; the digits are the meaning, because JSON integers have one spelling each.
    LargeInteger(Box<str>),
    Text(Box<str>),
}

impl Id {
    /// The id that `raw`, one JSON value, is.
    ///
    /// # Errors
    /// [`Fault::Id`] where `raw` is neither a string nor an integer, or is longer than [`ID_BYTES_MAX`].
    pub fn parse(raw: &str) -> Result<Self, Fault> {
        if raw.len() > ID_BYTES_MAX {
            return Err(Fault::Id);
        }
        let meaning = match raw.as_bytes().first() {
            Some(b'"') => Meaning::Text(text::of_value(raw).map_err(|_| Fault::Id)?.into()),
            Some(b'-' | b'0'..=b'9') => integer(raw)?,
            _ => return Err(Fault::Id),
        };
        Ok(Self { raw: raw.into(), meaning })
    }

    /// The JSON text as the peer wrote it, for the echo.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The number, if it is one that the gateway gives to its own requests.
    #[must_use]
    pub fn number(&self) -> Option<u64> {
        match &self.meaning {
            Meaning::Integer(number) => u64::try_from(*number).ok(),
            Meaning::LargeInteger(digits) => digits.parse().ok(),
            Meaning::Text(_) => None,
        }
    }
}

fn integer(raw: &str) -> Result<Meaning, Fault> {
    let digits = raw.strip_prefix('-').unwrap_or(raw);
    let one_spelling = digits == "0" || !digits.starts_with('0');
    if digits.is_empty() || !one_spelling || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Fault::Id);
    }
    Ok(raw.parse().map_or_else(|_| Meaning::LargeInteger(raw.into()), Meaning::Integer))
}

impl From<u64> for Id {
    fn from(number: u64) -> Self {
        let raw: Box<str> = number.to_string().into();
        let meaning =
            i64::try_from(number).map_or_else(|_| Meaning::LargeInteger(raw.clone()), Meaning::Integer);
        Self { raw, meaning }
    }
}

impl PartialEq for Id {
    fn eq(&self, other: &Self) -> bool {
        self.meaning == other.meaning
    }
}

impl Eq for Id {}

impl Hash for Id {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.meaning.hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn f29_ids_are_equal_by_meaning_and_keep_their_spelling() {
        let id = |raw| Id::parse(raw).unwrap();
        assert_ne!(id("1"), id("\"1\""));
        assert_eq!(id("\"a\""), id("\"\\u0061\""));
        assert_eq!(id("\"\\u0061\"").raw(), "\"\\u0061\"");
        assert_eq!(id("-0"), id("0"));
        assert_eq!(id("0").number(), Some(0));
        assert_eq!(id("18446744073709551615"), Id::from(u64::MAX));
        assert_eq!(id("18446744073709551615").number(), Some(u64::MAX));
        assert_eq!(id("123456789012345678901").raw(), "123456789012345678901");
    }

    #[test]
    fn f29_what_is_no_id() {
        for raw in ["null", "1.0", "1e2", "{}", "[]", "true", "", "-", "01", "+1"] {
            assert_eq!(Id::parse(raw), Err(Fault::Id), "{raw}");
        }
    }

    #[test]
    fn a10_a_long_id_is_refused() {
        let fits = format!("\"{}\"", "x".repeat(ID_BYTES_MAX - 2));
        assert!(Id::parse(&fits).is_ok());
        assert_eq!(Id::parse(&format!("\"{}\"", "x".repeat(ID_BYTES_MAX - 1))), Err(Fault::Id));
        assert_eq!(Id::parse(&"1".repeat(5 << 20)), Err(Fault::Id));
    }
}
