//! `audit` of an entry of `tools` as it was written: what is recorded of the arguments of its calls.
//!
//! Must never say what a pointer means: that is for `check`.

use super::Quantity;
use crate::config::code::Code;
use crate::config::node::{Fields, Located, Node};
use crate::model::place::Place;

/// One word, or a table.
#[derive(Debug)]
pub(in crate::config) enum KeepRule {
    Word(Located<String>),
    Table(KeepTable),
}

/// A table.
#[derive(Debug)]
pub(in crate::config) struct KeepTable {
    pub(in crate::config) place: Place,
    pub(in crate::config) digest: Option<Located<bool>>,
    pub(in crate::config) keep: Option<Vec<Located<String>>>,
    pub(in crate::config) hash: Option<Vec<Located<String>>>,
    pub(in crate::config) whole: Quantity,
}

/// What the entry says; nothing where it says nothing.
pub(super) fn read(fields: &Fields<'_>) -> Option<KeepRule> {
    let entry = fields.node("audit")?;
    let found = fields.found();
    match &entry.value.value {
        Node::Text(word) => Some(KeepRule::Word(Located::new(word.clone(), &entry.value.place))),
        Node::Table(_) => {
            let fields = Fields::of(&entry.value, format!("`audit` of {}", fields.title()), found)?;
            let table = KeepTable {
                place: entry.value.place.clone(),
                digest: fields.boolean("digest"),
                keep: fields.texts("keep"),
                hash: fields.texts("hash"),
                whole: fields.quantity("whole"),
            };
            fields.finish(&[]);
            Some(KeepRule::Table(table))
        }
        other => {
            let message = format!("`audit` takes a word or a table, and {} was written", other.kind());
            found.error(Code::WrongType, &entry.value.place, message, EXAMPLE);
            None
        }
    }
}

const EXAMPLE: &str = "write `audit = \"whole\"`, or `audit = { keep = [\"/to\"], hash = [\"/iban\"] }`";
