//! The path of a call through the journal.

use super::*;

#[tokio::test]
async fn i6_an_intent_is_durable_before_it_can_be_forwarded_and_an_outcome_written_before_the_answer() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let intent = intend(&journal, facts(&run(1))).await.unwrap();
    assert!(journal.figures().synced_seq >= intent.seq().0);
    assert_eq!(room.of_kind(Kind::Intent).len(), 1);
    let ((), open) = intent.begin();
    let outcome = open.conclude(answered()).await.unwrap();
    let written = room.of_kind(Kind::Outcome);
    assert_eq!(written[0]["seq"], outcome.0);
    assert_eq!(written[0]["is_error"], false);
    assert_eq!(written[0]["jsonrpc"]["response"], "result");
    journal.close().await.unwrap();
    let report = room.verified();
    assert_eq!((report.intents, report.outcomes, report.unknown), (1, 1, 0));
    assert!(report.notes.is_empty(), "{:?}", report.notes);
}

#[tokio::test]
async fn an_outcome_is_synced_within_the_delay_though_nobody_waits_for_it() {
    let room = Room::new();
    let (journal, _) = room.open();
    let (_, outcome) = call(&journal, facts(&run(1))).await.unwrap();
    until(|| journal.figures().synced_seq >= outcome.0).await;
    journal.close().await.unwrap();
    room.verified();
}

#[tokio::test]
async fn the_order_of_intents_is_the_order_in_which_they_were_intended() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut slots = Vec::new();
    for _ in 0..8 {
        slots.push(journal.reserve().await.unwrap());
    }
    let pending: Vec<_> =
        slots.into_iter().enumerate().map(|(n, slot)| slot.intend(n, facts(&run(1)))).collect();
    let mut last = None;
    for (n, pending) in pending.into_iter().enumerate() {
        let intent = pending.durable().await.unwrap();
        assert_eq!(*intent.proven(), n);
        assert!(Some(intent.seq()) > last);
        last = Some(intent.seq());
    }
    journal.close().await.unwrap();
    room.verified();
}

#[tokio::test]
async fn a85_whatever_is_dropped_leaves_a_record() {
    let room = Room::new();
    let (journal, _) = room.open();
    // Nobody waits for it any more: the record says that nothing was sent.
    drop(journal.reserve().await.unwrap().intend((), facts(&run(1))));
    // Durable and not begun.
    drop(intend(&journal, facts(&run(1))).await.unwrap());
    // Begun, and the task that ran it panicked.
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    let panicked = tokio::spawn(async move {
        let _open = open;
        panic!("a fault in a handler");
    });
    panicked.await.unwrap_err();
    journal.close().await.unwrap();
    let outcomes = room.of_kind(Kind::Outcome);
    let executed: Vec<_> = outcomes.iter().map(|outcome| outcome["executed"].as_str().unwrap()).collect();
    assert_eq!(executed, ["no", "no", "unknown"]);
    assert!(outcomes.iter().all(|outcome| outcome["reason"] == "abandoned"));
    room.verified();
}

#[tokio::test]
async fn i11_a_full_queue_refuses_and_evicts_nothing() {
    let room = Room { queue_max: 1, ..Room::new() };
    let settings = Settings { queue_wait: Duration::from_secs(1), ..room.settings() };
    let (journal, _) = Journal::open(settings, Clock::system()).unwrap();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    assert_eq!(journal.reserve().await.map(drop), Err(Reason::JournalOverloaded));
    open.conclude(answered()).await.unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    room.verified();
}

#[tokio::test]
async fn a71_a_flood_of_denials_is_recorded_singly() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let journal = journal.clone();
        tasks.spawn(async move { journal.record(denial(facts(&run(1)))).await.unwrap() });
    }
    let seqs: std::collections::BTreeSet<_> = tasks.join_all().await.into_iter().collect();
    assert_eq!(seqs.len(), 500);
    journal.close().await.unwrap();
    assert_eq!(room.verified().denials, 500);
}

#[tokio::test]
async fn a70_no_size_of_anything_suppresses_a_record() {
    let room = Room::new();
    let (journal, _) = room.open();
    let huge = "x".repeat(10_000_000);
    let mut facts = facts(&run(1));
    facts.named = Some(Bounded::new(&huge));
    facts.client = Some(Bounded::new(&huge));
    let many: Vec<_> = (0..500).map(|n| SourceName::new(&format!("source{n}")).unwrap()).collect();
    facts.provenance = Provenance::of(many.clone());
    let rule = facts.decision.as_ref().unwrap().rules[0].clone();
    facts.decision.as_mut().unwrap().rules = vec![rule; 500];
    journal.record(denial(facts)).await.unwrap();
    journal.close().await.unwrap();
    let denial = &room.of_kind(Kind::Denial)[0];
    assert!(denial.to_string().len() < 8 * 1024);
    let cut = denial["truncated"].as_array().unwrap();
    let members: Vec<_> = cut.iter().map(|cut| cut["member"].as_str().unwrap()).collect();
    assert_eq!(members, ["provenance", "decision.rules", "claimed.name", "claimed.client"]);
    assert_eq!(cut[2]["bytes"], 10_000_000);
    assert_eq!(cut[2]["sha256"], Sha256::of(huge.as_bytes()).to_string());
    let whole = serde_json::to_string(&many).unwrap();
    // The whole is in the order of names, as it would have been written.
    assert_eq!(cut[0]["bytes"], whole.len());
    room.verified();
}

#[tokio::test]
async fn i10_a_session_id_is_never_written() {
    let room = Room::new();
    let (journal, _) = room.open();
    let session: Arc<str> = "5a6f3c-secret-session".into();
    let event = Event::RunStart {
        run: run(1),
        principal: principal("user:1"),
        session: Some(Arc::clone(&session)),
        origin: None,
        history: RunHistory::Whole,
    };
    journal.record(event).await.unwrap();
    journal.close().await.unwrap();
    let (journal, recovered) = room.open();
    let digest = Sha256::of(session.as_bytes()).to_string();
    assert_eq!(recovered.live.runs[&run(1)].session.as_deref(), Some(&*digest));
    journal.close().await.unwrap();
    assert!(room.segments().iter().all(|path| !std::fs::read_to_string(path).unwrap().contains("secret")));
}

#[tokio::test]
async fn no_outcome_is_larger_than_what_is_reserved_for_it() {
    let room = Room::new();
    let (journal, _) = room.open();
    let mut facts = facts(&run(1));
    facts.principal = Arc::new(Principal {
        entry_point: EntryPointName::new(&"e".repeat(256)).unwrap(),
        subject: Subject::new(&"s".repeat(256)).unwrap(),
        ..Principal::clone(&facts.principal)
    });
    facts.target = Some(Target::Tool(ToolId {
        upstream: UpstreamName::new(&"u".repeat(64)).unwrap(),
        tool: ToolName::new(&"t".repeat(128)).unwrap(),
    }));
    let ((), open) = intend(&journal, facts).await.unwrap().begin();
    let latency = Latency {
        decide: Duration::MAX,
        journal: Duration::MAX,
        upstream: Duration::MAX,
        total: Duration::MAX,
    };
    let jsonrpc = Some(JsonRpc::Error(i64::MIN));
    open.conclude(OutcomeFacts { latency, jsonrpc, ..answered() }).await.unwrap();
    journal.close().await.unwrap();
    let text = std::fs::read_to_string(room.last()).unwrap();
    let lines: Vec<_> = text.lines().collect();
    let at = lines.iter().position(|line| line.contains("\"kind\":\"outcome\"")).unwrap();
    let bytes = lines[at].len() + lines[at + 1].len() + 2;
    assert!((bytes as u64) < OUTCOME_BYTES_MAX - 256, "{bytes}");
    room.verified();
}

#[tokio::test]
async fn segments_are_rotated_and_a_closed_one_is_read_only() {
    use std::os::unix::fs::MetadataExt;
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    for _ in 0..40 {
        call(&journal, facts(&run(1))).await.unwrap();
    }
    journal.close().await.unwrap();
    let segments = room.segments();
    assert!(segments.len() > 3, "{segments:?}");
    let (last, closed) = segments.split_last().unwrap();
    assert!(closed.iter().all(|path| std::fs::metadata(path).unwrap().mode() & 0o777 == 0o400));
    assert_eq!(std::fs::metadata(last).unwrap().mode() & 0o777, 0o600);
    // What was reserved and not used is given back.
    assert!(closed.iter().all(|path| std::fs::metadata(path).unwrap().blocks() * 512 < 32 * 1024));
    let report = room.verified();
    assert_eq!((report.intents, report.outcomes), (40, 40));
    assert_eq!(room.open().1.live.runs.len(), 1);
}

#[tokio::test]
async fn f68_a_second_writer_is_refused_and_others_may_not_read_the_folder() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::new();
    let (journal, _) = room.open();
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("another process writes the journal"), "{error}");
    journal.close().await.unwrap();
    let mode = |mode| std::fs::set_permissions(&room.dir, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o755);
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("mode 0755") && error.contains("chmod 700"), "{error}");
    mode(0o700);
    std::fs::set_permissions(room.last(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
}

#[tokio::test]
async fn a_link_in_place_of_the_folder_or_a_segment_is_refused() {
    let room = Room::new();
    room.open().0.close().await.unwrap();
    let (last, aside) = (room.last(), room.dir.join("aside"));
    std::fs::rename(&last, &aside).unwrap();
    std::os::unix::fs::symlink(&aside, &last).unwrap();
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("is not a regular file"), "{error}");
    let elsewhere = room.dir.with_file_name("elsewhere");
    std::fs::rename(&room.dir, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &room.dir).unwrap();
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("is not a folder"), "{error}");
}

#[tokio::test]
async fn the_writer_ends_with_the_last_handle_and_still_writes_what_is_owed() {
    let room = Room::new();
    let (journal, _) = room.open();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    drop(journal);
    open.conclude(answered()).await.unwrap();
    // The folder is free once the writer has let go of it.
    let (journal, recovered) = loop {
        match room.try_open() {
            Ok(opened) => break opened,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(recovered.unknown, 0);
    journal.close().await.unwrap();
    room.verified();
}
