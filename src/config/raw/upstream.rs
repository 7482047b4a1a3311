//! `[upstreams.*]` as it was written.
//!
//! Must never read a secret: it only notes where one is kept.

use super::tool::{self, ToolRule};
use super::{Quantity, Secret, Secrets};
use crate::config::code::Code;
use crate::config::node::{Fields, Later, Located, Node};

/// `[upstreams.NAME]`.
#[derive(Debug)]
pub(in crate::config) struct Upstream {
    pub(in crate::config) name: Located<String>,
    pub(in crate::config) command: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) env: Secrets,
    pub(in crate::config) cwd: Option<Located<String>>,
    pub(in crate::config) user: Quantity,
    pub(in crate::config) url: Option<Located<String>>,
    pub(in crate::config) headers: Secrets,
    pub(in crate::config) transport: Option<Located<String>>,
    pub(in crate::config) revision: Option<Located<String>>,
    pub(in crate::config) prefix: Option<Located<String>>,
    pub(in crate::config) returns: Option<Located<Vec<Located<String>>>>,
    pub(in crate::config) accept_stored: Option<Located<String>>,
    pub(in crate::config) tools: Vec<ToolRule>,
    pub(in crate::config) resources: Vec<FinerRule>,
    pub(in crate::config) prompts: Vec<FinerRule>,
    pub(in crate::config) share: Option<Located<String>>,
    pub(in crate::config) pins: Option<Located<String>>,
    pub(in crate::config) instances_max: Quantity,
    pub(in crate::config) instance_idle: Quantity,
    pub(in crate::config) start_timeout: Quantity,
    pub(in crate::config) call_timeout: Quantity,
    pub(in crate::config) list_wait: Quantity,
    pub(in crate::config) result_max: Quantity,
    pub(in crate::config) calls_in_flight_max: Quantity,
}

/// `[[upstreams.NAME.resources]]` and `[[upstreams.NAME.prompts]]`.
#[derive(Debug)]
pub(in crate::config) struct FinerRule {
    pub(in crate::config) place: crate::model::place::Place,
    pub(in crate::config) pattern: Option<Located<String>>,
    pub(in crate::config) returns: Option<Located<Vec<Located<String>>>>,
}

const LATER: &[Later] = &[
    ("oauth", "OAuth toward upstreams"),
    ("credentials", "credentials per subject"),
    ("sampling", "requests of upstreams"),
    ("elicitation", "requests of upstreams"),
    ("roots", "requests of upstreams"),
];

impl Upstream {
    pub(super) fn read(name: Located<String>, fields: Fields<'_>) -> Self {
        let upstream = Self {
            name,
            command: command(&fields),
            env: Secret::read_table(&fields, "env"),
            cwd: fields.text("cwd"),
            user: fields.quantity("user"),
            url: fields.text("url"),
            headers: Secret::read_table(&fields, "headers"),
            transport: fields.text("transport"),
            revision: fields.text("revision"),
            prefix: fields.text("prefix"),
            returns: fields.one_or_more("returns"),
            accept_stored: fields.text("accept_stored"),
            tools: tool::rules(&fields),
            resources: finer_rules(&fields, "resources", "resource"),
            prompts: finer_rules(&fields, "prompts", "prompt"),
            share: fields.text("share"),
            pins: fields.text("pins"),
            instances_max: fields.quantity("instances_max"),
            instance_idle: fields.quantity("instance_idle"),
            start_timeout: fields.quantity("start_timeout"),
            call_timeout: fields.quantity("call_timeout"),
            list_wait: fields.quantity("list_wait"),
            result_max: fields.quantity("result_max"),
            calls_in_flight_max: fields.quantity("calls_in_flight_max"),
        };
        fields.finish(LATER);
        upstream
    }
}

/// `command` is an array: a string would have to be split, and nobody agrees on how.
fn command(fields: &Fields<'_>) -> Option<Located<Vec<Located<String>>>> {
    let place = fields.node("command")?.value.place.clone();
    fields.texts("command").map(|words| Located { value: words, place })
}

/// The entries of the array of tables `key`, each read by `rule`.
pub(super) fn rules<R>(
    fields: &Fields<'_>,
    key: &'static str,
    example: &str,
    rule: impl Fn(&Fields<'_>) -> (R, &'static [Later]),
) -> Vec<R> {
    let Some(entry) = fields.node(key) else { return Vec::new() };
    let found = fields.found();
    let Node::List(items) = &entry.value.value else {
        let message =
            format!("`{key}` takes an array of tables, and {} was written", entry.value.value.kind());
        found.error(Code::WrongType, &entry.value.place, message, example);
        return Vec::new();
    };
    let read = |item| {
        let fields = Fields::of(item, format!("an entry of `{key}` of {}", fields.title()), found)?;
        let (rule, later) = rule(&fields);
        fields.finish(later);
        Some(rule)
    };
    items.iter().filter_map(read).collect()
}

/// `name` is the key of the pattern.
fn finer_rules(fields: &Fields<'_>, key: &'static str, name: &'static str) -> Vec<FinerRule> {
    let example = format!("write `{key} = [{{ {name} = \"…*\", returns = \"trusted\" }}]`");
    rules(fields, key, &example, |fields| {
        let rule = FinerRule {
            place: fields.place().clone(),
            pattern: fields.text(name),
            returns: fields.one_or_more("returns"),
        };
        (rule, &[])
    })
}
