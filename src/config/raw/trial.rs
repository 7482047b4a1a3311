//! `[[tests]]` as they were written: who calls, what it calls, and what is expected.
//!
//! Must never say what an expectation means: that is for `check`.

use super::Quantity;
use super::upstream::rules as entries;
use crate::config::node::{Entries, Fields, Located, Node};
use crate::model::place::Place;

/// One test.
#[derive(Debug)]
pub(in crate::config) struct Trial {
    pub(in crate::config) place: Place,
    pub(in crate::config) name: Option<Located<String>>,
    pub(in crate::config) sources: Vec<Located<String>>,
    pub(in crate::config) roles: Vec<Located<String>>,
    pub(in crate::config) agents: Vec<Located<String>>,
    pub(in crate::config) subject: Option<Located<String>>,
    pub(in crate::config) now: Option<Located<String>>,
    pub(in crate::config) trigger: Option<Located<Entries>>,
    /// Tools by what is expected of each as the first call of a run: the word, and the tools.
    pub(in crate::config) first: Vec<(&'static str, Vec<Located<String>>)>,
    pub(in crate::config) calls: Vec<Step>,
    /// The plan that is submitted: a file, or the plan itself.
    pub(in crate::config) submits: Option<Located<String>>,
    pub(in crate::config) goal: Option<Located<String>>,
    /// What the run has read before it submits.
    pub(in crate::config) after: Vec<Located<String>>,
    /// Steps of the plan by what is expected of each: the word, and the steps.
    pub(in crate::config) verdicts: Vec<(&'static str, Vec<Located<String>>)>,
}

/// One call of `calls`.
#[derive(Debug)]
pub(in crate::config) struct Step {
    pub(in crate::config) place: Place,
    pub(in crate::config) tool: Option<Located<String>>,
    pub(in crate::config) args: Option<Located<Entries>>,
    pub(in crate::config) expect: Option<Located<String>>,
    pub(in crate::config) reason: Option<Located<String>>,
    pub(in crate::config) times: Quantity,
    pub(in crate::config) after: Quantity,
}

/// The answers that can be expected, as they are written.
pub(in crate::config) const ANSWERS: [&str; 4] = ["allow", "plan", "ask", "deny"];

/// What can be expected of a step of a plan, as it is written.
const VERDICTS: [&str; 3] = ["granted", "asks", "refused"];

impl Trial {
    /// Every test of the file.
    pub(super) fn read_all(root: &Fields<'_>) -> Vec<Self> {
        let example = "write `[[tests]]`, and under it `source`, `role` and what is expected";
        entries(root, "tests", example, |fields| (Self::read(fields), &[]))
    }

    fn read(fields: &Fields<'_>) -> Self {
        let several = |one: &'static str, many: &'static str| {
            let listed = fields.texts(many).unwrap_or_default();
            fields.text(one).into_iter().chain(listed).collect()
        };
        Self {
            place: fields.place().clone(),
            name: fields.text("name"),
            sources: several("source", "sources"),
            roles: several("role", "roles"),
            agents: several("agent", "agents"),
            subject: fields.text("subject"),
            now: fields.text("now"),
            trigger: table(fields, "trigger"),
            first: ANSWERS.map(|word| (word, fields.texts(word).unwrap_or_default())).into(),
            calls: entries(
                fields,
                "calls",
                "write `calls = [{ tool = \"upstream.tool\", expect = \"allow\" }]`",
                |fields| (Step::read(fields), &[]),
            ),
            submits: fields.text("submits"),
            goal: fields.text("goal"),
            after: fields.texts("after").unwrap_or_default(),
            verdicts: VERDICTS.map(|word| (word, fields.texts(word).unwrap_or_default())).into(),
        }
    }
}

impl Step {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            place: fields.place().clone(),
            tool: fields.text("tool"),
            args: table(fields, "args"),
            expect: fields.text("expect"),
            reason: fields.text("reason"),
            times: fields.quantity("times"),
            after: fields.quantity("after"),
        }
    }
}

fn table(fields: &Fields<'_>, key: &'static str) -> Option<Located<Entries>> {
    let value = &fields.node(key)?.value;
    // What is no table is reported by whoever reads its fields.
    Fields::of(value, format!("`{key}`"), fields.found())?;
    match &value.value {
        Node::Table(entries) => Some(Located::new(entries.clone(), &value.place)),
        _ => None,
    }
}
