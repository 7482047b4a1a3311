//! Claimed runs, their tombstones, and what people closed: in the records, in the state, after a kill.

use super::*;
use crate::audit::encode::TRIGGER_RECORD_BYTES_MAX;
use crate::model::barrier::{BarrierChange, Revoked};
use crate::model::claim::ClaimName;
use crate::model::name::{AgentName, AttributeName, Goal, Txn};
use crate::model::trigger::{AttributeValue, ENTRIES_MAX, TRIGGER_BYTES_MAX, Trigger, TriggerEntry};

/// A token that ends at this time.
const UNTIL: &str = "2026-11-25T12:00:00Z";

fn until() -> jiff::Timestamp {
    UNTIL.parse().unwrap()
}

fn entry(kind: &str, attributes: Vec<(&str, AttributeValue)>) -> TriggerEntry {
    let kind = SourceName::new(kind).unwrap();
    let attributes = attributes.into_iter().map(|(name, value)| (AttributeName::new(name).unwrap(), value));
    TriggerEntry {
        source: SourceName::new(&format!("{kind}.fine")).unwrap(),
        kind,
        attributes: attributes.collect(),
        dropped: vec![Bounded::new("unknown\u{202e}")],
    }
}

fn email() -> TriggerEntry {
    entry(
        "email",
        vec![
            ("sender", AttributeValue::Text("\u{1b}x@y.example".into())),
            ("signed", AttributeValue::Bool(true)),
            ("size", AttributeValue::Integer(i64::MIN)),
            ("lists", AttributeValue::Texts(vec!["a".into(), "b".into()])),
        ],
    )
}

/// A token of the run `txn` with these entries.
fn token(txn: &str, entries: Vec<TriggerEntry>) -> Arc<Principal> {
    let base = Principal::clone(&principal("user:1"));
    Arc::new(Principal {
        agents: vec![AgentName::new("helper").unwrap(), AgentName::new("inbox").unwrap()],
        trigger: Trigger { entries, goal: Some(Goal::new("triage").unwrap()) },
        txn: Some(Txn::new(txn).unwrap()),
        until: Some(until()),
        runs: RunRule { scope: RunScope::Claim, ..base.runs },
        ..base
    })
}

fn start(number: u8, principal: Arc<Principal>) -> Event {
    let origin = Some(Origin { listener: "agents".into(), uid: Some(1000) });
    Event::RunStart { run: run(number), principal, session: None, origin, history: RunHistory::Whole }
}

fn end(number: u8, why: RunEnding, until: jiff::Timestamp) -> Event {
    Event::RunEnd { run: run(number), why, by: None, until: Some(until), unstarted: None }
}

/// The end of the run `txn`, of whose tokens none was used.
fn unstarted(number: u8, txn: &str, until: jiff::Timestamp) -> Event {
    let (entry_point, txn) = (token(txn, vec![]).entry_point.clone(), Txn::new(txn).unwrap());
    let (why, by, until) = (RunEnding::Person, Some(Actor { uid: 7 }), Some(until));
    Event::RunEnd { run: run(number), why, by, until, unstarted: Some(ClaimName { entry_point, txn }) }
}

fn barrier(change: BarrierChange) -> Event {
    Event::Barrier { change, by: Actor { uid: 7 } }
}

fn subject(name: &str) -> Revoked {
    Revoked::Subject(Subject::new(name).unwrap())
}

/// One of each record that has to do with claimed runs and what people closed.
pub(super) fn events() -> Vec<Event> {
    let mailbot = || Revoked::EntryPoint(EntryPointName::new("issuers.mailbot").unwrap());
    let (chat, web) = (SourceName::new("chat").unwrap(), SourceName::new("web").unwrap());
    let closed = Decision {
        rules: vec![Rule {
            dimension: Dimension::Closed(web.clone()),
            answer: Answer::Deny,
            permission: None,
            when: None,
            place: None,
        }],
        ..decision(Answer::Deny, Reason::SourceClosed)
    };
    let long = Bounded::<128>::new(&"s".repeat(500));
    let text = AttributeValue::Text(long.as_str().repeat(4).into());
    vec![
        start(21, token("t21", vec![email()])),
        start(22, token("t22", vec![])),
        Event::Taint {
            run: run(21),
            adds: sources(["cron"]),
            entries: vec![entry("cron", vec![("job", text)])],
            cause: Claim::new("a later credential of the run"),
        },
        denial(CallFacts {
            principal: token("t21", vec![email()]),
            decision: Some(closed),
            ..facts(&run(21))
        }),
        end(22, RunEnding::Revoked, jiff::Timestamp::MAX),
        unstarted(23, "t23", jiff::Timestamp::MAX),
        barrier(BarrierChange::Revoke(subject("user:9"))),
        barrier(BarrierChange::Lift(subject("user:9"))),
        barrier(BarrierChange::Revoke(mailbot())),
        barrier(BarrierChange::Close(web)),
        barrier(BarrierChange::Close(chat.clone())),
        barrier(BarrierChange::Open(chat)),
    ]
}

#[tokio::test]
async fn i4_what_a_claimed_run_settled_survives_a_kill_and_a_new_segment() {
    let room = Room::new();
    let (journal, _) = room.open();
    let first = token("t1", vec![email()]);
    journal.record(start(1, Arc::clone(&first))).await.unwrap();
    let cron = entry("cron", vec![]);
    let (adds, entries, cause) = (sources(["cron"]), vec![cron.clone()], Claim::new("token"));
    journal.record(Event::Taint { run: run(1), adds, entries, cause }).await.unwrap();
    let mut room = room.killed();
    // The first start reads the records, the second the state that the first one wrote.
    for _ in 0..2 {
        let (_journal, recovered) = room.open();
        let found = &recovered.live.runs[&run(1)];
        let claim = found.claim.as_ref().unwrap();
        assert_eq!(claim.trigger.entries, [email(), cron.clone()]);
        assert_eq!(claim.trigger.goal, first.trigger.goal);
        assert_eq!((&claim.roles, &claim.until), (&first.roles, &Some(until())));
        assert_eq!(claim.agent.as_ref().map(AgentName::as_str), Some("inbox"));
        assert_eq!(found.origin, Some(Origin { listener: "agents".into(), uid: Some(1000) }));
        assert_eq!(found.provenance, sources(["chat", "cron"]));
        room = room.killed();
    }
    room.verified();
}

#[tokio::test]
async fn i4_tombstones_revocations_and_closed_sources_survive_a_kill_and_a_new_segment() {
    let room = Room::new();
    let (journal, _) = room.open();
    let far = "2200-01-01T00:00:00Z".parse().unwrap();
    for number in 1..=2 {
        journal.record(start(number, token(&format!("t{number}"), vec![]))).await.unwrap();
    }
    journal.record(end(1, RunEnding::Revoked, far)).await.unwrap();
    journal.record(end(2, RunEnding::Idle, jiff::Timestamp::UNIX_EPOCH)).await.unwrap();
    for event in events().into_iter().filter(|event| matches!(event, Event::Barrier { .. })) {
        journal.record(event).await.unwrap();
    }
    let mut room = room.killed();
    for start in 1..=2 {
        let (_journal, recovered) = room.open();
        let live = &recovered.live;
        let stones: Vec<_> = live.tombstones.values().map(|stone| (stone.txn.as_str(), stone.why)).collect();
        // That of a run whose tokens are dead is not carried on.
        assert_eq!(stones, [("t1", RunEnding::Revoked)], "start {start}");
        assert_eq!(live.tombstones.values().next().unwrap().until, far);
        let revoked: Vec<_> = live.revoked.keys().map(ToString::to_string).collect();
        assert_eq!(revoked, ["the entry point `issuers.mailbot`"]);
        assert_eq!(live.closed.keys().map(SourceName::as_str).collect::<Vec<_>>(), ["web"]);
        assert_eq!(live.closed.values().next().unwrap().by, Actor { uid: 7 });
        room = room.killed();
    }
    room.verified();
}

#[tokio::test]
async fn i4_a_token_that_came_too_late_keeps_its_tombstone_until_it_is_dead_too() {
    let room = Room::new();
    let (journal, _) = room.open();
    journal.record(start(1, token("t1", vec![]))).await.unwrap();
    let soon = "2199-01-01T00:00:00Z".parse().unwrap();
    journal.record(end(1, RunEnding::Idle, soon)).await.unwrap();
    let far: jiff::Timestamp = "2200-01-01T00:00:00Z".parse().unwrap();
    let late = Principal { until: Some(far), ..Principal::clone(&token("t1", vec![])) };
    let refused = CallFacts { principal: Arc::new(late), run: None, ..facts(&run(1)) };
    journal.record(denial(refused)).await.unwrap();
    let live = room.killed().open().1.live;
    assert!(live.tombstones.values().next().unwrap().until > far);
}

#[tokio::test]
async fn i4_a_claimed_run_of_which_only_a_call_is_known_is_closed_for_its_tokens() {
    let room = Room::new();
    let (journal, _) = room.open();
    let claimed = CallFacts { principal: token("t1", vec![]), ..facts(&run(1)) };
    call(&journal, claimed).await.unwrap();
    let live = room.killed().open().1.live;
    let found = &live.runs[&run(1)];
    assert_eq!(found.history, RunHistory::Lost);
    assert_eq!(found.claim.as_ref().unwrap().txn.as_str(), "t1");
}

#[tokio::test]
async fn i4_a_refused_start_of_a_claimed_run_launders_nothing_and_meets_no_other_txn() {
    let room = Room::new();
    let (journal, _) = room.open();
    journal.record(start(1, token("t1", vec![]))).await.unwrap();
    journal.record(start(2, token("t2", vec![]))).await.unwrap();
    let (adds, cause) = (sources(["web"]), Claim::new("x"));
    journal.record(Event::Taint { run: run(1), adds, entries: vec![], cause }).await.unwrap();
    journal.record(start(3, token("t1", vec![]))).await.unwrap();
    let live = room.killed().open().1.live;
    assert_eq!(live.runs.len(), 2);
    assert_eq!(live.runs[&run(3)].provenance, sources(["chat", "web"]));
    assert_eq!(live.runs[&run(2)].provenance, sources(["chat"]));
}

#[tokio::test]
async fn i4_the_end_of_a_run_that_never_started_is_remembered_after_a_kill_and_a_new_segment() {
    let room = Room::new();
    let (journal, _) = room.open();
    // A start that was recorded and refused to the gateway: it never came to be.
    journal.record(start(1, token("t1", vec![]))).await.unwrap();
    journal.record(start(2, token("t2", vec![]))).await.unwrap();
    let until: jiff::Timestamp = "2100-01-01T00:00:00Z".parse().unwrap();
    journal.record(unstarted(3, "t1", until)).await.unwrap();
    let mut room = room.killed();
    for _ in 0..2 {
        let (_journal, recovered) = room.open();
        let live = recovered.live;
        assert_eq!(live.runs.keys().collect::<Vec<_>>(), [&run(2)]);
        let stone = live.tombstones.values().next().unwrap();
        assert_eq!((live.tombstones.len(), stone.txn.as_str(), &stone.run), (1, "t1", &run(3)));
        assert_eq!((stone.why, stone.until), (RunEnding::Person, until));
        room = room.killed();
    }
    room.verified();
}

/// The largest trigger there may be.
fn largest() -> Vec<TriggerEntry> {
    let bytes = TRIGGER_BYTES_MAX / ENTRIES_MAX - 100;
    let entry = |n| entry(&format!("k{n}"), vec![("a", AttributeValue::Text("\u{1}".repeat(bytes).into()))]);
    (0..ENTRIES_MAX).map(entry).collect()
}

#[tokio::test]
async fn a70_a_trigger_is_cut_in_the_records_of_calls_and_whole_where_its_run_starts() {
    let room = Room::new();
    let (journal, _) = room.open();
    let principal = token("t1", largest());
    assert!(principal.trigger.bytes() <= TRIGGER_BYTES_MAX);
    journal.record(start(1, Arc::clone(&principal))).await.unwrap();
    call(&journal, CallFacts { principal, ..facts(&run(1)) }).await.unwrap();
    journal.close().await.unwrap();
    let start = &room.of_kind(Kind::RunStart)[0];
    assert_eq!(start["claim"]["trigger"]["entries"].as_array().unwrap().len(), ENTRIES_MAX);
    assert!(start.to_string().len() < RECORD_BYTES_MAX);
    let intent = &room.of_kind(Kind::Intent)[0];
    assert!(intent["trigger"].to_string().len() <= TRIGGER_RECORD_BYTES_MAX + 64);
    assert!(!intent["trigger"]["entries"].as_array().unwrap().is_empty());
    let cut = &intent["truncated"][0];
    assert_eq!(cut["member"], "trigger.entries");
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap();
    let text: String = room.segments().into_iter().map(read).collect();
    let line = text.lines().find(|line| line.contains("\"kind\":\"run_start\"")).unwrap();
    let at = line.find("\"entries\":").unwrap() + "\"entries\":".len();
    let bytes = usize::try_from(cut["bytes"].as_u64().unwrap()).unwrap();
    assert_eq!(cut["sha256"], Sha256::of(&line.as_bytes()[at..at + bytes]).to_string());
    room.verified();
}

/// A later token with fewer entries does not make the run's trigger smaller in the records of its calls.
#[tokio::test]
async fn the_record_of_a_call_carries_the_trigger_of_its_run_and_not_that_of_its_token() {
    let room = Room::new();
    let (journal, _) = room.open();
    let whole = Trigger { entries: vec![email(), entry("cron", vec![])], goal: None };
    let facts = CallFacts { principal: token("t1", vec![email()]), ..facts(&run(1)) };
    call(&journal, CallFacts { trigger: Some(Arc::new(whole)), ..facts.clone() }).await.unwrap();
    journal.record(denial(facts)).await.unwrap();
    let kinds = |record: &serde_json::Value| -> Vec<String> {
        let entries = record["trigger"]["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&room.of_kind(Kind::Intent)[0]), ["email", "cron"]);
    let denial = &room.of_kind(Kind::Denial)[0];
    assert_eq!(kinds(denial), ["email"]);
    assert_eq!(denial["principal"]["txn"], "t1");
    assert_eq!(denial["trigger"]["entries"][0]["attributes"]["sender"], "\u{1b}x@y.example");
    journal.close().await.unwrap();
}

/// The space that is reserved for a call holds its outcome and an intent with everything that a caller
/// can fill to its bound, short of long lists of names and rules.
#[tokio::test]
async fn an_intent_with_the_largest_trigger_fits_into_what_is_reserved_for_it() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut facts = CallFacts { principal: token(&"t".repeat(256), largest()), ..facts(&run(1)) };
    let claim = || Some(Bounded::new(&"c".repeat(500)));
    (facts.named, facts.request_id, facts.traceparent, facts.client) = (claim(), claim(), claim(), claim());
    call(&journal, facts).await.unwrap();
    journal.close().await.unwrap();
    let text = std::fs::read_to_string(room.last()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"kind\":\"intent\"")).unwrap();
    let bytes = (lines[at].len() + lines[at + 1].len() + 2) as u64;
    assert!(bytes <= CALL_BYTES - OUTCOME_BYTES_MAX, "{bytes}");
}

#[tokio::test]
async fn a_story_is_told_of_an_open_run_and_of_one_that_ended_segments_ago() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    journal.record(start(1, token("t1", vec![email()]))).await.unwrap();
    journal.record(start(2, token("t2", vec![email()]))).await.unwrap();
    let added = CallFacts { adds: sources(["web"]), ..facts(&run(1)) };
    call(&journal, added).await.unwrap();
    for _ in 0..20 {
        call(&journal, facts(&run(1))).await.unwrap();
        journal.record(denial(facts(&run(2)))).await.unwrap();
    }
    journal.record(end(1, RunEnding::Person, until())).await.unwrap();
    for _ in 0..20 {
        journal.record(denial(facts(&run(2)))).await.unwrap();
    }
    assert!(room.segments().len() > 3);
    let told = story(&room.dir, &run(1), 10).unwrap();
    assert_eq!(told.counts, StoryCounts { calls: 21, refusals: 0, earlier: 32, damaged: 0 });
    assert_eq!(told.records.len(), 10);
    assert_eq!(told.growth.len(), 2);
    assert!(told.end.unwrap().line.contains("\"why\":\"person\""));
    assert!(told.start.unwrap().line.contains("triage"));
    let told = story(&room.dir, &run(2), 1000).unwrap();
    assert_eq!(told.counts, StoryCounts { calls: 0, refusals: 40, earlier: 0, damaged: 0 });
    assert!(told.end.is_none());
    assert!(story(&room.dir, &run(9), 10).unwrap().is_empty());
    journal.close().await.unwrap();
}

/// A journal of the version before claimed runs: a call that read the web, a kill, a start, a kill.
#[tokio::test]
async fn a_journal_from_before_claimed_runs_verifies_and_is_taken_over() {
    use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
    let room = Room::new();
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(&room.dir).unwrap();
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal_before_claims");
    for (name, mode) in [("00000000000000000000.jsonl", 0o400), ("00000000000000000031.jsonl", 0o600)] {
        std::fs::copy(fixture.join(name), room.dir.join(name)).unwrap();
        std::fs::set_permissions(room.dir.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    }
    room.verified();
    let (journal, recovered) = room.open();
    let live = recovered.live;
    let run = live.runs.values().next().unwrap();
    assert_eq!(
        (live.runs.len(), &run.provenance, run.history),
        (1, &sources(["chat", "web"]), RunHistory::Whole)
    );
    assert_eq!((&run.claim, &run.origin), (&None, &None));
    assert!(live.tombstones.is_empty() && live.revoked.is_empty() && live.closed.is_empty());
    let told = story(&room.dir, &run.run, 10).unwrap();
    assert_eq!(told.counts.calls, 1);
    journal.close().await.unwrap();
    room.verified();
}
