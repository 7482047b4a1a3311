//! `[[budgets]]` as it was written: what counts, for whom apart, and how much there may be.
//!
//! Must never say whether a budget can bind: that is for `check`.

use super::Quantity;
use super::upstream::rules as entries;
use crate::config::node::{Fields, Located};
use crate::model::budget::Amount;
use crate::model::place::Place;

/// One entry.
#[derive(Debug)]
pub(in crate::config) struct Budget {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) source: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) subject: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) agent: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) upstream: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) tools: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) per: Option<Located<Vec<Located<String>>>>,
    /// Every amount that was written.
    pub(in crate::config) amounts: Vec<(Amount, Quantity)>,
    pub(in crate::config) in_flight_max: Quantity,
    pub(in crate::config) result_max: Quantity,
}

/// Every entry of `budgets`.
pub(super) fn read(root: &Fields<'_>) -> Vec<Budget> {
    let example = "write `[[budgets]]`, and under it `name = \"…\"` and what it limits";
    entries(root, "budgets", example, |fields| {
        let amount = |amount: &Amount| (*amount, fields.quantity(amount.code()));
        let amounts = Amount::ALL.iter().map(amount).filter(|(_, written)| written.is_some());
        let budget = Budget {
            place: fields.place().clone(),
            name: fields.text("name"),
            source: fields.one_or_more("source"),
            subject: fields.one_or_more("subject"),
            agent: fields.one_or_more("agent"),
            upstream: fields.one_or_more("upstream"),
            tools: fields.one_or_more("tools"),
            per: fields.one_or_more("per"),
            amounts: amounts.collect(),
            in_flight_max: fields.quantity("in_flight_max"),
            result_max: fields.quantity("result_max"),
        };
        (budget, &[])
    })
}
