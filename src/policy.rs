//! The decision: which tools a credential may see, and whether this call may pass now.
//!
//! Pure, synchronous and total: must never read a clock, wait, do I/O or fail. Trouble is a denial with
//! its own reason, and what no rule allows is denied (I2). Trusts the [`Principal`] that `identity`
//! made and the [`Provenance`] that `run` keeps; trusts nothing that a body says.
//!
//! **Words.** A *row* is one source, one role or one agent with its four lists. It gives every tool
//! one [`Answer`]. A *dimension* is sources, roles or agents.
//!
//! A *class* is what is called: tools, prompts, resources, completions, or answers to what an upstream
//! asks. Each class has its own four lists in a row; what is said below of tools holds for each.
//!
//! **How it decides** (DESIGN §4.1, §4.2, §4.6):
//! 1. In one row the strictest list that matches answers; without a match the answer is *deny*.
//! 2. Roles join by the loosest answer, sources and agents by the strictest, and so do the dimensions.
//!    Agents are a dimension only where any is configured. A name that is not configured, no role at
//!    all and no source at all answer *deny*.
//! 3. A tool is visible if the credential's own sources, roles and agents do not deny it. What is not
//!    visible is refused like what does not exist (I5). Taint never changes visibility.
//! 4. Then the run's provenance is added; it can only make the answer stricter (I1).
//! 5. What a closed source has influenced, or what would bring it, is refused: visible tools by this reason,
//!    hidden ones as ever. Closing a source only takes away.
//! 6. Flows over what the run did before add their answers. A step of a grant meets *plan*, and nothing else; a
//!    person's yes to the exact call meets *plan* and *ask*.
//! 7. A changed definition refuses what nobody denies.
//!
//! **Example.** `chat` allows `*`, `web` allows `browser.*`, `assistant` allows `mail.*` and
//! `browser.*`. A chat run of an assistant sees `mail.send` and may call it. After it has read a page,
//! its provenance is `{chat, web}`: `mail.send` stays visible and is refused with `source_denies`,
//! determined by `web`; `browser.open` still passes.

mod bits;
mod case;
mod ceiling;
mod changes;
mod condition;
mod explain;
mod guardrail;
mod judge;
mod learn;
mod looked;
mod replay;
mod row;
mod rules;
mod shape;
#[cfg(test)]
mod tests;
mod trial;
mod vocabulary;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;
use jiff::Timestamp;

use crate::model::call::Call;
use crate::model::decision::{Answer, Decision, PolicyEpoch, Rule, Visibility};
use crate::model::name::{AgentName, RoleName, SourceName, ToolId};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::{Class, Target};
use crate::model::trigger::Trigger;

use bits::Bits;
use case::Case;
use judge::Question;
use looked::{Looked, Schemas};
use row::{About, Row, Shadow, View};

pub use ceiling::{Ceiling, Offered};
pub use condition::{Condition, ConditionError, WHEN_BYTES_MAX};
pub use explain::{Explanation, Span, Voice, Way};
pub use guardrail::{GUARDRAILS_MAX, Guardrail, GuardrailError};
pub use learn::{Names, Proposed, Seen, TARGETS_MAX, Use};
pub use looked::Misfit;
pub use rules::{Lists, Permission, RowLists, Rules};
pub use trial::{Attempt, Exercised, Miss, Step, Trial};

/// Every list of the configuration against every tool of the catalogue, compiled to bit sets.
#[derive(Debug)]
pub struct Policy {
    epoch: PolicyEpoch,
    /// Sorted by their written form, so that the literal head of a glob selects one range.
    tools: Box<[ToolId]>,
    index: HashMap<ToolId, usize>,
    sources: BTreeMap<SourceName, Row>,
    roles: BTreeMap<RoleName, Row>,
    agents: BTreeMap<AgentName, Row>,
    guardrails: Box<[Guardrail]>,
    /// What conditions and guardrails look at, for the tools that they speak of.
    looked: HashMap<usize, Looked>,
    has_shadow: bool,
}

/// A tool of the catalogue, as far as the policy knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTool {
    /// Its name in permissions.
    pub id: ToolId,
    /// Its accepted input schema, raw. Conditions are checked against it.
    pub schema: Bytes,
}

/// How its run stands when a call is decided.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What has influenced the run.
    pub provenance: &'a Provenance,
    /// What the answer to the call may bring.
    pub brings: &'a Provenance,
    /// The sources that people closed.
    pub closed: &'a BTreeSet<SourceName>,
    /// What started the run, with what later tokens added.
    pub trigger: &'a Trigger,
    /// What the run's plans say of the call, and what it did before.
    pub planned: Planned<'a>,
    /// When it is decided.
    pub now: Timestamp,
}

/// What of the requirements before a call is met, and which more there are (DESIGN §4.4, §9.3).
#[derive(Debug, Clone, Copy, Default)]
pub struct Planned<'a> {
    /// The step of a grant in force that the call belongs to.
    pub step: Option<StepMeets<'a>>,
    /// The flows that it raises and that step does not meet.
    pub flows: &'a [Rule],
    /// Whether a person said yes to exactly this call.
    pub approval: Approval,
}

/// Whether a person said yes to exactly a call: that meets *ask* and every *plan* (DESIGN §4.2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Approval {
    /// Nobody did.
    #[default]
    None,
    /// Somebody did.
    Given,
}

/// What a step of a grant meets: *plan* from the roles and the agent, and from every source but these.
#[derive(Debug, Clone, Copy)]
pub struct StepMeets<'a> {
    /// The sources whose *plan* it does not meet: the plan was made under them, and nothing covers the step.
    pub not: &'a BTreeSet<SourceName>,
}

/// What was decided on a call. Owns the call either way.
#[derive(Debug)]
#[must_use]
pub enum Ruling {
    /// The call may go on.
    Permit(Permit),
    /// The call ends here.
    Refuse(Call, Decision),
}

/// The proof that a call was decided and allowed. Only [`Policy::decide`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Permit {
    call: Call,
    decision: Decision,
}

/// Most determining rules that one decision names; the first ones, in the order of the dimensions.
pub const DETERMINING_RULES_MAX: usize = 32;

impl Policy {
    /// Compiles `rules` against `tools`. A tool that is named twice counts once, as it is first named.
    #[must_use]
    pub fn compile(rules: Rules, tools: &[KnownTool], epoch: PolicyEpoch) -> Self {
        let mut written: Vec<(String, &KnownTool)> =
            tools.iter().map(|tool| (tool.id.to_string(), tool)).collect();
        written.sort_by(|a, b| a.0.cmp(&b.0));
        written.dedup_by(|a, b| a.0 == b.0);
        let (texts, tools): (Vec<String>, Vec<&KnownTool>) = written.into_iter().unzip();
        let index = tools.iter().enumerate().map(|(at, tool)| (tool.id.clone(), at)).collect();
        let has_shadow = rules.has_shadow();
        let Rules { sources, roles, agents, triggers, guardrails } = rules;
        let mut policy = Self {
            epoch,
            index,
            tools: tools.iter().map(|tool| tool.id.clone()).collect(),
            sources: rows(sources, &texts),
            roles: rows(roles, &texts),
            agents: rows(agents, &texts),
            guardrails: guardrails.into(),
            looked: HashMap::new(),
            has_shadow,
        };
        let mut schemas = Schemas::new(&triggers);
        let each = |(at, tool): (usize, &&KnownTool)| {
            let entries: Vec<_> = policy.all_rows().flat_map(|row| row.conditional(at)).collect();
            Some((at, Looked::of(&tool.id, &tool.schema, &entries, &policy.guardrails, &mut schemas)?))
        };
        let looked = tools.iter().enumerate().filter_map(each).collect();
        policy.looked = looked;
        policy
    }

    /// Decides on `call`. The run's provenance counts together with the credential's own sources.
    pub fn decide(&self, principal: &Principal, standing: Standing<'_>, call: Call) -> Ruling {
        let decision = self.ruling(principal, standing, &call);
        match decision.verdict {
            Answer::Allow => Ruling::Permit(Permit { call, decision }),
            Answer::Plan | Answer::Ask | Answer::Deny => Ruling::Refuse(call, decision),
        }
    }

    fn ruling(&self, principal: &Principal, standing: Standing<'_>, call: &Call) -> Decision {
        let judge = |question: Option<Question<'_>>| {
            question.map_or_else(|| self.explain_unknown(), |question| self.judge(question))
        };
        self.ask(principal, standing, call, judge)
    }

    /// Hands `work` the question that `call` is; nothing where no such tool exists.
    fn ask<T>(
        &self,
        principal: &Principal,
        standing: Standing<'_>,
        call: &Call,
        work: impl FnOnce(Option<Question<'_>>) -> T,
    ) -> T {
        let pin = call.pin;
        match &call.target {
            Target::Tool(id) => {
                let Some(&tool) = self.index.get(id) else { return work(None) };
                let looked = self.looked.get(&tool);
                let case = looked.map(|looked| Case::new(principal, standing, &call.values, looked));
                let about = About::Tool(tool);
                work(Some(Question { principal, standing, about, pin, case: case.as_ref() }))
            }
            other => {
                let text = other.to_string();
                let about = About::Other(other.class(), &text);
                work(Some(Question { principal, standing, about, pin, case: None }))
            }
        }
    }

    /// Whether a decision on `tool` may look at its arguments.
    #[must_use]
    pub fn looks_at(&self, tool: &ToolId) -> bool {
        self.index.get(tool).is_some_and(|at| self.looked.contains_key(at))
    }

    /// Whether `tool`, at which something looks, has an argument of this name in its schema.
    #[must_use]
    pub fn has_argument(&self, tool: &ToolId, name: &str) -> bool {
        let looked = self.index.get(tool).and_then(|at| self.looked.get(at));
        looked.is_some_and(|looked| looked.arguments.contains_key(name))
    }

    /// Every condition and guardrail that does not fit a tool, which is closed by it.
    pub fn misfits(&self) -> impl Iterator<Item = &Misfit> {
        self.looked.values().flat_map(|looked| &looked.invalid)
    }

    /// Whether `principal` may know of `target`: the ceiling of its own sources, roles and agents (I5).
    #[must_use]
    pub fn shows(&self, principal: &Principal, target: &Target, now: Timestamp) -> bool {
        self.reaches(principal, &Provenance::default(), target, now)
    }

    /// Whether `principal` may know of anything of `class` whose written form matches the glob `pattern`. May
    /// say so where there is nothing; says no only where there can be nothing.
    #[must_use]
    pub fn may_show(&self, principal: &Principal, class: Class, pattern: &str, now: Timestamp) -> bool {
        let view = seen_at(now);
        let opens =
            |row: Option<&Row>| row.is_some_and(|row| !row.is_enforced(view) || row.may_open(class, pattern));
        let agents = &principal.agents;
        !principal.sources.is_empty()
            && principal.sources.iter().all(|source| opens(self.sources.get(source)))
            && principal.roles.iter().any(|role| opens(self.roles.get(role)))
            && (self.agents.is_empty()
                || !agents.is_empty() && agents.iter().all(|agent| opens(self.agents.get(agent))))
    }

    /// Whether `target` is visible and `provenance` does not deny it, as in [`Policy::open`].
    #[must_use]
    pub fn leaves_open(
        &self,
        principal: &Principal,
        provenance: &Provenance,
        target: &Target,
        now: Timestamp,
    ) -> bool {
        self.reaches(principal, provenance, target, now)
    }

    /// Whether the credential's own rows, and those of `sources`, leave `target` open to anyone's yes.
    fn reaches(&self, principal: &Principal, sources: &Provenance, target: &Target, now: Timestamp) -> bool {
        let text = target.to_string();
        let about = match target {
            Target::Tool(id) => self.index.get(id).map(|tool| About::Tool(*tool)),
            other => Some(About::Other(other.class(), &text)),
        };
        let view = seen_at(now);
        let open = |row: Option<&Row>, about| {
            row.is_some_and(|row| !row.is_enforced(view) || row.reaches(about, view))
        };
        about.is_some_and(|about| {
            self.sees(principal, about, view)
                && sources.iter().all(|source| open(self.sources.get(source), about))
        })
    }

    /// The tools that `principal` may know of: the ceiling of its own sources, roles and agents (I5).
    pub fn visible<'a>(
        &'a self,
        principal: &Principal,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a ToolId> + use<'a> {
        self.named(self.ceiling(principal, seen_at(now)))
    }

    /// The visible tools that `provenance` does not deny: a list that shrinks with taint, as a courtesy.
    pub fn open<'a>(
        &'a self,
        principal: &Principal,
        provenance: &Provenance,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a ToolId> + use<'a> {
        let mut bits = self.ceiling(principal, seen_at(now));
        self.narrow(&mut bits, provenance, seen_at(now));
        self.named(bits)
    }

    /// The decision on a tool that does not exist: the same shape as on one that is not visible (I5).
    #[must_use]
    pub fn explain_unknown(&self) -> Decision {
        Decision {
            verdict: Answer::Deny,
            reason: Reason::NotVisible,
            rules: Vec::new(),
            epoch: self.epoch,
            visibility: Visibility::Hidden,
            would_be: None,
        }
    }

    /// The sources of the configuration.
    pub fn sources(&self) -> impl Iterator<Item = &SourceName> {
        self.sources.keys()
    }

    /// The policy's number.
    #[must_use]
    pub fn epoch(&self) -> PolicyEpoch {
        self.epoch
    }

    fn named<'a>(&'a self, bits: Bits) -> impl Iterator<Item = &'a ToolId> + use<'a> {
        bits.into_ones().filter_map(|at| self.tools.get(at))
    }

    fn ceiling(&self, principal: &Principal, view: View<'_>) -> Bits {
        let mut bits = Bits::none(self.tools.len());
        // Roles first: an empty set of roles leaves nothing, whatever the other dimensions say.
        for row in principal.roles.iter().filter_map(|role| self.roles.get(role)) {
            match row.is_enforced(view) {
                true => bits.unite(&row.reach(view)),
                false => bits.fill(self.tools.len()),
            }
        }
        if principal.sources.is_empty() {
            bits.clear();
        }
        self.narrow(&mut bits, &principal.sources, view);
        if !self.agents.is_empty() {
            if principal.agents.is_empty() {
                bits.clear();
            }
            for agent in &principal.agents {
                intersect(&mut bits, self.agents.get(agent), view);
            }
        }
        bits
    }

    fn narrow(&self, bits: &mut Bits, provenance: &Provenance, view: View<'_>) {
        for source in provenance.iter() {
            intersect(bits, self.sources.get(source), view);
        }
    }

    fn all_rows(&self) -> impl Iterator<Item = &Row> {
        self.sources.values().chain(self.roles.values()).chain(self.agents.values())
    }
}

/// How visibility looks: at what is enforced at `now`, and at no arguments.
fn seen_at(now: Timestamp) -> View<'static> {
    View { now, shadow: Shadow::Recorded, case: None }
}

impl Permit {
    /// The call that was allowed.
    #[must_use]
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Why it was allowed.
    #[must_use]
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Gives the proof up for the call, for the one place that sends it.
    #[must_use]
    pub fn into_call(self) -> Call {
        self.call
    }
}

/// A row that is not configured leaves nothing (I2).
fn intersect(bits: &mut Bits, row: Option<&Row>, view: View<'_>) {
    match row {
        Some(row) if row.is_enforced(view) => bits.intersect(&row.reach(view)),
        // What is only recorded takes nothing away.
        Some(_) => {}
        None => bits.clear(),
    }
}

fn rows<Name: Ord>(lists: BTreeMap<Name, RowLists>, texts: &[String]) -> BTreeMap<Name, Row> {
    lists.into_iter().map(|(name, lists)| (name, Row::compile(lists, texts))).collect()
}
