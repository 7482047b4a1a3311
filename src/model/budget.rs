//! What budgets count: amounts, each within a window of the clock, for each combination that a budget tells
//! apart.
//!
//! The gateway refuses by these counts and the journal keeps them, so both count by the same few lines. Must
//! never give back what was counted, and never open a window early because a clock was set back. Time is
//! handed in.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Sha256;
use super::name::BudgetName;

/// Most combinations that are counted at once, over all budgets. Beyond them, one that is new is refused
/// (`budgets_full`).
pub const COUNTS_MAX: usize = 100_000;

/// How long an amount is counted before it begins anew. Windows are aligned to the clock (UTC).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// From one full minute to the next.
    Minute,
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight, UTC.
    Day,
}

impl Window {
    /// How long it is, in seconds.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        match self {
            Self::Minute => 60,
            Self::Hour => 60 * 60,
            Self::Day => 24 * 60 * 60,
        }
    }

    /// When the window that `now` lies in began.
    #[must_use]
    pub fn start(self, now: Timestamp) -> Start {
        let second = now.as_second();
        Start(second - second.rem_euclid(self.seconds()))
    }

    /// Seconds from `now` until the window that it lies in is over; at least one.
    #[must_use]
    pub fn left_s(self, now: Timestamp) -> u64 {
        let end = self.start(now).0 + self.seconds();
        u64::try_from(end - now.as_second()).unwrap_or(1).max(1)
    }
}

/// The second in which a window began, since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Start(pub i64);

macro_rules! amounts {
    ($($(#[doc = $doc:literal])+ $variant:ident = $word:literal, $window:ident;)+) => {
        /// What a budget limits within a window. The word is the key of the configuration, and stands in records
        /// and metrics.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Amount {
            $($(#[doc = $doc])+ #[serde(rename = $word)] $variant,)+
        }

        impl Amount {
            /// Every amount.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word for it.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The window that it is counted in.
            #[must_use]
            pub const fn window(self) -> Window {
                match self { $(Self::$variant => Window::$window),+ }
            }
        }
    };
}

amounts! {
    /// Calls that were let pass.
    CallsPerMinute = "calls_per_minute", Minute;
    /// The same.
    CallsPerHour = "calls_per_hour", Hour;
    /// The same.
    CallsPerDay = "calls_per_day", Day;
    /// What those calls cost, each as its tool says.
    CostPerHour = "cost_per_hour", Hour;
    /// The same.
    CostPerDay = "cost_per_day", Day;
    /// Requests that were refused and would be refused again.
    DenialsPerHour = "denials_per_hour", Hour;
    /// Completions of the agent's model that upstreams asked for.
    SamplingPerHour = "sampling_per_hour", Hour;
    /// The tokens that they asked for (`maxTokens`).
    SamplingTokensPerHour = "sampling_tokens_per_hour", Hour;
    /// The same.
    SamplingTokensPerDay = "sampling_tokens_per_day", Day;
}

/// What one record counts for one combination of one budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Charge {
    /// The budget.
    pub budget: BudgetName,
    /// The combination: a digest over what the budget counts, and for whom.
    pub key: Sha256,
    /// How much of what.
    pub amounts: BTreeMap<Amount, u64>,
}

/// Why a budget refused something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spent {
    /// The budget.
    pub budget: BudgetName,
    /// Its limit that was reached, as the configuration calls it.
    pub limit: &'static str,
    /// When it is worth another try, in seconds.
    pub retry_after_s: u64,
}

/// What a record says of budgets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Metered {
    /// What it counts.
    pub charges: Vec<Charge>,
    /// The budget that refused it, if one did.
    pub spent: Option<Spent>,
}

/// What was counted of one amount, in the window that it was last counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// When that window began.
    since: Start,
    used: u64,
}

impl Count {
    /// What was counted in the window that began at `start`. Where a clock was set back, what was counted later
    /// counts now.
    fn in_window(self, start: Start) -> Self {
        Self { since: start, used: if start > self.since { 0 } else { self.used } }
    }

    /// When the window began that it was last counted in.
    #[must_use]
    pub fn since(self) -> Start {
        self.since
    }

    /// What was counted in it.
    #[must_use]
    pub fn used(self) -> u64 {
        self.used
    }
}

/// What was counted for one combination of one budget.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Counts(BTreeMap<Amount, Count>);

impl Counts {
    /// What was counted of `amount` in the window of `now`. From here on that is the window that counts, also where
    /// the clock was set back: it is not waited for until the clock is there again.
    pub fn used(&mut self, amount: Amount, now: Timestamp) -> u64 {
        let Some(count) = self.0.get_mut(&amount) else { return 0 };
        *count = count.in_window(amount.window().start(now));
        count.used
    }

    /// Counts `much` of `amount` at `now`.
    pub fn add(&mut self, amount: Amount, much: u64, now: Timestamp) {
        let start = amount.window().start(now);
        let count = self.0.entry(amount).or_insert(Count { since: start, used: 0 });
        *count = count.in_window(start);
        count.used = count.used.saturating_add(much);
    }

    /// Whether a window is under way in which something was counted.
    #[must_use]
    pub fn counts_at(&self, now: Timestamp) -> bool {
        self.0.iter().any(|(amount, count)| amount.window().start(now) <= count.since)
    }

    /// Every amount that was counted.
    pub fn iter(&self) -> impl Iterator<Item = (Amount, Count)> {
        self.0.iter().map(|(amount, count)| (*amount, *count))
    }
}

/// Everything that is counted, by combination.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// What was counted.
    pub counts: BTreeMap<Sha256, LedgerEntry>,
    /// What was counted until then is not known any more: a window that had begun counts as spent.
    pub lost_at: Option<Timestamp>,
}

/// What was counted for one combination, and by which budget.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerEntry {
    /// The budget.
    pub budget: BudgetName,
    /// The combination.
    pub key: Sha256,
    /// What was counted.
    pub counts: Counts,
}

impl Ledger {
    /// Counts what `charges` say, at `now`.
    pub fn charge(&mut self, charges: &[Charge], now: Timestamp) {
        for charge in charges {
            let fresh =
                || LedgerEntry { budget: charge.budget.clone(), key: charge.key, counts: Counts::default() };
            let entry = self.counts.entry(charge.key).or_insert_with(fresh);
            for (amount, much) in &charge.amounts {
                entry.counts.add(*amount, *much, now);
            }
        }
    }

    /// Forgets the windows that are over at `now`.
    pub fn forget_past(&mut self, now: Timestamp) {
        self.counts.retain(|_, entry| entry.counts.counts_at(now));
        self.lost_at = self.lost_at.filter(|lost| Window::Day.start(now).0 <= lost.as_second());
    }

    /// Whether what was counted of `amount` in the window of `now` is not known any more.
    #[must_use]
    pub fn is_lost(&self, amount: Amount, now: Timestamp) -> bool {
        self.lost_at.is_some_and(|lost| amount.window().start(now).0 <= lost.as_second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn windows_are_aligned_to_the_clock() {
        let now = at("2026-11-27T10:59:59.9Z");
        assert_eq!(Window::Minute.left_s(now), 1);
        assert_eq!(Window::Hour.left_s(now), 1);
        assert_eq!(Window::Day.left_s(now), 13 * 3600 + 1);
        assert_eq!(Window::Hour.left_s(at("2026-11-27T10:00:00Z")), 3600);
        let before_1970 = at("1969-12-31T23:59:58Z");
        assert_eq!((Window::Day.start(before_1970), Window::Day.left_s(before_1970)), (Start(-86_400), 2));
    }

    #[test]
    fn a_window_that_is_over_counts_no_more_and_a_clock_set_back_opens_none() {
        let mut counts = Counts::default();
        counts.add(Amount::CallsPerHour, 5, at("2026-11-27T10:30:00Z"));
        assert_eq!(counts.used(Amount::CallsPerHour, at("2026-11-27T10:59:59Z")), 5);
        assert_eq!(counts.used(Amount::CallsPerHour, at("2026-11-27T09:10:00Z")), 5, "set back");
        assert_eq!(counts.used(Amount::CallsPerHour, at("2026-11-27T10:00:00Z")), 0, "the next hour");
        assert_eq!(counts.used(Amount::CallsPerDay, at("2026-11-27T10:00:00Z")), 0, "never counted");
    }

    #[test]
    fn what_was_lost_counts_as_spent_until_its_window_ends() {
        let mut ledger = Ledger { lost_at: Some(at("2026-11-27T10:30:00Z")), ..Ledger::default() };
        let (later, next_day) = (at("2026-11-27T11:00:00Z"), at("2026-11-28T00:00:00Z"));
        assert!(ledger.is_lost(Amount::CallsPerMinute, at("2026-11-27T10:30:20Z")));
        assert!(!ledger.is_lost(Amount::CallsPerHour, later) && ledger.is_lost(Amount::CostPerDay, later));
        ledger.forget_past(later);
        assert!(ledger.lost_at.is_some());
        ledger.forget_past(next_day);
        assert_eq!(ledger.lost_at, None);
    }
}
