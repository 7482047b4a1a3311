//! What a start finds: the same state, unknown calls, torn tails.

use super::*;

async fn end_run(journal: &Journal, id: &RunId) -> Result<Seq, Reason> {
    journal
        .record(Event::RunEnd {
            run: id.clone(),
            why: RunEnding::Person,
            by: Some(Actor { uid: 0 }),
            until: None,
            unstarted: None,
        })
        .await
}

#[tokio::test]
async fn i4_provenance_and_stores_survive_a_kill() {
    let room = Room::new();
    let (journal, _) = room.open();
    for number in 1..=3 {
        start_run(&journal, &run(number)).await.unwrap();
    }
    let adds = CallFacts { adds: sources(["web"]), stores: Stores::Subject, ..facts(&run(1)) };
    call(&journal, adds).await.unwrap();
    let taint =
        Event::Taint { run: run(2), adds: sources(["email"]), entries: vec![], cause: Claim::new("label") };
    journal.record(taint).await.unwrap();
    // A call that adds a source and is then refused still adds it.
    journal.record(denial(CallFacts { adds: sources(["cron"]), ..facts(&run(2)) })).await.unwrap();
    end_run(&journal, &run(3)).await.unwrap();
    let killed = room.killed();
    let (_journal, recovered) = killed.open();
    let live = &recovered.live;
    assert_eq!(live.runs.len(), 2);
    assert_eq!(live.runs[&run(1)].provenance, sources(["chat", "web"]));
    assert_eq!(live.runs[&run(2)].provenance, sources(["chat", "cron", "email"]));
    assert!(live.runs.values().all(|run| run.history == RunHistory::Whole));
    let stored = &live.stored[&tool().upstream];
    assert_eq!(stored.subjects[&Subject::new("user:1").unwrap()], sources(["chat", "web"]));
    assert!(stored.all.is_empty());
    killed.verified();
}

#[tokio::test]
async fn i4_a_caller_has_one_run_and_a_start_that_was_refused_launders_nothing() {
    let room = Room::new();
    let (journal, _) = room.open();
    for number in 1..=2 {
        let (run, principal) = (run(number), principal("user:1"));
        journal
            .record(Event::RunStart {
                run: run.clone(),
                principal,
                session: None,
                origin: None,
                history: RunHistory::Whole,
            })
            .await
            .unwrap();
        if number == 1 {
            let taint =
                Event::Taint { run, adds: sources(["web"]), entries: vec![], cause: Claim::new("label") };
            journal.record(taint).await.unwrap();
        }
    }
    let live = room.killed().open().1.live;
    assert_eq!(live.runs.len(), 1);
    assert_eq!(live.runs[&run(2)].provenance, sources(["chat", "web"]));
}

#[tokio::test]
async fn a_person_clears_what_is_stored() {
    let room = Room::new();
    let (journal, _) = room.open();
    call(&journal, CallFacts { stores: Stores::All, ..facts(&run(1)) }).await.unwrap();
    assert!(!room.killed().open().1.live.stored.is_empty());
    let event = Event::StoredCleared { upstream: tool().upstream, subject: None, by: Actor { uid: 0 } };
    journal.record(event).await.unwrap();
    assert!(room.killed().open().1.live.stored.is_empty());
}

#[tokio::test]
async fn a83_a_call_that_was_open_when_the_gateway_died_is_unknown() {
    let room = Room::new();
    let (journal, _) = room.open();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    let killed = room.killed();
    let (again, recovered) = killed.open();
    assert_eq!(recovered.unknown, 1);
    let unknown = &killed.of_kind(Kind::Unknown)[0];
    assert_eq!(unknown["intent"], open.seq().0);
    assert_eq!(unknown["tool"], "mail.send");
    again.close().await.unwrap();
    // It is closed: the next start does not say it again.
    let (again, recovered) = killed.open();
    assert_eq!(recovered.unknown, 0);
    again.close().await.unwrap();
    assert_eq!(killed.verified().unknown, 1);
    open.conclude(answered()).await.unwrap();
}

#[tokio::test]
async fn f58_a_torn_tail_is_cut_and_recorded_wherever_it_is_torn() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let whole = std::fs::metadata(room.last()).unwrap().len();
    call(&journal, CallFacts { adds: sources(["web"]), ..facts(&run(1)) }).await.unwrap();
    let intent_synced = std::fs::read(room.last()).unwrap();
    drop(journal);
    for cut in (whole..intent_synced.len() as u64).step_by(97) {
        let torn = room.killed();
        edit(&torn.last(), |bytes| bytes.truncate(usize::try_from(cut).unwrap()));
        let before = torn.verify();
        assert!(before.findings.is_empty(), "{:?}", before.findings);
        let (journal, recovered) = torn.open();
        assert_eq!(
            recovered.torn_bytes.is_some(),
            cut != whole && !ends_group(&intent_synced, cut),
            "at {cut}"
        );
        journal.close().await.unwrap();
        let report = torn.verified();
        if let Some(bytes) = recovered.torn_bytes {
            assert!(report.notes.iter().any(|note| matches!(note, Note::Torn { .. })));
            assert_eq!(torn.of_kind(Kind::Torn)[0]["bytes"], bytes);
        }
    }
}

/// Whether a commit line ends right before `cut`.
fn ends_group(bytes: &[u8], cut: u64) -> bool {
    let before = &bytes[..usize::try_from(cut).unwrap()];
    let last = before.strip_suffix(b"\n").and_then(|rest| rest.rsplit(|byte| *byte == b'\n').next());
    last.is_some_and(|line| String::from_utf8_lossy(line).contains("\"kind\":\"commit\""))
}

#[tokio::test]
async fn writes_that_the_disk_did_in_another_order_are_a_torn_tail_if_they_were_not_synced() {
    let room = Room::new();
    let settings = Settings { sync_delay_max: Duration::from_secs(3600), ..room.settings() };
    let (journal, _) = Journal::open(settings, Clock::system()).unwrap();
    start_run(&journal, &run(1)).await.unwrap();
    let synced = usize::try_from(std::fs::metadata(room.last()).unwrap().len()).unwrap();
    for _ in 0..20 {
        journal.record(denial(facts(&run(1)))).await.unwrap();
    }
    // A hole in the middle of what was not synced, as when a later page reached the disk first.
    let torn = room.killed();
    edit(&torn.last(), |bytes| bytes[synced + 600..synced + 1600].fill(0));
    let (again, recovered) = torn.open();
    assert!(recovered.torn_bytes.is_some());
    assert_eq!(recovered.live.runs.len(), 1);
    again.close().await.unwrap();
    torn.verified();
    journal.close().await.unwrap();
}

#[tokio::test]
async fn an_unfinished_beginning_of_a_segment_is_no_segment() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let killed = room.killed();
    std::fs::write(killed.dir.join("standby"), b"{\"v\":1,\"seq\":").unwrap();
    let (journal, recovered) = killed.open();
    assert_eq!(recovered.live.runs.len(), 1);
    journal.close().await.unwrap();
    killed.verified();
}

#[tokio::test]
async fn f65_a_start_reads_the_last_segment_and_no_other() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    call(&journal, CallFacts { adds: sources(["web"]), ..facts(&run(1)) }).await.unwrap();
    for _ in 0..40 {
        call(&journal, facts(&run(1))).await.unwrap();
    }
    journal.close().await.unwrap();
    // Retention: the oldest segments are gone, and with them no state.
    for old in room.segments().iter().rev().skip(1) {
        std::fs::remove_file(old).unwrap();
    }
    let (journal, recovered) = room.open();
    assert_eq!(recovered.live.runs[&run(1)].provenance, sources(["chat", "web"]));
    journal.close().await.unwrap();
    let report = room.verified();
    assert!(report.notes.iter().any(|note| matches!(note, Note::BeginsLater { .. })));
}

#[tokio::test]
async fn a_large_state_spans_several_lines_and_comes_back_whole() {
    let room = Room { queue_max: 128, ..Room::new() };
    let (journal, _) = room.open();
    let many: Vec<_> = (0..1000).map(|n| SourceName::new(&format!("{n:060}")).unwrap()).collect();
    for number in 0..20 {
        start_run(&journal, &run(number)).await.unwrap();
        let taint = Event::Taint {
            run: run(number),
            adds: Provenance::of(many.clone()),
            entries: vec![],
            cause: Claim::new("test"),
        };
        journal.record(taint).await.unwrap();
    }
    let mut open = Vec::new();
    for _ in 0..100 {
        open.push(intend(&journal, CallFacts { stores: Stores::All, ..facts(&run(1)) }).await.unwrap());
    }
    let killed = room.killed();
    let (again, recovered) = killed.open();
    assert_eq!(recovered.live.runs.len(), 20);
    assert!(recovered.live.runs.values().all(|run| run.provenance.len() == 1001));
    assert_eq!(recovered.live.stored[&tool().upstream].all.len(), 1001);
    assert_eq!(recovered.unknown, 100);
    again.close().await.unwrap();
    // Once more, now from the head alone.
    let (again, recovered) = killed.open();
    assert!(recovered.live.runs.values().all(|run| run.provenance.len() == 1001));
    assert!(killed.of_kind(Kind::State).len() > 10);
    again.close().await.unwrap();
    killed.verified();
}

#[tokio::test]
async fn f61_wall_time_may_jump_and_the_journal_stays_in_order() {
    let room = Room::new();
    let late = Clock::manual("2030-01-01T00:00:00Z".parse().unwrap());
    let (journal, _) = Journal::open(room.settings(), late).unwrap();
    start_run(&journal, &run(1)).await.unwrap();
    journal.close().await.unwrap();
    let early = Clock::manual("2020-01-01T00:00:00Z".parse().unwrap());
    let (journal, recovered) = Journal::open(room.settings(), early).unwrap();
    assert_eq!(recovered.live.runs.len(), 1);
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    room.verified();
}

/// Where somebody sets the clock while the gateway runs: years ahead, years back, and to before there was any.
const JUMPS: [&str; 4] =
    ["2036-01-01T12:00:00Z", "2016-01-01T12:00:00Z", "1969-12-31T23:00:00Z", "2026-11-27T10:40:00Z"];

#[tokio::test]
async fn f61_a81_a_clock_that_is_set_changes_no_order_and_refunds_nothing_and_shows() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let key = room.dir.with_file_name("audit-key");
    let checkpoints = Some(Checkpoints { key, every: Duration::from_secs(60) });
    let settings = Settings { checkpoints, ..room.settings() };
    let clock = Clock::manual("2026-11-27T10:30:00Z".parse().unwrap());
    let (journal, _) = Journal::open(settings.clone(), clock.clone()).unwrap();
    start_run(&journal, &run(1)).await.unwrap();
    call(&journal, CallFacts { adds: sources(["web"]), ..facts(&run(1)) }).await.unwrap();
    for jump in JUMPS {
        clock.set_wall(jump.parse().unwrap());
        for _ in 0..8 {
            clock.advance(Duration::from_secs(9));
            call(&journal, facts(&run(1))).await.unwrap();
        }
    }
    journal.close().await.unwrap();
    let lines = room.lines();
    let mono: Vec<_> = lines.iter().map(|line| line["mono_ns"].as_u64().unwrap()).collect();
    let seqs: Vec<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(mono.is_sorted() && seqs.is_sorted_by(|one, next| one + 1 == *next));
    let walls: Vec<jiff::Timestamp> =
        lines.iter().map(|line| line["t"].as_str().unwrap().parse().unwrap()).collect();
    assert!(JUMPS.iter().all(|jump| {
        walls.iter().any(|wall| wall.duration_since(jump.parse().unwrap()).as_secs().abs() < 80)
    }));
    assert!(
        !walls.is_sorted(),
        "who reads sees that the clock was set: the numbers and the other clock go on"
    );
    // Checkpoints come by the clock that nobody sets.
    let signed = room.of_kind(Kind::Checkpoint).len();
    assert!((4..=8).contains(&signed), "{signed} checkpoints in 5 minutes");
    room.verified();
    // The next process has another clock, and the same state.
    let (journal, recovered) = Journal::open(settings, Clock::system()).unwrap();
    assert_eq!(recovered.live.runs[&run(1)].provenance, sources(["chat", "web"]));
    journal.close().await.unwrap();
    room.verified();
}
