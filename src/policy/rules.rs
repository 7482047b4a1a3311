//! What the policy is compiled from: the lists of every source, role and agent, with their places.
//!
//! Must never be changed after it was checked; `config` fills it. Trusts that names were declared.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::condition::Condition;
use super::guardrail::Guardrail;
use crate::model::glob::Glob;
use crate::model::name::{AgentName, RoleName, SourceName};
use crate::model::place::Place;
use crate::model::target::Class;
use crate::model::trigger::Declarations;

/// Every list of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `[sources.*]`.
    pub sources: BTreeMap<SourceName, RowLists>,
    /// `[roles.*]`.
    pub roles: BTreeMap<RoleName, RowLists>,
    /// `[agents.*]`. Where empty, agents are no dimension of the decision.
    pub agents: BTreeMap<AgentName, RowLists>,
    /// The attributes that `trigger` has in each source.
    pub triggers: Declarations,
    /// `guardrails`.
    pub guardrails: Vec<Guardrail>,
}

impl Rules {
    /// Whether anything is only recorded, or was until a moment.
    pub(super) fn has_shadow(&self) -> bool {
        let in_row = |row: &RowLists| row.shadow.is_some() || row.lists.values().any(Lists::has_shadow);
        self.sources.values().chain(self.roles.values()).chain(self.agents.values()).any(in_row)
    }

    /// Whether any list says *plan* to anything.
    #[must_use]
    pub fn has_plan(&self) -> bool {
        let in_row = |row: &RowLists| row.lists.values().any(|lists| !lists.plan.is_empty());
        self.sources.values().chain(self.roles.values()).chain(self.agents.values()).any(in_row)
    }

    /// Whether any list says *ask* to a tool.
    #[must_use]
    pub fn has_ask(&self) -> bool {
        let in_row = |row: &RowLists| !row.of(Class::Tool).ask.is_empty();
        self.sources.values().chain(self.roles.values()).chain(self.agents.values()).any(in_row)
    }

    /// Whether anybody could ever be allowed `text` of `class`: some source, some role and, where there are
    /// agents, some agent leaves it open.
    #[must_use]
    pub fn may_ever(&self, class: Class, text: &str) -> bool {
        let opens = |lists: &RowLists| lists.shadow.is_some() || lists.of(class).opens(text);
        self.sources.values().any(opens)
            && self.roles.values().any(opens)
            && (self.agents.is_empty() || self.agents.values().any(opens))
    }
}

/// The lists of one source, one role or one agent, by the class of what they speak of. A class without
/// lists is denied (I2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowLists {
    lists: BTreeMap<Class, Lists>,
    /// Until when what it says is only recorded (`enforce = false`, `until`).
    pub shadow: Option<Timestamp>,
}

impl RowLists {
    /// The lists of `class`; empty ones where nothing was written.
    #[must_use]
    pub fn of(&self, class: Class) -> &Lists {
        static NOTHING: Lists =
            Lists { allow: Vec::new(), plan: Vec::new(), ask: Vec::new(), deny: Vec::new() };
        self.lists.get(&class).unwrap_or(&NOTHING)
    }

    /// Takes the lists of `class` out.
    pub(super) fn take(&mut self, class: Class) -> Lists {
        self.lists.remove(&class).unwrap_or_default()
    }
}

impl FromIterator<(Class, Lists)> for RowLists {
    fn from_iter<Each: IntoIterator<Item = (Class, Lists)>>(lists: Each) -> Self {
        Self { lists: lists.into_iter().collect(), shadow: None }
    }
}

/// The four lists of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lists {
    /// May pass.
    pub allow: Vec<Permission>,
    /// May pass under a grant.
    pub plan: Vec<Permission>,
    /// May pass when a person approved.
    pub ask: Vec<Permission>,
    /// May not pass.
    pub deny: Vec<Permission>,
}

impl Lists {
    fn has_shadow(&self) -> bool {
        let Self { allow, plan, ask, deny } = self;
        [allow, plan, ask, deny].into_iter().flatten().any(|entry| entry.shadow.is_some())
    }

    fn opens(&self, text: &str) -> bool {
        let matches = |list: &Vec<Permission>| list.iter().any(|entry| entry.glob.matches(text));
        let denies = |entry: &Permission| entry.always_counts() && entry.glob.matches(text);
        !self.deny.iter().any(denies) && [&self.allow, &self.plan, &self.ask].into_iter().any(matches)
    }
}

/// One entry of a list: a glob over the written form of a target, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What it speaks of.
    pub glob: Glob,
    /// Where it stands.
    pub place: Place,
    /// Under which condition it counts (`when`); always without one.
    pub condition: Option<Condition>,
    /// The destinations that its condition leaves open on purpose (`unconstrained`).
    pub unconstrained: BTreeSet<String>,
    /// Until when it is only recorded what it would say (`enforce = false`, `until`).
    pub shadow: Option<Timestamp>,
}

impl Permission {
    /// An entry that always counts.
    #[must_use]
    pub fn unconditional(glob: Glob, place: Place) -> Self {
        Self { glob, place, condition: None, unconstrained: BTreeSet::new(), shadow: None }
    }

    /// Whether it counts whatever the call is and whenever it is made.
    pub(super) fn always_counts(&self) -> bool {
        self.condition.is_none() && self.shadow.is_none()
    }
}
