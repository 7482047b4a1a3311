//! Runs that tokens claim: what later tokens may say, where they may come from, what is left in the end.

use super::*;
use crate::model::claim::{ClaimName, Tombstone};
use crate::model::name::{AgentName, AttributeName, Goal, RoleName};
use crate::model::principal::Holder;
use crate::model::trigger::{AttributeValue, ENTRIES_MAX, TRIGGER_BYTES_MAX, Trigger};

/// A token of run `r1`: two roles, one agent, an email of a sender.
pub(super) fn token() -> Principal {
    let label = Label {
        entry_point: EntryPointName::new("issuers.mailbot").unwrap(),
        subject: Subject::new("user:1").unwrap(),
        roles: [role("assistant"), role("reader")].into(),
        agents: vec![agent("inbox")],
        sources: sources(["email"]),
    };
    let trigger = Trigger { entries: vec![entry("email", "a")], goal: Some(Goal::new("triage").unwrap()) };
    let txn = Some(Txn::new("r1").unwrap());
    Principal { trigger, txn, ..Principal::configured(label, rule(RunScope::Claim)) }
}

fn role(name: &str) -> RoleName {
    RoleName::new(name).unwrap()
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn entry(kind: &str, sender: &str) -> TriggerEntry {
    let kind = SourceName::new(kind).unwrap();
    let sender = (AttributeName::new("sender").unwrap(), AttributeValue::Text(sender.into()));
    TriggerEntry { source: kind.clone(), kind, attributes: [sender].into(), dropped: vec![] }
}

fn with_entries(entries: Vec<TriggerEntry>) -> Principal {
    let base = token();
    let sources = Provenance::of(entries.iter().map(|entry| entry.source.clone()));
    Principal { trigger: Trigger { entries, goal: base.trigger.goal.clone() }, sources, ..base }
}

/// Attaches `principal` and gives the id of its run.
async fn id_of(runs: &Runs, principal: Principal, now: Timestamp, book: &Book) -> Result<RunId, Reason> {
    attach(runs, &Arc::new(principal), None, now, book).await.map(|run| run.id().clone())
}

#[tokio::test]
async fn a_family_shares_one_run_whoever_of_it_calls() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let first = id_of(&runs, token(), now, &book).await.unwrap();
    let child = Principal { agents: vec![agent("helper"), agent("inbox")], ..token() };
    let fewer = Principal { roles: [role("reader")].into(), ..token() };
    for same in [token(), child, fewer] {
        assert_eq!(id_of(&runs, same, now, &book).await.unwrap(), first);
    }
    let other = Principal { txn: Some(Txn::new("r2").unwrap()), ..token() };
    assert_ne!(id_of(&runs, other, now, &book).await.unwrap(), first);
    assert_eq!(*book.lines.lock().unwrap(), ["start r1", "start r2"]);
}

#[tokio::test]
async fn the_same_txn_of_another_entry_point_is_another_run() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let first = id_of(&runs, token(), now, &book).await.unwrap();
    let other = Principal { entry_point: EntryPointName::new("issuers.other").unwrap(), ..token() };
    assert_ne!(id_of(&runs, other, now, &book).await.unwrap(), first);
}

#[tokio::test]
async fn a_later_token_changes_nothing_that_was_settled() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    id_of(&runs, token(), now, &book).await.unwrap();
    let goal = |goal: Option<&str>| {
        let goal = goal.map(|goal| Goal::new(goal).unwrap());
        Principal { trigger: Trigger { goal, ..token().trigger }, ..token() }
    };
    let changes = [
        ("subject", Principal { subject: Subject::new("user:2").unwrap(), ..token() }),
        ("another goal", goal(Some("send"))),
        ("no goal", goal(None)),
        ("one role more", Principal { roles: [role("assistant"), role("admin")].into(), ..token() }),
        ("another agent", Principal { agents: vec![agent("other")], ..token() }),
        ("no agent", Principal { agents: vec![], ..token() }),
        ("an agent behind", Principal { agents: vec![agent("inbox"), agent("boss")], ..token() }),
        ("another sender", with_entries(vec![entry("email", "b")])),
        ("more entries than a trigger has", {
            let kinds = (0..ENTRIES_MAX).map(|n| entry(&format!("k{n}"), "x"));
            with_entries(kinds.collect())
        }),
        ("more text than a trigger has", with_entries(vec![entry("k", &"x".repeat(TRIGGER_BYTES_MAX))])),
    ];
    for (what, changed) in changes {
        let refused = id_of(&runs, changed, now, &book).await;
        assert_eq!(refused, Err(Reason::RunChanged), "{what}");
    }
    assert_eq!(*book.lines.lock().unwrap(), ["start r1"], "a refused token adds nothing");
    assert_eq!(runs.report().await[0].provenance, sources(["email"]));
}

#[tokio::test]
async fn i4_a_later_token_adds_entries_and_one_with_fewer_takes_none_away() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let first = id_of(&runs, token(), now, &book).await.unwrap();
    // A second entry of a kind is one more only beside the first.
    let more = vec![entry("email", "a"), entry("email", "b"), entry("cron", "x")];
    assert_eq!(id_of(&runs, with_entries(more), now, &book).await.unwrap(), first);
    let fewer = with_entries(vec![entry("cron", "x")]);
    assert_eq!(id_of(&runs, fewer, now, &book).await.unwrap(), first);
    let run = &runs.report().await[0];
    assert_eq!(run.provenance, sources(["cron", "email"]));
    assert_eq!(run.claim.as_ref().unwrap().trigger.entries.len(), 3);
    assert_eq!(*book.lines.lock().unwrap(), ["start r1", "join [cron] and 2 entries"]);
    // What is in the run now is settled too.
    let changed = with_entries(vec![entry("email", "a"), entry("cron", "y")]);
    assert_eq!(id_of(&runs, changed, now, &book).await, Err(Reason::RunChanged));
}

#[tokio::test]
async fn i4_what_a_later_token_adds_counts_even_where_it_cannot_be_recorded() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    id_of(&runs, token(), now, &book).await.unwrap();
    let halted = Book { refuses: true, ..Book::default() };
    let more = || with_entries(vec![entry("email", "a"), entry("cron", "x")]);
    assert_eq!(id_of(&runs, more(), now, &halted).await, Err(Reason::JournalHalted));
    assert_eq!(runs.report().await[0].provenance, sources(["cron", "email"]));
    // The entry is settled once it is recorded, by the next token that brings it.
    assert!(id_of(&runs, more(), now, &book).await.is_ok());
    assert_eq!(*book.lines.lock().unwrap(), ["start r1", "join [] and 1 entries"]);
}

#[tokio::test]
async fn a_bearer_is_pinned_to_where_its_run_was_first_used_and_a_prover_is_not() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let at = |listener: &str, uid| Origin { listener: listener.into(), uid };
    let attach = async |principal: Principal, origin: Origin| {
        let principal = Arc::new(principal);
        let approach = Approach { principal: &principal, session: None, origin: &origin, now };
        let attached = runs.attach(approach, &book).await.map(|run| run.id().clone());
        assert_eq!(runs.recognise(&principal, &origin).await, attached.as_ref().map(drop).map_err(|r| *r));
        attached
    };
    let first = attach(token(), at("agents", Some(1000))).await.unwrap();
    for elsewhere in [at("agents", Some(1001)), at("agents", None), at("main", Some(1000))] {
        assert_eq!(attach(token(), elsewhere).await, Err(Reason::RunPinned));
    }
    assert_eq!(attach(token(), at("agents", Some(1000))).await.as_ref(), Ok(&first));
    let proved = || Principal { holder: Holder::Proved, ..token() };
    assert_eq!(attach(proved(), at("main", None)).await.as_ref(), Ok(&first));
    // A run that somebody began with a proof is no free place for bearers either.
    let another = |holder| Principal { holder, txn: Some(Txn::new("r2").unwrap()), ..token() };
    attach(another(Holder::Proved), at("main", None)).await.unwrap();
    assert_eq!(attach(another(Holder::Bearer), at("agents", None)).await, Err(Reason::RunPinned));
    assert!(attach(another(Holder::Bearer), at("main", None)).await.is_ok());
}

#[tokio::test]
async fn i4_a_claimed_run_that_ended_never_opens_again_while_a_token_of_it_may_live() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let hour = Duration::from_secs(3600);
    let long = clock.wall().checked_add(Duration::from_secs(5 * 3600)).unwrap();
    id_of(&runs, Principal { until: Some(long), ..token() }, clock.wall(), &book).await.unwrap();
    clock.advance(Duration::from_secs(60));
    // It expires by itself: seen by the request that comes too late, remembered for all that follow.
    assert_eq!(id_of(&runs, token(), clock.wall(), &book).await, Err(Reason::RunEnded));
    assert_eq!(*book.lines.lock().unwrap(), ["start r1", "end Idle"]);
    for _ in 0..5 {
        clock.advance(hour);
        runs.expire(clock.wall(), &book).await.unwrap();
        assert_eq!(id_of(&runs, token(), clock.wall(), &book).await, Err(Reason::RunEnded));
        let someone = runs.recognise(&token(), &main()).await;
        assert_eq!(someone, Err(Reason::RunEnded));
    }
    // A token that is renewed after the end keeps it shut for as long as it lives.
    let renewed = clock.wall().checked_add(hour).unwrap();
    let late = Principal { until: Some(renewed), ..token() };
    assert_eq!(id_of(&runs, late, clock.wall(), &book).await, Err(Reason::RunEnded));
    clock.advance(hour);
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(id_of(&runs, token(), clock.wall(), &book).await, Err(Reason::RunEnded));
    clock.advance(hour);
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(runs.figures().remembered, 0);
    assert_eq!(runs.figures().open, 0, "a refused token leaves no place behind");
}

#[tokio::test]
async fn i4_a_claimed_run_that_was_ended_before_it_started_never_opens_while_a_token_may_live() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let name = |txn| ClaimName { entry_point: token().entry_point, txn: Txn::new(txn).unwrap() };
    let end = async |txn, chronicle: &Book| {
        runs.end_claim(&name(txn), token().runs, person(clock.wall()), chronicle).await
    };
    let halted = Book { refuses: true, ..Book::default() };
    assert_eq!(end("r1", &halted).await, Err(Reason::JournalHalted));
    assert_eq!(runs.figures().remembered, 0, "what is not durable does not count");
    for _ in 0..2 {
        assert_eq!(end("r1", &book).await, Ok(()));
    }
    assert_eq!(*book.lines.lock().unwrap(), ["end Person"]);
    let late = id_of(&runs, token(), clock.wall(), &book).await;
    assert_eq!(late, Err(Reason::RunEnded));
    assert_eq!((runs.figures().open, runs.figures().remembered), (0, 1));
    // One that is open ends as any other.
    let other = || Principal { txn: Some(Txn::new("r2").unwrap()), ..token() };
    id_of(&runs, other(), clock.wall(), &book).await.unwrap();
    assert_eq!(end("r2", &book).await, Ok(()));
    assert_eq!(id_of(&runs, other(), clock.wall(), &book).await, Err(Reason::RunEnded));
    clock.advance(token().runs.token_ttl_max);
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(id_of(&runs, token(), clock.wall(), &book).await, Err(Reason::RunEnded), "two skews more");
    clock.advance(Duration::from_secs(600));
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(runs.figures().remembered, 0);
}

#[tokio::test]
async fn i11_tombstones_are_bounded_and_a_full_yard_refuses_new_claims_alone() {
    let (book, clock) = (Book::default(), clock());
    let until = clock.wall().checked_add(Duration::from_secs(60)).unwrap();
    let stone = |number: usize| Tombstone {
        entry_point: token().entry_point,
        txn: Txn::new(&format!("old{number}")).unwrap(),
        run: RunId::of([0; 16]),
        why: RunEnding::Idle,
        until,
    };
    let tombstones = (0..TOMBSTONES_MAX - 1).map(stone).collect();
    let runs = Runs::recover(RecoveredRuns { tombstones, ..RecoveredRuns::default() }, 9, |_| None);
    let other = || Principal { txn: Some(Txn::new("r2").unwrap()), ..token() };
    id_of(&runs, token(), clock.wall(), &book).await.unwrap();
    assert_eq!(id_of(&runs, other(), clock.wall(), &book).await, Err(Reason::RunsFull));
    assert!(id_of(&runs, token(), clock.wall(), &book).await.is_ok(), "what is open goes on");
    let keyed = Principal::clone(&principal(RunScope::Subject));
    assert!(id_of(&runs, keyed, clock.wall(), &book).await.is_ok(), "what leaves no tombstone starts");
    clock.advance(Duration::from_secs(60));
    assert!(id_of(&runs, other(), clock.wall(), &book).await.is_ok());
}

#[tokio::test]
async fn a_token_without_txn_claims_no_run() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let none = Principal { txn: None, ..token() };
    assert_eq!(id_of(&runs, none, now, &book).await, Err(Reason::TokenClaimsInvalid));
}

#[tokio::test]
async fn i4_a_later_credential_of_a_subject_run_adds_its_sources_too() {
    let (runs, book, now) = (table(), Book::default(), clock().wall());
    let chat = Principal::clone(&principal(RunScope::Subject));
    let first = id_of(&runs, chat.clone(), now, &book).await.unwrap();
    let email = Principal { sources: sources(["email"]), ..chat };
    assert_eq!(id_of(&runs, email, now, &book).await.unwrap(), first);
    assert_eq!(runs.report().await[0].provenance, sources(["chat", "email"]));
}
