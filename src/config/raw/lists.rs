//! `[sources.*]`, `[roles.*]` and `[agents.*]` as they were written: four lists of permissions.
//!
//! Must never drop an entry in silence: one that cannot be read is an error.

use crate::config::code::Code;
use crate::config::node::{Entry as NodeEntry, Fields, Located, Node, text_of};
use crate::config::problem::Sink;

/// One source, role or agent.
#[derive(Debug)]
pub(in crate::config) struct Row {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) allow: Vec<Entry>,
    pub(in crate::config) plan: Vec<Entry>,
    pub(in crate::config) ask: Vec<Entry>,
    pub(in crate::config) deny: Vec<Entry>,
    /// `trigger`, of a source: attributes and their types.
    pub(in crate::config) trigger: Vec<(Located<String>, Located<String>)>,
}

/// A permission as it was written.
pub(in crate::config) type Entry = Located<String>;

impl Row {
    /// `[roles.*]` and `[agents.*]`.
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let row = Self::lists(name, &fields);
        fields.finish(&[]);
        row
    }

    /// `[sources.*]`.
    pub(super) fn read_source(name: Located<String>, fields: Fields<'_>) -> Self {
        let row = Self { trigger: attributes(&fields), ..Self::lists(name, &fields) };
        fields.finish(&[("requests", "request shapes")]);
        row
    }

    fn lists(name: Located<String>, fields: &Fields<'_>) -> Self {
        Self {
            allow: list(fields, "allow"),
            plan: list(fields, "plan"),
            ask: list(fields, "ask"),
            deny: list(fields, "deny"),
            trigger: Vec::new(),
            name,
        }
    }
}

/// `trigger = { sender = "string" }`.
fn attributes(fields: &Fields<'_>) -> Vec<(Located<String>, Located<String>)> {
    let each = |(name, entry): (&str, &NodeEntry)| {
        let of_type = text_of(&entry.value, &format!("the type of `{name}`"), fields.found())?;
        Some((Located::new(name.to_owned(), &entry.key_place), of_type))
    };
    fields.table("trigger", "a table of attributes and their types").into_iter().filter_map(each).collect()
}

fn list(fields: &Fields<'_>, key: &'static str) -> Vec<Entry> {
    let Some(entry) = fields.node(key) else { return Vec::new() };
    let found = fields.found();
    match &entry.value.value {
        Node::List(items) => items.iter().filter_map(|item| permission(item, key, found)).collect(),
        other => {
            let message = format!("`{key}` takes an array of permissions, and {} was written", other.kind());
            let help = format!("write `{key} = [\"upstream.tool\"]`");
            found.error(Code::WrongType, &entry.value.place, message, help);
            Vec::new()
        }
    }
}

/// `"mail.send"`, or `{ tool = "mail.send" }`.
fn permission(node: &Located<Node>, key: &str, found: &Sink) -> Option<Entry> {
    let Node::Table(_) = node.value else {
        return text_of(node, &format!("each entry of `{key}`"), found);
    };
    let fields = Fields::of(node, format!("an entry of `{key}`"), found)?;
    let tool = fields.text("tool");
    if found.lacks(&node.place, &["tool"]) {
        let help = "write `{ tool = \"upstream.tool\" }`, or the permission alone in quotes";
        found.error(Code::MissingKey, &node.place, format!("an entry of `{key}` without `tool`"), help);
    }
    fields.finish(&[("when", "conditions")]);
    tool
}
