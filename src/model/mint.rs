//! A run token as it is asked for, and what comes of asking.
//!
//! Must never hold more than a token may: each list and text has its bound here. A request says what is
//! wanted, not what may be had: that is for `identity`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use super::name::{AgentName, AttributeName, Goal, RoleName, SourceName, Subject, Txn};
use super::trigger::{ATTRIBUTE_BYTES_MAX, ATTRIBUTES_MAX, AttributeValue, ENTRIES_MAX, TEXTS_MAX};

/// Most roles in one request.
pub const ROLES_MAX: usize = 64;
/// Most agents in one request: the longest chain of agents that call each other.
pub const AGENTS_MAX: usize = 8;
/// Largest `rctx` that is carried along, in bytes of JSON.
pub const CONTEXT_BYTES_MAX: usize = 4096;
/// Largest `tctx`, in bytes of JSON: a token has to pass as one header.
pub const TRIGGER_BYTES_MAX: usize = 6 * 1024;

/// What a run token shall say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// The sources of the trigger with their attributes (`tctx.src`).
    pub sources: Vec<AskedSource>,
    /// On whose behalf (`sub`).
    pub subject: Subject,
    /// With which roles.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
    /// Through which agents, the one that calls first (`act`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<AgentName>,
    /// The kind of request (`tctx.goal`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Facts about the trigger that nothing decides on (`rctx`).
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub context: Map<String, Value>,
    /// The run that the token belongs to; a fresh one where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub txn: Option<Txn>,
    /// For how long, in seconds; the default of the gateway where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// In which header it travels.
    #[serde(default)]
    pub carrier: Carrier,
}

/// One entry of `tctx.src` as it is asked for: `kind` and, beside it, the attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedSource {
    /// The source.
    pub kind: SourceName,
    /// What is known of the event.
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
}

/// The header that a run token travels in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Carrier {
    /// `Authorization: Bearer`, the one header that every client can set.
    #[default]
    Authorization,
    /// `Txn-Token` (draft-ietf-oauth-transaction-tokens).
    TxnToken,
}

impl Carrier {
    /// `typ` of a token that travels so (RFC 9068, 2.1; draft-ietf-oauth-transaction-tokens).
    #[must_use]
    pub const fn token_type(self) -> &'static str {
        match self {
            Self::Authorization => "at+jwt",
            Self::TxnToken => "txntoken+jwt",
        }
    }

    /// The carrier of a token of this `typ`.
    #[must_use]
    pub fn of_type(typ: &str) -> Option<Self> {
        [Self::Authorization, Self::TxnToken].into_iter().find(|carrier| carrier.token_type() == typ)
    }
}

/// A token's text. Prints none of it (I10).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenText(String);

impl TokenText {
    /// Takes `text` for a token.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The token itself, for the one place that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("TokenText(…)")
    }
}

/// What is too much or too little in a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenRequestError {
    /// A label without a source would be nobody's.
    #[error("a run token needs at least one source")]
    NoSource,
    /// A list is longer than its bound.
    #[error("a run token has at most {max} {what}")]
    TooMany {
        /// What of.
        what: &'static str,
        /// The bound.
        max: usize,
    },
    /// A text is longer than its bound.
    #[error("{what} has at most {max} bytes")]
    TooLong {
        /// Which.
        what: String,
        /// The bound.
        max: usize,
    },
    /// The same agent or source twice.
    #[error("{what} `{name}` stands there twice")]
    Twice {
        /// What kind of name it is.
        what: &'static str,
        /// The name.
        name: String,
    },
}

impl TokenRequest {
    /// Whether everything is within its bound.
    ///
    /// # Errors
    /// [`TokenRequestError`] names the first thing that is not.
    pub fn check(&self) -> Result<(), TokenRequestError> {
        let many = |what, count: usize, max: usize| match count > max {
            true => Err(TokenRequestError::TooMany { what, max }),
            false => Ok(()),
        };
        if self.sources.is_empty() {
            return Err(TokenRequestError::NoSource);
        }
        many("sources", self.sources.len(), ENTRIES_MAX)?;
        many("roles", self.roles.len(), ROLES_MAX)?;
        many("agents", self.agents.len(), AGENTS_MAX)?;
        for source in &self.sources {
            many("attributes of a source", source.attributes.len(), ATTRIBUTES_MAX)?;
            for (name, value) in &source.attributes {
                check_value(name, value)?;
            }
        }
        within("`tctx`", &self.sources, TRIGGER_BYTES_MAX)?;
        within("`rctx`", &self.context, CONTEXT_BYTES_MAX)?;
        let mut seen = BTreeSet::new();
        match self.agents.iter().find(|agent| !seen.insert(*agent)) {
            Some(agent) => Err(TokenRequestError::Twice { what: "agent", name: agent.to_string() }),
            None => Ok(()),
        }
    }

    /// The asked lifetime.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl_s.map(Duration::from_secs)
    }
}

fn check_value(name: &AttributeName, value: &AttributeValue) -> Result<(), TokenRequestError> {
    let what = || format!("the attribute `{name}`");
    let fits = |text: &str| text.len() <= ATTRIBUTE_BYTES_MAX;
    match value {
        AttributeValue::Bool(_) | AttributeValue::Integer(_) => Ok(()),
        AttributeValue::Texts(texts) if texts.len() > TEXTS_MAX => {
            Err(TokenRequestError::TooMany { what: "members of an attribute", max: TEXTS_MAX })
        }
        AttributeValue::Text(text) if fits(text) => Ok(()),
        AttributeValue::Texts(texts) if texts.iter().all(|text| fits(text)) => Ok(()),
        AttributeValue::Text(_) | AttributeValue::Texts(_) => {
            Err(TokenRequestError::TooLong { what: what(), max: ATTRIBUTE_BYTES_MAX })
        }
    }
}

fn within<T: Serialize>(what: &str, value: &T, max: usize) -> Result<(), TokenRequestError> {
    let bytes = serde_json::to_vec(value).map_or(usize::MAX, |json| json.len());
    if bytes <= max { Ok(()) } else { Err(TokenRequestError::TooLong { what: what.to_owned(), max }) }
}

impl Serialize for AskedSource {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        let mut map = out.serialize_map(Some(self.attributes.len().saturating_add(1)))?;
        map.serialize_entry("kind", &self.kind)?;
        for (name, value) in &self.attributes {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for AskedSource {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> Visitor<'de> for Read {
            type Value = AskedSource;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a source: an object with `kind` and attributes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AskedSource, A::Error> {
                let (mut kind, mut attributes) = (None, BTreeMap::new());
                while let Some(name) = map.next_key::<AttributeName>()? {
                    let is_new = if name.as_str() == "kind" {
                        kind.replace(map.next_value::<SourceName>()?).is_none()
                    } else {
                        attributes.insert(name.clone(), map.next_value::<AttributeValue>()?).is_none()
                    };
                    if !is_new {
                        return Err(A::Error::custom(format!("`{name}` stands there twice")));
                    }
                    if attributes.len() > ATTRIBUTES_MAX {
                        return Err(A::Error::custom("a source has too many attributes"));
                    }
                }
                let kind = kind.ok_or_else(|| A::Error::missing_field("kind"))?;
                Ok(AskedSource { kind, attributes })
            }
        }
        input.deserialize_map(Read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Result<TokenRequest, String> {
        let read: TokenRequest = serde_json::from_str(json).map_err(|error| error.to_string())?;
        read.check().map_err(|error| error.to_string())?;
        Ok(read)
    }

    #[test]
    fn a_request_comes_back_as_it_was_and_prints_no_token() {
        let json = r#"{"sources":[{"kind":"email","n":3,"sender":"x@y","tags":["a"],"vip":true}],"subject":"user:1","roles":["a"],"agents":["inbox"],"goal":"triage","context":{"event":"imap:1"},"txn":"t-1","ttl_s":60,"carrier":"txn-token"}"#;
        let read = request(json).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), json);
        assert_eq!(format!("{:?}", TokenText::new("eyJ".into())), "TokenText(…)");
    }

    #[test]
    fn what_is_beyond_a_bound_is_named() {
        let long = "x".repeat(ATTRIBUTE_BYTES_MAX + 1);
        let many: Vec<String> = (0..=ATTRIBUTES_MAX).map(|n| format!("\"a{n}\":1")).collect();
        let agents: Vec<String> = (0..=AGENTS_MAX).map(|n| format!("\"a{n}\"")).collect();
        let cases = [
            (r#"{"sources":[],"subject":"u"}"#.to_owned(), "at least one source"),
            (format!(r#"{{"sources":[{{"kind":"e","a":"{long}"}}],"subject":"u"}}"#), "attribute `a`"),
            (
                format!(r#"{{"sources":[{{"kind":"e",{}}}],"subject":"u"}}"#, many.join(",")),
                "too many attributes",
            ),
            (r#"{"sources":[{"kind":"e","a":1,"a":2}],"subject":"u"}"#.to_owned(), "twice"),
            (r#"{"sources":[{"kind":"e","kind":"f"}],"subject":"u"}"#.to_owned(), "twice"),
            (r#"{"sources":[{"a":1}],"subject":"u"}"#.to_owned(), "kind"),
            (r#"{"sources":[{"kind":"e","a":1.5}],"subject":"u"}"#.to_owned(), "variant"),
            (r#"{"sources":[{"kind":"e","a":9223372036854775808}],"subject":"u"}"#.to_owned(), "variant"),
            (r#"{"sources":[{"kind":"e"}],"subject":"u","agents":["a","a"]}"#.to_owned(), "twice"),
            (
                format!(r#"{{"sources":[{{"kind":"e"}}],"subject":"u","agents":[{}]}}"#, agents.join(",")),
                "8 agents",
            ),
            (
                format!(
                    r#"{{"sources":[{{"kind":"e"}}],"subject":"u","context":{{"a":"{}"}}}}"#,
                    "x".repeat(5000)
                ),
                "rctx",
            ),
            (r#"{"sources":[{"kind":"e"}],"subject":"u","scope":"mcp"}"#.to_owned(), "unknown field"),
        ];
        for (json, part) in cases {
            let error = request(&json).unwrap_err();
            assert!(error.contains(part), "{json}: {error}");
        }
    }
}
