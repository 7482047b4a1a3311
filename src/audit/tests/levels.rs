//! What a call waits for at each level of `durability`.

use super::*;

fn open(durability: Durability) -> (Room, Journal) {
    let room = Room { durability, ..Room::new() };
    // Nothing is synced that nobody waits for.
    let settings = Settings { sync_delay_max: Duration::from_secs(3600), ..room.settings() };
    let (journal, _) = Journal::open_on(settings, Clock::system(), room.disk.clone()).unwrap();
    (room, journal)
}

fn is_synced(journal: &Journal, seq: Seq) -> bool {
    journal.figures().synced_seq >= seq.0
}

/// Whether a call's intent and then its outcome are synced when they are acknowledged.
async fn synced(journal: &Journal, facts: CallFacts) -> (bool, bool) {
    let intent = intend(journal, facts).await.unwrap();
    let of_intent = is_synced(journal, intent.seq());
    let ((), begun) = intent.begin();
    let outcome = begun.conclude(answered()).await.unwrap();
    (of_intent, is_synced(journal, outcome))
}

#[tokio::test]
async fn i6_each_level_waits_for_what_it_promises() {
    for (durability, expected) in [
        (Durability::Full, (true, true)),
        (Durability::Intent, (true, false)),
        (Durability::Relaxed, (false, false)),
    ] {
        let (room, journal) = open(durability);
        start_run(&journal, &run(1)).await.unwrap();
        assert_eq!(synced(&journal, facts(&run(1))).await, expected, "{durability:?}");
        let refused = journal.record(denial(facts(&run(1)))).await.unwrap();
        assert_eq!(is_synced(&journal, refused), durability == Durability::Full, "{durability:?}");
        journal.close().await.unwrap();
        room.verified();
        assert_eq!(room.of_kind(Kind::Start)[0]["durability"], durability.as_str());
    }
}

#[tokio::test]
async fn i3_what_makes_a_run_or_a_store_carry_more_is_synced_at_every_level() {
    let (room, journal) = open(Durability::Relaxed);
    start_run(&journal, &run(1)).await.unwrap();
    let known = facts(&run(1));
    let mut adding = known.clone();
    adding.adds = sources(["web"]);
    assert_eq!(synced(&journal, adding).await, (true, false));
    let storing = CallFacts { stores: Stores::All, ..known.clone() };
    assert_eq!(synced(&journal, storing).await, (true, false));
    // A source that is in memory and was never recorded, because the record of its call was refused.
    let mut owing = known.clone();
    owing.provenance.join(&sources(["email"]));
    assert_eq!(synced(&journal, owing).await, (true, false));
    assert_eq!(synced(&journal, known).await, (false, false));
    assert!(is_synced(&journal, start_run(&journal, &run(2)).await.unwrap()));
    journal.close().await.unwrap();
    room.verified();
}

#[tokio::test]
async fn a_written_call_survives_the_process_and_is_synced_a_moment_later() {
    let room = Room { durability: Durability::Relaxed, ..Room::new() };
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let intent = intend(&journal, facts(&run(1))).await.unwrap();
    let (seq, killed) = (intent.seq(), room.killed());
    let (again, recovered) = killed.open();
    assert_eq!(recovered.unknown, 1, "who was killed may have sent it");
    again.close().await.unwrap();
    killed.verified();
    until(|| is_synced(&journal, seq)).await;
    drop(intent);
    journal.close().await.unwrap();
    room.verified();
}
