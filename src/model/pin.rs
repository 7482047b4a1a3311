//! What of an upstream is pinned, what happened to a pin, and what looks suspicious in a definition.
//!
//! Must never decide: a finding is for people to read. Text of upstreams in it is bounded, and escaped by
//! whoever shows it.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use super::name::{PromptId, PromptName, ToolId, ToolName, UpstreamName};
use super::text::Bounded;
use super::uri::URI_BYTES_MAX;

/// Bound of the place of a finding inside of its definition, in bytes.
pub const FINDING_AT_BYTES_MAX: usize = 128;
/// Bound of what a finding shows of its definition, in bytes.
pub const FINDING_EXCERPT_BYTES_MAX: usize = 96;
/// Most findings that are kept of one definition; whoever writes more of them has made the point.
pub const FINDINGS_MAX: usize = 16;

/// One thing that an upstream defines, and that counts only as it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pinned {
    /// What it says of itself (`instructions` of its introduction).
    Instructions,
    /// A tool.
    Tool(ToolName),
    /// A prompt.
    Prompt(PromptName),
    /// A resource template, by its URI template: ASCII, at most [`URI_BYTES_MAX`] bytes.
    Template(Arc<str>),
}

/// A pin of an upstream. Written `upstream.tool`, `prompt:upstream.prompt`, `template:upstream:uri` and
/// `instructions:upstream`: a name of an upstream holds neither a dot nor a colon, that of a tool no colon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PinId {
    /// Whose definition it is.
    pub upstream: UpstreamName,
    /// What it defines.
    pub pinned: Pinned,
}

/// What happened to a pin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PinChange {
    /// Accepted on first use.
    First,
    /// New, and not accepted: it waits for a person (`pins = "lock"`).
    New,
    /// Accepted by a person.
    Accepted,
    /// Forgotten by a person: it is no longer offered.
    Forgotten,
    /// The upstream offers another definition than the accepted one.
    Changed,
    /// Another definition was taken without asking (`pins = "trust"`).
    Taken,
    /// The upstream offers the accepted definition again.
    Restored,
}

/// A pin that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinMove {
    /// Which one.
    pub id: PinId,
    /// What happened.
    pub change: PinChange,
    /// The definition that is accepted from now on or still; none where none is.
    pub accepted: Option<Sha256>,
    /// The definition that was accepted until now, where another takes its place or none does.
    pub before: Option<Sha256>,
    /// The definition that the upstream offers, where it differs from the accepted one.
    pub offered: Option<Sha256>,
    /// What looks suspicious in the one that is new here.
    pub findings: Findings,
}

/// What looks suspicious in one definition, in the order in which it stands there.
pub type Findings = Arc<[Finding]>;

/// One thing that looks suspicious in a definition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of thing.
    pub what: Suspicion,
    /// Where in the definition: keys and indices, joined by dots. Text of the upstream.
    pub at: Bounded<FINDING_AT_BYTES_MAX>,
    /// What stands there. Text of the upstream.
    pub excerpt: Bounded<FINDING_EXCERPT_BYTES_MAX>,
}

/// What can look suspicious in a definition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Suspicion {
    /// Characters that no reader sees: of no width, of another direction, tags, variations.
    Hidden,
    /// Characters that a terminal obeys.
    Control,
    /// A word in letters of several alphabets that look alike.
    Homoglyphs,
    /// A sentence that tells a model what to do, beside what the tool does.
    Instruction,
    /// A file that holds credentials.
    CredentialFile,
    /// A text longer than any description has to be.
    Overlong,
    /// A schema that refers to somewhere else.
    RemoteReference,
}

impl PinId {
    /// The pin of a tool.
    #[must_use]
    pub fn of_tool(id: ToolId) -> Self {
        Self { upstream: id.upstream, pinned: Pinned::Tool(id.tool) }
    }

    /// The pin that was written as `text`; `None` where it was none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let id = |upstream: &str, pinned| Some(Self { upstream: UpstreamName::new(upstream).ok()?, pinned });
        match text.split_once(':') {
            None => {
                let (upstream, tool) = text.split_once('.')?;
                id(upstream, Pinned::Tool(ToolName::new(tool).ok()?))
            }
            Some(("prompt", rest)) => {
                let (upstream, prompt) = rest.split_once('.')?;
                id(upstream, Pinned::Prompt(PromptName::new(prompt).ok()?))
            }
            Some(("template", rest)) => {
                let (upstream, uri) = rest.split_once(':')?;
                id(upstream, Pinned::template(uri)?)
            }
            Some(("instructions", upstream)) => id(upstream, Pinned::Instructions),
            Some(_) => None,
        }
    }

    /// The tool, if it is one's.
    #[must_use]
    pub fn tool(&self) -> Option<ToolId> {
        match &self.pinned {
            Pinned::Tool(tool) => Some(ToolId { upstream: self.upstream.clone(), tool: tool.clone() }),
            _ => None,
        }
    }
}

impl Pinned {
    /// The template of `uri`; `None` where no template may be written so.
    #[must_use]
    pub fn template(uri: &str) -> Option<Self> {
        let may_be = !uri.is_empty() && uri.len() <= URI_BYTES_MAX && uri.is_ascii();
        (may_be && !uri.bytes().any(|byte| byte.is_ascii_control())).then(|| Self::Template(uri.into()))
    }

    /// What it is, in one word.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Instructions => "instructions",
            Self::Tool(_) => "tool",
            Self::Prompt(_) => "prompt",
            Self::Template(_) => "template",
        }
    }
}

impl fmt::Display for PinId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upstream = self.upstream.clone();
        match &self.pinned {
            Pinned::Instructions => write!(out, "instructions:{upstream}"),
            Pinned::Tool(tool) => ToolId { upstream, tool: tool.clone() }.fmt(out),
            Pinned::Prompt(prompt) => {
                write!(out, "prompt:{}", PromptId { upstream, prompt: prompt.clone() })
            }
            Pinned::Template(uri) => write!(out, "template:{upstream}:{uri}"),
        }
    }
}

impl PinChange {
    /// Everything that can happen.
    pub const ALL: [Self; 7] =
        [Self::First, Self::New, Self::Accepted, Self::Forgotten, Self::Changed, Self::Taken, Self::Restored];

    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::New => "new",
            Self::Accepted => "accepted",
            Self::Forgotten => "forgotten",
            Self::Changed => "changed",
            Self::Taken => "taken",
            Self::Restored => "restored",
        }
    }
}

impl Suspicion {
    /// The word in a record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hidden => "hidden",
            Self::Control => "control",
            Self::Homoglyphs => "homoglyphs",
            Self::Instruction => "instruction",
            Self::CredentialFile => "credential_file",
            Self::Overlong => "overlong",
            Self::RemoteReference => "remote_reference",
        }
    }

    /// What a person is told of it.
    #[must_use]
    pub const fn sentence(self) -> &'static str {
        match self {
            Self::Hidden => "characters that no reader sees",
            Self::Control => "characters that a terminal obeys",
            Self::Homoglyphs => "letters of several alphabets in one word",
            Self::Instruction => "a sentence that tells the model what to do",
            Self::CredentialFile => "a file that holds credentials",
            Self::Overlong => "a text longer than a description has to be",
            Self::RemoteReference => "a schema that refers to somewhere else",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_as_what_it_was() {
        for text in [
            "mail.send",
            "mail.send.prompt",
            "prompt:mail.greet:x.y",
            "template:mail:note:{id}",
            "instructions:mail",
        ] {
            assert_eq!(PinId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
        }
        for text in ["", "mail", "mail.", "prompt:mail", "template:mail:", "template:a:\u{e9}", "x:mail.send"]
        {
            assert_eq!(PinId::parse(text), None, "{text}");
        }
    }
}
