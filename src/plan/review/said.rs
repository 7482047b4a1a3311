//! What a review says of a step: why, by which rule, and what would help.
//!
//! Must never repeat a value or a note of the plan: findings are shown to people and recorded.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::model::decision::Rule;
use crate::model::name::{RuleName, SourceName};
use crate::model::place::Place;

use super::super::problem::Named;
use super::super::steps::StepId;

/// One reason for a verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Why.
    pub ground: Ground,
    /// By which rule.
    pub rule: ReviewRule,
    /// The argument that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<Named>,
    /// The other step that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Named>,
    /// The source that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceName>,
}

/// What whoever wrote the plan is told of a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The step.
    pub step: StepId,
    /// What comes of it: `granted`, `person` or `refused`.
    pub verdict: &'static str,
    /// How many calls of it can be made, once it is granted.
    pub calls: u32,
    /// Why it is not granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub why: Vec<ToldFinding>,
}

/// What whoever wrote the plan is told of one finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ToldFinding {
    /// The stable word for why.
    pub reason: &'static str,
    /// The argument that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argument: Option<Named>,
    /// The other step that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<Named>,
    /// One sentence.
    pub message: &'static str,
}

/// The rule that a finding goes by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReviewRule {
    /// An entry of a list, or the lack of one.
    List(Rule),
    /// A flow.
    Flow(Arc<str>, Place),
    /// A request shape.
    Request(Arc<str>, Place),
    /// A reviewer outside, by the rule that it names.
    Reviewer(Option<RuleName>, Place),
    /// A rule that holds everywhere.
    BuiltIn(BuiltIn),
}

/// A rule of reviews that nobody has to write (DESIGN §9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BuiltIn {
    /// A step lies within the ceiling (§9.1).
    Ceiling,
    /// A step goes with those that it depends on (§9.1).
    Dependants,
    /// Destinations are pinned (§9.2).
    Destinations,
    /// What a source asks for is covered by a shape of it, or by a person (§9.4).
    Requests,
    /// A goal counts as far as the credential vouches for it (§9.4).
    Goal,
}

/// Why a step is granted, asked for or refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ground {
    /// The lists leave it open.
    Within,
    /// A shape of the source covers it.
    Covered,
    /// A flow is met by its being planned.
    FlowPlanned,
    /// The lists let a person be asked for each call, plan or not.
    AskedAtCall,
    /// A destination can have values that the plan does not name.
    DestinationOpen,
    /// A destination comes out of content that may have influenced the plan.
    DestinationUntrusted,
    /// A destination comes out of content of a source that denies the tool.
    DestinationDenied,
    /// A flow needs a person.
    FlowAsks,
    /// No shape of a source covers it (`plan_uncovered`).
    Uncovered,
    /// There is no such tool.
    NotVisible,
    /// A source, the roles or the agent deny it.
    Denied,
    /// A flow forbids it.
    FlowDenies,
    /// It depends on a step that is refused.
    DependsOnRefused,
    /// The plan says that it answers another kind of request than the credential vouches for.
    GoalDiffers,
    /// A reviewer outside wants a person to look.
    ReviewerAsks,
    /// A reviewer outside says no.
    ReviewerDenies,
    /// A reviewer outside said nothing that counts.
    ReviewerSilent,
}

impl Ground {
    /// The stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Within => "within",
            Self::Covered => "covered",
            Self::FlowPlanned => "flow_planned",
            Self::AskedAtCall => "asked_at_call",
            Self::DestinationOpen => "destination_open",
            Self::DestinationUntrusted => "destination_untrusted",
            Self::DestinationDenied => "destination_denied",
            Self::FlowAsks => "flow_asks",
            Self::Uncovered => "plan_uncovered",
            Self::NotVisible => "not_visible",
            Self::Denied => "denied",
            Self::FlowDenies => "flow_denies",
            Self::DependsOnRefused => "depends_on_refused",
            Self::GoalDiffers => "goal_differs",
            Self::ReviewerAsks => "reviewer_asks",
            Self::ReviewerDenies => "reviewer_denies",
            Self::ReviewerSilent => "reviewer_silent",
        }
    }

    /// One sentence that whoever wrote the plan may read. Never holds internals.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Within => "The calls of this step are within what this run may do.",
            Self::Covered => "This is among what such a request may ask for.",
            Self::FlowPlanned => "It may follow what comes before it because it is planned.",
            Self::AskedAtCall => "A person will be asked for each call of this step all the same.",
            Self::DestinationOpen => {
                "This argument says who, where, which or how much. Pin it with `lit`, `enum`, `trigger`, or `from` \
                 with `select`; as it is a person has to look."
            }
            Self::DestinationUntrusted => {
                "This argument would come out of content that may have influenced this plan. Pin it with `lit` or \
                 `trigger`; as it is a person has to look."
            }
            Self::DestinationDenied => {
                "This argument would come out of content that may not reach this tool. Pin it with `lit` or \
                 `trigger`; as it is a person has to look."
            }
            Self::FlowAsks => {
                "After what can come before it this needs a person. Put it before that, and name it in that step's \
                 `after`, if it does not depend on it."
            }
            Self::Uncovered => "What this run was started by may not ask for this without a person.",
            Self::NotVisible => "There is no such tool.",
            Self::Denied => "This run may not use this tool. Leave the step out.",
            Self::FlowDenies => {
                "After what can come before it this is not allowed. Put it before that, and name it in that step's \
                 `after`, or leave one of the two out."
            }
            Self::DependsOnRefused => {
                "It depends on a step that is refused. Mend or leave out that one first."
            }
            Self::GoalDiffers => "The credential vouches for another `goal`. Leave `goal` out.",
            Self::ReviewerAsks => "The reviewer of plans wants a person to look at this step.",
            Self::ReviewerDenies => "The reviewer of plans refuses this step. Leave it out.",
            Self::ReviewerSilent => {
                "The reviewer of plans did not answer, so a person has to look at this step."
            }
        }
    }
}

impl fmt::Display for ReviewRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(rule) => rule.fmt(out),
            Self::Flow(name, place) => write!(out, "flow {name} at {place}"),
            Self::Request(name, place) => write!(out, "request {name} at {place}"),
            Self::Reviewer(Some(name), place) => write!(out, "reviewer rule {name} at {place}"),
            Self::Reviewer(None, place) => write!(out, "reviewer at {place}"),
            Self::BuiltIn(rule) => out.write_str(match rule {
                BuiltIn::Ceiling => "ceiling",
                BuiltIn::Dependants => "dependants",
                BuiltIn::Destinations => "destinations",
                BuiltIn::Requests => "requests",
                BuiltIn::Goal => "goal",
            }),
        }
    }
}

impl Finding {
    pub(super) fn new(ground: Ground, rule: ReviewRule) -> Self {
        Self { ground, rule, argument: None, step: None, source: None }
    }

    pub(super) fn built_in(ground: Ground, rule: BuiltIn) -> Self {
        Self::new(ground, ReviewRule::BuiltIn(rule))
    }

    pub(super) fn at(self, argument: &str) -> Self {
        Self { argument: Some(Named::new(argument)), ..self }
    }

    pub(super) fn about(self, step: &str) -> Self {
        Self { step: Some(Named::new(step)), ..self }
    }

    pub(super) fn told(&self) -> ToldFinding {
        let Self { ground, argument, step, .. } = self;
        let (argument, step) = (argument.clone(), step.clone());
        ToldFinding { reason: ground.code(), argument, step, message: ground.sentence() }
    }

    pub(super) fn of(self, source: &SourceName) -> Self {
        Self { source: Some(source.clone()), ..self }
    }
}
