//! Permissions: each a glob that can match something, of an upstream that is declared.
//!
//! Must never let a permission with a typo pass: one that matches nothing forbids nothing, too.

use std::collections::BTreeMap;

use crate::config::code::Code;
use crate::config::node::suggestion;
use crate::config::problem::Sink;
use crate::config::raw::{self, Document, ListEntry, Row, Upstream};
use crate::model::glob::{GLOB_BYTES_MAX, Glob, covers, reaches};
use crate::model::place::Place;
use crate::model::target::Class;
use crate::model::uri::Uri;
use crate::policy::{Lists, Permission, RowLists, Rules};

use super::when::{self, Home};
use super::{Scope, guardrails, trigger};

/// Longest wire name that all clients are known to take.
pub(super) const WIRE_NAME_BYTES_SAFE: usize = 55;

pub(super) fn check(document: &Document, scope: Scope<'_>) -> Rules {
    let names = scope.names;
    let triggers = trigger::declarations(&document.sources, scope);
    let of_source = |row: &Row| {
        let name = names.sources.get(&row.name.value);
        let home = Home { source: name.as_ref(), triggers: &triggers };
        let mut lists = lists(row, home, &document.upstreams, scope);
        lists.shadow = when::shadow(&row.shadow, &row.name.place, scope);
        lists
    };
    let home = Home { source: None, triggers: &triggers };
    let each = |row: &Row| lists(row, home, &document.upstreams, scope);
    Rules {
        sources: rows(&document.sources, |name| names.sources.get(name), of_source),
        roles: rows(&document.roles, |name| names.roles.get(name), each),
        agents: rows(&document.agents, |name| names.agents.get(name), each),
        guardrails: guardrails::read(&document.guardrails, scope),
        triggers,
    }
}

fn rows<Name: Ord>(
    rows: &[Row],
    name: impl Fn(&str) -> Option<Name>,
    lists: impl Fn(&Row) -> RowLists,
) -> BTreeMap<Name, RowLists> {
    // A row whose name is broken was reported; its lists are still checked.
    let checked = rows.iter().map(|row| (name(&row.name.value), lists(row)));
    checked.filter_map(|(name, lists)| Some((name?, lists))).collect()
}

fn lists(row: &Row, home: Home<'_>, upstreams: &[Upstream], scope: Scope<'_>) -> RowLists {
    row.lists.iter().map(|written| (written.class, of_class(written, home, upstreams, scope))).collect()
}

fn of_class(written: &raw::Lists, home: Home<'_>, upstreams: &[Upstream], scope: Scope<'_>) -> Lists {
    let raw::Lists { class, allow, plan, ask, deny } = written;
    let list = |entries: &[ListEntry]| {
        let each = |entry| permission(*class, entry, home, upstreams, scope);
        entries.iter().filter_map(each).collect::<Vec<_>>()
    };
    if class.is_answer() {
        plan.iter().chain(ask).for_each(|entry| nobody_approves(*class, entry, scope.found));
    }
    let lists = Lists { allow: list(allow), plan: list(plan), ask: list(ask), deny: list(deny) };
    warn_idle(&lists, scope.found);
    lists
}

/// DESIGN §6: for what an upstream asks of the client, *plan* and *ask* are configuration errors.
fn nobody_approves(class: Class, entry: &ListEntry, found: &Sink) {
    let message = format!("nobody plans or approves answers to an upstream's {}", class.code());
    let help =
        "the answer is the run's own and given while the upstream waits: `allow` it, or leave it denied";
    found.error(Code::BadPermission, &entry.place, message, help);
}

fn permission(
    class: Class,
    written: &ListEntry,
    home: Home<'_>,
    upstreams: &[Upstream],
    scope: Scope<'_>,
) -> Option<Permission> {
    let ListEntry { value, place, .. } = written;
    let condition = when::condition(written, home, scope);
    let shadow = when::shadow(&written.shadow, place, scope);
    let Some(glob) = Glob::new(value) else {
        let form = raw::form(class);
        let help = format!("write `{form}` in at most {GLOB_BYTES_MAX} visible ASCII characters");
        let message = "this permission is empty, too long, or holds a character that no name has";
        scope.found.error(Code::BadPermission, place, message, help);
        return None;
    };
    let unconstrained = written.unconstrained.iter().map(|name| name.value.clone()).collect();
    let permission =
        Permission { condition, unconstrained, shadow, ..Permission::unconditional(glob, place.clone()) };
    let is_good = match class {
        Class::Tool => tool(value, place, upstreams, scope),
        Class::Prompt => prompt(value, place, scope),
        Class::Resource => resource(value, place, scope),
        Class::Completion | Class::Sampling | Class::Elicitation | Class::Roots => {
            whole_upstream(class, value, place, scope)
        }
    };
    is_good.map(|()| permission)
}

/// `upstream.tool`.
fn tool(value: &str, place: &Place, upstreams: &[Upstream], scope: Scope<'_>) -> Option<()> {
    let bad = |message: String, help: String| scope.found.error(Code::BadPermission, place, message, help);
    if let Some(stranger) = value.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-.*".contains(*c)) {
        let help = "names hold letters, digits, `_`, `-` and `.`; `*` stands for any run of them".to_owned();
        bad(format!("`{value}` cannot match any tool: no name holds `{stranger}`"), help);
        return None;
    }
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
            known_upstream(Class::Tool, upstream, place, scope)?;
            warn_long(value, upstreams, place, scope.found);
        }
        _ => warn_out_of_reach(Class::Tool, value, place, scope),
    }
    Some(())
}

/// `upstream.prompt`.
fn prompt(value: &str, place: &Place, scope: Scope<'_>) -> Option<()> {
    match value.split_once('.') {
        Some((upstream, prompt)) if !prompt.is_empty() && !upstream.contains('*') => {
            known_upstream(Class::Prompt, upstream, place, scope)?;
        }
        None if !value.contains('*') => {
            let message = format!("`{value}` names no prompt");
            scope.found.error(Code::BadPermission, place, message, format!("write `{value}.*`"));
            return None;
        }
        Some((_, "")) => {
            let message = format!("`{value}` names no prompt");
            scope.found.error(Code::BadPermission, place, message, format!("write `{value}*`"));
            return None;
        }
        _ => warn_out_of_reach(Class::Prompt, value, place, scope),
    }
    Some(())
}

/// `upstream:uri`, the URI as it stands in its normal form.
fn resource(value: &str, place: &Place, scope: Scope<'_>) -> Option<()> {
    let bad = |message: String, help: String| scope.found.error(Code::BadPermission, place, message, help);
    let Some((upstream, uri)) = value.split_once(':') else {
        if value == "*" {
            return Some(());
        }
        bad(
            format!("`{value}` names no resource"),
            format!("write `{value}:*`, or `upstream:scheme:pattern`"),
        );
        return None;
    };
    if upstream.contains('*') {
        warn_out_of_reach(Class::Resource, value, place, scope);
    } else {
        known_upstream(Class::Resource, upstream, place, scope)?;
    }
    if uri.starts_with('*') {
        return Some(());
    }
    // What no URI in its normal form matches would forbid nothing: stars are taken as a letter.
    match Uri::new(&uri.replace('*', "x")) {
        Ok(normal) if normal.as_str() == uri.replace('*', "x") => Some(()),
        Ok(normal) => {
            let help = format!("permissions are matched against the normal form, which is like `{normal}`");
            bad(format!("`{uri}` is not written in the normal form of a URI"), help);
            None
        }
        Err(why) => {
            bad(
                format!("`{uri}` can match no resource: {why}"),
                "write a URI, with `*` for any run".to_owned(),
            );
            None
        }
    }
}

/// `upstream`.
fn whole_upstream(class: Class, value: &str, place: &Place, scope: Scope<'_>) -> Option<()> {
    if value.contains('*') {
        warn_out_of_reach(class, value, place, scope);
        return Some(());
    }
    known_upstream(class, value, place, scope)
}

fn known_upstream(class: Class, upstream: &str, place: &Place, scope: Scope<'_>) -> Option<()> {
    let upstreams = &scope.names.upstreams;
    if upstreams.get(upstream).is_some() {
        return Some(());
    }
    let message = format!("the upstream `{upstream}` is not declared");
    let help = format!("a permission is `{}`; {}", raw::form(class), upstreams.advice(upstream));
    scope.found.error(Code::UnknownUpstream, place, message, help);
    None
}

fn warn_out_of_reach(class: Class, value: &str, place: &Place, scope: Scope<'_>) {
    let upstreams = scope.names.upstreams.texts();
    let reached = |upstream: &str| match class {
        Class::Tool | Class::Prompt => reaches(value, &format!("{upstream}.")),
        Class::Resource => reaches(value, &format!("{upstream}:")),
        Class::Completion | Class::Sampling | Class::Elicitation | Class::Roots => covers(value, upstream),
    };
    if !upstreams.iter().any(|upstream| reached(upstream)) {
        let message = format!("`{value}` matches no {} of any declared upstream", class.code());
        let help = format!("{} Correct the entry, or remove it", suggestion(value, &upstreams));
        scope.found.warn(Code::MatchesNothing, place, message, help);
    }
}

/// A permission without `*` names one tool, whose wire name is known already.
fn warn_long(value: &str, upstreams: &[Upstream], place: &Place, found: &Sink) {
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
        // What counts only sometimes decides where it does, and lets the others decide where it does not.
        let counts_here = |word: &str, other: &Permission| {
            other.condition.is_none()
                && other.shadow.is_none()
                && (entry.condition.is_none() || word == "deny")
        };
        let covering = before.find(|(word, other)| {
            counts_here(word, other) && covers(other.glob.as_str(), entry.glob.as_str())
        });
        if let Some((covering_word, covering)) = covering {
            let message = format!("`{}` in `{word}` never decides", entry.glob);
            let (glob, at) = (&covering.glob, &covering.place);
            let help = format!("`{glob}` in `{covering_word}` at {at} covers it: remove one of them");
            found.warn(Code::NeverDecides, &entry.place, message, help);
        }
    }
}
