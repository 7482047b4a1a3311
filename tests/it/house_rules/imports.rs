//! Who may import whom: the direction in which the rooms know each other.
//!
//! Looks at `use` trees, at paths in code, and at the tokens of macro calls. Tests inside a room may
//! import the rooms that they get their proofs from, since they get them through the real functions.

mod paths;

use super::assert_finds;
use super::tree::File;
use paths::{Mention, mentions};

/// What a room may import.
struct Room {
    name: &'static str,
    /// Rooms of which it may name anything public.
    whole: &'static [&'static str],
    /// Rooms of which it may name these items alone.
    items: &'static [(&'static str, &'static [&'static str])],
}

const fn room(name: &'static str, whole: &'static [&'static str]) -> Room {
    Room { name, whole, items: &[] }
}

/// The import table (docs/ARCHITECTURE.md). A line that is added here is a new dependency between rooms.
const TABLE: &[Room] = &[
    room("model", &[]),
    // Whom we trust as a client of TLS, for every room that is one.
    room("trust", &[]),
    // Signing messages and knowing signed ones, for whoever sends or takes them.
    room("webhook", &[]),
    room("clock", &[]),
    room("chance", &[]),
    room("task", &[]),
    // Files that are replaced whole.
    room("whole", &[]),
    room("keyfile", &["chance", "whole"]),
    room("wire", &["model"]),
    // Large messages on disk: what stays of one in memory is for the one grammar to say.
    room("spool", &["model", "chance", "wire"]),
    // Posting to receivers that the operator named; knows no meaning of what is sent.
    room("outbound", &["model", "trust"]),
    // Asks somebody outside about a plan; what is asked and said is for `plan` to write and read.
    room("reviewer", &["model", "clock", "outbound", "webhook"]),
    // Tells people that something waits for them; what became of a message is counted by whoever started it.
    room("notify", &["model", "clock", "chance", "outbound", "webhook"]),
    // Listening and HTTP/1.1, for every room that listens; knows no meaning of a request.
    // By the clock it says whether a certificate is valid: rustls would read the machine's.
    room("socket", &["model", "chance", "clock"]),
    // A call that waits for a person is kept as it came.
    room("approval", &["model", "wire"]),
    // The decision is pure: no clock, no chance, no other room.
    room("policy", &["model"]),
    // A plan is read by the one grammar, and reviewed from tables that it is handed: no policy, no run, no clock.
    room("plan", &["model", "wire"]),
    // What a client's file says is told to nobody but the one who asked.
    room("clients", &["model"]),
    // What is proposed follows from names and schemas alone: no file, no process, no other room.
    room("proposal", &["model"]),
    room("limit", &["model", "clock"]),
    Room {
        name: "identity",
        whole: &["model", "clock", "chance", "trust", "webhook"],
        // There is one grammar of JSON in the gateway: what a token says is read by it, or two readers
        // could understand it differently.
        items: &[("wire", &["strict"])],
    },
    // A grant is kept with its run, and used in its critical section.
    room("run", &["model", "clock", "chance", "plan"]),
    // What is kept of arguments: found by the one grammar, sealed under keys of its own.
    room("keep", &["model", "chance", "keyfile", "wire"]),
    // The live state holds the grants of runs, and the fold counts their uses.
    room("audit", &["model", "clock", "chance", "keyfile", "plan"]),
    // Reads the journal, for whoever asks.
    room("index", &["model", "audit"]),
    // Reads the journal; what it is told to do it does without anybody on the path.
    room("sink", &["model", "clock", "chance", "trust", "whole", "outbound", "webhook", "audit"]),
    Room {
        name: "upstream",
        whole: &["model", "clock", "chance", "task", "spool", "wire"],
        // The proofs that a call brings along.
        items: &[
            ("policy", &["Permit"]),
            ("limit", &["Admission", "InFlight"]),
            ("audit", &["Intent", "OpenIntent"]),
        ],
    },
    room("telemetry", &["model", "clock", "chance", "socket", "outbound"]),
    // Says what people may ask; the gateway answers it.
    // Secrets of sessions are drawn by chance.
    room("console", &["model", "clock", "chance", "socket", "telemetry"]),
    room(
        "gateway",
        &[
            "model",
            "clock",
            "chance",
            "task",
            "spool",
            "wire",
            "identity",
            "run",
            "policy",
            "plan",
            "reviewer",
            "notify",
            "approval",
            "limit",
            "keep",
            "audit",
            "upstream",
            "telemetry",
            "console",
        ],
    ),
    Room {
        name: "downstream",
        whole: &["model", "clock", "chance", "spool", "wire", "socket", "gateway", "telemetry"],
        items: &[("identity", &["ListenerVouches", "Presented", "ClientCredential"])],
    },
    // Fills the settings of the rooms; no room reads it.
    room(
        "config",
        &[
            "model",
            "audit",
            "downstream",
            "identity",
            "limit",
            "notify",
            "plan",
            "policy",
            "reviewer",
            "run",
            "sink",
            "telemetry",
            "upstream",
            // A certificate is checked by the code that serves it, at the machine's time.
            "clock",
            "socket",
            "webhook",
        ],
    ),
    room("demo", &["model", "clock", "chance"]),
    room(
        "cli",
        &[
            "model",
            "clock",
            "chance",
            "wire",
            "identity",
            "run",
            "policy",
            "plan",
            "reviewer",
            "notify",
            "limit",
            "keep",
            "audit",
            "index",
            "sink",
            "upstream",
            "socket",
            "telemetry",
            "gateway",
            "downstream",
            "console",
            "config",
            "clients",
            "proposal",
            "demo",
        ],
    ),
    room("main", &["cli"]),
];

/// Crates and parts of std that may not leave these rooms.
const CRATES: &[(&str, &[&str])] = &[
    // rmcp re-parses, drops unknown fields and rounds large integers: never on the forwarding path.
    ("rmcp", &["demo"]),
    // What decides is decided in one room.
    ("cedar_policy", &["policy"]),
    ("miette", &["policy"]),
    ("rusqlite", &["index"]),
    // Patterns of plans: checked against RFC 9485 before they are compiled.
    ("regex", &["plan"]),
    ("anyhow", &["cli", "main"]),
    ("clap", &["cli"]),
    ("clap_complete", &["cli"]),
    ("prometheus_client", &["telemetry", "gateway"]),
    ("hyper_rustls", &["upstream", "outbound", "trust"]),
    // TLS is made where connections are: toward agents in `socket`, toward a gateway in `connect`,
    // toward the key sets of issuers in `identity`, toward receivers of records in `sink`.
    ("rustls", &["socket", "cli", "identity", "sink", "trust"]),
    ("tokio_rustls", &["socket", "cli", "identity", "sink"]),
    ("rustls_native_certs", &["cli"]),
    // Pages for people, escaped by their templates, and what their forms send.
    ("maud", &["console"]),
    ("form_urlencoded", &["console", "identity"]),
    ("webpki", &["socket"]),
    ("clap_mangen", &["cli"]),
    ("async_nats", &["sink"]),
    ("strsim", &["config"]),
    ("listenfd", &["cli"]),
    // What is decided on is handed in; nothing here may ask the world.
    ("tokio", &NOT_PURE),
    ("std::fs", &NOT_PURE),
    ("std::net", &NOT_PURE),
    ("std::process", &NOT_PURE),
    ("std::thread", &NOT_PURE),
    ("std::env", &["cli", "config", "main", "demo", "upstream"]),
];

/// Every room but `model`, `plan`, `policy`, `proposal` and `wire`.
const NOT_PURE: [&str; 27] = [
    "audit",
    "chance",
    "cli",
    "clients",
    "clock",
    "config",
    "console",
    "demo",
    "downstream",
    "gateway",
    "identity",
    "index",
    "keep",
    "keyfile",
    "limit",
    "main",
    "notify",
    "outbound",
    "reviewer",
    "run",
    "sink",
    "socket",
    "spool",
    "task",
    "telemetry",
    "upstream",
    "whole",
];

pub fn rooms(file: &File) -> Vec<String> {
    let Some(from) = room_of(file) else { return Vec::new() };
    mentions(file).iter().filter_map(|mention| forbidden(file, from, mention)).collect()
}

fn forbidden(file: &File, from: &Room, mention: &Mention) -> Option<String> {
    let Mention::Ours { path, line } = mention else { return None };
    let Some(to) = path.first() else {
        return Some(file.at(*line, "the whole crate is imported; name the room"));
    };
    if to == from.name || from.whole.contains(&to.as_str()) {
        return None;
    }
    let (name, item) = (from.name, path.get(1).map_or("*", String::as_str));
    match from.items.iter().find(|(room, _)| room == to) {
        Some((_, items)) if items.contains(&item) => None,
        Some((_, items)) => {
            Some(file.at(*line, format_args!("`{name}` may name only {items:?} of `{to}`, not `{item}`")))
        }
        None => Some(file.at(
            *line,
            format_args!(
                "`{name}` may not import `{to}` (`{}`): let `gateway` pass it in, or move it to `model`",
                path.join("::")
            ),
        )),
    }
}

pub fn crates(file: &File) -> Vec<String> {
    let Some(from) = room_of(file) else { return Vec::new() };
    let mut findings = Vec::new();
    for mention in mentions(file) {
        let Mention::Foreign { path, line } = mention else { continue };
        let path = path.join("::");
        let names = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}::"));
        for (name, homes) in CRATES.iter().filter(|(name, homes)| names(name) && !homes.contains(&from.name))
        {
            let what = format!("`{name}` may not be used in `{}`, only in {homes:?}", from.name);
            findings.push(file.at(line, what));
        }
    }
    findings
}

/// Every module that `lib.rs` declares has its line in the table.
pub fn table(file: &File) -> Vec<String> {
    if file.path != "src/lib.rs" {
        return Vec::new();
    }
    let rooms = file.syntax().items.into_iter().filter_map(|item| match item {
        syn::Item::Mod(module) => Some((module.ident.to_string(), module.ident.span().start().line)),
        _ => None,
    });
    let unknown = rooms.filter(|(name, _)| !TABLE.iter().any(|room| room.name == name));
    unknown
        .map(|(name, line)| file.at(line, format_args!("`{name}` has no line in the import table")))
        .collect()
}

/// The room that a file of the product belongs to. `lib.rs` is the map and belongs to none.
fn room_of(file: &File) -> Option<&'static Room> {
    if !file.is_product() {
        return None;
    }
    let module = file.module();
    TABLE.iter().find(|room| Some(room.name) == module.first().map(String::as_str))
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    let breaches = [
        "use crate::audit::Journal;",
        "use crate::{audit, model::name};",
        "pub use crate::audit::*;",
        "use crate::audit as model;",
        "use super::super::audit::Journal;",
        "fn f(journal: &crate::audit::Journal) {}",
        "fn f() { crate::audit::open() }",
        "fn f() { assert!(matches!(x, crate::audit::Kind::Start)) }",
        "mod inner { use super::super::super::audit::Journal; }",
        "mod inner { fn f() { g!({ super::super::super::audit::open() }) } }",
        "#[derive(Debug)] struct A<T: crate::audit::Sink>(T);",
    ];
    for text in breaches {
        assert_finds(rooms, "src/policy/judge.rs", text, "`policy` may not import `audit`");
    }
    assert_finds(rooms, "src/policy.rs", "use crate as everything;", "whole crate");
    assert_finds(rooms, "src/policy.rs", "use super::*;", "whole crate");
    assert_finds(rooms, "src/main.rs", "use sluicegate::policy;", "`main` may not import `policy`");
}

#[test]
fn of_proofs_only_their_types_may_be_named() {
    assert!(rooms(&File::new("src/upstream/http.rs", "use crate::audit::{Intent, OpenIntent};")).is_empty());
    assert_finds(rooms, "src/upstream/http.rs", "use crate::audit::Journal;", "not `Journal`");
    assert_finds(rooms, "src/upstream/http.rs", "use crate::audit::*;", "not `*`");
    assert_finds(rooms, "src/upstream/http.rs", "use crate::audit;", "not `*`");
}

#[test]
fn what_is_allowed_passes() {
    let text = "use crate::model::{name::{ToolId, self}, reason::*}; use super::judge; use self::row::Row;
        pub(super) fn f() { crate::policy::judge::g(); std::mem::drop(model); }
        #[cfg(test)] mod tests { use crate::audit::Journal; }
        #[cfg(test)] use crate::audit::Journal;";
    assert_eq!(rooms(&File::new("src/policy/bits.rs", text)), Vec::<String>::new());
    assert!(rooms(&File::new("src/upstream/tests.rs", "use crate::policy::Policy;")).is_empty());
}

#[test]
fn a_crate_outside_its_room_is_found() {
    assert_finds(crates, "src/gateway.rs", "use rmcp::model::Tool;", "`rmcp` may not be used in `gateway`");
    assert_finds(crates, "src/gateway.rs", "fn f() -> ::anyhow::Result<()> {}", "`anyhow`");
    assert_finds(crates, "src/policy/a.rs", "use std::{collections::BTreeMap, fs};", "`std::fs`");
    assert_finds(crates, "src/policy.rs", "fn f() { std::fs::read(a) }", "`std::fs`");
    assert!(crates(&File::new("src/demo/mail.rs", "use rmcp::model::Tool;")).is_empty());
}

#[test]
fn a_room_without_a_line_is_found() {
    assert_finds(table, "src/lib.rs", "pub mod model; mod cellar;", "`cellar` has no line");
}
