//! docs/gateway.schema.json against the reader: it knows the same keys in each table, and takes every file that
//! stands in the repository.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::root;
use crate::config::file::{self, Loaded};
use crate::config::node::{Entries, Node};
use crate::config::problem::Sink;
use crate::config::raw::Document;

/// One of each table that the reader knows. Nothing in it has to mean anything.
const EVERY_TABLE: &str = r#"
[gateway]
[admin]
[listen.main]
tls = { cert = "a", key = "b" }
vouches = { source = "chat" }
[listen.main.peers.self]
[auth.keys.laptop]
hash = { env = "HASH" }
vouches = { source = "chat" }
[auth.clients.ci]
[auth.issuers.bot]
jwks = { file = "keys" }
may_assert = {}
[auth.issuers.bot.refine.email]
rules = [{ when = {}, source = "email.colleague" }]
[auth.people.corp]
client_secret = { file = "secret" }
[auth.webhooks.chat]
sign = { file = "secret" }
[auth.mint]
[auth.dispatchers.hook]
[upstreams.mail]
env = { TOKEN = { file = "token" } }
returns = "email"
tools = [{ tool = "send", arguments = { folder = {} }, audit = { digest = true } }]
resources = [{ resource = "docs:*", returns = "email" }]
prompts = [{ prompt = "greet", returns = "email" }]
[sources.email]
allow = [{ tool = "mail.send" }]
prompts = { allow = [] }
[roles.assistant]
[agents.inbox]
[[budgets]]
[[flows]]
from = { brings = "untrusted" }
to = { classes = ["sends"] }
[[requests]]
steps = [{ tool = "mail.send", args = { to = { subject = true }, cc = [{ subject = true }] } }]
[[quorums]]
people = 2

[[approvers]]
[reviewer]
headers = {}
[[notify]]
headers = {}
denials = {}
[[tests]]
calls = [{ tool = "mail.send", args = {}, expect = "ask" }]
trigger = {}
[limits]
[audit]
sinks = [{ name = "siem" }]
[telemetry]
headers = {}
[reload]
"#;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../docs/gateway.schema.json")).unwrap()
}

fn load(text: &str) -> (Loaded, Sink) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("gateway.toml");
    std::fs::write(&path, text).unwrap();
    let found = Sink::default();
    let loaded = file::load(&path, &found);
    assert!(!found.has_errors(), "{text}");
    Document::read(&loaded, &found);
    (loaded, found)
}

/// What `node` may be: itself behind its `$ref`, or each of its alternatives.
fn alternatives<'a>(schema: &'a Value, node: &'a Value) -> Vec<&'a Value> {
    if let Some(name) = node["$ref"].as_str() {
        let target = schema.pointer(name.trim_start_matches('#')).unwrap_or_else(|| panic!("no {name}"));
        return alternatives(schema, target);
    }
    match node["oneOf"].as_array() {
        Some(several) => several.iter().flat_map(|one| alternatives(schema, one)).collect(),
        None => vec![node],
    }
}

/// Compares the tables under `entries` with what the schema says of them; notes which parts of it were met.
fn compare<'a>(
    at: &str,
    entries: &Entries,
    (schema, nodes): (&'a Value, &[&'a Value]),
    found: &Sink,
    met: &mut BTreeSet<*const Value>,
) {
    met.extend(nodes.iter().map(|node| std::ptr::from_ref(*node)));
    let keys = |node: &&Value| node["properties"].as_object().cloned().unwrap_or_default();
    let written: BTreeSet<String> = nodes.iter().flat_map(keys).map(|(key, _)| key).collect();
    if let Some(known) = found.known(entries) {
        let mut known: BTreeSet<String> = known.into_iter().map(str::to_owned).collect();
        if at.is_empty() {
            // It is followed before anything is read.
            known.insert("include".to_owned());
        }
        assert_eq!(known, written, "docs/gateway.schema.json and the reader disagree on `{at}`");
    }
    for (key, entry) in entries {
        let inside = nodes.iter().filter_map(|node| {
            let property = node["properties"].get(key);
            property.or_else(|| node.get("additionalProperties").filter(|named| named.is_object()))
        });
        let inside: Vec<&Value> = inside.flat_map(|node| alternatives(schema, node)).collect();
        let at = format!("{at}.{key}");
        match &entry.value.value {
            Node::Table(entries) => compare(&at, entries, (schema, &inside), found, met),
            Node::List(items) => {
                let elements = inside.iter().filter_map(|node| node.get("items"));
                let elements: Vec<&Value> =
                    elements.flat_map(|element| alternatives(schema, element)).collect();
                for item in items {
                    if let Node::Table(entries) = &item.value {
                        compare(&at, entries, (schema, &elements), found, met);
                    }
                }
            }
            _ => {}
        }
    }
}

/// Every part of `node` that says which keys a table has.
fn tables<'a>(node: &'a Value, path: &str, all: &mut Vec<(String, &'a Value)>) {
    if node["properties"].is_object() {
        all.push((path.to_owned(), node));
    }
    let inside: Vec<(String, &Value)> = match node {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (key, value) in inside {
        tables(value, &format!("{path}/{key}"), all);
    }
}

#[test]
fn the_schema_knows_the_keys_that_the_reader_knows() {
    let (schema, (loaded, found)) = (schema(), load(EVERY_TABLE));
    let mut met = BTreeSet::new();
    compare("", &loaded.root, (&schema, &[&schema]), &found, &mut met);
    let mut all = Vec::new();
    tables(&schema, "", &mut all);
    let other_form = |path: &str| path == "/$defs/secret/oneOf/0" || path == "/$defs/secret/oneOf/1";
    for (path, node) in all.iter().filter(|(path, _)| !other_form(path)) {
        assert!(met.contains(&std::ptr::from_ref(*node)), "no table of this test is {path}: add one");
    }
}

fn table(entries: &Entries) -> Value {
    crate::config::json::table(entries).unwrap()
}

/// Every configuration of the repository that is meant to be good.
fn shipped() -> Vec<std::path::PathBuf> {
    let mut files = vec![root().join("gateway.toml")];
    let mut folders = vec![root().join("examples"), root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name == "gateway.toml") {
                files.push(path);
            }
        }
    }
    for entry in std::fs::read_dir(root().join("tests/cases/config/good")).unwrap() {
        files.push(entry.unwrap().path());
    }
    files.retain(|path| path.extension().is_some_and(|end| end == "toml"));
    files
}

#[test]
fn the_schema_takes_every_configuration_of_the_repository_and_no_unknown_key() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let files = shipped();
    assert!(files.len() > 8, "{files:?}");
    for path in files {
        let found = Sink::default();
        let document = table(&file::load(&path, &found).root);
        let wrong: Vec<String> = validator
            .iter_errors(&document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
    }
    let (loaded, _) = load(&of_init());
    assert!(validator.is_valid(&table(&loaded.root)), "what `init` writes");
    for wrong in [
        "upstream = {}",
        "[listen.main]\nadress = \"a\"",
        "[sources.a]\nallow = \"*\"",
        "[reload]\nwatch = 1",
    ] {
        let (loaded, _) = load(wrong);
        assert!(!validator.is_valid(&table(&loaded.root)), "{wrong}");
    }
}

/// A configuration as `init` writes it, with one of everything.
fn of_init() -> String {
    use crate::proposal::{Configuration, Launch, Server, Tool, Written, labels};
    let tool = |name: &str| Tool {
        name: name.to_owned(),
        labels: labels(name, &json!({ "properties": { "to": {}, "body": {} } })),
    };
    let server = |name: &str, launch| Server {
        name: name.to_owned(),
        found_in: Vec::new(),
        launch,
        returns: (name.to_owned(), "why".to_owned()),
        tools: vec![tool("get"), tool("send")],
        off: vec!["send".to_owned()],
        failed: None,
    };
    let values = || {
        let all = [Written::Text("a".into()), Written::Env("B".into()), Written::File("c".into())];
        all.into_iter().enumerate().map(|(at, value)| (format!("A{at}"), value)).collect()
    };
    let process =
        Launch::Process { command: vec!["a".to_owned()], env: values(), cwd: Some("/srv".to_owned()) };
    let http =
        Launch::Http { url: "http://127.0.0.1:1/".to_owned(), headers: values(), is_event_stream: true };
    let servers = [server("mail", process), server("web", http)];
    Configuration { address: "127.0.0.1:7400", hash: "sha256:00", servers: &servers }.text()
}
