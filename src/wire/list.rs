//! The lists that servers give: of which kinds there are, what stands in them, and where they go on.
//!
//! Must never change an entry (I7), nor trust what it says of itself. A list that is wrong in part is wrong.

use bytes::Bytes;

use super::fault::Fault;
use super::method::Method;
use super::object::{Object, elements, value_text};

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListKind {
    /// Tools, by name.
    Tools,
    /// Prompts, by name.
    Prompts,
    /// Resources, by URI.
    Resources,
    /// Resource templates, by URI template.
    ResourceTemplates,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page {
    /// The entries in it, in order.
    pub entries: Vec<Listed>,
    /// Where the next page begins; an empty cursor is none (CASES F38).
    pub next_cursor: Option<String>,
}

/// One entry as it stands in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name, URI or URI template, unescaped and unchecked.
    pub name: String,
    /// The entry, as it was written.
    pub raw: Bytes,
}

impl ListKind {
    /// The method that asks for it.
    #[must_use]
    pub const fn method(self) -> Method {
        match self {
            Self::Tools => Method::ToolsList,
            Self::Prompts => Method::PromptsList,
            Self::Resources => Method::ResourcesList,
            Self::ResourceTemplates => Method::ResourceTemplatesList,
        }
    }

    /// The member of the result that holds the entries.
    #[must_use]
    pub const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::ResourceTemplates => "resourceTemplates",
        }
    }

    /// The member of an entry that names it.
    const fn key(self) -> &'static str {
        match self {
            Self::Tools | Self::Prompts => "name",
            Self::Resources => "uri",
            Self::ResourceTemplates => "uriTemplate",
        }
    }
}

/// Takes the entries out of `result`, the answer to the method of `kind`.
///
/// # Errors
/// [`Fault::Result`] where it is no such answer.
pub fn split(result: &Bytes, kind: ListKind) -> Result<Page, Fault> {
    let result = Object::of(result).map_err(|_| Fault::Result("it is not an object"))?;
    let entries = result.get(kind.member()).as_ref().and_then(elements);
    let entries = entries.ok_or(Fault::Result("it has no list of what was asked for"))?;
    let entries = entries.into_iter().map(|raw| listed(raw, kind)).collect::<Result<_, _>>()?;
    let next_cursor = match result.get("nextCursor").as_deref() {
        None | Some(b"null" | b"\"\"") => None,
        Some(raw) => Some(value_text(raw).map_err(|_| Fault::Result("`nextCursor` is not a string"))?),
    };
    Ok(Page { entries, next_cursor })
}

fn listed(raw: Bytes, kind: ListKind) -> Result<Listed, Fault> {
    let entry = Object::of(&raw).map_err(|_| Fault::Result("an entry is not an object"))?;
    match entry.text(kind.key()) {
        Some(Ok(name)) => Ok(Listed { name, raw }),
        _ => Err(Fault::Result("an entry has no name")),
    }
}
