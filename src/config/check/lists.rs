//! Permissions: each a glob that can match something, of an upstream that is declared.
//!
//! Must never let a permission with a typo pass: one that matches nothing forbids nothing, too.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::globs::{covers, reaches};
use crate::config::node::{Located, suggestion};
use crate::config::problem::Sink;
use crate::config::raw::{Document, ListEntry, Row, Upstream};
use crate::model::glob::{GLOB_BYTES_MAX, Glob};
use crate::policy::{Lists, Permission, Rules};

use super::Scope;

/// Longest wire name that all clients are known to take.
pub(super) const WIRE_NAME_BYTES_SAFE: usize = 55;

pub(super) fn check(document: &Document, scope: Scope<'_>) -> Rules {
    let names = scope.names;
    let each = |row: &Row| lists(row, &document.upstreams, scope);
    Rules {
        sources: rows(&document.sources, |name| names.sources.get(name), each),
        roles: rows(&document.roles, |name| names.roles.get(name), each),
        agents: rows(&document.agents, |name| names.agents.get(name), each),
    }
}

fn rows<Name: Ord>(
    rows: &[Row],
    name: impl Fn(&str) -> Option<Name>,
    lists: impl Fn(&Row) -> Lists,
) -> BTreeMap<Name, Lists> {
    // A row whose name is broken was reported; its lists are still checked.
    let checked = rows.iter().map(|row| (name(&row.name.value), lists(row)));
    checked.filter_map(|(name, lists)| Some((name?, lists))).collect()
}

fn lists(row: &Row, upstreams: &[Upstream], scope: Scope<'_>) -> Lists {
    let list = |entries: &[ListEntry]| {
        let each = |entry| permission(entry, upstreams, scope);
        entries.iter().filter_map(each).collect::<Vec<_>>()
    };
    let lists =
        Lists { allow: list(&row.allow), plan: list(&row.plan), ask: list(&row.ask), deny: list(&row.deny) };
    warn_idle(&lists, scope.found);
    lists
}

fn permission(written: &ListEntry, upstreams: &[Upstream], scope: Scope<'_>) -> Option<Permission> {
    let Located { value, place } = written;
    let bad = |message: String, help: String| scope.found.error(Code::BadPermission, place, message, help);
    let Some(glob) = Glob::new(value) else {
        let help = format!("write `upstream.tool` in at most {GLOB_BYTES_MAX} visible ASCII characters");
        bad("this permission is empty, too long, or holds a character that no name has".to_owned(), help);
        return None;
    };
    if let Some(stranger) = value.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-.*".contains(*c)) {
        let help = "names hold letters, digits, `_`, `-` and `.`; `*` stands for any run of them".to_owned();
        bad(format!("`{value}` cannot match any tool: no name holds `{stranger}`"), help);
        return None;
    }
    let permission = Permission { glob, place: place.clone() };
    match value.split_once('.') {
        None if !value.contains('*') => {
            bad(format!("`{value}` names no tool"), format!("write `{value}.*`, or `{value}.` and a tool"));
            return None;
        }
        Some((_, "")) => {
            bad(format!("`{value}` names no tool"), format!("write `{value}*`"));
            return None;
        }
        Some((upstream, _)) if !upstream.contains('*') => {
            known_upstream(upstream, place, scope)?;
            warn_long(value, upstreams, place, scope.found);
        }
        _ => warn_out_of_reach(value, place, scope),
    }
    Some(permission)
}

fn known_upstream(upstream: &str, place: &crate::model::place::Place, scope: Scope<'_>) -> Option<()> {
    let upstreams = &scope.names.upstreams;
    if upstreams.get(upstream).is_some() {
        return Some(());
    }
    let message = format!("the upstream `{upstream}` is not declared");
    let help = format!("a permission is `upstream.tool`; {}", upstreams.advice(upstream));
    scope.found.error(Code::UnknownUpstream, place, message, help);
    None
}

fn warn_out_of_reach(value: &str, place: &crate::model::place::Place, scope: Scope<'_>) {
    let upstreams = scope.names.upstreams.texts();
    if !upstreams.iter().any(|upstream| reaches(value, &format!("{upstream}."))) {
        let message = format!("`{value}` matches no tool of any declared upstream");
        let help = format!("{} Correct the entry, or remove it", suggestion(value, &upstreams));
        scope.found.warn(Code::MatchesNothing, place, message, help);
    }
}

/// A permission without `*` names one tool, whose wire name is known already.
fn warn_long(value: &str, upstreams: &[Upstream], place: &crate::model::place::Place, found: &Sink) {
    let Some((upstream, tool)) = value.split_once('.').filter(|_| !value.contains('*')) else { return };
    let is_bare = upstreams.iter().any(|other| {
        other.name.value == upstream && other.prefix.as_ref().is_some_and(|prefix| prefix.value.is_empty())
    });
    let wire_name_bytes = if is_bare { tool.len() } else { upstream.len() + "__".len() + tool.len() };
    if wire_name_bytes > WIRE_NAME_BYTES_SAFE {
        let message = format!("on the wire `{value}` has {wire_name_bytes} characters");
        let help =
            format!("some clients refuse more than {WIRE_NAME_BYTES_SAFE}: shorten the upstream's name");
        found.warn(Code::LongWireName, place, message, help);
    }
}

/// Warns of entries that never decide, because a stricter or an earlier entry covers them.
fn warn_idle(lists: &Lists, found: &Sink) {
    let Lists { allow, plan, ask, deny } = lists;
    let ordered = [("deny", deny), ("ask", ask), ("plan", plan), ("allow", allow)];
    let strictest_first: Vec<(&str, &Permission)> =
        ordered.iter().flat_map(|(word, list)| list.iter().map(move |entry| (*word, entry))).collect();
    for (at, (word, entry)) in strictest_first.iter().enumerate() {
        let mut before = strictest_first.iter().take(at);
        let covering = before.find(|(_, other)| covers(other.glob.as_str(), entry.glob.as_str()));
        if let Some((covering_word, covering)) = covering {
            let message = format!("`{}` in `{word}` never decides", entry.glob);
            let (glob, at) = (&covering.glob, &covering.place);
            let help = format!("`{glob}` in `{covering_word}` at {at} covers it: remove one of them");
            found.warn(Code::NeverDecides, &entry.place, message, help);
        }
    }
}
