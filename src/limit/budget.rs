//! One budget as it was checked: what counts for it, for whom it counts apart, and how much there may be.
//!
//! Must never take two combinations for one: a count's key is a digest over the budget's name, its filters, what
//! it tells apart, and the values. A budget whose name, filters and `per` stay keeps its counts, across a reload
//! and a restart.

use std::collections::{BTreeMap, BTreeSet};

use super::{Keys, Who};
use crate::model::budget::Amount;
use crate::model::digest::{Digesting, Sha256};
use crate::model::glob::Glob;
use crate::model::name::{AgentName, BudgetName, SourceName, UpstreamName};
use crate::model::target::Target;

/// Most budgets of a configuration: each call looks at all of them.
pub const BUDGETS_MAX: usize = 64;
/// Most counts that one call counts for, over all budgets: its record holds them all. A call that would count for
/// more is refused (`budgets_full`).
pub const CHARGES_PER_CALL_MAX: usize = 256;

/// One budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Budget {
    /// Its name, which stands in records of refusals.
    pub name: BudgetName,
    /// What counts for it.
    pub filter: Filter,
    /// For what it counts apart; one count for everything where this is empty.
    pub per: BTreeSet<Per>,
    /// How much there may be of what in its window.
    pub limits: BTreeMap<Amount, u64>,
    /// How many calls of it may be in flight.
    pub in_flight_max: Option<u64>,
    /// Largest answer to a call of it, in bytes.
    pub result_max: Option<u64>,
}

/// What counts for a budget. A list that is empty lets everything count.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// What a source of these has influenced.
    pub sources: Vec<SourceName>,
    /// On whose behalf.
    pub subjects: Vec<Glob>,
    /// By an agent of these, wherever it stands in its chain.
    pub agents: Vec<AgentName>,
    /// At which upstreams.
    pub upstreams: Vec<UpstreamName>,
    /// By which tools, as permissions name them.
    pub tools: Vec<Glob>,
}

macro_rules! dimensions {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal;)+) => {
        /// What a budget may count apart.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Per {
            $($(#[doc = $doc])+ $variant,)+
        }

        impl Per {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word of the configuration.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }
    };
}

dimensions! {
    /// Each source that has influenced the run.
    Source = "source";
    /// On whose behalf.
    Subject = "subject";
    /// Each agent of the chain.
    Agent = "agent";
    /// Each tool; of what is no tool, each class at each upstream.
    Tool = "tool";
    /// Each upstream.
    Upstream = "upstream";
    /// Each run.
    Run = "run";
}

/// A budget with what its counts are known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) budget: Budget,
    identity: Sha256,
}

impl Counted {
    pub(super) fn new(budget: Budget) -> Self {
        let identity = identity(&budget);
        Self { budget, identity }
    }

    /// Whether what one counted the other goes on counting.
    pub(super) fn counts_like(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Gives `take` every count that this call is counted in. What has no target, because it was refused, counts
    /// for budgets that ask for none.
    pub(super) fn due(&self, who: &Who<'_>, target: Option<&Target>, mut take: impl FnMut(Sha256)) {
        let Filter { sources, subjects, agents, upstreams, tools } = &self.budget.filter;
        let upstream = target.map(Target::upstream);
        let tool = target.and_then(Target::tool);
        let is_for = |globs: &[Glob], text: &str| globs.is_empty() || globs.iter().any(|g| g.matches(text));
        let upstream_counts =
            upstreams.is_empty() || upstream.is_some_and(|upstream| upstreams.contains(upstream));
        let tool_counts = tools.is_empty() || tool.is_some_and(|tool| is_for(tools, &tool.to_string()));
        if !is_for(subjects, who.principal.subject.as_str()) || !upstream_counts || !tool_counts {
            return;
        }
        let source_counts = |source: &&SourceName| sources.is_empty() || sources.contains(source);
        let of_sources: Vec<&str> =
            who.sources.iter().filter(source_counts).map(SourceName::as_str).collect();
        let agent_counts = |agent: &&AgentName| agents.is_empty() || agents.contains(agent);
        let chain = &who.principal.agents;
        let of_agents: Vec<&str> = chain.iter().filter(agent_counts).map(AgentName::as_str).collect();
        if (of_sources.is_empty() && !sources.is_empty()) || (of_agents.is_empty() && !agents.is_empty()) {
            return;
        }
        let every_source = self.apart(Per::Source, &of_sources);
        let every_agent = self.apart(Per::Agent, &of_agents);
        for source in &every_source {
            for agent in &every_agent {
                take(self.key(who, target, source, agent));
            }
        }
    }

    /// Each of `values` where the budget counts them apart. Where there is none, that is a value too.
    fn apart<'v>(&self, per: Per, values: &[&'v str]) -> Vec<&'v str> {
        if values.is_empty() || !self.budget.per.contains(&per) { vec![""] } else { values.to_vec() }
    }

    fn key(&self, who: &Who<'_>, target: Option<&Target>, source: &str, agent: &str) -> Sha256 {
        let mut digesting = Digesting::default();
        digesting.update(self.identity.as_bytes());
        for per in &self.budget.per {
            let made;
            let value = match per {
                Per::Source => source,
                Per::Agent => agent,
                Per::Subject => who.principal.subject.as_str(),
                Per::Run => who.run.map(|run| run.as_str()).unwrap_or_default(),
                Per::Upstream => target.map(|target| target.upstream().as_str()).unwrap_or_default(),
                Per::Tool => {
                    made = target.map(tool_of).unwrap_or_default();
                    &made
                }
            };
            digesting.update(value.as_bytes());
            // No name holds it, so that no two lists of values read the same.
            digesting.update(b"\0");
        }
        digesting.finish()
    }
}

/// What a call counts as where tools are told apart. A resource counts with the others of its upstream: its URI is
/// the caller's to choose, and a count for each would have no end.
fn tool_of(target: &Target) -> String {
    match target {
        Target::Tool(id) => id.to_string(),
        other => format!("{} {}", other.class().code(), other.upstream()),
    }
}

/// What stays the same for as long as the budget's counts go on.
fn identity(budget: &Budget) -> Sha256 {
    let Filter { sources, subjects, agents, upstreams, tools } = &budget.filter;
    let mut text = format!("budget {}\n", budget.name);
    let mut list = |word: &str, mut values: Vec<&str>| {
        values.sort_unstable();
        values.dedup();
        text.push_str(&format!("{word} {}\n", values.join(" ")));
    };
    list("source", sources.iter().map(SourceName::as_str).collect());
    list("subject", subjects.iter().map(Glob::as_str).collect());
    list("agent", agents.iter().map(AgentName::as_str).collect());
    list("upstream", upstreams.iter().map(UpstreamName::as_str).collect());
    list("tools", tools.iter().map(Glob::as_str).collect());
    list("per", budget.per.iter().map(|per| per.word()).collect());
    Sha256::of(text.as_bytes())
}

/// One count that something counts in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'b> {
    pub(super) budget: &'b Budget,
    pub(super) key: Sha256,
}

/// Every count that a call counts in, unless there are too many: then the first budget that has no more room.
pub(super) fn due_of<'b>(
    budgets: &'b [Counted],
    who: &Who<'_>,
    target: Option<&Target>,
) -> Result<Vec<Due<'b>>, &'b Budget> {
    let mut due = Vec::new();
    for counted in budgets {
        counted.due(who, target, |key| due.push(Due { budget: &counted.budget, key }));
        if due.len() > CHARGES_PER_CALL_MAX {
            return Err(&counted.budget);
        }
    }
    Ok(due)
}

impl Keys<'_> {
    /// The counts of `budgets` that this call counts in.
    pub(super) fn due<'b>(&self, budgets: &'b [Counted]) -> Result<Vec<Due<'b>>, &'b Budget> {
        due_of(budgets, &self.who, Some(self.target))
    }
}
