//! docs/audit.schema.json against every record that the code can write.

use std::collections::BTreeSet;

use rustix::io::Errno;

use super::*;
use crate::audit::disk::Op;
use crate::model::keep::{DigestOf, Keep, Kept, KeptText, KeptValue, Pointer, Whole};
use crate::model::pin::{FINDINGS_MAX, Finding, PinChange, PinId, PinMove, Pinned, Suspicion};

pub(super) fn validator() -> jsonschema::Validator {
    let schema: serde_json::Value =
        serde_json::from_str(include_str!("../../../docs/audit.schema.json")).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

fn full(run: &RunId) -> CallFacts {
    let mut facts = facts(run);
    facts.traceparent = Some(Bounded::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"));
    facts.named = Some(Bounded::new(&"n\u{1b}".repeat(200)));
    facts.adds = sources(["web"]);
    facts.stores = Stores::Subject;
    facts.metered = budgets::metered(9);
    plans::used(&mut facts);
    facts.kept = kept(DigestOf::Recorded, |text| KeptText::Json(text.to_owned()));
    facts
}

/// A call of which all of the arguments are kept, and nothing that could be guessed.
fn sealed(run: &RunId) -> CallFacts {
    let seal = |_: &str| KeptText::Sealed("QUJD".repeat(20_000));
    let part = KeptValue { pointer: Pointer::whole(), value: seal(""), whole_bytes: None };
    let kept = kept(DigestOf::Omitted, seal).map(|kept| Kept { values: vec![part], ..(*kept).clone() });
    CallFacts { kept: kept.map(Arc::new), ..facts(run) }
}

/// Everything that can be kept of arguments, each at its largest.
fn kept(digest: DigestOf, value: fn(&str) -> KeptText) -> Option<Arc<Kept>> {
    let pointer = |n: usize| Pointer::new(&format!("/{n}/{}", "p\u{2028}".repeat(50))).unwrap();
    let text = format!("\"{}\"", r#"\""#.repeat(500));
    let part = |n| KeptValue { pointer: pointer(n), value: value(&text), whole_bytes: Some(n as u64) };
    let hashes = (0..16).map(|n| (pointer(n), Sha256::of(&[0]))).collect();
    let (key, hash_key) = (Some("0123456789abcdef".into()), Some("01234567".into()));
    let values = (0..16).map(part).collect();
    Some(Arc::new(Kept { digest, values, key, hashes, hash_key, whole: Whole::Yes }))
}

fn bare(run: &RunId) -> CallFacts {
    CallFacts {
        run: None,
        named: None,
        target: None,
        definition: None,
        arguments: None,
        decision: None,
        revision: None,
        request_id: None,
        client: None,
        ..facts(run)
    }
}

fn rules_of_all_dimensions() -> Decision {
    let dimensions = [
        Dimension::Role(RoleName::new("assistant").unwrap()),
        Dimension::Agent(crate::model::name::AgentName::new("agent:x").unwrap()),
        Dimension::Roles,
        Dimension::Agents,
        Dimension::Pin,
        Dimension::Guardrail("no money".into()),
        Dimension::Condition,
        Dimension::Flow("untrusted-out".into()),
    ];
    let rule =
        |dimension| Rule { dimension, answer: Answer::Deny, permission: None, when: None, place: None };
    Decision { rules: dimensions.map(rule).to_vec(), ..decision(Answer::Deny, Reason::RoleDenies) }
}

fn of_questions() -> [Event; 2] {
    let facts = || Box::new(facts(&run(1)));
    [Event::Suspended { facts: facts(), intent: Seq(1) }, Event::Resumed { facts: facts(), intent: Seq(1) }]
}

fn events() -> Vec<Event> {
    let latency = Latency::default();
    let by = Some(Actor { uid: 1000 });
    let upstream = tool().upstream;
    let session: Option<Arc<str>> = Some("session".into());
    let decided = CallFacts { decision: Some(rules_of_all_dimensions()), ..facts(&run(1)) };
    let start = |number, session, history| {
        let principal = principal("user:1");
        let origin = Some(Origin { listener: "main".into(), uid: Some(1000) });
        Event::RunStart { run: run(number), principal, session, origin, history }
    };
    let mut events = vec![
        start(1, None, RunHistory::Whole),
        start(2, session, RunHistory::Lost),
        denial(full(&run(1))),
        denial(bare(&run(1))),
        denial(sealed(&run(1))),
        denial(CallFacts { kept: Some(Arc::new(Kept::lacking(&Keep::default()))), ..facts(&run(1)) }),
        denial(decided),
        Event::List { facts: Box::new(facts(&run(1))), shown: 3, latency },
        Event::AuthenticationFailures {
            listener: Claim::new("main"),
            reason: Reason::CredentialUnknown,
            count: 9,
            since: jiff::Timestamp::UNIX_EPOCH,
        },
        Event::Taint {
            run: run(1),
            adds: sources(["cron"]),
            entries: vec![],
            cause: Claim::new(&"c".repeat(500)),
        },
        Event::StoredCleared {
            upstream: upstream.clone(),
            subject: Some(Subject::new("user:9").unwrap()),
            by: Actor { uid: 0 },
        },
        ended(by),
    ];
    events.extend(of_the_trail());
    events.extend(pins(by));
    events.extend(upstreams());
    events.extend(mints());
    for result in [ReloadResult::InForce, ReloadResult::Refused] {
        let (config, detail) = (Sha256::of(b"config"), Detail::new("source email changed"));
        let widened: Vec<_> = (0..40).map(|n| format!("source s{n}: {}", "w\u{2028}".repeat(200))).collect();
        for (widened, by) in [(Vec::new(), None), (widened, by)] {
            let detail = detail.clone();
            events.push(Event::Reload { config, epoch: PolicyEpoch(2), result, detail, widened, by });
        }
    }
    events.extend(claims::events());
    events.extend(of_questions());
    events.extend(plans::events(&run(1)));
    for why in RunEnding::ALL {
        events.push(Event::RunEnd { run: run(9), why, by: None, until: None, unstarted: None });
    }
    events
}

fn upstreams() -> Vec<Event> {
    let upstream = tool().upstream;
    let mut events = Vec::new();
    for state in [
        UpstreamState::Started,
        UpstreamState::Exited,
        UpstreamState::Failed,
        UpstreamState::BreakerOpen,
        UpstreamState::BreakerClosed,
        UpstreamState::Quarantined,
        UpstreamState::RequestRefused,
        UpstreamState::NotificationsDropped,
    ] {
        let detail = Detail::new(&"d\u{2028}".repeat(500));
        events.push(Event::Upstream { upstream: upstream.clone(), state, detail, count: 1 });
    }
    events
}

/// What is done to the trail itself.
fn of_the_trail() -> [Event; 3] {
    let key = |seed| note::Signer::new("sluicegate.journal/0", &[seed; 32]).unwrap().key().clone();
    let (at, by) = (jiff::Timestamp::UNIX_EPOCH, Actor { uid: 0 });
    let (first, last, bytes) = (Seq(0), Seq(9), 70_000_000);
    [
        Event::AuditKey { key: key(1), before: key(2), until: at, by },
        Event::Retired { first, last, segments: 2, bytes, before: at },
        Event::Erasure { subject: Subject::new("user:9").unwrap(), by },
    ]
}

fn ended(by: Option<Actor>) -> Event {
    let (why, until) = (RunEnding::Person, Some(jiff::Timestamp::UNIX_EPOCH));
    Event::RunEnd { run: run(2), why, by, until, unstarted: None }
}

fn mints() -> Vec<Event> {
    let agents: Vec<_> = (0..16).map(|n| format!("agent:{n}")).collect();
    let roles: Vec<_> = (0..40).map(|n| format!("role{n}")).collect();
    let sources = serde_json::json!([{ "kind": "email", "sender": "x@y" }, { "kind": "cron" }]);
    let request = serde_json::json!({
        "sources": sources, "subject": "user:1", "roles": roles, "agents": agents, "goal": "triage"
    });
    let request = Some(serde_json::from_value(request).unwrap());
    let dispatcher = MintedBy::Dispatcher(EntryPointName::new("dispatchers.mailhook").unwrap());
    let made = MintResult::Made {
        txn: crate::model::name::Txn::new("0193-run-id").unwrap(),
        expires: jiff::Timestamp::UNIX_EPOCH,
        jti_sha256: Sha256::of(b"jti"),
        kid: "kid".into(),
    };
    let refused =
        MintResult::Refused { reason: Reason::LabelForbidden, detail: Detail::new(&"d".repeat(600)) };
    let by = Actor { uid: 1000 };
    let mint = |by, act, request, result| Event::Mint(Box::new(MintFacts { by, act, request, result }));
    let mut events = vec![
        mint(MintedBy::Operator(by), MintAct::Mint, request, made),
        mint(dispatcher, MintAct::Renew, None, refused),
    ];
    for change in [KeyChange::Made, KeyChange::Aged, KeyChange::Rotated] {
        let by = (change == KeyChange::Rotated).then_some(by);
        events.push(Event::TokenKey { change, kid: "kid".into(), by });
    }
    events
}

/// A journal in which every kind of record stands.
async fn everything() -> Room {
    let room = Room { segment_bytes: 4096, queue_max: 3, ..Room::new() };
    let (journal, _) = room.open();
    for event in events() {
        journal.record(event).await.unwrap();
    }
    let ((), open) = intend(&journal, full(&run(1))).await.unwrap().begin();
    let jsonrpc = Some(JsonRpc::Error(-32603));
    open.conclude(OutcomeFacts { jsonrpc, is_error: None, ..answered() }).await.unwrap();
    std::fs::remove_file(room.last()).unwrap();
    assert!(intend(&journal, bare(&run(1))).await.is_err());
    until_going(&journal).await;
    room.disk.faults.plan(Op::Sync, 0, 1, Errno::IO);
    assert!(start_run(&journal, &run(3)).await.is_err());
    until_going(&journal).await;
    let intent = intend(&journal, facts(&run(1))).await.unwrap();
    let killed = room.killed();
    edit(&killed.last(), |bytes| bytes.extend_from_slice(b"{\"v\":1"));
    drop(intent);
    let (journal, _) = killed.open();
    let ((), open) = intend(&journal, bare(&run(1))).await.unwrap().begin();
    // Begins a segment with an open call in its state.
    for _ in 0..40 {
        journal.record(denial(facts(&run(1)))).await.unwrap();
    }
    drop(open);
    journal.close().await.unwrap();
    let last = killed.last();
    let damaged = killed.dir.join(directory::segment_name(Seq(5000))).with_extension("damaged");
    std::fs::copy(&last, &damaged).unwrap();
    let checkpoints =
        Checkpoints { key: killed.dir.with_file_name("audit-key"), every: Duration::from_secs(3600) };
    let settings = Settings { checkpoints: Some(checkpoints), ..killed.settings() };
    let (journal, _) = Journal::open_on(settings, Clock::system(), killed.disk.clone()).unwrap();
    journal.close().await.unwrap();
    killed
}

#[tokio::test]
async fn every_record_that_can_be_written_is_as_the_schema_says() {
    let room = everything().await;
    let validator = validator();
    let mut seen = BTreeSet::new();
    for line in room.lines() {
        let errors: Vec<_> = validator.iter_errors(&line).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{line:#}\n{errors:#?}");
        seen.extend(Kind::parse(line["kind"].as_str().unwrap()));
    }
    let missing: Vec<_> = Kind::ALL.iter().filter(|kind| !seen.contains(kind)).collect();
    assert!(missing.is_empty(), "no test writes {missing:?}");
}

#[tokio::test]
async fn a74_the_schema_knows_every_member_and_refuses_others() {
    let room = everything().await;
    let validator = validator();
    for kind in Kind::ALL {
        let mut line = room.of_kind(*kind).remove(0);
        line["activity_id"] = 1.into();
        assert!(!validator.is_valid(&line), "{kind:?} takes a member that nobody defined");
    }
}

#[test]
fn the_document_names_every_kind_and_every_limit() {
    let text = include_str!("../../../docs/AUDIT.md");
    for kind in Kind::ALL {
        assert!(
            text.contains(&format!("`{}`", kind.as_str())),
            "docs/AUDIT.md does not name `{}`",
            kind.as_str()
        );
    }
}

fn pins(by: Option<Actor>) -> Vec<Event> {
    let upstream = tool().upstream;
    let pinned = [
        PinId::of_tool(tool()),
        PinId { upstream: upstream.clone(), pinned: Pinned::Instructions },
        PinId { upstream, pinned: Pinned::template(&format!("x:{}", "y".repeat(2000))).unwrap() },
    ];
    let finding = Finding {
        what: Suspicion::Hidden,
        at: Bounded::new(&"a\u{2028}\u{1b}".repeat(99)),
        excerpt: Bounded::new("e"),
    };
    let mut events = Vec::new();
    for (change, id) in
        PinChange::ALL.into_iter().flat_map(|change| pinned.iter().map(move |id| (change, id)))
    {
        for digest in [None, Some(Sha256::of(b"a"))] {
            let findings = vec![finding.clone(); if digest.is_some() { FINDINGS_MAX } else { 0 }].into();
            let moved = PinMove {
                id: id.clone(),
                change,
                accepted: digest,
                before: digest,
                offered: digest,
                findings,
            };
            events.push(Event::Pin { moved: Box::new(moved), by });
        }
    }
    events
}
