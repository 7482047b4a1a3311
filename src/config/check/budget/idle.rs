//! Budgets that cannot bind, or that no call can pass.
//!
//! Must never refuse anything.

use crate::config::code::Code;
use crate::config::problem::Sink;
use crate::config::raw;
use crate::limit::Budget;
use crate::model::budget::Amount;
use crate::model::glob::reaches;
use crate::upstream::Settings;

/// Pairs of amounts of the same thing: where the first lets less pass than the second, the second never refuses.
const SAME_THING: [(Amount, Amount); 5] = [
    (Amount::CallsPerMinute, Amount::CallsPerHour),
    (Amount::CallsPerMinute, Amount::CallsPerDay),
    (Amount::CallsPerHour, Amount::CallsPerDay),
    (Amount::CostPerHour, Amount::CostPerDay),
    (Amount::SamplingTokensPerHour, Amount::SamplingTokensPerDay),
];

pub(super) fn warn(written: &raw::Budget, budget: &Budget, upstreams: &[Settings], found: &Sink) {
    let place = |amount: Amount| {
        let entry = written.amounts.iter().find(|(of, _)| *of == amount);
        entry.and_then(|(_, much)| much.as_ref()).map_or(&written.place, |much| &much.place)
    };
    let mut told = None;
    for (short, long) in SAME_THING {
        let (Some(few), Some(many)) = (budget.limits.get(&short), budget.limits.get(&long)) else { continue };
        let windows = (long.window().seconds() / short.window().seconds()).unsigned_abs();
        let at_most = few.saturating_mul(windows);
        if at_most <= *many && told != Some(long) {
            told = Some(long);
            let (short, code) = (short.code(), long.code());
            let message =
                format!("`{code}` never refuses: `{short}` lets at most {at_most} pass in its time");
            found.warn(Code::NeverDecides, place(long), message, format!("lower `{code}`, or remove it"));
        }
    }
    let meant: Vec<_> = upstreams.iter().filter(|upstream| is_meant(budget, upstream)).collect();
    let tools = &budget.filter.tools;
    let are_there =
        |upstream: &Settings| tools.iter().any(|glob| reaches(glob.as_str(), &format!("{}.", upstream.name)));
    // One that no upstream has was told of where it is written.
    if meant.is_empty() && upstreams.iter().any(are_there) {
        let message = "`tools` names no tool of the upstreams of this budget";
        let help = "correct `upstream` or `tools`: nothing would count for it";
        found.warn(Code::MatchesNothing, &written.place, message, help);
        return;
    }
    let sampling = [Amount::SamplingPerHour, Amount::SamplingTokensPerHour, Amount::SamplingTokensPerDay];
    let limited = sampling.into_iter().find(|amount| budget.limits.contains_key(amount));
    if let Some(amount) = limited.filter(|_| !meant.iter().any(|upstream| upstream.may_ask.sampling)) {
        let message =
            format!("`{}` never refuses: nothing allows an upstream to ask the model", amount.code());
        let help = "allow `sampling` to a source and a role, or remove it";
        found.warn(Code::NeverDecides, place(amount), message, help);
    }
    let result_max = written.result_max.as_ref().zip(budget.result_max);
    let smaller = |max: u64| meant.iter().any(|upstream| max < upstream.result_max as u64);
    if let Some((at, _)) = result_max.filter(|(_, max)| !smaller(*max)) {
        let message = "this `result_max` never binds: no upstream of this budget has a larger one";
        found.warn(Code::NeverDecides, &at.place, message, "lower it, or remove it");
    }
    too_dear(budget, &meant, place, found);
}

/// Whether a call at `upstream` can count for `budget`.
fn is_meant(budget: &Budget, upstream: &Settings) -> bool {
    let filter = &budget.filter;
    let prefix = format!("{}.", upstream.name);
    (filter.upstreams.is_empty() || filter.upstreams.contains(&upstream.name))
        && (filter.tools.is_empty() || filter.tools.iter().any(|glob| reaches(glob.as_str(), &prefix)))
}

/// A tool that costs more than there may be is refused for good, which a denial says more plainly.
fn too_dear<'a>(
    budget: &Budget,
    meant: &[&Settings],
    place: impl Fn(Amount) -> &'a crate::model::place::Place,
    found: &Sink,
) {
    for amount in [Amount::CostPerHour, Amount::CostPerDay] {
        let Some(limit) = budget.limits.get(&amount) else { continue };
        for upstream in meant {
            let dear = upstream.tools.iter().find(|entry| entry.cost.is_some_and(|cost| cost > *limit));
            if let Some(entry) = dear {
                let (name, glob) = (&upstream.name, &entry.glob);
                let message = format!(
                    "a call of `{name}.{glob}` costs more than `{}`, and never passes",
                    amount.code()
                );
                let help = "raise it, or deny the tool where that is meant";
                found.warn(Code::NeverDecides, place(amount), message, help);
            }
        }
    }
}
