//! `[[notify]]` as it was written: who is told of what happens.
//!
//! Must never say which keys go with which type: that is for `check`.

use super::upstream::rules as entries;
use super::{Quantity, Secret, Secrets};
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// One entry.
#[derive(Debug)]
pub(in crate::config) struct NotifyRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) kind: Option<Located<String>>,
    pub(in crate::config) on: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) per_hour: Quantity,
    pub(in crate::config) denials_count: Quantity,
    pub(in crate::config) denials_within: Quantity,
    pub(in crate::config) url: Option<Located<String>>,
    pub(in crate::config) sign: Option<Located<Secret>>,
    pub(in crate::config) headers: Secrets,
    pub(in crate::config) ca: Option<Located<String>>,
    pub(in crate::config) command: Option<Vec<Located<String>>>,
    pub(in crate::config) from: Option<Located<String>>,
    pub(in crate::config) to: Option<Located<Vec<Located<String>>>>,
}

impl NotifyRule {
    /// Every entry of `notify`.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[notify]]`, and under it `name`, `type` and `on`";
        entries(root, "notify", example, |fields| {
            let entry = fields.node("denials");
            let denials =
                entry.and_then(|entry| Fields::of(&entry.value, "`denials`".to_owned(), fields.found()));
            let rule = Self {
                place: fields.place().clone(),
                name: fields.text("name"),
                kind: fields.text("type"),
                on: fields.one_or_more("on"),
                per_hour: fields.quantity("per_hour"),
                denials_count: denials.as_ref().and_then(|denials| denials.quantity("count")),
                denials_within: denials.as_ref().and_then(|denials| denials.quantity("within")),
                url: fields.text("url"),
                sign: Secret::read(fields, "sign"),
                headers: Secret::read_table(fields, "headers"),
                ca: fields.text("ca"),
                command: fields.texts("command"),
                from: fields.text("from"),
                to: fields.one_or_more("to"),
            };
            if let Some(denials) = denials {
                denials.finish(&[]);
            }
            (rule, &[])
        })
    }
}
