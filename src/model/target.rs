//! What a call is for, as a permission speaks of it: a tool, a prompt, a resource, or what an upstream asks.
//!
//! Must never be told apart by anything but its class and its written form: two targets that are written
//! the same are the same. Trusts that names and URIs were checked when they were made.

use std::fmt;

use super::name::{PromptId, ToolId, UpstreamName};
use super::uri::Uri;

/// The classes of what is permitted. Each has its own lists (DESIGN §4.1; the six beside tools in
/// `resources`, `prompts`, … of a source, a role or an agent).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// `tools/call`. Written `upstream.tool`.
    Tool,
    /// `prompts/get`. Written `upstream.prompt`.
    Prompt,
    /// `resources/read` and subscriptions. Written `upstream:uri`, the URI in its normal form.
    Resource,
    /// `completion/complete`. Written as the upstream that completes.
    Completion,
    /// The upstream asks the agent's model. Written as the upstream that asks.
    Sampling,
    /// The upstream asks the user. Written as the upstream that asks.
    Elicitation,
    /// The upstream asks which directories the client works in. Written as the upstream that asks.
    Roots,
}

impl Class {
    /// Every class, tools first.
    pub const ALL: [Self; 7] = [
        Self::Tool,
        Self::Prompt,
        Self::Resource,
        Self::Completion,
        Self::Sampling,
        Self::Elicitation,
        Self::Roots,
    ];

    /// One word for it: in records, under which the target stands.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Prompt => "prompt",
            Self::Resource => "resource",
            Self::Completion => "completion",
            Self::Sampling => "sampling",
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
        }
    }

    /// What several of it are called: in sentences, and as keys of the configuration beside tools.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Tool => "tools",
            Self::Prompt => "prompts",
            Self::Resource => "resources",
            Self::Completion | Self::Sampling | Self::Elicitation | Self::Roots => self.code(),
        }
    }

    /// Whether an upstream asks for it and the run answers. Nobody plans or approves such an answer: for
    /// these, *plan* and *ask* are configuration errors (DESIGN §6).
    #[must_use]
    pub const fn is_answer(self) -> bool {
        matches!(self, Self::Sampling | Self::Elicitation | Self::Roots)
    }
}

/// The first class that something is named of, with the name; `names` are in the order of [`Class::ALL`].
#[must_use]
pub fn first<T: AsRef<str>>(names: [&Option<T>; Class::ALL.len()]) -> Option<(Class, &str)> {
    Class::ALL.into_iter().zip(names).find_map(|(class, name)| Some((class, name.as_ref()?.as_ref())))
}

/// A resource of an upstream: what a permission speaks of. Written `upstream:uri`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The upstream.
    pub upstream: UpstreamName,
    /// The URI in its normal form.
    pub uri: Uri,
}

impl fmt::Display for ResourceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.upstream, self.uri)
    }
}

/// What a call is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A tool.
    Tool(ToolId),
    /// A prompt.
    Prompt(PromptId),
    /// A resource.
    Resource(ResourceId),
    /// Completing an argument of a prompt or of a resource template of this upstream.
    Completion(UpstreamName),
    /// Answering this upstream's request for a completion of the agent's model.
    Sampling(UpstreamName),
    /// Answering this upstream's question to the user.
    Elicitation(UpstreamName),
    /// Telling this upstream which directories the client works in.
    Roots(UpstreamName),
}

impl Target {
    /// Its class.
    #[must_use]
    pub const fn class(&self) -> Class {
        match self {
            Self::Tool(_) => Class::Tool,
            Self::Prompt(_) => Class::Prompt,
            Self::Resource(_) => Class::Resource,
            Self::Completion(_) => Class::Completion,
            Self::Sampling(_) => Class::Sampling,
            Self::Elicitation(_) => Class::Elicitation,
            Self::Roots(_) => Class::Roots,
        }
    }

    /// The upstream that it belongs to.
    #[must_use]
    pub const fn upstream(&self) -> &UpstreamName {
        match self {
            Self::Tool(id) => &id.upstream,
            Self::Prompt(id) => &id.upstream,
            Self::Resource(id) => &id.upstream,
            Self::Completion(upstream)
            | Self::Sampling(upstream)
            | Self::Elicitation(upstream)
            | Self::Roots(upstream) => upstream,
        }
    }

    /// The tool, if it is one.
    #[must_use]
    pub const fn tool(&self) -> Option<&ToolId> {
        match self {
            Self::Tool(id) => Some(id),
            _ => None,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tool(id) => id.fmt(out),
            Self::Prompt(id) => id.fmt(out),
            Self::Resource(id) => id.fmt(out),
            Self::Completion(upstream)
            | Self::Sampling(upstream)
            | Self::Elicitation(upstream)
            | Self::Roots(upstream) => upstream.fmt(out),
        }
    }
}

/// The upstream of a target that was written as `text`, in the class `class`: what [`fmt::Display`] wrote.
#[must_use]
pub fn upstream_of(class: Class, text: &str) -> Option<UpstreamName> {
    // An upstream's name holds neither a dot nor a colon, so the first one ends it.
    let name = match class {
        Class::Tool | Class::Prompt => text.split_once('.')?.0,
        Class::Resource => text.split_once(':')?.0,
        Class::Completion | Class::Sampling | Class::Elicitation | Class::Roots => text,
    };
    UpstreamName::new(name).ok()
}
