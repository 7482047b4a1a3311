//! What the policy is compiled from: the lists of every source, role and agent, with their places.
//!
//! Must never be changed after it was checked; `config` fills it. Trusts that names were declared.

use std::collections::BTreeMap;

use crate::model::glob::Glob;
use crate::model::name::{AgentName, RoleName, SourceName};
use crate::model::place::Place;
use crate::model::target::Class;

/// Every list of the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// `[sources.*]`.
    pub sources: BTreeMap<SourceName, RowLists>,
    /// `[roles.*]`.
    pub roles: BTreeMap<RoleName, RowLists>,
    /// `[agents.*]`. Where empty, agents are no dimension of the decision.
    pub agents: BTreeMap<AgentName, RowLists>,
}

impl Rules {
    /// Whether anybody could ever be allowed `text` of `class`: some source, some role and, where there are
    /// agents, some agent leaves it open.
    #[must_use]
    pub fn may_ever(&self, class: Class, text: &str) -> bool {
        let opens = |lists: &RowLists| lists.of(class).opens(text);
        self.sources.values().any(opens)
            && self.roles.values().any(opens)
            && (self.agents.is_empty() || self.agents.values().any(opens))
    }
}

/// The lists of one source, one role or one agent, by the class of what they speak of. A class without
/// lists is denied (I2).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowLists(BTreeMap<Class, Lists>);

impl RowLists {
    /// The lists of `class`; empty ones where nothing was written.
    #[must_use]
    pub fn of(&self, class: Class) -> &Lists {
        static NOTHING: Lists =
            Lists { allow: Vec::new(), plan: Vec::new(), ask: Vec::new(), deny: Vec::new() };
        self.0.get(&class).unwrap_or(&NOTHING)
    }

    /// Takes the lists of `class` out.
    pub(super) fn take(&mut self, class: Class) -> Lists {
        self.0.remove(&class).unwrap_or_default()
    }
}

impl FromIterator<(Class, Lists)> for RowLists {
    fn from_iter<Each: IntoIterator<Item = (Class, Lists)>>(lists: Each) -> Self {
        Self(lists.into_iter().collect())
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
    fn opens(&self, text: &str) -> bool {
        let matches = |list: &Vec<Permission>| list.iter().any(|entry| entry.glob.matches(text));
        !matches(&self.deny) && [&self.allow, &self.plan, &self.ask].into_iter().any(matches)
    }
}

/// One entry of a list: a glob over the written form of a target, and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// What it speaks of.
    pub glob: Glob,
    /// Where it stands.
    pub place: Place,
}
