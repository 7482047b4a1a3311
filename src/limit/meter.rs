//! What budgets have counted, and what there is still room for.
//!
//! Fixed windows, aligned to the clock, and no token buckets: "500 calls a day" is what the operator wrote and what
//! is counted, `retry_after_s` is exact, and a count and the start of its window are all that a restart needs.
//! Twice the amount can pass around the edge of two windows; a bucket that was full lets the same pass.
//!
//! Must never take a part of what something costs: all budgets have room for it, or nothing is counted. Must never
//! forget a window that is under way. Time is handed in.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::Refused;
use super::budget::{Budget, Counted, Due};
use crate::model::budget::{Amount, COUNTS_MAX, Charge, Ledger, Spent, Start, Window};
use crate::model::digest::Sha256;
use crate::model::reason::Reason;

/// What is to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spending {
    /// A call, and what it costs.
    Call { cost: u64 },
    /// An upstream asks the agent's model for so many tokens.
    Sampling { tokens: u64 },
    /// A request was refused and would be again.
    Denial,
}

impl Spending {
    fn of(self, amount: Amount) -> u64 {
        use Amount as A;
        match (self, amount) {
            (Self::Call { .. }, A::CallsPerMinute | A::CallsPerHour | A::CallsPerDay) => 1,
            (Self::Call { cost }, A::CostPerHour | A::CostPerDay) => cost,
            (Self::Sampling { .. }, A::SamplingPerHour) => 1,
            (Self::Sampling { tokens }, A::SamplingTokensPerHour | A::SamplingTokensPerDay) => tokens,
            (Self::Denial, A::DenialsPerHour) => 1,
            (Self::Call { .. } | Self::Sampling { .. } | Self::Denial, _) => 0,
        }
    }
}

/// The counts of all budgets.
#[derive(Debug, Default)]
pub(super) struct Meter {
    ledger: Ledger,
    /// Calls in flight, by count.
    in_flight: HashMap<Sha256, u64>,
    /// The minute in which it was last looked through: no window ends between two minutes.
    swept: Option<Start>,
}

impl Meter {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, ..Self::default() }
    }

    /// Counts `spending`, if every budget has room for all of it. Gives what the record of it has to say.
    pub(super) fn reserve(
        &mut self,
        due: &[Due<'_>],
        spending: Spending,
        now: Timestamp,
    ) -> Result<Vec<Charge>, Refused> {
        if due.is_empty() {
            return Ok(Vec::new());
        }
        self.demand_place(due, spending, now)?;
        let refusals = due.iter().filter_map(|due| self.refusal(due, spending, now));
        // The longest wait is the one that helps.
        let worst = refusals.max_by_key(|refused| refused.spent.as_ref().map(|spent| spent.retry_after_s));
        match worst {
            Some(refused) => Err(refused),
            None => Ok(self.count(due, spending, now)),
        }
    }

    /// Counts a refusal. Where there is no place for it, whoever was refused is refused everything (see
    /// [`Meter::reserve`]), so that nothing is lost by it.
    pub(super) fn denied(&mut self, due: &[Due<'_>], now: Timestamp) -> Vec<Charge> {
        let mut charges = Vec::new();
        for one in due {
            let one = std::slice::from_ref(one);
            if self.demand_place(one, Spending::Denial, now).is_ok() {
                charges.extend(self.count(one, Spending::Denial, now));
            }
        }
        charges
    }

    /// Takes a place among the calls in flight of each count that limits them. They have to be given back.
    pub(super) fn hold(&mut self, due: &[Due<'_>]) -> Vec<Sha256> {
        let limited = due.iter().filter(|due| due.budget.in_flight_max.is_some());
        let held: Vec<_> = limited.map(|due| due.key).collect();
        for key in &held {
            *self.in_flight.entry(*key).or_default() += 1;
        }
        held
    }

    /// Gives back what [`Meter::hold`] took.
    pub(super) fn give_back(&mut self, held: &[Sha256]) {
        for key in held {
            if let Some(count) = self.in_flight.get_mut(key) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.in_flight.remove(key);
                }
            }
        }
    }

    /// Forgets windows that are over.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        let minute = Window::Minute.start(now);
        if self.swept != Some(minute) {
            self.swept = Some(minute);
            self.ledger.forget_past(now);
        }
    }

    /// How much of each limit of `budgets` is used at `now`, in the fullest of its counts.
    pub(super) fn fullest(&mut self, budgets: &[Counted], now: Timestamp) -> Vec<Fullness> {
        let mut fullest: BTreeMap<(&str, Amount), (u64, u64)> = BTreeMap::new();
        for Counted { budget, .. } in budgets {
            for (amount, limit) in &budget.limits {
                fullest.insert((budget.name.as_str(), *amount), (0, *limit));
            }
        }
        for entry in self.ledger.counts.values_mut() {
            let amounts: Vec<_> = entry.counts.iter().map(|(amount, _)| amount).collect();
            for amount in amounts {
                if let Some((used, _)) = fullest.get_mut(&(entry.budget.as_str(), amount)) {
                    *used = (*used).max(entry.counts.used(amount, now));
                }
            }
        }
        let told = |((budget, amount), (used, limit)): ((&str, Amount), (u64, u64))| Fullness {
            reason: reason_of(amount),
            budget: budget.to_owned(),
            amount,
            used,
            limit,
        };
        fullest.into_iter().map(told).collect()
    }

    /// Whether there is a place for every count that `spending` is counted or looked up in.
    fn demand_place(&mut self, due: &[Due<'_>], spending: Spending, now: Timestamp) -> Result<(), Refused> {
        let looks_at = |due: &&Due<'_>| {
            due.budget
                .limits
                .keys()
                .any(|amount| spending.of(*amount) > 0 || *amount == Amount::DenialsPerHour)
        };
        if self.ledger.counts.len().saturating_add(due.len()) > COUNTS_MAX {
            self.sweep(now);
        }
        let mut room = COUNTS_MAX.saturating_sub(self.ledger.counts.len());
        let mut fresh = HashSet::new();
        for due in due.iter().filter(looks_at) {
            if self.ledger.counts.contains_key(&due.key) || !fresh.insert(due.key) {
                continue;
            }
            if room == 0 {
                return Err(refused(Reason::BudgetsFull, due.budget, "counts", Window::Minute.left_s(now)));
            }
            room -= 1;
        }
        Ok(())
    }

    /// Why this count has no room, if it has none.
    fn refusal(&mut self, due: &Due<'_>, spending: Spending, now: Timestamp) -> Option<Refused> {
        let Due { budget, key } = due;
        let mut worst: Option<Refused> = None;
        for (amount, limit) in &budget.limits {
            let much = match (spending.of(*amount), *amount) {
                // Who was denied so often is refused the next thing, whatever it is.
                (0, Amount::DenialsPerHour) => 1,
                (0, _) => continue,
                (much, _) => much,
            };
            let used = if self.ledger.is_lost(*amount, now) {
                u64::MAX
            } else {
                self.ledger
                    .counts
                    .get_mut(key)
                    .map(|entry| entry.counts.used(*amount, now))
                    .unwrap_or_default()
            };
            let left_s = amount.window().left_s(now);
            let is_longer = worst
                .as_ref()
                .and_then(|worst| worst.spent.as_ref())
                .is_none_or(|w| left_s > w.retry_after_s);
            if used.saturating_add(much) > *limit && is_longer {
                worst = Some(refused(reason_of(*amount), budget, amount.code(), left_s));
            }
        }
        let is_call = matches!(spending, Spending::Call { .. });
        let full = budget.in_flight_max.is_some_and(|max| self.in_flight.get(key).is_some_and(|n| *n >= max));
        if worst.is_none() && is_call && full {
            return Some(refused(Reason::BudgetBusy, budget, "in_flight_max", BUSY_RETRY_AFTER_S));
        }
        worst
    }

    fn count(&mut self, due: &[Due<'_>], spending: Spending, now: Timestamp) -> Vec<Charge> {
        let charge = |due: &Due<'_>| {
            let amounts: BTreeMap<_, _> = due
                .budget
                .limits
                .keys()
                .map(|amount| (*amount, spending.of(*amount)))
                .filter(|(_, much)| *much > 0)
                .collect();
            (!amounts.is_empty()).then(|| Charge { budget: due.budget.name.clone(), key: due.key, amounts })
        };
        let charges: Vec<_> = due.iter().filter_map(charge).collect();
        self.ledger.charge(&charges, now);
        charges
    }
}

/// How much of one limit is used, in the fullest of its counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fullness {
    /// The budget.
    pub budget: String,
    /// What it limits.
    pub amount: Amount,
    /// What was counted.
    pub used: u64,
    /// What may be counted.
    pub limit: u64,
    /// What a call beyond it is refused with.
    pub reason: Reason,
}

/// When a call is worth another try that found as many in flight as there may be: nobody knows when one ends.
const BUSY_RETRY_AFTER_S: u64 = 1;

fn reason_of(amount: Amount) -> Reason {
    match amount {
        Amount::CallsPerMinute => Reason::RateExceeded,
        Amount::DenialsPerHour => Reason::DenialsExceeded,
        Amount::CallsPerHour
        | Amount::CallsPerDay
        | Amount::CostPerHour
        | Amount::CostPerDay
        | Amount::SamplingPerHour
        | Amount::SamplingTokensPerHour
        | Amount::SamplingTokensPerDay => Reason::BudgetExceeded,
    }
}

pub(super) fn refused(reason: Reason, budget: &Budget, limit: &'static str, retry_after_s: u64) -> Refused {
    Refused { reason, spent: Some(Spent { budget: budget.name.clone(), limit, retry_after_s }) }
}
