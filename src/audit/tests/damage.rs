//! Whatever is done to the files, `verify` names the record, and a start does not pass over it.

use super::*;

/// A journal of two segments with some calls in each, closed.
async fn journal() -> Room {
    let room = Room::new();
    // Lines of two such journals have the same lengths.
    let clock = Clock::manual("2026-11-27T10:30:00Z".parse().unwrap());
    for _ in 0..2 {
        let opened = Journal::open_on(room.settings(), clock.clone(), room.disk.clone());
        let (journal, _) = opened.unwrap();
        start_run(&journal, &run(1)).await.unwrap();
        for _ in 0..5 {
            call(&journal, facts(&run(1))).await.unwrap();
        }
        journal.close().await.unwrap();
    }
    room.verified();
    room
}

/// The lines of a segment, changed and put back.
fn relines(path: &Path, change: impl FnOnce(&mut Vec<String>)) {
    edit(path, |bytes| {
        let mut lines: Vec<_> = String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect();
        change(&mut lines);
        *bytes = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
    });
}

fn seal(line: &str) -> String {
    let (covered, _) = line.split_once(",\"digest\":\"").unwrap();
    format!("{covered},\"digest\":\"{}\"}}", Sha256::of(covered.as_bytes()))
}

#[tokio::test]
async fn a78_every_kind_of_tampering_is_named_at_its_record() {
    type Change = fn(&mut Vec<String>);
    let cases: [(&str, Change, u64, &str); 8] = [
        ("edit", |lines| lines[5] = lines[5].replace("user:1", "user:2"), 5, "it was edited"),
        ("edit and seal", |lines| lines[5] = seal(&lines[5].replace("user:1", "user:2")), 5, "sealed again"),
        ("delete", |lines| drop(lines.remove(5)), 5, "from 5 to 5 are missing"),
        ("delete three", |lines| drop(lines.drain(5..8)), 5, "from 5 to 7 are missing"),
        ("reorder", |lines| lines.swap(5, 6), 5, "are missing before record 6"),
        ("repeat", |lines| lines.insert(6, lines[5].clone()), 5, "stands where record 6 should"),
        ("garbage", |lines| lines[5] = "garbage".to_owned(), 5, "not a line of a journal"),
        ("truncate", |lines| lines.truncate(8), 8, "are missing"),
    ];
    let room = journal().await;
    for (name, change, seq, words) in cases {
        let tampered = room.killed();
        relines(&tampered.segments()[0], change);
        let report = tampered.verify();
        let first = report.findings.first().unwrap_or_else(|| panic!("{name}: nothing was found"));
        assert_eq!(first.seq(), Seq(seq), "{name}: {first}");
        assert!(first.to_string().contains(words), "{name}: {first}");
    }
}

#[tokio::test]
async fn a78_a_line_from_another_journal_is_named() {
    let (room, other) = (journal().await, journal().await);
    let foreign = std::fs::read_to_string(&other.segments()[0]).unwrap().lines().nth(6).unwrap().to_owned();
    relines(&room.segments()[0], |lines| lines[6] = foreign);
    let report = room.verify();
    assert_eq!(report.findings.len(), 1, "{:?}", report.findings);
    assert_eq!(report.findings[0].seq(), Seq(6));
    assert!(report.findings[0].to_string().contains("another journal"));
}

#[tokio::test]
async fn a_missing_segment_is_named() {
    let room = journal().await;
    let (journal, _) = room.open();
    journal.close().await.unwrap();
    std::fs::remove_file(&room.segments()[1]).unwrap();
    let findings = room.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("are missing before record"), "{findings:?}");
}

#[tokio::test]
async fn f59_a_flipped_bit_anywhere_in_what_was_durable_stops_the_start() {
    let room = journal().await;
    let path = room.last();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let size = std::fs::metadata(&path).unwrap().len();
    // The last line says that all before it is durable; damage in itself looks like a torn tail.
    let text = std::fs::read_to_string(&path).unwrap();
    let known = text.trim_end().rfind('\n').unwrap() as u64;
    for at in (0..size).step_by(211) {
        let flipped = room.killed();
        edit(&flipped.last(), |bytes| bytes[usize::try_from(at).unwrap()] ^= 1);
        let found = flipped.findings();
        if at < known {
            assert!(!found.is_empty(), "at {at}");
            let error = flipped.try_open().expect_err("at a flipped bit").to_string();
            assert!(
                error.contains(&name) && error.contains("record ") && error.contains(".damaged"),
                "{error}"
            );
        }
    }
}

#[tokio::test]
async fn i4_a_person_can_accept_the_loss_and_every_run_in_it_is_closed() {
    let room = Room::new();
    let (journal, _) = room.open();
    for number in 1..=2 {
        start_run(&journal, &run(number)).await.unwrap();
    }
    for _ in 0..5 {
        call(&journal, facts(&run(1))).await.unwrap();
    }
    journal.close().await.unwrap();
    let path = room.last();
    relines(&path, |lines| {
        // The start of one of the runs is among what cannot be read.
        let at = lines.iter().position(|line| line.contains("run_start")).unwrap();
        lines[at] = "garbage".to_owned();
    });
    assert!(room.try_open().is_err());
    std::fs::rename(&path, path.with_extension("damaged")).unwrap();
    let (journal, recovered) = room.open();
    assert_eq!(recovered.lost_segments, 1);
    assert_eq!(recovered.live.runs.len(), 2, "a run whose start is lost is found by its calls");
    assert!(recovered.live.runs.values().all(|run| run.history == RunHistory::Lost));
    let gap = &room.of_kind(Kind::Gap)[0];
    assert_eq!(gap["effect"], "runs_closed");
    assert_eq!(gap["runs_closed"], 2);
    journal.close().await.unwrap();
    // They stay closed, and a person ends them.
    let (journal, recovered) = room.open();
    assert!(recovered.live.runs.values().all(|run| run.history == RunHistory::Lost));
    journal
        .record(Event::RunEnd { run: run(1), why: RunEnding::Person, by: None, until: None, unstarted: None })
        .await
        .unwrap();
    journal.close().await.unwrap();
    assert_eq!(room.open().1.live.runs.len(), 1);
    let findings = room.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("noticed and recorded"), "{findings:?}");
}

#[tokio::test]
async fn a_missing_last_segment_stops_the_start_and_its_loss_can_be_accepted() {
    let room = journal().await;
    std::fs::remove_file(room.last()).unwrap();
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("was closed by a later segment"), "{error}");
    let findings = room.findings();
    assert!(findings[0].contains("the segment that follows is missing"), "{findings:?}");
    let name = error.split('`').find(|part| part.ends_with(".damaged")).unwrap();
    {
        use std::os::unix::fs::OpenOptionsExt;
        std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(name).unwrap();
    }
    let (journal, recovered) = room.open();
    assert!(recovered.live.runs.values().all(|run| run.history == RunHistory::Lost));
    journal.close().await.unwrap();
}

#[tokio::test]
async fn a_record_of_a_later_version_stops_the_start() {
    let room = journal().await;
    relines(&room.last(), |lines| {
        let last = lines.pop().unwrap();
        lines.push(seal(&last.replace("\"kind\":\"commit\"", "\"kind\":\"quorum\"")));
    });
    let error = room.try_open().unwrap_err().to_string();
    assert!(error.contains("this version of sluicegate cannot read"), "{error}");
}

#[tokio::test]
async fn verify_and_recovery_survive_any_bytes() {
    let room = journal().await;
    let inputs: [&[u8]; 6] =
        [b"", b"\n\n\n", b"{}\n", &[0xff; 5000], b"{\"v\":1}\n{", &[b'x'; 2 * LINE_BYTES_MAX]];
    for input in inputs {
        let broken = room.killed();
        edit(&broken.last(), |bytes| *bytes = input.to_vec());
        broken.verify();
        assert!(broken.try_open().is_err());
    }
}
