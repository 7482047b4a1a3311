//! The values of a call's arguments, read by the types that its tool's schema gives them.
//!
//! Must never round, fold or guess: a value that is not exactly of its type fits none, and a name that the schema
//! does not know refuses the call (DESIGN §4.3). Trusts the strict parse for one document without double keys.

use std::collections::BTreeMap;

use cedar_policy::RestrictedExpression;
use serde_json::value::RawValue;

use super::{Member, Shape};
use crate::model::reason::Reason;

/// The arguments that a condition may look at. What is absent is absent here as well.
#[derive(Debug, Default)]
pub(in crate::policy) struct Values(Vec<(String, RestrictedExpression)>);

/// Why the arguments of a call cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::policy) enum Unfit {
    /// The schema does not know one of them, or one can be mistaken for another.
    Unknown,
    /// One that conditions name is not of the type that the schema says.
    Mistyped,
}

impl Unfit {
    pub(in crate::policy) fn reason(self) -> Reason {
        match self {
            Self::Unknown => Reason::ArgumentUnknown,
            Self::Mistyped => Reason::ConditionError,
        }
    }
}

type Raw<'a> = BTreeMap<std::borrow::Cow<'a, str>, &'a RawValue>;

impl Values {
    /// The arguments `raw` that `is_named`. Every name has to be one of `members`, named or not.
    pub(in crate::policy) fn read(
        raw: &[u8],
        members: &BTreeMap<String, Member>,
        is_named: impl Fn(&str) -> bool,
    ) -> Result<Self, Unfit> {
        if raw.is_empty() {
            return Ok(Self::default());
        }
        let raw: Raw<'_> = serde_json::from_slice(raw).map_err(|_| Unfit::Mistyped)?;
        let mut values = Vec::with_capacity(raw.len());
        for (name, raw) in &raw {
            let member = members.get(name.as_ref()).ok_or(Unfit::Unknown)?;
            if member.has_twin {
                return Err(Unfit::Unknown);
            }
            if is_named(name)
                && let Some(value) = member.read(raw)?
            {
                values.push((name.clone().into_owned(), value));
            }
        }
        Ok(Self(values))
    }

    pub(in crate::policy) fn into_record(self) -> Result<RestrictedExpression, Unfit> {
        RestrictedExpression::new_record(self.0).map_err(|_| Unfit::Mistyped)
    }
}

impl Member {
    /// The value, `None` where it counts as absent or cannot be named.
    fn read(&self, raw: &RawValue) -> Result<Option<RestrictedExpression>, Unfit> {
        if raw.get() == "null" && self.is_nullable {
            return Ok(None);
        }
        self.shape.read(raw)
    }
}

impl Shape {
    fn read(&self, raw: &RawValue) -> Result<Option<RestrictedExpression>, Unfit> {
        let text = raw.get();
        Ok(Some(match self {
            Self::Opaque => return Ok(None),
            Self::Bool => RestrictedExpression::new_bool(text.parse().map_err(|_| Unfit::Mistyped)?),
            Self::Integer => RestrictedExpression::new_long(text.parse().map_err(|_| Unfit::Mistyped)?),
            Self::Decimal => RestrictedExpression::new_decimal(decimal(text)?),
            Self::Text => RestrictedExpression::new_string(decoded(text)?),
            Self::Set(element) => {
                let raw: Vec<&RawValue> = serde_json::from_str(text).map_err(|_| Unfit::Mistyped)?;
                let mut elements = Vec::with_capacity(raw.len());
                for raw in raw {
                    elements.extend(element.read(raw)?);
                }
                RestrictedExpression::new_set(elements)
            }
            Self::Record(members) => Values::read(text.as_bytes(), members, |_| true)?.into_record()?,
        }))
    }
}

fn decoded<'a, T: serde::Deserialize<'a>>(text: &'a str) -> Result<T, Unfit> {
    serde_json::from_str(text).map_err(|_| Unfit::Mistyped)
}

/// The number as Cedar's `decimal` takes it: at most four places after the point, and no exponent.
fn decimal(text: &str) -> Result<String, Unfit> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_plain = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole.strip_prefix('-').unwrap_or(whole)) || !is_plain(fraction) {
        return Err(Unfit::Mistyped);
    }
    let fraction = fraction.trim_end_matches('0');
    if fraction.len() > DECIMAL_PLACES_MAX || whole.len() > DECIMAL_WHOLE_MAX {
        return Err(Unfit::Mistyped);
    }
    Ok(format!("{whole}.{}", if fraction.is_empty() { "0" } else { fraction }))
}

/// Places after the point that Cedar's `decimal` has.
const DECIMAL_PLACES_MAX: usize = 4;
/// Digits before the point, with a sign, that surely fit: 64 bits hold 19, of which four are places.
const DECIMAL_WHOLE_MAX: usize = 15;

#[cfg(test)]
mod tests {
    use super::super::arguments;
    use super::*;

    fn read(schema: &str, raw: &str) -> Result<Vec<String>, Unfit> {
        let members = arguments(schema.as_bytes());
        let values = Values::read(raw.as_bytes(), &members, |_| true)?;
        Ok(values.0.into_iter().map(|(name, _)| name).collect())
    }

    const SCHEMA: &str = r#"{"type":"object","properties":{"to":{"type":"string"},"n":{"type":"integer"},
        "d":{"type":"number"},"cc":{"anyOf":[{"type":"array","items":{"type":"string"}},{"type":"null"}]},
        "deep":{"type":"object","properties":{"x":{"type":"boolean"}}}}}"#;

    #[test]
    fn values_are_taken_exactly_or_not_at_all() {
        assert_eq!(read(SCHEMA, r#"{"to":"a","n":-9223372036854775808,"cc":null}"#).unwrap(), ["n", "to"]);
        for mistyped in [
            r#"{"n":9223372036854775808}"#,
            r#"{"n":1.0}"#,
            r#"{"d":1e3}"#,
            r#"{"d":0.00001}"#,
            r#"{"to":1}"#,
            r#"{"to":null}"#,
            "[]",
        ] {
            assert_eq!(read(SCHEMA, mistyped), Err(Unfit::Mistyped), "{mistyped}");
        }
        assert_eq!(read(SCHEMA, r#"{"d":-1.50000}"#).unwrap(), ["d"]);
        assert_eq!(read(SCHEMA, ""), Ok(Vec::new()));
    }

    #[test]
    fn names_that_the_schema_does_not_know_are_refused_at_any_depth() {
        for unknown in [r#"{"To":"a"}"#, r#"{"x":1}"#, r#"{"deep":{"y":true}}"#] {
            assert_eq!(read(SCHEMA, unknown), Err(Unfit::Unknown), "{unknown}");
        }
        let twins = r#"{"properties":{"to":{"type":"string"},"TO":{"type":"string"}}}"#;
        assert_eq!(read(twins, r#"{"to":"a"}"#), Err(Unfit::Unknown));
    }
}
