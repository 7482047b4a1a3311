//! A plan as it was read: its steps, and what each says of the arguments of its calls.
//!
//! Must never hold what the reader did not check. The notes in it are words of whoever wrote the plan: shown to people
//! as untrusted, and to nobody else (DESIGN §9).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::model::digest::Sha256;
use crate::model::name::{AttributeName, Goal};

use super::decimal::Decimal;
use super::pattern::Pattern;
use super::select::Select;
use super::value::Value;

/// Longest id of a step, in bytes.
pub const STEP_ID_BYTES_MAX: usize = 32;

/// A plan that was read. Nothing is said of it yet beside that it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(super) raw: Arc<str>,
    pub(super) digest: Sha256,
    pub(super) goal: Option<Goal>,
    pub(super) note: Option<String>,
    pub(super) steps: Vec<Step>,
}

/// The id of a step, as its plan names it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId(Arc<str>);

/// One step: a tool, and which calls of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub(super) id: StepId,
    /// The tool as the wire names it.
    pub(super) tool: String,
    pub(super) arguments: BTreeMap<String, Argument>,
    pub(super) after: BTreeSet<StepId>,
    pub(super) max_calls: Option<u32>,
    pub(super) note: Option<String>,
}

/// What a step says of one argument, or of one member of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Argument {
    pub(super) constraint: Constraint,
    pub(super) presence: Presence,
}

/// Whether a call has to have the argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// What a call leaves out, its tool fills in: that is another value than the one that was named.
    Required,
    /// `optional`: a call may leave it out.
    Optional,
}

/// Which values an argument may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Constraint {
    /// This one.
    Lit(Value),
    /// One of these.
    Enum(Vec<Value>),
    /// A text that matches as a whole.
    Match(Pattern),
    /// A number between these, both included.
    Range { min: Option<Decimal>, max: Option<Decimal> },
    /// What an earlier step's answer held there.
    From { step: StepId, select: Select },
    /// What the trigger says.
    Trigger(AttributeName),
    /// An array of which every element is one.
    Each { element: Box<Constraint>, max_items: usize },
    /// An object with these members and no other.
    Object(BTreeMap<String, Argument>),
    /// Any text up to this many characters.
    Free { max_len: usize },
}

impl Plan {
    /// The plan as it was submitted.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// The digest of the plan as it was submitted.
    #[must_use]
    pub fn digest(&self) -> Sha256 {
        self.digest
    }

    /// The kind of request that the plan says it answers. Counts only against what the credential vouches for.
    #[must_use]
    pub fn goal(&self) -> Option<&Goal> {
        self.goal.as_ref()
    }

    /// What its author notes on it. Untrusted.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// What the step `id` says of its arguments, as it was submitted.
    #[must_use]
    pub fn raw_arguments(&self, id: &StepId) -> Option<String> {
        #[derive(serde::Deserialize)]
        struct Steps<'a> {
            #[serde(borrow)]
            steps: Vec<Said<'a>>,
        }
        #[derive(serde::Deserialize)]
        struct Said<'a> {
            #[serde(borrow)]
            args: Option<&'a serde_json::value::RawValue>,
        }
        let number = self.steps.iter().position(|step| step.id == *id)?;
        let read: Steps<'_> = serde_json::from_str(&self.raw).ok()?;
        Some(read.steps.get(number)?.args.map_or("{}", |args| args.get()).to_owned())
    }

    /// Its steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }
}

impl Step {
    /// Its id.
    #[must_use]
    pub fn id(&self) -> &StepId {
        &self.id
    }

    /// The tool as the plan names it, which need not exist.
    #[must_use]
    pub fn tool(&self) -> &str {
        &self.tool
    }

    /// What its author notes on it. Untrusted.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// The steps that it cannot do without: those it names in `after`, and those it takes values from.
    pub(super) fn needs(&self) -> BTreeSet<&StepId> {
        let mut needed: BTreeSet<&StepId> = self.after.iter().collect();
        needed.extend(self.selections().into_iter().map(|(step, _)| step));
        needed
    }

    /// Every step that it takes values from, with which values.
    pub(super) fn selections(&self) -> Vec<(&StepId, &Select)> {
        let mut found = Vec::new();
        self.arguments.values().for_each(|argument| argument.constraint.selections(&mut found));
        found
    }
}

impl Constraint {
    /// Adds every step that it takes values from.
    pub(super) fn selections<'a>(&'a self, found: &mut Vec<(&'a StepId, &'a Select)>) {
        match self {
            Self::From { step, select } => found.push((step, select)),
            Self::Each { element, .. } => element.selections(found),
            Self::Object(members) => members.values().for_each(|member| member.constraint.selections(found)),
            _ => {}
        }
    }
}

impl StepId {
    /// The id that `text` is: letters, digits, `_` and `-`, up to its limit.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        let fits = !text.is_empty() && text.len() <= STEP_ID_BYTES_MAX && text.chars().all(is_plain);
        fits.then(|| Self(text.into()))
    }

    /// The id as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for StepId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl serde::Serialize for StepId {
    fn serialize<S: serde::Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for StepId {
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("not the id of a step"))
    }
}
