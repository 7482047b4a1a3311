//! What started a run, as its entry point vouches for it: the kinds of source with their typed attributes,
//! and the kind of request.
//!
//! Must never hold an attribute that the configuration does not declare, nor anything that a body says.
//! Attribute values are words of strangers (a sender, a subject line): they are data for rules and records.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::facts::CLAIM_BYTES_MAX;
use super::name::{AttributeName, Goal, SourceName};
use super::text::Bounded;

/// Most entries of one trigger.
pub const ENTRIES_MAX: usize = 16;
/// Most attributes of one entry, declared or not.
pub const ATTRIBUTES_MAX: usize = 32;
/// Longest text of one attribute, in bytes.
pub const ATTRIBUTE_BYTES_MAX: usize = 1024;
/// Most members of one set of texts.
pub const TEXTS_MAX: usize = 64;
/// Most bytes of all names and texts of one trigger, with what later tokens of its run add to it.
pub const TRIGGER_BYTES_MAX: usize = 32 * 1024;

/// The event that started a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// `tctx.src`, in its order. Empty where the label is configured and no event is described.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<TriggerEntry>,
    /// `tctx.goal`: the kind of request, as far as the credential vouches for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
}

impl Trigger {
    /// The bytes of all names and texts of its entries, bounded by [`TRIGGER_BYTES_MAX`].
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(TriggerEntry::bytes).sum()
    }
}

/// One source of the trigger with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TriggerEntry {
    /// The source as it was asserted (`kind`).
    pub kind: SourceName,
    /// The source that it counts as: the same, or the finer one that its attributes make of it.
    pub source: SourceName,
    /// Its declared attributes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<AttributeName, AttributeValue>,
    /// Names of attributes that came along and are not declared: dropped, and only named in the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dropped: Vec<Bounded<CLAIM_BYTES_MAX>>,
}

impl TriggerEntry {
    /// Whether both say the same. What was dropped counts for nothing.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.kind, &self.source, &self.attributes) == (&other.kind, &other.source, &other.attributes)
    }

    fn bytes(&self) -> usize {
        let attributes = self.attributes.iter();
        let attributes: usize = attributes.map(|(name, value)| name.as_str().len() + value.bytes()).sum();
        let dropped: usize = self.dropped.iter().map(|name| name.as_str().len()).sum();
        self.kind.as_str().len() + self.source.as_str().len() + attributes + dropped
    }
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    /// `bool`.
    Bool(bool),
    /// `integer`: 64 bits, signed.
    Integer(i64),
    /// `string`.
    Text(Arc<str>),
    /// `strings`: a set of texts.
    Texts(Vec<Arc<str>>),
}

impl AttributeValue {
    /// The bytes of its text; of a number or a truth value, what it takes in a record at most.
    fn bytes(&self) -> usize {
        match self {
            Self::Bool(_) | Self::Integer(_) => 20,
            Self::Text(text) => text.len(),
            Self::Texts(texts) => texts.iter().map(|text| text.len()).sum(),
        }
    }
}

/// The type of an attribute, as `[sources.NAME] trigger` declares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// `"bool"`.
    Bool,
    /// `"integer"`.
    Integer,
    /// `"string"`.
    Text,
    /// `"strings"`.
    Texts,
}

impl AttributeType {
    /// Every type.
    pub const ALL: [Self; 4] = [Self::Bool, Self::Integer, Self::Text, Self::Texts];

    /// The word in the configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bool => "bool",
            Self::Integer => "integer",
            Self::Text => "string",
            Self::Texts => "strings",
        }
    }
}

/// The attributes that each source declares (`[sources.NAME] trigger`).
pub type Declarations = BTreeMap<SourceName, BTreeMap<AttributeName, AttributeType>>;
