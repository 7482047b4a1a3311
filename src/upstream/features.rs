//! What a tool server says that it has.
//!
//! Trusts it only so far: a server that says too much is asked and answers with an error, one that says too
//! little is not asked.

use crate::wire::{ListKind, Object, task};

/// One thing that a server can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Feature {
    /// Tools.
    Tools,
    /// It announces changes of its tools.
    ToolChanges,
    /// Prompts.
    Prompts,
    /// It announces changes of its prompts.
    PromptChanges,
    /// Resources and templates.
    Resources,
    /// It announces changes of the list of its resources.
    ResourceChanges,
    /// It announces changes of single resources.
    Subscriptions,
    /// It completes arguments.
    Completion,
    /// It sends log messages.
    Logging,
    /// It can make tasks of calls where it is asked to (2025-11-25).
    Tasks,
    /// It makes tasks of calls where the client takes them (2026-07-28, the extension).
    TaskExtension,
}

impl Feature {
    /// Every feature that one or two members say, with the members of `capabilities` that say so.
    const ALL: [(Self, &'static str, Option<&'static str>); 9] = [
        (Self::Tools, "tools", None),
        (Self::ToolChanges, "tools", Some("listChanged")),
        (Self::Prompts, "prompts", None),
        (Self::PromptChanges, "prompts", Some("listChanged")),
        (Self::Resources, "resources", None),
        (Self::ResourceChanges, "resources", Some("listChanged")),
        (Self::Subscriptions, "resources", Some("subscribe")),
        (Self::Completion, "completions", None),
        (Self::Logging, "logging", None),
    ];

    /// What a server has that has a list of `kind`.
    #[must_use]
    pub const fn listing(kind: ListKind) -> Self {
        match kind {
            ListKind::Tools => Self::Tools,
            ListKind::Prompts => Self::Prompts,
            ListKind::Resources | ListKind::ResourceTemplates => Self::Resources,
        }
    }

    /// What a server has that announces changes of its list of `kind`.
    #[must_use]
    pub const fn changes(kind: ListKind) -> Self {
        match kind {
            ListKind::Tools => Self::ToolChanges,
            ListKind::Prompts => Self::PromptChanges,
            ListKind::Resources | ListKind::ResourceTemplates => Self::ResourceChanges,
        }
    }

    const fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// Everything that a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Features(u16);

impl Features {
    /// What `capabilities` say (2025-11-25, basic/lifecycle, "Capability Negotiation").
    pub(super) fn of(capabilities: &Object) -> Self {
        let said = |group: &str, member: Option<&str>| {
            let group = capabilities.get(group).and_then(|raw| Object::of(&raw).ok());
            group.is_some_and(|group| match member {
                Some(member) => group.get(member).as_deref() == Some(b"true"),
                None => true,
            })
        };
        let found = Feature::ALL.into_iter().filter(|(_, group, member)| said(group, *member));
        let mut bits = found.fold(0, |bits, (feature, ..)| bits | feature.bit());
        let within = |path: &[&str]| {
            let mut at = Some(capabilities.clone());
            for key in path {
                at = at.and_then(|object| Object::of(&object.get(key)?).ok());
            }
            at.is_some()
        };
        if within(&["tasks", "requests", "tools", "call"]) {
            bits |= Feature::Tasks.bit();
        }
        if within(&["extensions", task::EXTENSION]) {
            bits |= Feature::TaskExtension.bit();
        }
        Self(bits)
    }

    /// Whether `feature` is among them.
    #[must_use]
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & feature.bit() != 0
    }

    /// Whether the server announces changes of any of its lists.
    pub(super) fn announces_changes(self) -> bool {
        [Feature::ToolChanges, Feature::PromptChanges, Feature::ResourceChanges]
            .into_iter()
            .any(|feature| self.has(feature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_told_apart() {
        let raw = br#"{"tools":{},"prompts":{"listChanged":true},"resources":{"subscribe":true,"listChanged":false},"logging":7,"tasks":{"requests":{"tools":{"call":{}}}},"extensions":{"io.modelcontextprotocol/tasks":[]}}"#;
        let features = Features::of(&Object::of(&bytes::Bytes::from_static(raw)).unwrap());
        use Feature as F;
        for feature in [F::Tools, F::Prompts, F::PromptChanges, F::Subscriptions, F::Tasks] {
            assert!(features.has(feature), "{feature:?}");
        }
        let not_said = [F::ToolChanges, F::ResourceChanges, F::Completion, F::Logging, F::TaskExtension];
        for feature in not_said {
            assert!(!features.has(feature), "{feature:?}");
        }
        assert!(features.announces_changes());
    }
}
