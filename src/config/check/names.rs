//! The names that a configuration declares, and which of them are used.
//!
//! Must never invent a name: what is used and was not declared is an error with a suggestion.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::config::code::Code;
use crate::config::node::{Located, suggestion};
use crate::config::problem::Sink;
use crate::config::raw::Document;
use crate::model::name::{AgentName, NameError, RoleName, SourceName, UpstreamName};
use crate::model::place::Place;
use crate::model::provenance::SOURCES_MAX;
use crate::upstream::OWN_PREFIX;

/// Every declared name.
pub(super) struct Names {
    pub(super) sources: Kind<SourceName>,
    pub(super) roles: Kind<RoleName>,
    pub(super) agents: Kind<AgentName>,
    pub(super) upstreams: Kind<UpstreamName>,
}

/// The declared names of one kind.
pub(super) struct Kind<Name> {
    /// The kind as a person would say it: `source`.
    word: &'static str,
    /// The section that declares it: `sources`.
    section: &'static str,
    unknown: Code,
    declared: BTreeMap<Name, Place>,
    used: RefCell<BTreeSet<Name>>,
}

/// What `returns` says of content that only the operator's own people can write. Not a source.
pub(super) const TRUSTED: &str = "trusted";

impl Names {
    pub(super) fn declare(document: &Document, found: &Sink) -> Self {
        let sources = document.sources.iter().map(|row| &row.name);
        let roles = document.roles.iter().map(|row| &row.name);
        let agents = document.agents.iter().map(|row| &row.name);
        let upstreams = document.upstreams.iter().map(|upstream| &upstream.name);
        for name in sources.clone().filter(|name| name.value == TRUSTED) {
            let help = "`returns = \"trusted\"` means no source at all: choose another name";
            found.error(Code::BadName, &name.place, "a source cannot be named `trusted`", help);
        }
        for name in upstreams.clone().filter(|name| name.value.eq_ignore_ascii_case(OWN_PREFIX)) {
            let help = "the gateway's own tools are listed under it: choose another name";
            let message = format!("an upstream cannot be named `{}`", name.value);
            found.error(Code::BadName, &name.place, message, help);
        }
        if let Some(name) = sources.clone().nth(SOURCES_MAX) {
            let message = format!("more than {SOURCES_MAX} sources are declared");
            found.error(Code::OutOfRange, &name.place, message, "unite some of them");
        }
        Self {
            sources: Kind::declare("source", "sources", Code::UnknownSource, sources, SourceName::new, found),
            roles: Kind::declare("role", "roles", Code::UnknownRole, roles, RoleName::new, found),
            agents: Kind::declare("agent", "agents", Code::UnknownAgent, agents, AgentName::new, found),
            upstreams: Kind::declare(
                "upstream",
                "upstreams",
                Code::UnknownUpstream,
                upstreams,
                UpstreamName::new,
                found,
            ),
        }
    }
}

impl<Name: Ord + Clone + AsText> Kind<Name> {
    fn declare<'a>(
        word: &'static str,
        section: &'static str,
        unknown: Code,
        written: impl Iterator<Item = &'a Located<String>>,
        make: impl Fn(&str) -> Result<Name, NameError>,
        found: &Sink,
    ) -> Self {
        let mut declared = BTreeMap::new();
        for Located { value, place } in written {
            match make(value) {
                Ok(name) => {
                    declared.insert(name, place.clone());
                }
                Err(error) => {
                    let message = format!("`{value}` does not name {}: {error}", with_article(word));
                    found.error(Code::BadName, place, message, "choose another name");
                }
            }
        }
        Self { word, section, unknown, declared, used: RefCell::default() }
    }

    /// The declared name that `written` is; marks it as used.
    pub(super) fn take(&self, written: &Located<String>, found: &Sink) -> Option<Name> {
        let Some(name) = self.get(&written.value) else {
            let message = format!("the {} `{}` is not declared", self.word, written.value);
            let help = self.advice(&written.value);
            found.error(self.unknown, &written.place, message, help);
            return None;
        };
        self.used.borrow_mut().insert(name.clone());
        Some(name)
    }

    /// Marks every declared name that `is_meant` as used: a pattern uses what it matches.
    pub(super) fn mark_used(&self, is_meant: impl Fn(&str) -> bool) {
        let meant = self.declared.keys().filter(|name| is_meant(name.as_text())).cloned();
        self.used.borrow_mut().extend(meant);
    }

    /// The declared name of this text.
    pub(super) fn get(&self, text: &str) -> Option<Name> {
        self.declared.keys().find(|name| name.as_text() == text).cloned()
    }

    /// What to do about a name that is not declared.
    pub(super) fn advice(&self, text: &str) -> String {
        format!("{} A new one is declared by `[{}.NAME]`", suggestion(text, &self.texts()), self.section)
    }

    /// Every declared name.
    pub(super) fn texts(&self) -> Vec<&str> {
        self.declared.keys().map(AsText::as_text).collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.declared.is_empty()
    }

    /// Warns of every declared name that nothing used; `advice` says how one is used.
    pub(super) fn warn_unused(&self, advice: &str, found: &Sink) {
        let used = self.used.borrow();
        for (name, place) in self.declared.iter().filter(|(name, _)| !used.contains(*name)) {
            let message = format!("nothing uses the {} `{}`", self.word, name.as_text());
            found.warn(Code::Unused, place, message, advice);
        }
    }
}

/// `a source`, `an agent`.
pub(super) fn with_article(word: &str) -> String {
    let article = if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    format!("{article} {word}")
}

/// A name that was made of text.
pub(super) trait AsText {
    /// The text.
    fn as_text(&self) -> &str;
}

macro_rules! as_text {
    ($($name:ident),+) => {
        $(impl AsText for $name {
            fn as_text(&self) -> &str {
                self.as_str()
            }
        })+
    };
}

as_text!(SourceName, RoleName, AgentName, UpstreamName);
