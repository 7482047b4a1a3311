//! What a record counts for budgets, and which budget refused what it is about.
//!
//! Must never cut `charges`: a start counts by them. The gateway bounds their number.

use crate::audit::line::Object;
use crate::model::budget::Metered;

/// The members `charges` and `budget` of a record, where there is something to say.
pub(super) fn write(object: &mut Object<'_>, metered: &Metered) {
    if !metered.charges.is_empty() {
        object.objects("charges", metered.charges.iter(), |object, charge| {
            object.text("budget", charge.budget.as_str());
            object.digest("key", &charge.key);
            object.object("amounts", |object| {
                for (amount, much) in &charge.amounts {
                    object.number(amount.code(), *much);
                }
            });
        });
    }
    if let Some(spent) = &metered.spent {
        object.object("budget", |object| {
            object.text("name", spent.budget.as_str());
            object.text("limit", spent.limit);
            object.number("retry_after_s", spent.retry_after_s);
        });
    }
}
