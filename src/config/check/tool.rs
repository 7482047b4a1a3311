//! What single tools say more finely than their upstream: what they return and store, their labels, and what is said
//! in the place of their server.
//!
//! Must never take an entry that says nothing, nor one that nothing of counts without a word.

use std::collections::BTreeSet;

use crate::config::code::Code;
use crate::config::node::{Located, Node};
use crate::config::raw::{SAYS, ToolRule};
use crate::model::call::Stores;
use crate::model::glob::{Glob, covers};
use crate::model::label::ToolClass;
use crate::model::name::ToolName;
use crate::model::text::is_hidden;
use crate::upstream::{CALL_TIMEOUT_DEFAULT, COST_DEFAULT, Listing, Showing, ToolSettings};

use super::quantity::Quantities;
use super::upstream::provenance;
use super::{Scope, bad_word, keep, preset};

/// `upstream_max` is the largest answer of the upstream, in bytes.
pub(super) fn check(written: &[ToolRule], upstream_max: usize, scope: Scope<'_>) -> Vec<ToolSettings> {
    let mut rules: Vec<(ToolSettings, &ToolRule)> = Vec::new();
    for rule in written {
        let Some(settings) = one(rule, upstream_max, scope) else { continue };
        let mut before =
            rules.iter().filter(|(other, _)| covers(other.glob.as_str(), settings.glob.as_str()));
        if let Some((other, at)) = before.clone().next().filter(|_| says_nothing_new(&settings, &mut before))
        {
            let message = format!("`{}` never counts: earlier entries say all of it", settings.glob);
            let help = format!("`{}` at {} covers it: put this one before it", other.glob, at.place);
            scope.found.warn(Code::NeverDecides, &rule.place, message, help);
        }
        rules.push((settings, rule));
    }
    rules.into_iter().map(|(settings, _)| settings).collect()
}

/// Whether every key of `settings` is said by one of `before`, all of which cover it.
fn says_nothing_new<'a>(
    settings: &ToolSettings,
    before: impl Iterator<Item = &'a (ToolSettings, &'a ToolRule)>,
) -> bool {
    let said = |settings: &ToolSettings| {
        let ToolSettings {
            glob: _,
            returns,
            stores,
            classes,
            destinations,
            content,
            review_line,
            cost,
            showing,
            name,
            description,
            arguments,
            call_timeout,
            result_max,
            listing,
            keep,
        } = settings;
        let labels = [classes.is_some(), destinations.is_some(), content.is_some(), review_line.is_some()];
        let shown = [showing.is_some(), name.is_some(), description.is_some(), listing.is_some()];
        let called = [arguments.is_some(), call_timeout.is_some(), result_max.is_some(), keep.is_some()];
        let flows = [returns.is_some(), stores.is_some(), cost.is_some()];
        flows.into_iter().chain(labels).chain(shown).chain(called).collect::<Vec<_>>()
    };
    let mut new = said(settings);
    if !new.contains(&true) {
        return false;
    }
    for (other, _) in before {
        for (key, is_said) in new.iter_mut().zip(said(other)) {
            *key &= !is_said;
        }
    }
    !new.contains(&true)
}

fn one(rule: &ToolRule, upstream_max: usize, scope: Scope<'_>) -> Option<ToolSettings> {
    let found = scope.found;
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let returns = rule.returns.as_ref().map(|returns| provenance(returns, scope));
    let stores = rule.stores.as_ref().map(|stores| match stores.value.as_str() {
        "nothing" => Stores::Nothing,
        "subject" => Stores::Subject,
        "all" => Stores::All,
        _ => {
            bad_word(stores, "stores", &["nothing", "subject", "all"], found);
            Stores::All
        }
    });
    let classes = rule.classes.as_ref().map(|classes| tool_classes(classes, scope));
    let (destinations, content) = (names(rule.destinations.as_ref()), names(rule.content.as_ref()));
    let review_line = rule.review_line.as_ref().and_then(|line| review_line(line, scope));
    let read = Quantities::new(found);
    let cost = rule.cost.is_some().then(|| read.cost(&rule.cost, COST_DEFAULT));
    let timeout = &rule.call_timeout;
    let call_timeout =
        timeout.is_some().then(|| read.duration(timeout, "call_timeout", CALL_TIMEOUT_DEFAULT));
    let largest = &rule.result_max;
    let result_max = largest.as_ref().map(|written| {
        let max = read.bytes_in_memory(largest, "result_max", upstream_max);
        no_larger(max, upstream_max, written, scope);
        max as u64
    });
    let arguments = rule.arguments.as_ref().map(|written| preset::check(written, scope));
    let listing = rule.list.as_ref().map(|word| match word.value.as_str() {
        "full" => Listing::Full,
        "short" => Listing::Short,
        _ => {
            bad_word(word, "list", &["full", "short"], found);
            Listing::Full
        }
    });
    let keep = rule.audit.as_ref().map(|written| keep::check(written, scope));
    both_labels(rule, scope);
    if found.lacks(&rule.place, SAYS) {
        let help = format!("add one of `{}`, or remove the entry", SAYS.join("`, `"));
        found.error(Code::MissingKey, &rule.place, "this entry says nothing of its tools", help);
    }
    let glob = pattern(rule, scope)?;
    let returns = match returns {
        Some(checked) => Some(checked?),
        None => None,
    };
    let showing = rule.hide.as_ref().map(|hide| if hide.value { Showing::Hidden } else { Showing::Shown });
    let description = of_one(rule.description.as_ref(), "a description", &glob, scope);
    let description = description.map(|written| written.value.clone());
    let name = of_one(rule.name.as_ref(), "a name", &glob, scope).and_then(|written| name(written, scope));
    Some(ToolSettings {
        glob,
        returns,
        stores,
        classes,
        destinations,
        content,
        review_line,
        cost,
        showing,
        name,
        description,
        arguments,
        call_timeout,
        result_max,
        listing,
        keep,
    })
}

/// An answer that its upstream may not give, none of its tools may.
fn no_larger(max: usize, upstream_max: usize, written: &Located<Node>, scope: Scope<'_>) {
    if max > upstream_max {
        let help = "raise that of the upstream: no larger answer is read";
        let message = "more than the `result_max` of its upstream";
        scope.found.error(Code::Conflict, &written.place, message, help);
    }
}

/// What is `written` of one tool; one text cannot be `what` of several.
fn of_one<'a>(
    written: Option<&'a Located<String>>,
    what: &str,
    glob: &Glob,
    scope: Scope<'_>,
) -> Option<&'a Located<String>> {
    let written = written?;
    if glob.as_str().contains('*') {
        let message = format!("`{glob}` stands for several tools, and {what} is of one");
        let help = "write the whole name of the tool";
        scope.found.error(Code::Conflict, &written.place, message, help);
        return None;
    }
    Some(written)
}

fn name(written: &Located<String>, scope: Scope<'_>) -> Option<ToolName> {
    let name = ToolName::new(&written.value);
    if let Err(error) = &name {
        let message = format!("`{}` cannot be the name of a tool: {error}", written.value);
        let help = "write it without the name of its upstream, in letters, digits, `_`, `-` and `.`";
        scope.found.error(Code::BadName, &written.place, message, help);
    }
    name.ok()
}

fn pattern(rule: &ToolRule, scope: Scope<'_>) -> Option<Glob> {
    let found = scope.found;
    let Some(written) = &rule.tool else {
        if !found.lacks(&rule.place, &["tool"]) {
            return None;
        }
        let help = "write `tool = \"create_*\"`, a pattern over the tool's own name";
        found.error(Code::MissingKey, &rule.place, "this entry names no tools", help);
        return None;
    };
    let is_tool_glob = |glob: &Glob| {
        glob.as_str().chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '*'))
    };
    let glob = Glob::new(&written.value).filter(is_tool_glob);
    if glob.is_none() {
        let message = format!("`{}` cannot match the name of a tool", written.value);
        let help = "names hold letters, digits, `_`, `-` and `.`; `*` stands for any run of them";
        found.error(Code::BadPermission, &written.place, message, help);
    }
    glob
}

fn tool_classes(written: &[Located<String>], scope: Scope<'_>) -> BTreeSet<ToolClass> {
    let one = |word: &Located<String>| {
        let known = ToolClass::ALL.into_iter().find(|class| class.as_str() == word.value);
        if known.is_none() {
            bad_word(word, "classes", &ToolClass::ALL.map(ToolClass::as_str), scope.found);
        }
        known
    };
    written.iter().filter_map(one).collect()
}

fn names(written: Option<&Vec<Located<String>>>) -> Option<BTreeSet<String>> {
    written.map(|names| names.iter().map(|name| name.value.clone()).collect())
}

/// One line of words: a reviewer may be a model, and what it reads is nothing but what an operator meant to say.
fn review_line(written: &Located<String>, scope: Scope<'_>) -> Option<String> {
    let text = &written.value;
    let is_line = !text.trim().is_empty() && !text.chars().any(is_hidden);
    if !is_line || text.chars().count() > REVIEW_LINE_CHARS_MAX {
        let message = format!("`review_line` is not one line of at most {REVIEW_LINE_CHARS_MAX} characters");
        let help = "say in one sentence what the tool does: `review_line = \"sends one mail\"`";
        scope.found.error(Code::BadValue, &written.place, message, help);
        return None;
    }
    Some(text.clone())
}

/// Longest line on a tool for a reviewer of plans, in characters.
const REVIEW_LINE_CHARS_MAX: usize = 256;

/// An argument says where something goes or what is told, and a review treats the two in opposite ways.
fn both_labels(rule: &ToolRule, scope: Scope<'_>) {
    let destinations = rule.destinations.iter().flatten();
    for name in rule.content.iter().flatten() {
        if destinations.clone().any(|destination| destination.value == name.value) {
            let message = format!("`{}` is labelled as destination and as content", name.value);
            scope.found.error(Code::Conflict, &name.place, message, "remove one; in doubt, `content`");
        }
    }
}
