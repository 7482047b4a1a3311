//! Names, each a type of its own with its own alphabet, so that none can be taken for another.
//!
//! Must never be built from unchecked text. Trusts nothing; every constructor validates.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest name of a source, role, agent, upstream or entry point, in bytes.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest subject, in bytes.
pub const SUBJECT_BYTES_MAX: usize = 256;
/// Longest tool name that the MCP specification allows (2025-11-25, server/tools, "Tool Names").
pub const TOOL_NAME_BYTES_MAX: usize = 128;
/// Longest name of a prompt at its upstream, in bytes.
pub const PROMPT_NAME_BYTES_MAX: usize = 128;

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing was written.
    #[error("a name cannot be empty")]
    Empty,
    /// The text is longer than the limit of this kind of name.
    #[error("a name of this kind has at most {0} bytes")]
    TooLong(usize),
    /// A character outside the alphabet of this kind of name.
    #[error("`{0}` cannot stand in a name of this kind; {1}")]
    Character(char, &'static str),
    /// `__` separates upstream and tool on the wire, so it cannot stand inside an upstream's name.
    #[error("`__` separates upstream and tool on the wire and cannot stand in an upstream's name")]
    Separator,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $check:path) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the alphabet and length of this kind of name.
            ///
            /// # Errors
            /// [`NameError`] says which rule `text` breaks.
            pub fn new(text: &str) -> Result<Self, NameError> {
                $check(text)?;
                Ok(Self(text.into()))
            }

            /// The name as it is written.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
                out.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
                Self::new(&text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A named origin of content: `chat`, `email`, `webhook.github`. Exact; a dot is only a character.
    SourceName,
    plain
);
name!(
    /// A named bundle of permissions that subjects hold.
    RoleName,
    plain
);
name!(
    /// An agent as an entry point vouches for it.
    AgentName,
    wide
);
name!(
    /// The person or service on whose behalf a run acts (`sub`).
    Subject,
    wide
);
name!(
    /// An upstream as the configuration names it. Never holds `__`.
    UpstreamName,
    upstream
);
name!(
    /// A tool as its upstream names it, in the specification's alphabet
    /// (2025-11-25, server/tools, "Tool Names": `A-Z a-z 0-9 _ - .`, 1 to 128).
    ToolName,
    tool
);
name!(
    /// A prompt as its upstream names it: visible ASCII, 1 to 128. The specification gives prompts no
    /// alphabet; what a permission could not be written for is not listed.
    PromptName,
    prompt
);
name!(
    /// What vouches for a label, as the configuration names it: `keys.laptop`, `listen.agents/1000`.
    EntryPointName,
    wide
);

name!(
    /// A budget as the configuration names it.
    BudgetName,
    plain
);
name!(
    /// A flow or a request shape as the configuration names it.
    RuleName,
    plain
);
name!(
    /// A kind of request that an entry point vouches for (`tctx.goal`).
    Goal,
    plain
);
name!(
    /// An attribute of a trigger: `sender`, `auth`.
    AttributeName,
    plain
);
name!(
    /// The id of a run as whoever dispatches its trigger names it (`txn`).
    Txn,
    wide
);

/// A tool of an upstream: what a permission speaks of. Written `upstream.tool`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolId {
    /// The upstream that offers it.
    pub upstream: UpstreamName,
    /// Its name at that upstream.
    pub tool: ToolName,
}

/// A prompt of an upstream: what a permission speaks of. Written `upstream.prompt`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptId {
    /// The upstream that offers it.
    pub upstream: UpstreamName,
    /// Its name at that upstream.
    pub prompt: PromptName,
}

impl fmt::Display for PromptId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.upstream, self.prompt)
    }
}

impl fmt::Display for ToolId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}.{}", self.upstream, self.tool)
    }
}

impl std::str::FromStr for ToolId {
    type Err = NameError;

    /// `upstream.tool`, as permissions name it. An upstream's name holds no dot, so the first one ends it.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let (upstream, tool) = text.split_once('.').unwrap_or((text, ""));
        Ok(Self { upstream: UpstreamName::new(upstream)?, tool: ToolName::new(tool)? })
    }
}

/// As permissions name it.
impl Serialize for ToolId {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ToolId {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(input)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

fn plain(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    check(text, NAME_BYTES_MAX, allowed, "letters, digits, `_`, `-` and `.` can")
}

fn wide(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '*');
    let advice = "visible ASCII without quotes, backslash and `*` can";
    check(text, SUBJECT_BYTES_MAX, allowed, advice)
}

fn upstream(text: &str) -> Result<(), NameError> {
    if text.contains("__") {
        return Err(NameError::Separator);
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    check(text, NAME_BYTES_MAX, allowed, "letters, digits, `_` and `-` can")
}

fn tool(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    check(text, TOOL_NAME_BYTES_MAX, allowed, "letters, digits, `_`, `-` and `.` can")
}

fn prompt(text: &str) -> Result<(), NameError> {
    let allowed = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '*');
    check(text, PROMPT_NAME_BYTES_MAX, allowed, "visible ASCII without quotes, backslash and `*` can")
}

fn check(
    text: &str,
    bytes_max: usize,
    allowed: impl Fn(char) -> bool,
    advice: &'static str,
) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    if text.len() > bytes_max {
        return Err(NameError::TooLong(bytes_max));
    }
    match text.chars().find(|c| !allowed(*c)) {
        Some(bad) => Err(NameError::Character(bad, advice)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_cannot_carry_the_wire_separator() {
        assert_eq!(UpstreamName::new("a__b"), Err(NameError::Separator));
        assert!(UpstreamName::new("a_b").is_ok());
    }

    #[test]
    fn homoglyphs_and_controls_are_no_tool_names() {
        for text in ["verify_\u{441}ser", "a\u{0}", "a b", "a\u{202e}b", "\u{1b}[2J", ""] {
            assert!(ToolName::new(text).is_err(), "{text:?}");
        }
    }
}
