//! What budgets counted: in the record of what they counted, in the head of each segment, and after a kill.

use super::*;
use crate::model::budget::{Amount, Charge, Spent};
use crate::model::name::BudgetName;

fn name() -> BudgetName {
    BudgetName::new("sends").unwrap()
}

fn key() -> Sha256 {
    Sha256::of(b"key")
}

/// What a record says that counts `calls`, all of which is one call too many.
pub(super) fn metered(calls: u64) -> Metered {
    let amounts = [(Amount::CallsPerDay, calls), (Amount::CostPerHour, 1)].into();
    let spent = Spent { budget: name(), limit: "calls_per_day", retry_after_s: 3600 };
    Metered { charges: vec![Charge { budget: name(), key: key(), amounts }], spent: Some(spent) }
}

fn counting(calls: u64) -> CallFacts {
    CallFacts { metered: Metered { spent: None, ..metered(calls) }, ..facts(&run(1)) }
}

/// What a gateway would find that starts now.
fn used(room: &Room) -> u64 {
    used_by(room, Clock::system())
}

fn used_by(room: &Room, clock: Clock) -> u64 {
    let killed = room.killed();
    let (journal, recovered) = Journal::open(killed.settings(), clock).unwrap();
    drop(journal);
    let entry = &recovered.live.budgets.counts[&key()];
    assert_eq!(entry.budget, name());
    let mut counts = entry.counts.iter();
    counts.find(|(amount, _)| *amount == Amount::CallsPerDay).unwrap().1.used()
}

#[tokio::test]
async fn what_was_counted_survives_a_kill_and_every_segment_begins_with_it() {
    let room = Room { segment_bytes: 4096, queue_max: 3, ..Room::new() };
    let (journal, _) = room.open();
    call(&journal, counting(1)).await.unwrap();
    assert_eq!(used(&room), 1);
    journal.record(denial(counting(2))).await.unwrap();
    let (facts, intent) = (Box::new(counting(3)), Seq(1));
    journal.record(Event::Suspended { facts, intent }).await.unwrap();
    // Refused before there was a run.
    journal.record(denial(CallFacts { run: None, ..counting(4) })).await.unwrap();
    assert_eq!(used(&room), 10);
    for _ in 0..40 {
        call(&journal, facts_without_budgets()).await.unwrap();
    }
    assert!(room.segments().len() > 2);
    assert_eq!(used(&room), 10, "from the head of the last segment");
    journal.close().await.unwrap();
    let validator = schema::validator();
    let states = room.of_kind(Kind::State);
    let heads: Vec<_> = states.iter().filter(|line| line.get("budgets").is_some()).collect();
    assert!(!heads.is_empty() && heads.iter().all(|line| validator.is_valid(line)), "{heads:#?}");
    assert_eq!(heads.last().unwrap()["budgets"][0]["counts"]["calls_per_day"]["used"], 10);
    room.verified();
}

#[tokio::test]
async fn people_are_told_which_budget_refused() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut follower = Follower::open(&room.dir, From::Now).unwrap();
    let facts = Box::new(CallFacts { metered: metered(1), ..facts(&run(1)) });
    let (reason, latency) = (Reason::BudgetExceeded, Latency::default());
    journal.record(Event::Denial { facts, reason, latency }).await.unwrap();
    journal.close().await.unwrap();
    let mut summary = Summary::default();
    let lines: Vec<_> = follower.poll().unwrap().iter().filter_map(|item| summary.line(item)).collect();
    let told = "mail.send  refused  budget_exceeded (budget sends: calls_per_day)";
    assert!(lines.iter().any(|line| line.contains(told)), "{lines:?}");
}

fn facts_without_budgets() -> CallFacts {
    facts(&run(1))
}

#[tokio::test]
async fn what_lost_records_counted_is_spent() {
    let room = Room::new();
    let (journal, _) = room.open();
    call(&journal, counting(1)).await.unwrap();
    journal.close().await.unwrap();
    let last = room.last();
    std::fs::rename(&last, last.with_extension("damaged")).unwrap();
    let (journal, recovered) = room.open();
    let lost_at = recovered.live.budgets.lost_at;
    assert!(lost_at.is_some_and(|at| recovered.live.budgets.is_lost(Amount::CallsPerMinute, at)));
    journal.close().await.unwrap();
    // The next start knows it too: it stands in the head.
    let (journal, recovered) = room.open();
    assert!(recovered.live.budgets.lost_at.is_some());
    journal.close().await.unwrap();
    let states = room.of_kind(Kind::State);
    let lost: Vec<_> = states.iter().filter(|line| line.get("budgets_lost").is_some()).collect();
    assert!(!lost.is_empty() && lost.iter().all(|line| schema::validator().is_valid(line)), "{lost:#?}");
}

#[tokio::test]
async fn a81_a_clock_that_is_set_back_refunds_nothing() {
    let room = Room::new();
    let clock = Clock::manual("2026-11-27T10:30:00Z".parse().unwrap());
    let (journal, _) = Journal::open(room.settings(), clock.clone()).unwrap();
    call(&journal, counting(3)).await.unwrap();
    for (jump, counted) in [
        ("2016-11-27T10:30:00Z", 4),
        ("1969-12-31T23:59:59Z", 5),
        // Years ahead another day has begun; set back again, what was counted there counts here.
        ("2036-11-27T10:30:00Z", 1),
        ("2026-11-27T10:31:00Z", 2),
    ] {
        clock.set_wall(jump.parse().unwrap());
        call(&journal, counting(1)).await.unwrap();
        assert_eq!(used_by(&room, clock.clone()), counted, "{jump}");
    }
    journal.close().await.unwrap();
    room.verified();
}
