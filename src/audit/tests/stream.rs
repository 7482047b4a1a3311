//! Reading on from a place that was kept: every record once, in order, whatever happened to the segments.

use super::*;
use crate::audit::disk::Op;
use rustix::io::Errno;

const ALL: Reach = Reach { until: None, records_max: usize::MAX, bytes_max: usize::MAX };

/// What is read from `at` on in steps of at most `records_max`, the place kept as text in between.
fn read(room: &Room, at: Position, records_max: usize) -> (Vec<Item>, Position) {
    let (mut all, mut at) = (Vec::new(), at);
    loop {
        let kept = serde_json::to_string(&at).unwrap();
        let mut stream = Stream::new(&room.dir, serde_json::from_str(&kept).unwrap());
        let items = stream.read(Reach { records_max, ..ALL }).unwrap();
        at = stream.position();
        if items.is_empty() {
            return (all, at);
        }
        all.extend(items);
    }
}

/// The numbers of the records that a reader is to be given: every one but those that hold the journal together.
fn expected(room: &Room) -> Vec<u64> {
    let lines = room.lines();
    let counts = |line: &&serde_json::Value| {
        !matches!(line["kind"].as_str().unwrap(), "state" | "commit" | "restated")
    };
    let mut all: Vec<_> = lines.iter().filter(counts).map(|line| line["seq"].as_u64().unwrap()).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn seqs(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.seq.0).collect()
}

#[tokio::test]
async fn every_record_is_given_once_over_segments_and_restarts() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let mut at = Position::default();
    let mut given = Vec::new();
    for _ in 0..3 {
        let (journal, _) = room.open();
        for _ in 0..20 {
            call(&journal, facts(&run(1))).await.unwrap();
        }
        let (items, next) = read(&room, at, 3);
        given.extend(items);
        at = next;
        journal.close().await.unwrap();
    }
    given.extend(read(&room, at, 1).0);
    assert!(room.segments().len() > 5);
    assert_eq!(seqs(&given), expected(&room));
    assert!(given.iter().all(|item| item.line.contains(&format!("\"seq\":{},", item.seq.0))));
}

#[tokio::test]
async fn nothing_is_given_beyond_what_is_known_durable() {
    let room = Room::new();
    let settings = Settings { sync_delay_max: Duration::from_secs(3600), ..room.settings() };
    let (journal, _) = Journal::open_on(settings, Clock::system(), room.disk.clone()).unwrap();
    let (intent, outcome) = call(&journal, facts(&run(1))).await.unwrap();
    let synced = Seq(journal.figures().synced_seq);
    let mut stream = Stream::new(&room.dir, Position::default());
    let given = stream.read(Reach { until: Some(synced), ..ALL }).unwrap();
    assert_eq!(given.last().unwrap().seq, intent);
    assert_eq!(stream.read(Reach { until: Some(synced), ..ALL }).unwrap(), []);
    journal.close().await.unwrap();
    let rest = stream.read(ALL).unwrap();
    assert_eq!(rest.first().unwrap().seq, outcome);
    assert_eq!(rest.last().unwrap().kind, Kind::Stop);
}

#[tokio::test]
async fn what_is_stated_once_more_after_a_failed_sync_is_given_once() {
    for is_read_before in [true, false] {
        let room = Room::new();
        let settings = Settings { sync_delay_max: Duration::from_secs(3600), ..room.settings() };
        let (journal, _) = Journal::open_on(settings, Clock::system(), room.disk.clone()).unwrap();
        let (_, outcome) = call(&journal, facts(&run(1))).await.unwrap();
        let mut stream = Stream::new(&room.dir, Position::default());
        let synced = Seq(journal.figures().synced_seq);
        let reach = Reach { until: (!is_read_before).then_some(synced), ..ALL };
        let mut given = stream.read(reach).unwrap();
        // The outcome is written and not synced; the sync of the next intent fails.
        room.disk.faults.plan(Op::Sync, 0, 1, Errno::IO);
        assert!(intend(&journal, facts(&run(1))).await.is_err());
        until_going(&journal).await;
        room.disk.faults.mend();
        call(&journal, facts(&run(1))).await.unwrap();
        journal.close().await.unwrap();
        // The kernel lost what was not synced, as it may.
        let first = room.segments().remove(0);
        edit(&first, |bytes| {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let lost = format!("\"seq\":{},", outcome.0);
            let kept: usize =
                text.lines().take_while(|line| !line.contains(&lost)).map(|line| line.len() + 1).sum();
            bytes.truncate(kept);
        });
        given.extend(stream.read(ALL).unwrap());
        let numbers = seqs(&given);
        assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
        assert!(numbers.contains(&outcome.0), "{numbers:?}");
        let missing: Vec<_> = expected(&room).into_iter().filter(|seq| !numbers.contains(seq)).collect();
        assert_eq!(missing, Vec::<u64>::new());
    }
}

#[tokio::test]
async fn damage_is_never_passed_over_also_in_a_segment_that_has_a_successor() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    let (journal, _) = room.open();
    for _ in 0..30 {
        call(&journal, facts(&run(1))).await.unwrap();
    }
    journal.close().await.unwrap();
    let first = room.segments().remove(0);
    let whole = std::fs::read(&first).unwrap();
    for damage in [
        (|bytes: &mut Vec<u8>| bytes[3000] ^= 1) as fn(&mut Vec<u8>),
        |bytes| bytes.truncate(3000),
        |bytes| {
            let end = bytes[..3000].iter().rposition(|byte| *byte == b'\n').unwrap();
            bytes.truncate(end + 1);
        },
    ] {
        edit(&first, |bytes| bytes.clone_from(&whole));
        edit(&first, damage);
        let mut stream = Stream::new(&room.dir, Position::default());
        let mut given = stream.read(ALL).unwrap();
        assert!(matches!(stream.read(ALL), Err(TailError::Damaged { .. })));
        // It is tried again from where it was.
        edit(&first, |bytes| bytes.clone_from(&whole));
        given.extend(stream.read(ALL).unwrap());
        assert_eq!(seqs(&given), expected(&room));
    }
    std::fs::rename(&first, first.with_extension("damaged")).unwrap();
    let mut stream = Stream::new(&room.dir, Position { segment: Some(Seq(0)), ..Position::default() });
    assert!(!stream.read(ALL).unwrap().is_empty());
    assert_eq!(stream.missed(), 1);
}
