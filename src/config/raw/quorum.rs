//! `[[quorums]]` as it was written: how many people have to say yes, and to what.
//!
//! Must never say what a number or a pattern means: that is for `check`.

use super::Quantity;
use super::upstream::rules as entries;
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// One entry.
#[derive(Debug)]
pub(in crate::config) struct QuorumRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) people: Quantity,
    pub(in crate::config) exclude_subject: Option<Located<bool>>,
    pub(in crate::config) sources: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) tools: Option<Located<Vec<Located<String>>>>,
}

impl QuorumRule {
    /// Every entry of `quorums`.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[quorums]]`, and under it `people = 2` and `tools`";
        entries(root, "quorums", example, |fields| {
            let quorum = Self {
                place: fields.place().clone(),
                people: fields.quantity("people"),
                exclude_subject: fields.boolean("exclude_subject"),
                sources: fields.one_or_more("sources"),
                tools: fields.one_or_more("tools"),
            };
            (quorum, &[])
        })
    }
}
