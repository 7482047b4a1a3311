//! `[[flows]]` and `[[requests]]` as they were written: what may not follow what, and what may be asked for.
//!
//! Must never say what a class, a source or an attribute means: that is for `check`.

use super::Quantity;
use super::upstream::rules as entries;
use crate::config::code::Code;
use crate::config::node::{Entry, Fields, Located, Node};
use crate::config::problem::Sink;
use crate::model::place::Place;

/// One entry of `flows`.
#[derive(Debug)]
pub(in crate::config) struct FlowRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) from: Option<FlowEnd>,
    pub(in crate::config) to: Option<FlowEnd>,
    pub(in crate::config) reaches: Option<Located<String>>,
    pub(in crate::config) answer: Option<Located<String>>,
}

/// `from` or `to` of a flow.
#[derive(Debug)]
pub(in crate::config) struct FlowEnd {
    pub(in crate::config) place: Place,
    pub(in crate::config) classes: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) tools: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) brings: Option<BringsRule>,
}

/// `brings`: a word, or sources.
#[derive(Debug)]
pub(in crate::config) enum BringsRule {
    Word(Located<String>),
    Sources(Located<Vec<Located<String>>>),
}

/// One entry of `requests`.
#[derive(Debug)]
pub(in crate::config) struct RequestRule {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) source: Option<Located<String>>,
    pub(in crate::config) goal: Option<Located<String>>,
    pub(in crate::config) steps: Vec<RequestStep>,
}

/// One entry of `steps`.
#[derive(Debug)]
pub(in crate::config) struct RequestStep {
    pub(in crate::config) place: Place,
    pub(in crate::config) tool: Option<Located<String>>,
    pub(in crate::config) max_calls: Quantity,
    pub(in crate::config) args: Vec<(Located<String>, LimitRule)>,
}

/// What an argument may be.
#[derive(Debug)]
pub(in crate::config) enum LimitRule {
    /// `{ … }`.
    Table(Box<LimitTable>),
    /// `[ … ]`, or one value.
    Values(Located<Vec<ValueRule>>),
}

/// What an argument may be, as a table.
#[derive(Debug)]
pub(in crate::config) struct LimitTable {
    pub(in crate::config) place: Place,
    pub(in crate::config) pin: PinTable,
    pub(in crate::config) any: Option<Located<bool>>,
    pub(in crate::config) min: Option<Located<Node>>,
    pub(in crate::config) max: Option<Located<Node>>,
}

/// One value that an argument may have.
#[derive(Debug)]
pub(in crate::config) enum ValueRule {
    Plain(Located<Node>),
    Table(PinTable),
}

/// `{ trigger = "sender" }` or `{ subject = true }`.
#[derive(Debug)]
pub(in crate::config) struct PinTable {
    pub(in crate::config) place: Place,
    pub(in crate::config) trigger: Option<Located<String>>,
    pub(in crate::config) subject: Option<Located<bool>>,
}

impl FlowRule {
    /// Every entry of `flows`.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[flows]]`, and under it `name`, `from`, `to` and `answer`";
        entries(root, "flows", example, |fields| {
            let flow = Self {
                place: fields.place().clone(),
                name: fields.text("name"),
                from: FlowEnd::read(fields, "from", BringsRule::read),
                to: FlowEnd::read(fields, "to", |_| None),
                reaches: fields.text("reaches"),
                answer: fields.text("answer"),
            };
            (flow, &[])
        })
    }
}

impl FlowEnd {
    fn read(
        fields: &Fields<'_>,
        key: &'static str,
        brings: impl Fn(&Fields<'_>) -> Option<BringsRule>,
    ) -> Option<Self> {
        let entry = fields.node(key)?;
        let inner = Fields::of(&entry.value, format!("`{key}` of {}", fields.title()), fields.found())?;
        let end = Self {
            place: inner.place().clone(),
            classes: inner.one_or_more("classes"),
            tools: inner.one_or_more("tools"),
            brings: brings(&inner),
        };
        inner.finish(&[]);
        Some(end)
    }
}

impl BringsRule {
    fn read(fields: &Fields<'_>) -> Option<Self> {
        let Entry { value, .. } = fields.node("brings")?;
        match &value.value {
            Node::Text(word) => Some(Self::Word(Located::new(word.clone(), &value.place))),
            _ => fields.one_or_more("brings").map(Self::Sources),
        }
    }
}

impl RequestRule {
    /// Every entry of `requests`.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[requests]]`, and under it `name`, `source` and `steps`";
        entries(root, "requests", example, |fields| {
            let request = Self {
                place: fields.place().clone(),
                name: fields.text("name"),
                source: fields.text("source"),
                goal: fields.text("goal"),
                steps: entries(
                    fields,
                    "steps",
                    "write `steps = [{ tool = \"upstream.tool\", max_calls = 1, args = { … } }]`",
                    |fields| (RequestStep::read(fields), &[]),
                ),
            };
            (request, &[])
        })
    }
}

impl RequestStep {
    fn read(fields: &Fields<'_>) -> Self {
        let found = fields.found();
        let args = fields.table("args", "a table of arguments").into_iter();
        let limit = |(name, entry): (&str, &Entry)| {
            let limit = LimitRule::read(name, &entry.value, found)?;
            Some((Located::new(name.to_owned(), &entry.key_place), limit))
        };
        Self {
            place: fields.place().clone(),
            tool: fields.text("tool"),
            max_calls: fields.quantity("max_calls"),
            args: args.filter_map(limit).collect(),
        }
    }
}

impl LimitRule {
    fn read(name: &str, node: &Located<Node>, found: &Sink) -> Option<Self> {
        match &node.value {
            Node::Table(_) => {
                let fields = Fields::of(node, format!("`{name}`"), found)?;
                let table = LimitTable {
                    place: fields.place().clone(),
                    pin: PinTable::read(&fields),
                    any: fields.boolean("any"),
                    min: fields.quantity("min"),
                    max: fields.quantity("max"),
                };
                fields.finish(&[]);
                Some(Self::Table(Box::new(table)))
            }
            Node::List(items) => {
                let values = items.iter().filter_map(|item| ValueRule::read(name, item, found)).collect();
                Some(Self::Values(Located::new(values, &node.place)))
            }
            _ => Some(Self::Values(Located::new(vec![ValueRule::Plain(node.clone())], &node.place))),
        }
    }
}

impl ValueRule {
    fn read(name: &str, node: &Located<Node>, found: &Sink) -> Option<Self> {
        if !matches!(node.value, Node::Table(_)) {
            return Some(Self::Plain(node.clone()));
        }
        let fields = Fields::of(node, format!("a value of `{name}`"), found)?;
        let table = PinTable::read(&fields);
        if found.lacks(&table.place, &["trigger", "subject"]) {
            let help = "write a value, `{ trigger = \"sender\" }` or `{ subject = true }`";
            found.error(Code::MissingKey, &table.place, format!("a value of `{name}` says nothing"), help);
        }
        fields.finish(&[]);
        Some(Self::Table(table))
    }
}

impl PinTable {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            place: fields.place().clone(),
            trigger: fields.text("trigger"),
            subject: fields.boolean("subject"),
        }
    }
}
