//! A grant that a person made from a question: yes to a bounded number of calls like the one that waits (DESIGN §4.2).
//!
//! Its plan is made of that call: its exact arguments, but for what the person limited in the language of plans. Must
//! never count once anything is another that the yes was said to: the definition, the configuration, the provenance.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::model::approval::QuestionId;
use crate::model::digest::Sha256;
use crate::model::provenance::Provenance;
use crate::wire::Object;

use super::super::fit::Fitted;
use super::super::matching::Selected;
use super::super::problem::Problem;
use super::super::steps::Plan;
use super::{Closed, Done, Grant, Granted, State, Terms};

/// Most calls that one yes is for, the one that waits among them.
pub const LIKE_CALLS_MAX: u32 = 64;
/// Longest time that a yes to several calls counts.
pub const LIKE_LASTS_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What a yes to like calls is bound to beside its run and its plan. Where one of these is another, it has lapsed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LikeTo {
    /// The question that it answered.
    pub question: QuestionId,
    /// The accepted definition of the tool.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<Sha256>,
    /// The digest of the configuration.
    pub config: Sha256,
    /// What had influenced the run.
    pub provenance: Provenance,
}

/// What is in force when a call is held against grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Under<'a> {
    /// The accepted definition of the tool that is called.
    pub definition: Option<Sha256>,
    /// The digest of the configuration.
    pub config: Sha256,
    /// What has influenced the run.
    pub provenance: &'a Provenance,
}

impl LikeTo {
    pub(super) fn holds(&self, now: Under<'_>) -> bool {
        self.definition == now.definition && self.config == now.config && self.provenance == *now.provenance
    }
}

impl Plan {
    /// The plan of `calls` calls of `tool` with these `arguments`, but for those that `limits` says something of: each
    /// is a constraint in the language of plans.
    ///
    /// # Errors
    /// Everything that is wrong with it: a call that is too long for a plan, a limit that is no constraint.
    pub fn like(
        tool: &str,
        arguments: &Bytes,
        calls: u32,
        limits: &BTreeMap<String, Box<RawValue>>,
    ) -> Result<Self, Vec<Problem>> {
        let exact = Object::of(arguments).ok();
        let members = exact.iter().flat_map(Object::members);
        let exact = members.filter(|(name, _)| !limits.contains_key(*name));
        let exact =
            exact.map(|(name, value)| (name, format!("{{\"lit\":{}}}", String::from_utf8_lossy(&value))));
        let limited = limits.iter().map(|(name, limit)| (name.as_str(), limit.get().to_owned()));
        let named = exact.chain(limited).map(|(name, limit)| format!("{}:{limit}", quoted(name)));
        let named = named.collect::<Vec<_>>().join(",");
        let tool = quoted(tool);
        let plan = format!(
            "{{\"v\":1,\"steps\":[{{\"id\":\"like\",\"tool\":{tool},\"max_calls\":{calls},\"args\":{{{named}}}}}]}}"
        );
        Self::read(plan.as_bytes())
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl Fitted {
    /// The grant of everything in the plan, because a person said so, for a run under `provenance`.
    #[must_use]
    pub fn approved(self, terms: Terms, provenance: Provenance) -> Grant {
        let tools = self.tools.into_iter().map(|tool| tool.map(|tool| tool.id));
        let granted = |(step, tool): (&super::Step, _)| Granted {
            tool,
            state: State::Approved,
            uses: step.max_calls.unwrap_or(1),
            used: 0,
            done: Done::Not,
            covered: Default::default(),
            spent: Vec::new(),
            flows: Default::default(),
            asked_flows: Default::default(),
            agreed: Default::default(),
        };
        let steps = self.plan.steps.iter().zip(tools).map(granted).collect();
        let (selected, closed) = (Selected::new(), Closed::No);
        Grant { plan: self.plan, terms, under: provenance, steps, selected, closed }
    }
}
