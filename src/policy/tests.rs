//! The decision against a slow and obvious second implementation, and the invariants it holds.

mod cases;
mod ceilings;
mod changes;
mod learnt;
mod oracle;
mod properties;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::model::call::{ArgumentFacts, Payload, Pin, Stores};
use crate::model::digest::Sha256;
use crate::model::glob::Glob;
use crate::model::name::{EntryPointName, PromptId, PromptName, Subject, ToolName, UpstreamName};
use crate::model::place::Place;
use crate::model::principal::{
    Label, RUN_IDLE_DEFAULT, RUN_MAX_DEFAULT, RunRule, RunScope, TOKEN_TTL_MAX_DEFAULT,
};
use crate::model::target::Class;

fn tool(text: &str) -> ToolId {
    let (upstream, tool) = text.split_once('.').unwrap();
    ToolId { upstream: UpstreamName::new(upstream).unwrap(), tool: ToolName::new(tool).unwrap() }
}

/// The tool with two arguments, `a` and `b`.
fn known(text: &str) -> KnownTool {
    let schema = r#"{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"string"}}}"#;
    KnownTool { id: tool(text), schema: Bytes::from_static(schema.as_bytes()) }
}

fn prompt(text: &str) -> Target {
    let (upstream, prompt) = text.split_once('.').unwrap();
    Target::Prompt(PromptId {
        upstream: UpstreamName::new(upstream).unwrap(),
        prompt: PromptName::new(prompt).unwrap(),
    })
}

fn call(text: &str, pin: Pin) -> Call {
    call_of(Target::Tool(tool(text)), pin)
}

fn call_of(target: Target, pin: Pin) -> Call {
    Call {
        deadline: None,
        target,
        pin: Some(pin),
        returns: Provenance::default(),
        stores: Stores::Nothing,
        arguments: ArgumentFacts { sha256: Sha256::of(b""), bytes: 0 },
        values: Bytes::new(),
        payload: Payload {
            method: "tools/call",
            bytes: bytes::Bytes::from_static(b"{}"),
            progress_token: None,
            trace: None,
        },
    }
}

fn accepted() -> Pin {
    Pin::Accepted(Sha256::of(b"as accepted"))
}

fn changed() -> Pin {
    Pin::Changed { accepted: Sha256::of(b"as accepted"), offered: Sha256::of(b"as offered") }
}

fn provenance<'a>(sources: impl IntoIterator<Item = &'a str>) -> Provenance {
    Provenance::of(sources.into_iter().map(|source| SourceName::new(source).unwrap()))
}

/// A run of this provenance while no source is closed.
fn standing(provenance: &Provenance) -> Standing<'_> {
    static NONE: BTreeSet<SourceName> = BTreeSet::new();
    static TRIGGER: Trigger = Trigger { entries: Vec::new(), goal: None };
    let planned = Planned::default();
    Standing { provenance, brings: provenance, closed: &NONE, trigger: &TRIGGER, planned, now: now() }
}

fn now() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn principal(sources: &[&str], roles: &[&str], agents: &[&str]) -> Principal {
    Principal::configured(
        Label {
            entry_point: EntryPointName::new("keys.test").unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: roles.iter().map(|role| RoleName::new(role).unwrap()).collect::<BTreeSet<_>>(),
            agents: agents.iter().map(|agent| AgentName::new(agent).unwrap()).collect(),
            sources: provenance(sources.iter().copied()),
        },
        RunRule {
            scope: RunScope::Subject,
            idle: RUN_IDLE_DEFAULT,
            max: RUN_MAX_DEFAULT,
            token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
        },
    )
}

/// Lists for tools, and for nothing else.
fn for_tools(lists: Lists) -> RowLists {
    RowLists::from_iter([(Class::Tool, lists)])
}

/// Permissions on the lines from `line` on.
fn permissions(globs: &[&str], line: u32) -> Vec<Permission> {
    let place = |line| Place { file: Arc::from("gateway.toml"), line, column: 1 };
    let each = |(line, glob): (u32, &&str)| Permission::unconditional(Glob::new(glob).unwrap(), place(line));
    (line..).zip(globs).map(each).collect()
}

fn decision(ruling: Ruling) -> Decision {
    match ruling {
        Ruling::Permit(permit) => permit.decision().clone(),
        Ruling::Refuse(_, decision) => decision,
    }
}
