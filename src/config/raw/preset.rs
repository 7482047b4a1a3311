//! `arguments` of an entry of `tools` as it was written: which arguments are settled.
//!
//! Must never say what settling one means: that is for `check`.

use crate::config::code::Code;
use crate::config::node::{Fields, Located, Node};
use crate::model::place::Place;

/// One argument.
#[derive(Debug)]
pub(in crate::config) struct PresetRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: String,
    pub(in crate::config) fixed: Option<Located<Node>>,
    pub(in crate::config) default: Option<Located<Node>>,
}

/// All of them; nothing where the entry says nothing.
pub(super) fn read(fields: &Fields<'_>) -> Option<Vec<PresetRule>> {
    let entry = fields.node("arguments")?;
    let found = fields.found();
    let Node::Table(arguments) = &entry.value.value else {
        let message = format!("`arguments` takes a table, and {} was written", entry.value.value.kind());
        found.error(Code::WrongType, &entry.value.place, message, EXAMPLE);
        return None;
    };
    let one = |(name, entry): (&String, &crate::config::node::Entry)| {
        let title = format!("the argument `{name}` of {}", fields.title());
        let fields = Fields::of(&entry.value, title, found)?;
        let value = |key| fields.node(key).map(|entry| entry.value.clone());
        let (fixed, default) = (value("fixed"), value("default"));
        fields.finish(&[]);
        Some(PresetRule { place: entry.value.place.clone(), name: name.clone(), fixed, default })
    };
    Some(arguments.iter().filter_map(one).collect())
}

const EXAMPLE: &str = "write `arguments = { folder = { fixed = \"inbox\" }, limit = { default = 10 } }`";
