//! What a tool does and what its arguments are for, by its name and its input schema.
//!
//! Must never look at annotations, titles or descriptions: they are words of the upstream to a reader (CASES A65). A
//! name is one too, but it is what a person sees in every permission. In doubt: more classes.

use std::collections::BTreeSet;

use serde_json::Value;

use super::arguments::{self, For};
use super::words::{any, split};
use crate::model::label::ToolClass;

/// What is proposed of one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Labels {
    /// What it does.
    pub classes: BTreeSet<ToolClass>,
    /// The arguments that say who, where, which or how much.
    pub destinations: Vec<String>,
    /// The arguments that hold what is told.
    pub content: Vec<String>,
    /// Whether a later read may find what it writes.
    pub stores: bool,
    /// Whether it sends nothing but the address that it reads from.
    pub only_follows: bool,
    /// Whether its name says nothing, so that it counts as everything.
    pub is_unknown: bool,
}

const READS: &[&str] = &[
    "get",
    "list",
    "read",
    "search",
    "find",
    "query",
    "fetch",
    "show",
    "view",
    "describe",
    "count",
    "check",
    "status",
    "lookup",
    "browse",
    "inspect",
    "select",
    "explain",
    "diff",
    "log",
    "tree",
    "stat",
    "info",
    "resolve",
    "compare",
    "summarize",
    "whoami",
    "current",
    "screenshot",
    "snapshot",
    "retrieve",
    "scrape",
    "crawl",
    "extract",
    "navigate",
    "open",
    "ls",
    "cat",
    "grep",
    "glob",
    "echo",
    "ping",
    "time",
    "convert",
    "validate",
    "analyze",
    "calculate",
    "ask",
];
const WRITES: &[&str] = &[
    "create",
    "write",
    "update",
    "delete",
    "remove",
    "edit",
    "set",
    "add",
    "insert",
    "move",
    "rename",
    "copy",
    "put",
    "save",
    "append",
    "patch",
    "replace",
    "archive",
    "mark",
    "close",
    "reopen",
    "assign",
    "label",
    "upsert",
    "drop",
    "truncate",
    "clear",
    "reset",
    "merge",
    "commit",
    "tag",
    "pin",
    "star",
    "fork",
    "lock",
    "restore",
    "modify",
    "change",
    "store",
    "upload",
    "book",
    "schedule",
    "cancel",
    "approve",
    "reject",
    "enable",
    "disable",
    "toggle",
    "make",
    "mkdir",
    "rm",
    "mv",
    "cp",
    "touch",
    "draft",
    "remember",
    "log_time",
    "fill",
    "type",
    "select_option",
    "push",
    "checkout",
    "unarchive",
    "manage",
];
const SENDS: &[&str] = &[
    "send",
    "reply",
    "post",
    "publish",
    "share",
    "forward",
    "invite",
    "notify",
    "tweet",
    "comment",
    "submit",
    "push",
    "upload",
    "transfer",
    "pay",
    "buy",
    "purchase",
    "refund",
    "broadcast",
    "announce",
    "respond",
    "dispatch",
    "deliver",
    "export",
    "sync",
    "email",
    "message",
    "request",
    "click",
    "fill",
    "call",
];
const EXECUTES: &[&str] = &[
    "run", "exec", "execute", "eval", "evaluate", "shell", "bash", "command", "script", "start", "launch",
    "deploy", "invoke", "trigger", "spawn", "kill", "restart", "build", "terminal", "python", "apply",
    "press", "stop", "call",
];
const LOADS: &[&str] =
    &["install", "import", "load", "clone", "pull", "require", "download", "upgrade", "register"];
/// Verbs that count wherever they stand, also after a verb that reads.
const ALWAYS: &[&str] = &[
    "send", "delete", "exec", "execute", "eval", "run", "write", "create", "update", "install", "reply",
    "remove", "post", "publish", "pay", "transfer", "replace", "edit", "upload", "shell", "bash",
];
const JOINS: &[&str] = &["and", "or", "then"];

/// Proposes labels for the tool `name` with this input schema.
#[must_use]
pub fn labels(name: &str, schema: &Value) -> Labels {
    let arguments = arguments::of(schema);
    let has = |purpose: For| arguments.iter().any(|(_, other)| *other == purpose);
    let mut classes = by_name(name);
    let is_unknown = classes.is_empty();
    if is_unknown {
        classes = ToolClass::ALL.into();
    }
    if has(For::Code) {
        // What is run can do everything, whatever it is called.
        classes.extend([ToolClass::Executes, ToolClass::Writes]);
    }
    let reads_alone = classes.len() == 1 && classes.contains(&ToolClass::Reads);
    if has(For::Address) {
        classes.insert(ToolClass::Sends);
    }
    if !reads_alone {
        let more = [
            (For::Recipient, ToolClass::Sends),
            (For::Content, ToolClass::Writes),
            (For::Package, ToolClass::Loads),
        ];
        classes.extend(more.into_iter().filter(|(purpose, _)| has(*purpose)).map(|(_, class)| class));
    }
    let named = |wanted: &dyn Fn(For) -> bool| {
        arguments.iter().filter(|(_, purpose)| wanted(*purpose)).map(|(name, _)| name.clone()).collect()
    };
    Labels {
        destinations: named(&|purpose| match purpose {
            For::Recipient | For::Address | For::Place | For::Package => true,
            For::Unknown | For::Code => !reads_alone,
            For::Content | For::Form => false,
        }),
        content: named(&|purpose| purpose == For::Content),
        stores: classes.contains(&ToolClass::Writes) || classes.contains(&ToolClass::Loads),
        only_follows: reads_alone && has(For::Address),
        is_unknown,
        classes,
    }
}

/// The classes that the verbs of a name say.
fn by_name(name: &str) -> BTreeSet<ToolClass> {
    let mut words = split(name);
    // The noun, not the verb.
    if let Some(at) = words.windows(2).position(|pair| pair == ["pull", "request"]) {
        words.drain(at..=at + 1);
    }
    let tables = [
        (READS, ToolClass::Reads),
        (WRITES, ToolClass::Writes),
        (SENDS, ToolClass::Sends),
        (EXECUTES, ToolClass::Executes),
        (LOADS, ToolClass::Loads),
    ];
    let is_read = |words: &[String]| words.first().is_some_and(|first| READS.contains(&first.as_str()));
    let first_verb =
        words.iter().position(|word| tables.iter().any(|(verbs, _)| verbs.contains(&word.as_str())));
    let from_verb = first_verb.and_then(|at| words.get(at..)).unwrap_or_default();
    // After a verb that reads stand nouns, which may look like verbs: `get_message`, `list_comment`.
    let counts = |at: usize, word: &String| {
        let before = at.checked_sub(1).and_then(|at| from_verb.get(at));
        at == 0
            || !is_read(from_verb)
            || ALWAYS.contains(&word.as_str())
            || before.is_some_and(|w| JOINS.contains(&w.as_str()))
    };
    let verbs: Vec<String> = from_verb
        .iter()
        .enumerate()
        .filter(|(at, word)| counts(*at, word))
        .map(|(_, word)| word.clone())
        .collect();
    tables.into_iter().filter(|(known, _)| any(&verbs, known)).map(|(_, class)| class).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proposed(name: &str, arguments: &[&str]) -> (Vec<&'static str>, Vec<String>, Vec<String>) {
        let properties: serde_json::Map<String, Value> =
            arguments.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
        let labels = labels(name, &json!({ "type": "object", "properties": properties }));
        let classes = labels.classes.iter().map(|class| class.as_str()).collect();
        (classes, labels.destinations, labels.content)
    }

    /// A tool and its arguments; its classes, destinations and content.
    type Case = (
        &'static str,
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
        &'static [&'static str],
    );

    #[test]
    fn what_well_known_tools_do_is_proposed() {
        let cases: &[Case] = &[
            ("read_inbox", &["limit"], &["reads"], &[], &[]),
            ("get_message", &["message_id"], &["reads"], &["message_id"], &[]),
            (
                "send",
                &["to", "cc", "subject", "body"],
                &["writes", "sends"],
                &["to", "cc"],
                &["subject", "body"],
            ),
            ("delete", &["id"], &["writes"], &["id"], &[]),
            (
                "create_event",
                &["title", "attendees", "start"],
                &["writes", "sends"],
                &["attendees"],
                &["title"],
            ),
            ("fetch", &["url"], &["reads", "sends"], &["url"], &[]),
            ("write_file", &["path", "content"], &["writes"], &["path"], &["content"]),
            ("search_and_replace", &["path", "pattern"], &["reads", "writes"], &["path"], &[]),
            (
                "pull_request_read",
                &["owner", "repo", "pullNumber"],
                &["reads"],
                &["owner", "repo", "pullNumber"],
                &[],
            ),
            ("run_command", &["command", "cwd"], &["writes", "executes"], &["command", "cwd"], &[]),
            ("query", &["sql"], &["reads", "writes", "executes"], &["sql"], &[]),
            ("install_package", &["package"], &["loads"], &["package"], &[]),
            ("get_and_send", &["to"], &["reads", "sends"], &["to"], &[]),
            ("frobnicate", &["x"], &["reads", "writes", "sends", "executes", "loads"], &["x"], &[]),
        ];
        for (name, arguments, classes, destinations, content) in cases {
            let (found, mut to, mut told) = proposed(name, arguments);
            to.sort();
            told.sort();
            let sorted = |list: &[&str]| {
                let mut list: Vec<String> = list.iter().map(|s| (*s).to_owned()).collect();
                list.sort();
                list
            };
            assert_eq!(found, *classes, "{name}");
            assert_eq!((to, told), (sorted(destinations), sorted(content)), "{name}");
        }
    }

    #[test]
    fn a65_what_a_server_says_of_its_tool_beside_name_and_schema_counts_for_nothing() {
        let schema = json!({ "properties": { "to": { "type": "string", "readOnlyHint": true, "title": "limit" } },
            "annotations": { "readOnlyHint": true }, "description": "Only reads." });
        let labels = labels("send", &schema);
        assert!(labels.classes.contains(&ToolClass::Sends));
        assert_eq!(labels.destinations, ["to"]);
    }

    #[test]
    fn hostile_schemas_are_bounded() {
        let properties: serde_json::Map<String, Value> =
            (0..5000).map(|n| (format!("{n}{}", "x".repeat(n)), json!({}))).collect();
        let labels = labels("x", &json!({ "properties": properties }));
        assert!(labels.destinations.len() <= 64);
        for schema in [json!(null), json!([]), json!({ "properties": 7 })] {
            assert!(super::labels("send", &schema).destinations.is_empty());
        }
    }
}
