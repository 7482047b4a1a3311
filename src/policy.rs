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
//! 6. A changed definition refuses what nobody denies.
//!
//! **Example.** `chat` allows `*`, `web` allows `browser.*`, `assistant` allows `mail.*` and
//! `browser.*`. A chat run of an assistant sees `mail.send` and may call it. After it has read a page,
//! its provenance is `{chat, web}`: `mail.send` stays visible and is refused with `source_denies`,
//! determined by `web`; `browser.open` still passes.

mod bits;
mod changes;
mod judge;
mod row;
mod rules;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::call::Call;
use crate::model::decision::{Answer, Decision, PolicyEpoch, Visibility};
use crate::model::name::{AgentName, RoleName, SourceName, ToolId};
use crate::model::principal::Principal;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::target::{Class, Target};

use bits::Bits;
use row::{About, Row};

pub use rules::{Lists, Permission, RowLists, Rules};

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
    /// Compiles `rules` against `tools`. A tool that is named twice counts once.
    #[must_use]
    pub fn compile(rules: Rules, tools: &[ToolId], epoch: PolicyEpoch) -> Self {
        let mut written: Vec<(String, ToolId)> =
            tools.iter().map(|tool| (tool.to_string(), tool.clone())).collect();
        written.sort();
        written.dedup();
        let (texts, tools): (Vec<String>, Vec<ToolId>) = written.into_iter().unzip();
        let index = tools.iter().cloned().enumerate().map(|(at, tool)| (tool, at)).collect();
        Self {
            epoch,
            index,
            tools: tools.into(),
            sources: rows(rules.sources, &texts),
            roles: rows(rules.roles, &texts),
            agents: rows(rules.agents, &texts),
        }
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
        match &call.target {
            Target::Tool(id) => match self.index.get(id) {
                Some(&tool) => self.judge(principal, standing, About::Tool(tool), call.pin),
                None => self.explain_unknown(),
            },
            other => {
                let text = other.to_string();
                self.judge(principal, standing, About::Other(other.class(), &text), call.pin)
            }
        }
    }

    /// Whether `principal` may know of `target`: the ceiling of its own sources, roles and agents (I5).
    #[must_use]
    pub fn shows(&self, principal: &Principal, target: &Target) -> bool {
        self.reaches(principal, &Provenance::default(), target)
    }

    /// Whether `principal` may know of anything of `class` whose written form matches the glob `pattern`. May
    /// say so where there is nothing; says no only where there can be nothing.
    #[must_use]
    pub fn may_show(&self, principal: &Principal, class: Class, pattern: &str) -> bool {
        let opens = |row: Option<&Row>| row.is_some_and(|row| row.may_open(class, pattern));
        let agents = &principal.agents;
        !principal.sources.is_empty()
            && principal.sources.iter().all(|source| opens(self.sources.get(source)))
            && principal.roles.iter().any(|role| opens(self.roles.get(role)))
            && (self.agents.is_empty()
                || !agents.is_empty() && agents.iter().all(|agent| opens(self.agents.get(agent))))
    }

    /// Whether `target` is visible and `provenance` does not deny it, as in [`Policy::open`].
    #[must_use]
    pub fn leaves_open(&self, principal: &Principal, provenance: &Provenance, target: &Target) -> bool {
        self.reaches(principal, provenance, target)
    }

    /// Whether the credential's own rows, and those of `sources`, leave `target` open to anyone's yes.
    fn reaches(&self, principal: &Principal, sources: &Provenance, target: &Target) -> bool {
        let text = target.to_string();
        let about = match target {
            Target::Tool(id) => self.index.get(id).map(|tool| About::Tool(*tool)),
            other => Some(About::Other(other.class(), &text)),
        };
        let open = |row: Option<&Row>, about| row.is_some_and(|row| row.answer(about).0 != Answer::Deny);
        about.is_some_and(|about| {
            self.own(principal, about).verdict != Answer::Deny
                && sources.iter().all(|source| open(self.sources.get(source), about))
        })
    }

    /// The tools that `principal` may know of: the ceiling of its own sources, roles and agents (I5).
    pub fn visible<'a>(&'a self, principal: &Principal) -> impl Iterator<Item = &'a ToolId> + use<'a> {
        self.named(self.ceiling(principal))
    }

    /// The visible tools that `provenance` does not deny: a list that shrinks with taint, as a courtesy.
    pub fn open<'a>(
        &'a self,
        principal: &Principal,
        provenance: &Provenance,
    ) -> impl Iterator<Item = &'a ToolId> + use<'a> {
        let mut bits = self.ceiling(principal);
        self.narrow(&mut bits, provenance);
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

    fn ceiling(&self, principal: &Principal) -> Bits {
        let mut bits = Bits::none(self.tools.len());
        // Roles first: an empty set of roles leaves nothing, whatever the other dimensions say.
        for row in principal.roles.iter().filter_map(|role| self.roles.get(role)) {
            bits.unite(row.reach());
        }
        if principal.sources.is_empty() {
            bits.clear();
        }
        self.narrow(&mut bits, &principal.sources);
        if !self.agents.is_empty() {
            if principal.agents.is_empty() {
                bits.clear();
            }
            for agent in &principal.agents {
                intersect(&mut bits, self.agents.get(agent));
            }
        }
        bits
    }

    fn narrow(&self, bits: &mut Bits, provenance: &Provenance) {
        for source in provenance.iter() {
            intersect(bits, self.sources.get(source));
        }
    }
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
fn intersect(bits: &mut Bits, row: Option<&Row>) {
    match row {
        Some(row) => bits.intersect(row.reach()),
        None => bits.clear(),
    }
}

fn rows<Name: Ord>(lists: BTreeMap<Name, RowLists>, texts: &[String]) -> BTreeMap<Name, Row> {
    lists.into_iter().map(|(name, lists)| (name, Row::compile(lists, texts))).collect()
}
