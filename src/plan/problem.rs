//! What is wrong with a plan: which step, which argument, why, and how to mend it.
//!
//! A model reads this and submits again, so every problem is told at once, and each says what to write instead. Must
//! never tell of a tool more than its listed definition, nor repeat more of a plan than a bounded name. It is for
//! whoever wrote the plan, never for a reviewer.

use std::fmt;

use serde::Serialize;

use crate::model::name::NameError;
use crate::model::text::Bounded;
use crate::wire::Fault;

use super::pattern::PatternError;
use super::select::SelectError;
use super::steps::STEP_ID_BYTES_MAX;

/// Most problems that are told of one plan.
pub const PROBLEMS_MAX: usize = 64;
/// Bound of a name out of a plan or a schema in a problem, in bytes.
pub const NAMED_BYTES_MAX: usize = 64;
/// Bound of the place of a problem in its plan, in bytes.
pub const POINTER_BYTES_MAX: usize = 256;
/// Most names that a problem lists.
const LISTED_MAX: usize = 24;

/// A name that a problem repeats.
pub type Named = Bounded<NAMED_BYTES_MAX>;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The step, as the plan names it, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Named>,
    /// The argument of the step, where it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<Named>,
    /// Where in the plan: a JSON Pointer (RFC 6901).
    pub at: Bounded<POINTER_BYTES_MAX>,
    /// What is wrong there, in a sentence.
    pub why: String,
    /// What to write instead, in a sentence.
    pub mend: String,
    /// The same for programs.
    #[serde(skip)]
    pub flaw: Flaw,
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(step) = &self.step {
            write!(out, "step `{step}`, ", step = step.as_str())?;
        }
        if let Some(argument) = &self.argument {
            write!(out, "argument `{}`, ", argument.as_str())?;
        }
        write!(out, "at `{}`: {}. {}", self.at.as_str(), self.why, self.mend)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The bytes are no strict JSON document.
    #[error("this is not one JSON document, strictly written: {0}")]
    Json(Fault),
    /// The plan is too long.
    #[error("the plan is longer than {} bytes", super::PLAN_BYTES_MAX)]
    PlanTooLong,
    /// A member has another type than it has to have.
    #[error("this has to be {0}")]
    NotA(&'static str),
    /// A member is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A member that is not known here.
    #[error("`{}` is not known here", .name.as_str())]
    Unknown {
        /// The member.
        name: Named,
        /// Those that are known.
        known: &'static [&'static str],
    },
    /// Another version than 1.
    #[error("`v` is the version of the plan language, and has to be 1")]
    Version,
    /// Too few or too many of something.
    #[error("there have to be {min} to {max} {what}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many at least.
        min: usize,
        /// How many at most.
        max: usize,
    },
    /// A text that is too long.
    #[error("`{what}` has at most {len_max} characters")]
    TextTooLong {
        /// Which text.
        what: &'static str,
        /// Its limit.
        len_max: usize,
    },
    /// Not the id of a step.
    #[error("the id of a step has 1 to {STEP_ID_BYTES_MAX} letters, digits, `_` and `-`")]
    StepId,
    /// The id of an earlier step once more.
    #[error("another step has the id `{}` already", .0.as_str())]
    DuplicateId(Named),
    /// A step that does not stand before this one.
    #[error("no earlier step has the id `{}`", .0.as_str())]
    NotEarlier(Named),
    /// A goal or attribute that is no name.
    #[error("this is no name: {0}")]
    Name(NameError),
    /// A constraint that is of no kind, or of several.
    #[error("a constraint says exactly one of {CONSTRAINTS}; this says {found}")]
    Kind {
        /// How many it says.
        found: usize,
    },
    /// Constraints within constraints.
    #[error("constraints are nested deeper than {}", super::CONSTRAINT_DEPTH_MAX)]
    TooDeep,
    /// A pattern that is none.
    #[error("{0}")]
    Pattern(PatternError),
    /// A path that is none.
    #[error("{0}")]
    Select(SelectError),
    /// A number beyond what is compared.
    #[error("a number here is too long or too large to be compared exactly")]
    Number,
    /// A range without numbers.
    #[error("`min` is larger than `max`")]
    EmptyRange,
    /// A whole number outside its bounds.
    #[error("`{what}` has to be a whole number from {min} to {max}")]
    OutOfRange {
        /// Which member.
        what: &'static str,
        /// The smallest.
        min: u32,
        /// The largest.
        max: u32,
    },
    /// An argument that the tool does not have.
    #[error("the tool has no argument of this name; it has {}", list(.known))]
    NoArgument {
        /// Those that it has.
        known: Vec<Named>,
    },
    /// An argument that the tool requires.
    #[error("the tool requires `{}`, which the step does not name: no call could match it", .0.as_str())]
    Required(Named),
    /// A constraint that no value of the argument can fit.
    #[error("this does not fit the tool's schema: {0}")]
    Unfit(Unfit),
    /// `free` for what is not labelled content.
    #[error("`free` is only for arguments that an operator labelled as content; this is none")]
    NotContent,
    /// An attribute that the trigger does not have, or has twice.
    #[error("the event that started this run has no such attribute; it has {}", list(.known))]
    NoAttribute {
        /// Those that can be named.
        known: Vec<Named>,
    },
}

/// How a constraint does not fit a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The schema wants other types.
    #[error("the argument has another type")]
    Type,
    /// The schema lists the values, and this is none of them.
    #[error("the argument has a fixed list of values, and this is none of them")]
    Enum,
    /// The schema bounds numbers, lengths or counts.
    #[error("it is outside the bounds that the schema sets")]
    Bounds,
    /// A member that the object has not.
    #[error("the object has no member of this name")]
    NoMember,
    /// A member that the object requires.
    #[error("the object requires a member that is missing here")]
    MemberMissing,
    /// None of the alternatives of the schema takes it.
    #[error("none of the alternatives of the schema takes it")]
    Alternatives,
}

/// The kinds of constraint, for sentences.
const CONSTRAINTS: &str = "`lit`, `enum`, `match`, `min`/`max`, `from` with `select`, `trigger`, `each` with `max_items`, `object`, `free`";

impl Flaw {
    /// What to write instead.
    #[must_use]
    pub fn mend(&self) -> String {
        match self {
            Self::Json(_) => "Send one JSON object in UTF-8, every key once".to_owned(),
            Self::PlanTooLong => "Leave out notes, or split the plan: a later part can be submitted later".to_owned(),
            Self::NotA(what) => format!("Write {what}"),
            Self::Missing(name) => format!("Add `{name}`"),
            Self::Unknown { known, .. } => {
                format!("Leave it out; known are {}", known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "))
            }
            Self::Version => "Write `\"v\":1`".to_owned(),
            Self::Count { .. } | Self::TextTooLong { .. } => "Shorten it, or add what is missing".to_owned(),
            Self::StepId => "Write for example `\"id\":\"s1\"`".to_owned(),
            Self::DuplicateId(_) => "Give every step an id of its own".to_owned(),
            Self::NotEarlier(_) => "Name the id of a step that stands before this one, or move this step down".to_owned(),
            Self::Name(_) => "Write the name as it is told elsewhere, exactly".to_owned(),
            Self::Kind { .. } => "Write for example `{\"lit\":\"value\"}`".to_owned(),
            Self::TooDeep => "Name the inner value as a whole with `lit`".to_owned(),
            Self::Pattern(_) => {
                "The pattern matches the whole text, without anchors; where the values are known, write `enum`".to_owned()
            }
            Self::Select(_) => "Write a path into the answer of that step, like `$.items[0].email`".to_owned(),
            Self::Number => "Write a shorter number".to_owned(),
            Self::EmptyRange => "Write the smaller number as `min`".to_owned(),
            Self::OutOfRange { min, .. } => format!("Write {min} where you need no more"),
            Self::NoArgument { .. } => "Name the argument as the tool's schema does, or leave it out".to_owned(),
            Self::Required(name) => format!("Add `{}` to `args`", name.as_str()),
            Self::Unfit(_) => "Compare it with the tool's input schema".to_owned(),
            Self::NotContent => {
                "Pin the value: `lit`, `enum`, `trigger`, or `from` with `select` out of an earlier step".to_owned()
            }
            Self::NoAttribute { .. } => "Name one of them, or pin the value with `lit`".to_owned(),
        }
    }
}

fn list(names: &[Named]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    let shown: Vec<String> =
        names.iter().take(LISTED_MAX).map(|name| format!("`{}`", name.as_str())).collect();
    let more = if names.len() > LISTED_MAX { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

/// Where in a plan something is read.
#[derive(Debug, Clone, Default)]
pub(super) struct At {
    pub(super) step: Option<Named>,
    pub(super) argument: Option<Named>,
    pub(super) pointer: String,
}

impl At {
    /// The place of the member or element `token` here.
    pub(super) fn then(&self, token: &str) -> Self {
        // RFC 6901, 3. A pointer beyond its bound is cut when it is told.
        let token = token.replace('~', "~0").replace('/', "~1");
        Self { pointer: format!("{}/{token}", self.pointer), ..self.clone() }
    }

    /// The problem that `flaw` is here.
    pub(super) fn problem(&self, flaw: Flaw) -> Problem {
        let Self { step, argument, pointer } = self.clone();
        Problem { step, argument, at: Bounded::new(&pointer), why: flaw.to_string(), mend: flaw.mend(), flaw }
    }
}

/// Every problem so far, up to the most that are told.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: &At, flaw: Flaw) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(at.problem(flaw));
        }
    }

    /// `value`, if nothing is wrong.
    pub(super) fn or<T>(self, value: Option<T>) -> Result<T, Vec<Problem>> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            _ => Err(self.0),
        }
    }
}
