//! Budgets: what counts for each, how much there may be, and whether it can ever bind.
//!
//! Must never let a budget pass that limits nothing or matches nothing without a word: whoever wrote it relies on
//! it.

mod idle;

use std::collections::{BTreeMap, BTreeSet};

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::config::raw;
use crate::limit::{BUDGETS_MAX, Budget, Filter, Per};
use crate::model::budget::Amount;
use crate::model::name::{AgentName, BudgetName};
use crate::upstream::Settings;

use super::pattern::{each, glob, tool_glob};
use super::quantity::Quantities;
use super::{Scope, bad_word};

pub(super) fn check(written: &[raw::Budget], upstreams: &[Settings], scope: Scope<'_>) -> Vec<Budget> {
    if let Some(one) = written.get(BUDGETS_MAX) {
        let message = format!("more than {BUDGETS_MAX} budgets are declared");
        scope.found.error(Code::OutOfRange, &one.place, message, "unite some of them: `per` counts apart");
    }
    let mut known: BTreeMap<BudgetName, &raw::Budget> = BTreeMap::new();
    let mut budgets = Vec::new();
    for one in written {
        let Some(budget) = check_one(one, upstreams, scope) else { continue };
        if let Some(first) = known.insert(budget.name.clone(), one) {
            let message = format!("two budgets are called `{}`", budget.name);
            let help = format!("choose another name: records tell them apart by it (see {})", first.place);
            scope.found.error(Code::Conflict, &one.place, message, help);
        }
        budgets.push(budget);
    }
    budgets
}

fn check_one(written: &raw::Budget, upstreams: &[Settings], scope: Scope<'_>) -> Option<Budget> {
    let found = scope.found;
    // Every part is checked before the first `?`, so that all problems are reported at once.
    let name = name(written, found);
    let filter = filter(written, scope);
    let per = per(written, found);
    let read = Quantities::new(found);
    let amount =
        |(amount, much): &(Amount, raw::Quantity)| Some((*amount, read.amount(much, amount.code())?));
    let limits: BTreeMap<_, _> = written.amounts.iter().filter_map(amount).collect();
    let in_flight_max = read.amount(&written.in_flight_max, "in_flight_max");
    let result_max = written.result_max.is_some().then(|| {
        let default = crate::upstream::RESULT_MAX_DEFAULT;
        read.bytes_in_memory(&written.result_max, "result_max", default) as u64
    });
    let keys: Vec<_> =
        Amount::ALL.iter().map(|amount| amount.code()).chain(["in_flight_max", "result_max"]).collect();
    if found.lacks(&written.place, &keys) {
        let help = format!("add one of `{}`, or remove it", keys.join("`, `"));
        found.error(Code::MissingKey, &written.place, "this budget limits nothing", help);
    }
    let budget = Budget { name: name?, filter, per, limits, in_flight_max, result_max };
    denials_count_for_callers(written, &budget, found);
    idle::warn(written, &budget, upstreams, found);
    Some(budget)
}

fn name(written: &raw::Budget, found: &Sink) -> Option<BudgetName> {
    let Some(name) = &written.name else {
        if found.lacks(&written.place, &["name"]) {
            let help = "write `name = \"…\"`: a refusal's record names the budget that refused";
            found.error(Code::MissingKey, &written.place, "this budget has no name", help);
        }
        return None;
    };
    let made = BudgetName::new(&name.value);
    if let Err(error) = &made {
        let message = format!("`{}` does not name a budget: {error}", name.value);
        found.error(Code::BadName, &name.place, message, "choose another name");
    }
    made.ok()
}

fn filter(written: &raw::Budget, scope: Scope<'_>) -> Filter {
    let found = scope.found;
    let names = scope.names;
    let agent = |agent: &Located<String>| match AgentName::new(&agent.value) {
        // Where no agents are configured, whatever a credential names is one.
        Ok(name) if names.agents.is_empty() => Some(name),
        _ => names.agents.take(agent, found),
    };
    Filter {
        sources: each(&written.source, "source", found, |source| names.sources.take(source, found)),
        subjects: each(&written.subject, "subject", found, |subject| glob(subject, found)),
        agents: each(&written.agent, "agent", found, agent),
        upstreams: each(&written.upstream, "upstream", found, |upstream| {
            names.upstreams.take(upstream, found)
        }),
        tools: each(&written.tools, "tools", found, |tool| tool_glob(tool, scope)),
    }
}

fn per(written: &raw::Budget, found: &Sink) -> BTreeSet<Per> {
    let Some(list) = &written.per else { return BTreeSet::new() };
    let one = |word: &Located<String>| {
        let known = Per::ALL.iter().find(|per| per.word() == word.value).copied();
        if known.is_none() {
            let words: Vec<_> = Per::ALL.iter().map(|per| per.word()).collect();
            bad_word(word, "per", &words, found);
        }
        known
    };
    list.value.iter().filter_map(one).collect()
}

/// What was refused may not be there: a count of it by what it was for would say so (I5).
fn denials_count_for_callers(written: &raw::Budget, budget: &Budget, found: &Sink) {
    let counted = written.amounts.iter().find(|(amount, _)| *amount == Amount::DenialsPerHour);
    let Some(place) = counted.and_then(|(_, much)| much.as_ref()).map(|much| &much.place) else { return };
    let by_target = !budget.filter.upstreams.is_empty()
        || !budget.filter.tools.is_empty()
        || budget.per.contains(&Per::Tool)
        || budget.per.contains(&Per::Upstream);
    if by_target {
        let message = "denials cannot be counted by tool or upstream: what was asked for may not exist";
        let help = "give `denials_per_hour` a budget of its own, with `source`, `subject` or `agent` alone";
        found.error(Code::Conflict, place, message, help);
    }
}
