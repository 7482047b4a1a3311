//! What one set of budgets lets pass that another did not, in sentences.
//!
//! Must never keep silent where somebody may do more: a budget that counts less, or begins to count anew, is wider.

use super::Settings;
use super::budget::{Budget, Counted};
use crate::model::change::Changes;

/// What `new` changes in `old`.
pub(super) fn of(old: &Settings, new: &Settings) -> Changes {
    let mut changes = of_budgets(&old.budgets, &new.budgets);
    let key = "failed_authentications_per_minute";
    match (old.failed_authentications_per_minute, new.failed_authentications_per_minute) {
        (Some(old), None) => changes.widen(format!("no `{key}` any more (it was {old})")),
        (Some(old), Some(new)) if new > old => changes.widen(format!("`{key}` {new} instead of {old}")),
        (old, new) if old != new => changes.change(format!("`{key}` changed")),
        _ => {}
    }
    changes
}

pub(super) fn of_budgets(old: &[Budget], new: &[Budget]) -> Changes {
    let mut changes = Changes::default();
    let find = |budgets: &[Budget], name| budgets.iter().find(|budget| budget.name == name).cloned();
    for before in old {
        match find(new, before.name.clone()) {
            None => changes.widen(format!("budget {} is gone", before.name)),
            Some(after) if after == *before => {}
            Some(after) => compare(before, &after, &mut changes),
        }
    }
    for after in new.iter().filter(|after| find(old, after.name.clone()).is_none()) {
        changes.change(format!("budget {} is new", after.name));
    }
    changes
}

fn compare(before: &Budget, after: &Budget, changes: &mut Changes) {
    let name = &after.name;
    if !Counted::new(before.clone()).counts_like(&Counted::new(after.clone())) {
        changes.widen(format!("budget {name} counts something else, and begins anew"));
    }
    let mut raised = Vec::new();
    let mut tell = |key: &str, before: Option<u64>, after: Option<u64>| match (before, after) {
        (Some(old), None) => raised.push(format!("no `{key}` any more (it was {old})")),
        (Some(old), Some(new)) if new > old => raised.push(format!("`{key}` {new} instead of {old}")),
        (Some(_) | None, _) => {}
    };
    for (amount, old) in &before.limits {
        tell(amount.code(), Some(*old), after.limits.get(amount).copied());
    }
    tell("in_flight_max", before.in_flight_max, after.in_flight_max);
    tell("result_max", before.result_max, after.result_max);
    if raised.is_empty() {
        changes.change(format!("budget {name} changed"));
    } else {
        changes.widen(format!("budget {name}: {}", raised.join(", ")));
    }
}
