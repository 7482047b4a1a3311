//! `[[approvers]]` as it was written: who may answer questions, and which.
//!
//! Must never say who somebody is: that is for `check`.

use super::Quantity;
use super::upstream::rules as entries;
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// One entry.
#[derive(Debug)]
pub(in crate::config) struct ApproverRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) uid: Quantity,
    pub(in crate::config) entry_point: Option<Located<String>>,
    pub(in crate::config) subject: Option<Located<String>>,
    pub(in crate::config) sources: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) tools: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) subjects: Option<Located<Vec<Located<String>>>>,
}

impl ApproverRule {
    /// Every entry of `approvers`.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[approvers]]`, and under it `uid`, or `entry_point` and `subject`";
        entries(root, "approvers", example, |fields| {
            let approver = Self {
                place: fields.place().clone(),
                uid: fields.quantity("uid"),
                entry_point: fields.text("entry_point"),
                subject: fields.text("subject"),
                sources: fields.one_or_more("sources"),
                tools: fields.one_or_more("tools"),
                subjects: fields.one_or_more("subjects"),
            };
            (approver, &[])
        })
    }
}
