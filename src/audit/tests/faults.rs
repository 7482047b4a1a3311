//! A disk that fails: no call is forwarded, the reason is told, and it goes on when it is mended.

use rustix::io::Errno;

use super::*;
use crate::audit::disk::Op;
use crate::audit::trace::Did;

fn why(journal: &Journal) -> Halt {
    match journal.status() {
        Status::Halted(halt) => halt,
        Status::Going => panic!("the journal is going"),
    }
}

#[tokio::test]
async fn f57_a_failed_sync_refuses_the_waiting_and_goes_on_in_a_new_segment_that_states_all_again() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    let first = room.last();
    room.disk.faults.plan(Op::Sync, 0, 1, Errno::IO);
    let refused = intend(&journal, CallFacts { adds: sources(["web"]), ..facts(&run(1)) }).await;
    assert_eq!(refused.map(drop), Err(Reason::JournalHalted));
    let figures = journal.figures();
    assert_eq!((figures.sync_failures, figures.halts), (1, 1));
    // The next call goes: nobody had to restart anything.
    until_going(&journal).await;
    open.conclude(answered()).await.unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    assert_ne!(room.last(), first);
    let restated = room.of_kind(Kind::Restated);
    assert!(restated.iter().any(|line| line["line"]["kind"] == "intent"));
    let halted = &room.of_kind(Kind::Halted)[0];
    assert_eq!(halted["cause"], "sync");
    journal.close().await.unwrap();
    let report = room.verified();
    assert_eq!(report.intents, 3);
    // The refused intent has an outcome that says that nothing was sent.
    let outcomes = room.of_kind(Kind::Outcome);
    let refused: Vec<_> = outcomes.iter().filter(|line| line["reason"] == "journal_halted").collect();
    assert_eq!((refused.len(), &refused[0]["executed"]), (1, &"no".into()));
    // What it added counts though it was refused (DESIGN §8).
    assert_eq!(room.open().1.live.runs[&run(1)].provenance, sources(["chat", "web"]));
    // Whatever the kernel dropped of the old segment stands in the new one.
    let lost = room.killed();
    let old = lost.segments()[0].clone();
    let text = std::fs::read_to_string(&old).unwrap();
    let (before, _) = text.rsplit_once("\"kind\":\"intent\"").unwrap();
    let synced = before.rfind('\n').unwrap() + 1;
    edit(&old, |bytes| bytes[synced..].fill(0));
    assert!(lost.verify().notes.iter().any(|note| matches!(note, Note::Restated { .. })));
    lost.verified();
}

#[tokio::test]
async fn f57_a_disk_that_keeps_failing_halts_and_goes_again_when_it_is_mended() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    for op in [Op::Sync, Op::Write, Op::Create, Op::Allocate, Op::Rename, Op::SyncDirectory] {
        room.disk.faults.plan(op, 0, u32::MAX, Errno::IO);
    }
    assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
    assert_eq!(journal.reserve().await.map(drop), Err(Reason::JournalHalted));
    assert_eq!(journal.record(denial(facts(&run(1)))).await, Err(Reason::JournalHalted));
    let halt = why(&journal).to_string();
    assert!(halt.contains("failed") && halt.contains("go on by themselves"), "{halt}");
    // The outcome of a call in flight waits, and is written when the disk is well.
    let concluded = tokio::spawn(open.conclude(answered()));
    room.disk.faults.mend();
    until_going(&journal).await;
    concluded.await.unwrap().unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    // Whether the mending met the first try or a later one, every refusal is counted.
    let halted = room.of_kind(Kind::Halted);
    let refused: u64 = halted.iter().map(|record| record["refused"].as_u64().unwrap()).sum();
    assert!(refused >= 2, "{halted:?}");
    journal.close().await.unwrap();
    room.verified();
}

#[tokio::test]
async fn f57_a_stop_that_meets_a_failing_disk_is_on_the_record_all_the_same() {
    for op in [Op::Write, Op::Sync] {
        let room = Room::new();
        let (journal, _) = room.open();
        call(&journal, facts(&run(1))).await.unwrap();
        room.disk.faults.plan(op, 0, 1, Errno::IO);
        journal.close().await.unwrap();
        let lines = room.lines();
        let last = lines.iter().rfind(|line| line["kind"] != "commit").unwrap();
        assert_eq!(last["kind"], "stop", "{op:?}");
        assert!(!room.verified().notes.iter().any(|note| matches!(note, Note::NoStop { .. })), "{op:?}");
    }
}

#[tokio::test]
async fn f57_a_stop_of_a_halted_journal_writes_what_is_owed_where_the_disk_is_well_by_then() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    for op in [Op::Sync, Op::Write, Op::Create] {
        room.disk.faults.plan(op, 0, u32::MAX, Errno::IO);
    }
    assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
    let concluded = tokio::spawn(open.conclude(answered()));
    tokio::task::yield_now().await;
    until(|| journal.figures().queued == 0).await;
    room.disk.faults.mend();
    // Nobody waits until it is tried again.
    journal.close().await.unwrap();
    concluded.await.unwrap().unwrap();
    let report = room.verified();
    assert_eq!((report.intents, report.outcomes), (1, 1));
    assert_eq!(room.of_kind(Kind::Stop).len(), 1);
}

#[tokio::test]
async fn f57_what_a_failed_sync_may_have_lost_is_written_again_by_the_next_start() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    let synced = std::fs::read(room.last()).unwrap().len();
    for op in [Op::Sync, Op::Create] {
        room.disk.faults.plan(op, 0, u32::MAX, Errno::IO);
    }
    journal.record(denial(facts(&run(1)))).await.unwrap();
    assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
    // The process dies before the disk is mended. For the next one the kernel still has what it never wrote, and calls it
    // clean: a sync would say nothing.
    let whole = std::fs::read(room.last()).unwrap();
    let killed = room.killed();
    killed.disk.trace.begin();
    let (again, _) = killed.open();
    let done = killed.disk.trace.all();
    let Did::Wrote { file, at, bytes } = &done[0] else { panic!("{done:?}") };
    assert_eq!((*at, bytes.as_slice()), (synced, &whole[synced..]));
    assert_eq!(done[1], Did::Synced { file: *file });
    again.close().await.unwrap();
    killed.verified();
}

#[tokio::test]
async fn f58_a_short_write_leaves_nothing_that_counts() {
    for error in [Errno::NOSPC, Errno::IO, Errno::ROFS] {
        let room = Room::new();
        let (journal, _) = room.open();
        start_run(&journal, &run(1)).await.unwrap();
        room.disk.faults.plan_short_write(300, error);
        assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
        until_going(&journal).await;
        call(&journal, facts(&run(1))).await.unwrap();
        journal.close().await.unwrap();
        assert_eq!(room.verified().intents, 1);
    }
}

#[tokio::test]
async fn f55_a_failure_at_each_step_of_a_new_segment_loses_nothing() {
    for op in [Op::Create, Op::Allocate, Op::Write, Op::Sync, Op::Rename, Op::SyncDirectory] {
        for after in 0..2 {
            let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
            let (journal, _) = room.open();
            start_run(&journal, &run(1)).await.unwrap();
            let mut acknowledged = Vec::new();
            for round in 0..60 {
                if round == 5 {
                    room.disk.faults.plan(op, after, 3, Errno::IO);
                }
                match call(&journal, facts(&run(1))).await {
                    Ok((intent, _)) => acknowledged.push(intent),
                    Err(_) => until_going(&journal).await,
                }
            }
            let killed = room.killed();
            let (again, _) = killed.open();
            again.close().await.unwrap();
            killed.verified();
            let recorded: Vec<_> =
                killed.of_kind(Kind::Intent).iter().map(|line| line["seq"].clone()).collect();
            assert!(acknowledged.iter().all(|seq| recorded.contains(&seq.0.into())), "{op:?}");
            journal.close().await.unwrap();
            room.verified();
        }
    }
}

#[tokio::test]
async fn f56_a_full_disk_halts_before_calls_and_never_after() {
    let room = Room { segment_bytes: 16 * 1024, queue_max: 4, ..Room::new() };
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    room.disk.faults.plan(Op::Allocate, 0, u32::MAX, Errno::NOSPC);
    let mut open = Vec::new();
    let reason = loop {
        match intend(&journal, facts(&run(1))).await {
            Ok(intent) => {
                let ((), forwarded) = intent.begin();
                open.push(forwarded);
                if open.len() == 3 {
                    open.remove(0).conclude(answered()).await.unwrap();
                }
            }
            Err(reason) => break reason,
        }
    };
    assert_eq!(reason, Reason::JournalHalted);
    // The calls in flight find their space.
    for forwarded in open {
        forwarded.conclude(answered()).await.unwrap();
    }
    // Few calls at once find room longer than many do; in the end there is none for a single one.
    while journal.status() == Status::Going {
        _ = call(&journal, facts(&run(1))).await;
    }
    let halt = why(&journal);
    assert_eq!(halt.cause, HaltCause::Space);
    assert!(halt.to_string().contains("free some space"), "{halt}");
    room.disk.faults.mend();
    until_going(&journal).await;
    call(&journal, facts(&run(1))).await.unwrap();
    assert_eq!(room.of_kind(Kind::Halted)[0]["cause"], "space");
    journal.close().await.unwrap();
    let report = room.verified();
    assert_eq!(report.intents, report.outcomes);
}

#[tokio::test]
async fn f60_a_segment_that_was_deleted_replaced_or_changed_is_not_written_to() {
    type Deed = fn(&Path);
    let deeds: [(Deed, &str); 4] = [
        (|path| std::fs::remove_file(path).unwrap(), "deleted"),
        (|path| std::fs::rename(path, path.with_extension("aside")).unwrap(), "deleted"),
        (
            |path| {
                std::fs::remove_file(path).unwrap();
                std::fs::rename(path.with_file_name("spare"), path).unwrap();
            },
            "replaced",
        ),
        (|path| edit(path, |bytes| bytes.truncate(100)), "resized"),
    ];
    for (deed, cause) in deeds {
        let room = Room::new();
        let (journal, _) = room.open();
        start_run(&journal, &run(1)).await.unwrap();
        call(&journal, CallFacts { adds: sources(["web"]), ..facts(&run(1)) }).await.unwrap();
        room.disk.create(&std::fs::File::open(&room.dir).unwrap().into(), "spare").unwrap();
        deed(&room.last());
        assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
        until_going(&journal).await;
        call(&journal, facts(&run(1))).await.unwrap();
        let gap = room.dir.read_dir().unwrap().count();
        assert!(gap >= 1);
        journal.close().await.unwrap();
        // The state was in memory and is in the new segment; the evidence is gone, and that is on record.
        let (journal, recovered) = room.open();
        assert_eq!(recovered.live.runs[&run(1)].provenance, sources(["chat", "web"]));
        assert_eq!(recovered.live.runs[&run(1)].history, RunHistory::Whole);
        journal.close().await.unwrap();
        let findings = room.findings();
        assert!(findings.iter().any(|finding| finding.contains(cause)), "{findings:?}");
    }
}

#[tokio::test]
async fn f60_a_folder_that_was_moved_away_is_made_anew() {
    let room = Room::new();
    let (journal, _) = room.open();
    start_run(&journal, &run(1)).await.unwrap();
    std::fs::rename(&room.dir, room.dir.with_file_name("aside")).unwrap();
    assert_eq!(intend(&journal, facts(&run(1))).await.map(drop), Err(Reason::JournalHalted));
    until_going(&journal).await;
    call(&journal, facts(&run(1))).await.unwrap();
    assert!(room.try_open().unwrap_err().to_string().contains("another process"));
    journal.close().await.unwrap();
    assert_eq!(room.open().1.live.runs.len(), 1);
}

#[tokio::test]
async fn a_start_on_a_full_or_readonly_disk_says_what_is_missing_and_leaves_nothing_half_started() {
    for (op, error) in
        [(Op::Allocate, Errno::NOSPC), (Op::Create, Errno::ROFS), (Op::SyncDirectory, Errno::IO)]
    {
        let room = Room::new();
        room.disk.faults.plan(op, 0, 1, error);
        let refused = room.try_open().unwrap_err();
        assert!(refused.to_string().contains("cannot begin a segment"), "{refused}");
        let (journal, _) = room.open();
        call(&journal, facts(&run(1))).await.unwrap();
        journal.close().await.unwrap();
        room.verified();
    }
}

/// A file system of its own, small enough to fill.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Only root can mount; elsewhere the planned faults above have to do.
    fn mount() -> Option<Self> {
        let home = tempfile::tempdir().unwrap();
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m,mode=0700", "none"]).arg(home.path());
        mount.output().is_ok_and(|done| done.status.success()).then(|| Self(home))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn f56_a_real_disk_that_is_full_halts_and_goes_again_when_something_is_deleted() {
    let Some(disk) = SmallDisk::mount() else { return };
    let room = Room { segment_bytes: 32 * 1024, queue_max: 4, ..Room::new() };
    let settings = Settings { dir: disk.0.path().join("state").join("journal"), ..room.settings() };
    let (journal, _) = Journal::open(settings.clone(), Clock::system()).unwrap();
    start_run(&journal, &run(1)).await.unwrap();
    let ballast = disk.0.path().join("ballast");
    let mut file = std::fs::File::create(&ballast).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    let ((), open) = intend(&journal, facts(&run(1))).await.unwrap().begin();
    while journal.status() == Status::Going {
        _ = call(&journal, facts(&run(1))).await;
    }
    assert_eq!(why(&journal).cause, HaltCause::Space);
    // The call in flight finds its space on a disk that has none.
    open.conclude(answered()).await.unwrap();
    std::fs::remove_file(&ballast).unwrap();
    until_going(&journal).await;
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    let report = verify(&settings.dir, Against::default(), &mut |_| ()).unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.intents, report.outcomes);
}
