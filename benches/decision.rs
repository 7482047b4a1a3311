//! What a decision and a filtered list cost: `cargo bench --bench decision`.
//!
//! Measures the policy alone, in one thread: 50 sources, 5,000 tools. Each figure is the median of many batches, so
//! that a machine that is busy meanwhile changes it little. Must never be a test: machines differ.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::indexing_slicing,
    reason = "a benchmark of fixed inputs: it measures the machine's time, and a name that is none ends it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use sluicegate::model::call::{ArgumentFacts, Call, Payload, Pin, Stores};
use sluicegate::model::decision::{Answer, PolicyEpoch};
use sluicegate::model::digest::Sha256;
use sluicegate::model::glob::Glob;
use sluicegate::model::name::{EntryPointName, RoleName, SourceName, Subject, ToolId};
use sluicegate::model::place::Place;
use sluicegate::model::principal::{Label, Principal, RunRule};
use sluicegate::model::provenance::Provenance;
use sluicegate::model::target::{Class, Target};
use sluicegate::model::trigger::Trigger;
use sluicegate::policy::{
    Condition, KnownTool, Lists, Permission, Planned, Policy, RowLists, Rules, Ruling, Standing,
};

const SOURCES: usize = 50;
const TOOLS: usize = 5_000;
const BATCHES: usize = 201;
const CALLS_PER_BATCH: u32 = 1_000;
const LISTS_PER_BATCH: u32 = 10;

fn main() {
    let tools: Vec<KnownTool> = (0..TOOLS).map(tool).collect();
    let plain = Policy::compile(rules(None), &tools, PolicyEpoch(1));
    let began = Instant::now();
    let conditional = Policy::compile(rules(Some("args.to == \"a@b.example\"")), &tools, PolicyEpoch(1));
    let compiled = began.elapsed();
    println!("{SOURCES} sources, {TOOLS} tools; median of {BATCHES} batches");
    report("decision, no condition, 1 source", decisions(&plain, &["s0"]), CALLS_PER_BATCH);
    report("decision, no condition, 8 sources in the provenance", decisions(&plain, &EIGHT), CALLS_PER_BATCH);
    report("decision, one `when` on the tool", decisions(&conditional, &["s0"]), CALLS_PER_BATCH);
    report("filtered list of every tool, without their text", lists(&plain, &tools), LISTS_PER_BATCH);
    println!("{:<56} {:>12.1?}", "compiling a `when` for every tool", compiled);
}

const EIGHT: [&str; 8] = ["s0", "s1", "s2", "s3", "s4", "s5", "s6", "s7"];

fn report(what: &str, batch: Duration, calls: u32) {
    println!("{what:<56} {:>12.1?}", batch / calls);
}

/// The median time of a batch of decisions on different tools.
fn decisions(policy: &Policy, sources: &[&str]) -> Duration {
    let who = principal();
    let provenance = Provenance::of(sources.iter().map(|name| SourceName::new(name).unwrap()));
    let (closed, trigger) = (BTreeSet::new(), Trigger::default());
    let standing = Standing {
        provenance: &provenance,
        brings: &provenance,
        closed: &closed,
        trigger: &trigger,
        planned: Planned::default(),
        now: Timestamp::UNIX_EPOCH,
    };
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|batch| {
            // Made before the clock runs: the gateway has them from the request.
            let calls: Vec<Call> =
                (0..CALLS_PER_BATCH as usize).map(|at| call((batch * 7 + at * 13) % TOOLS)).collect();
            let began = Instant::now();
            for call in calls {
                match black_box(policy.decide(&who, standing, call)) {
                    Ruling::Permit(permit) => assert_eq!(permit.decision().verdict, Answer::Allow),
                    Ruling::Refuse(call, decision) => panic!("{}: {decision:?}", call.target),
                }
            }
            began.elapsed()
        })
        .collect();
    batches.sort();
    batches[BATCHES / 2]
}

fn lists(policy: &Policy, tools: &[KnownTool]) -> Duration {
    let who = principal();
    let mut batches: Vec<Duration> = (0..BATCHES)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..LISTS_PER_BATCH {
                let listed = policy.visible(black_box(&who), Timestamp::UNIX_EPOCH).count();
                assert_eq!(black_box(listed), tools.len());
            }
            began.elapsed()
        })
        .collect();
    batches.sort();
    batches[BATCHES / 2]
}

/// Every source and the role allow everything, by one glob for each upstream.
fn rules(when: Option<&str>) -> Rules {
    let place = Place { file: "gateway.toml".into(), line: 1, column: 1 };
    let entry = |glob: &str, condition| Permission {
        condition,
        ..Permission::unconditional(Glob::new(glob).unwrap(), place.clone())
    };
    let row = |condition: Option<Condition>| {
        let mut allow: Vec<_> = (0..UPSTREAMS).map(|number| entry(&format!("u{number}.*"), None)).collect();
        if let Some(condition) = condition {
            allow = vec![entry("*", Some(condition))];
        }
        RowLists::from_iter([(Class::Tool, Lists { allow, ..Lists::default() })])
    };
    let condition =
        |number: usize| when.filter(|_| number == 0).map(|text| Condition::parse(text, None).unwrap());
    let sources: BTreeMap<_, _> = (0..SOURCES)
        .map(|number| (SourceName::new(&format!("s{number}")).unwrap(), row(condition(number))))
        .collect();
    let roles = BTreeMap::from([(RoleName::new("assistant").unwrap(), row(None))]);
    Rules { sources, roles, ..Rules::default() }
}

const UPSTREAMS: usize = 50;

fn id(number: usize) -> ToolId {
    format!("u{}.tool_{number}", number % UPSTREAMS).parse().unwrap()
}

fn tool(number: usize) -> KnownTool {
    let schema = format!(
        r#"{{"type":"object","properties":{{"to":{{"type":"string"}},"subject":{{"type":"string"}},"n{number}":{{"type":"integer"}}}}}}"#
    );
    KnownTool { id: id(number), schema: schema.into() }
}

fn call(number: usize) -> Call {
    Call {
        deadline: None,
        target: Target::Tool(id(number)),
        pin: Some(Pin::Accepted(Sha256::of(b""))),
        returns: Provenance::default(),
        stores: Stores::Nothing,
        arguments: ArgumentFacts { sha256: Sha256::of(b""), bytes: 0 },
        values: Bytes::from_static(br#"{"to":"a@b.example","subject":"hello"}"#),
        payload: Payload { method: "tools/call", bytes: Bytes::new(), progress_token: None, trace: None },
    }
}

fn principal() -> Principal {
    let label = Label {
        entry_point: EntryPointName::new("keys.bench").unwrap(),
        subject: Subject::new("user:1").unwrap(),
        roles: [RoleName::new("assistant").unwrap()].into(),
        agents: Vec::new(),
        sources: Provenance::of([SourceName::new("s0").unwrap()]),
    };
    Principal::configured(label, RunRule::DEFAULT)
}
