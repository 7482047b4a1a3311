//! `[sources.*]`, `[roles.*]` and `[agents.*]` as they were written: four lists of permissions for tools,
//! and four for each other class.
//!
//! Must never drop an entry in silence: one that cannot be read is an error.

use crate::config::code::Code;
use crate::config::node::{Entry as NodeEntry, Fields, Located, Node, text_of};
use crate::config::problem::Sink;
use crate::model::place::Place;
use crate::model::target::Class;

/// One source, role or agent.
#[derive(Debug)]
pub(in crate::config) struct Row {
    pub(in crate::config) name: Located<String>,
    /// The lists of every class that was written, tools always.
    pub(in crate::config) lists: Vec<Lists>,
    /// `trigger`, of a source: attributes and their types.
    pub(in crate::config) trigger: Vec<(Located<String>, Located<String>)>,
    /// Of a source.
    pub(in crate::config) shadow: Shadow,
}

/// The four lists of one class.
#[derive(Debug)]
pub(in crate::config) struct Lists {
    pub(in crate::config) class: Class,
    pub(in crate::config) allow: Vec<Entry>,
    pub(in crate::config) plan: Vec<Entry>,
    pub(in crate::config) ask: Vec<Entry>,
    pub(in crate::config) deny: Vec<Entry>,
}

/// A permission as it was written.
#[derive(Debug)]
pub(in crate::config) struct Entry {
    pub(in crate::config) value: String,
    pub(in crate::config) place: Place,
    pub(in crate::config) when: Option<Located<String>>,
    pub(in crate::config) unconstrained: Vec<Located<String>>,
    pub(in crate::config) shadow: Shadow,
}

/// `enforce` and `until`.
#[derive(Debug, Default)]
pub(in crate::config) struct Shadow {
    pub(in crate::config) enforce: Option<Located<bool>>,
    pub(in crate::config) until: Option<Located<String>>,
}

impl Entry {
    fn plain(written: Located<String>) -> Self {
        let Located { value, place } = written;
        Self { value, place, when: None, unconstrained: Vec::new(), shadow: Shadow::default() }
    }
}

impl Shadow {
    fn read(fields: &Fields<'_>) -> Self {
        Self { enforce: fields.boolean("enforce"), until: fields.text("until") }
    }
}

impl Row {
    /// `[roles.*]` and `[agents.*]`.
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let row = Self::written(name, &fields);
        fields.finish(&[]);
        row
    }

    /// `[sources.*]`.
    pub(super) fn read_source(name: Located<String>, fields: Fields<'_>) -> Self {
        let (trigger, shadow) = (attributes(&fields), Shadow::read(&fields));
        let row = Self { trigger, shadow, ..Self::written(name, &fields) };
        fields.finish(&[]);
        row
    }

    fn written(name: Located<String>, fields: &Fields<'_>) -> Self {
        let mut lists = vec![Lists::read(Class::Tool, fields)];
        for class in Class::ALL.into_iter().filter(|class| *class != Class::Tool) {
            let key = class.plural();
            let Some(entry) = fields.node(key) else { continue };
            let Some(fields) = Fields::of(&entry.value, format!("`{key}`"), fields.found()) else { continue };
            lists.push(Lists::read(class, &fields));
            fields.finish(&[]);
        }
        Self { name, lists, trigger: Vec::new(), shadow: Shadow::default() }
    }

    /// The lists for tools.
    pub(in crate::config) fn tools(&self) -> Option<&Lists> {
        self.lists.iter().find(|lists| lists.class == Class::Tool)
    }
}

impl Lists {
    fn read(class: Class, fields: &Fields<'_>) -> Self {
        let list = |key| list(class, fields, key);
        Self { class, allow: list("allow"), plan: list("plan"), ask: list("ask"), deny: list("deny") }
    }
}

/// How a permission of `class` is written.
pub(in crate::config) fn form(class: Class) -> &'static str {
    match class {
        Class::Tool => "upstream.tool",
        Class::Prompt => "upstream.prompt",
        Class::Resource => "upstream:scheme:pattern",
        Class::Completion | Class::Sampling | Class::Elicitation | Class::Roots => "upstream",
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

fn list(class: Class, fields: &Fields<'_>, key: &'static str) -> Vec<Entry> {
    let Some(entry) = fields.node(key) else { return Vec::new() };
    let found = fields.found();
    match &entry.value.value {
        Node::List(items) => items.iter().filter_map(|item| permission(class, item, key, found)).collect(),
        other => {
            let message = format!("`{key}` takes an array of permissions, and {} was written", other.kind());
            let help = format!("write `{key} = [\"{}\"]`", form(class));
            found.error(Code::WrongType, &entry.value.place, message, help);
            Vec::new()
        }
    }
}

/// `"mail.send"`, or, for a tool, `{ tool = "mail.send", when = "…" }`.
fn permission(class: Class, node: &Located<Node>, key: &str, found: &Sink) -> Option<Entry> {
    let is_table = matches!(node.value, Node::Table(_)) && class == Class::Tool;
    if !is_table {
        return text_of(node, &format!("each entry of `{key}`"), found).map(Entry::plain);
    }
    let fields = Fields::of(node, format!("an entry of `{key}`"), found)?;
    let tool = fields.text("tool");
    let when = fields.text("when");
    let unconstrained = fields.texts("unconstrained").unwrap_or_default();
    let shadow = Shadow::read(&fields);
    if found.lacks(&node.place, &["tool"]) {
        let help = "write `{ tool = \"upstream.tool\" }`, or the permission alone in quotes";
        found.error(Code::MissingKey, &node.place, format!("an entry of `{key}` without `tool`"), help);
    }
    fields.finish(&[]);
    tool.map(|tool| Entry { when, unconstrained, shadow, ..Entry::plain(tool) })
}
