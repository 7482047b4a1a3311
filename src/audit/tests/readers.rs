//! What people see: tail, show, verify.

use super::*;

fn shown(items: &[Item]) -> Vec<String> {
    let mut summary = Summary::default();
    items.iter().filter_map(|item| summary.line(item)).collect()
}

#[tokio::test]
async fn tail_shows_one_line_a_call_and_survives_rotation_and_restart() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    let mut follower = Follower::open(&room.dir, From::Now).unwrap();
    start_run(&journal, &run(1)).await.unwrap();
    let mut lines = Vec::new();
    for _ in 0..40 {
        call(&journal, facts(&run(1))).await.unwrap();
        lines.extend(follower.poll().unwrap());
    }
    journal.close().await.unwrap();
    let (journal, _) = room.open();
    journal.record(denial(facts(&run(1)))).await.unwrap();
    journal.close().await.unwrap();
    lines.extend(follower.poll().unwrap());
    assert!(room.segments().len() > 3);
    let lines = shown(&lines);
    let calls: Vec<_> = lines.iter().filter(|line| line.contains("  forwarded  ")).collect();
    assert_eq!(calls.len(), 40);
    assert!(calls[0].contains("  chat  user:1  mail.send  forwarded  answered  3.0ms  #"), "{}", calls[0]);
    let denied = lines.iter().find(|line| line.contains("refused")).unwrap();
    let rule = "source_denies (source chat: allow `mail.*`, gateway.toml:31)";
    assert!(denied.contains(rule), "{denied}");
    assert_eq!(lines.iter().filter(|line| line.contains("  start  ")).count(), 1);
    assert_eq!(lines.iter().filter(|line| line.contains("  stop  ")).count(), 2);
    assert!(follower.poll().unwrap().is_empty());
}

#[tokio::test]
async fn tail_begins_at_the_last_start_or_looks_back() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    for calls in [3, 30] {
        let (journal, _) = room.open();
        for _ in 0..calls {
            call(&journal, facts(&run(1))).await.unwrap();
        }
        journal.close().await.unwrap();
    }
    let since = shown(&Follower::open(&room.dir, From::LastStart).unwrap().poll().unwrap());
    assert_eq!(since.iter().filter(|line| line.contains("forwarded")).count(), 30);
    let recent = shown(&Follower::open(&room.dir, From::Recent).unwrap().poll().unwrap());
    assert!(!recent.is_empty() && recent.len() < since.len());
}

#[tokio::test]
async fn a_group_is_shown_only_when_it_is_committed() {
    let room = Room::new();
    room.open().0.close().await.unwrap();
    let mut follower = Follower::open(&room.dir, From::Now).unwrap();
    let text = std::fs::read_to_string(room.last()).unwrap();
    let kept: usize = text.lines().take(2).map(|line| line.len() + 1).sum();
    let mut half = Follower::open(&room.dir, From::LastStart).unwrap();
    edit(&room.last(), |bytes| bytes.truncate(kept - 1));
    assert!(half.poll().unwrap().is_empty());
    edit(&room.last(), |bytes| *bytes = text.clone().into_bytes());
    assert_eq!(half.poll().unwrap().last().unwrap().kind, Kind::Stop);
    assert!(follower.poll().unwrap().is_empty());
}

#[tokio::test]
async fn a61_nothing_that_a_terminal_obeys_is_shown() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut facts = facts(&run(1));
    facts.target = None;
    facts.named = Some(Bounded::new("\u{1b}[2J\u{1b}]8;;http://x\u{7}\u{202e}\n#99  forged"));
    journal.record(denial(facts)).await.unwrap();
    journal.close().await.unwrap();
    let lines = shown(&Follower::open(&room.dir, From::LastStart).unwrap().poll().unwrap());
    assert!(lines.iter().all(|line| !line.chars().any(crate::model::text::is_hidden)), "{lines:?}");
    let denied = room.of_kind(Kind::Denial)[0]["seq"].as_u64().unwrap();
    let record = show(&room.dir, Seq(denied)).unwrap().remove(0);
    let text = pretty(&record.line);
    assert!(text.lines().all(|line| !line.chars().any(crate::model::text::is_hidden)), "{text}");
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&text).unwrap(),
        serde_json::from_str::<serde_json::Value>(&record.line).unwrap()
    );
}

#[tokio::test]
async fn show_gives_both_halves_of_a_call() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    let intent = open.seq();
    for _ in 0..30 {
        journal.record(denial(facts(&run(1)))).await.unwrap();
    }
    let outcome = open.conclude(answered()).await.unwrap();
    let lost = intend(&journal, facts(&run(1))).await.unwrap();
    let unknown = lost.seq();
    let killed = room.killed();
    let (again, _) = killed.open();
    for seq in [intent, outcome] {
        let both = show(&killed.dir, seq).unwrap();
        let kinds: Vec<_> = both.iter().map(|half| half.line.contains("\"kind\":\"intent\"")).collect();
        assert_eq!(kinds, [true, false], "{seq}");
        assert!(both[1].line.contains("\"kind\":\"outcome\""));
        assert_ne!(both[0].file, both[1].file);
    }
    assert!(show(&killed.dir, unknown).unwrap()[1].line.contains("\"kind\":\"unknown\""));
    let missing = show(&killed.dir, Seq(99_999)).unwrap_err();
    assert_eq!(missing.to_string(), "there is no record 99999 in the journal");
    again.close().await.unwrap();
    drop(lost);
    journal.close().await.unwrap();
}

#[tokio::test]
async fn verify_can_run_beside_the_writer() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    for _ in 0..50 {
        call(&journal, facts(&run(1))).await.unwrap();
        room.verified();
    }
    journal.close().await.unwrap();
    let mut told = 0;
    verify(&room.dir, Against::default(), &mut |progress| {
        told += 1;
        assert!(progress.bytes <= progress.bytes_total);
    })
    .unwrap();
    assert!(told > 0);
    assert!(matches!(
        verify(&room.dir.join("none"), Against::default(), &mut |_| ()),
        Err(VerifyError::Directory(_))
    ));
}
