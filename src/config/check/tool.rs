//! What single tools say more finely than their upstream: what they return and store, and their labels.
//!
//! Must never take an entry that says nothing, nor one that nothing of counts without a word.

use std::collections::BTreeSet;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{SAYS, ToolRule};
use crate::model::call::Stores;
use crate::model::glob::{Glob, covers};
use crate::model::label::ToolClass;
use crate::upstream::{COST_DEFAULT, Showing, ToolSettings};

use super::quantity::Quantities;
use super::upstream::provenance;
use super::{Scope, bad_word};

pub(super) fn check(written: &[ToolRule], scope: Scope<'_>) -> Vec<ToolSettings> {
    let mut rules: Vec<(ToolSettings, &ToolRule)> = Vec::new();
    for rule in written {
        let Some(settings) = one(rule, scope) else { continue };
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
            cost,
            showing,
            description,
        } = settings;
        let labels = [classes.is_some(), destinations.is_some(), content.is_some()];
        let overrides = [showing.is_some(), description.is_some()];
        let flows = [returns.is_some(), stores.is_some(), cost.is_some()];
        flows.into_iter().chain(labels).chain(overrides).collect::<Vec<_>>()
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

fn one(rule: &ToolRule, scope: Scope<'_>) -> Option<ToolSettings> {
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
    let cost = rule.cost.is_some().then(|| Quantities::new(found).cost(&rule.cost, COST_DEFAULT));
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
    let description = description(rule, &glob, scope);
    Some(ToolSettings { glob, returns, stores, classes, destinations, content, cost, showing, description })
}

/// One text cannot describe several tools.
fn description(rule: &ToolRule, glob: &Glob, scope: Scope<'_>) -> Option<String> {
    let written = rule.description.as_ref()?;
    if glob.as_str().contains('*') {
        let message = format!("`{glob}` stands for several tools, and a description is of one");
        let help = "write the whole name of the tool";
        scope.found.error(Code::Conflict, &written.place, message, help);
        return None;
    }
    Some(written.value.clone())
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
