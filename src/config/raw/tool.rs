//! `[[upstreams.NAME.tools]]` as it was written: what single tools say more finely than their upstream.
//!
//! Must never say which of several entries counts: that is for `check`.

use super::Quantity;
use super::keep::{self, KeepRule};
use super::preset::{self, PresetRule};
use super::upstream::rules as entries;
use crate::config::node::{Fields, Located};
use crate::model::place::Place;

/// One entry.
#[derive(Debug)]
pub(in crate::config) struct ToolRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) tool: Option<Located<String>>,
    pub(in crate::config) returns: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) stores: Option<Located<String>>,
    pub(in crate::config) classes: Option<Vec<Located<String>>>,
    pub(in crate::config) destinations: Option<Vec<Located<String>>>,
    pub(in crate::config) content: Option<Vec<Located<String>>>,
    pub(in crate::config) review_line: Option<Located<String>>,
    pub(in crate::config) cost: Quantity,
    pub(in crate::config) hide: Option<Located<bool>>,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) description: Option<Located<String>>,
    pub(in crate::config) arguments: Option<Vec<PresetRule>>,
    pub(in crate::config) call_timeout: Quantity,
    pub(in crate::config) result_max: Quantity,
    pub(in crate::config) list: Option<Located<String>>,
    pub(in crate::config) audit: Option<KeepRule>,
}

/// What an entry may say beside the tools that it is about.
pub(in crate::config) const SAYS: &[&str] = &[
    "returns",
    "stores",
    "classes",
    "destinations",
    "content",
    "review_line",
    "cost",
    "hide",
    "name",
    "description",
    "arguments",
    "call_timeout",
    "result_max",
    "list",
    "audit",
];

/// Every entry of `tools`.
pub(super) fn rules(fields: &Fields<'_>) -> Vec<ToolRule> {
    let example = "write `tools = [{ tool = \"create_*\", stores = \"all\" }]`";
    entries(fields, "tools", example, |fields| {
        let rule = ToolRule {
            place: fields.place().clone(),
            tool: fields.text("tool"),
            returns: fields.one_or_more("returns"),
            stores: fields.text("stores"),
            classes: fields.texts("classes"),
            destinations: fields.texts("destinations"),
            content: fields.texts("content"),
            review_line: fields.text("review_line"),
            cost: fields.quantity("cost"),
            hide: fields.boolean("hide"),
            name: fields.text("name"),
            description: fields.text("description"),
            arguments: preset::read(fields),
            call_timeout: fields.quantity("call_timeout"),
            result_max: fields.quantity("result_max"),
            list: fields.text("list"),
            audit: keep::read(fields),
        };
        (rule, &[])
    })
}
