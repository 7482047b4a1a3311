//! The metrics of budgets: what they refused, and how full they are.
//!
//! Must never say for whom something is counted: of each limit only the fullest count is shown.

use prometheus_client::encoding::{EncodeLabelSet, LabelSetEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::figures::BudgetFigures;
use super::metrics::{encode_labels, registered};
use crate::model::reason::Reason;

/// What is counted of budgets, and looked up.
#[derive(Debug)]
pub(super) struct Budgets {
    refusals: Family<RefusalLabels, Counter>,
    used: Family<LimitLabels, Gauge>,
    limit: Family<LimitLabels, Gauge>,
}

impl Budgets {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let help = "What a budget counted in the window of now, in the fullest of its counts";
        Self {
            refusals: registered(registry, "budget_refusals", "What a budget refused, by the reason"),
            used: registered(registry, "budget_used", help),
            limit: registered(registry, "budget_limit", "What a budget may count in a window"),
        }
    }

    pub(super) fn refused(&self, budget: &str, reason: Reason) {
        self.refusals.get_or_create(&RefusalLabels { budget: budget.to_owned(), reason }).inc();
    }

    pub(super) fn set(&self, figures: &[BudgetFigures]) {
        // What is no longer configured must not stand at its last value.
        self.used.clear();
        self.limit.clear();
        let whole = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        for BudgetFigures { budget, amount, used, limit, reason } in figures {
            // Stands at zero from the start: whoever watches a rise would not see the first one otherwise.
            self.refusals.get_or_create_owned(&RefusalLabels { budget: budget.clone(), reason: *reason });
            let labels = LimitLabels { budget: budget.clone(), amount };
            self.used.get_or_create(&labels).set(whole(*used));
            self.limit.get_or_create(&labels).set(whole(*limit));
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct RefusalLabels {
    budget: String,
    reason: Reason,
}

impl EncodeLabelSet for RefusalLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("budget", &self.budget), ("reason", self.reason.code())])
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LimitLabels {
    budget: String,
    amount: &'static str,
}

impl EncodeLabelSet for LimitLabels {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> Result<(), std::fmt::Error> {
        encode_labels(encoder, &[("budget", &self.budget), ("amount", self.amount)])
    }
}
