//! Checkpoints against everything that somebody could do who owns the files: whatever is sealed anew is found by the key,
//! or by a checkpoint that was kept elsewhere.

use serde_json::{Value, json};

use super::*;
use crate::audit::disk::Op;
use crate::audit::line::{leaf, split_digest};
use crate::audit::note::Signer;
use crate::audit::tests::proofs::includes;

/// A journal that writes a checkpoint when it ends, and as often as `every` says.
pub(super) fn open(room: &Room, every: Duration) -> Journal {
    let key = room.dir.with_file_name("audit-key");
    let settings = Settings { checkpoints: Some(Checkpoints { key, every }), ..room.settings() };
    Journal::open_on(settings, Clock::system(), room.disk.clone()).unwrap().0
}

pub(super) const AT_THE_END: Duration = Duration::from_secs(3600);

pub(super) fn key(room: &Room) -> VerifyingKey {
    let path = public_path(&room.dir.with_file_name("audit-key"));
    std::fs::read_to_string(path).unwrap().trim_end().parse().unwrap()
}

/// Three lives of a journal, with so many calls each.
pub(super) async fn lived(room: &Room, calls: usize) {
    for _ in 0..3 {
        let journal = open(room, AT_THE_END);
        for _ in 0..calls {
            call(&journal, facts(&run(1))).await.unwrap();
        }
        journal.close().await.unwrap();
    }
}

pub(super) fn verify_with(room: &Room, keys: &[VerifyingKey], kept: &[&str]) -> Report {
    let kept = kept.iter().map(|note| Checkpoint::read(note, &[]).unwrap()).collect();
    verify(&room.dir, Against { keys: keys.to_vec(), kept }, &mut |_| ()).unwrap()
}

pub(super) fn said(report: &Report) -> String {
    report.findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The notes of the journal, in order.
pub(super) fn notes(room: &Room) -> Vec<String> {
    room.of_kind(Kind::Checkpoint).iter().map(|line| line["note"].as_str().unwrap().to_owned()).collect()
}

/// What somebody does who owns the files and knows the format: every line from the first that `change` changes, or leaves
/// out, is numbered, chained, counted and sealed anew.
fn seal_anew(room: &Room, change: impl Fn(&mut Value) -> bool) {
    let (mut seq, mut prev, mut before) = (0_u64, "0".repeat(64), 0);
    for path in room.segments() {
        let (mut out, mut group) = (String::new(), 0_u64);
        for text in std::fs::read_to_string(&path).unwrap().lines() {
            let mut line: Value = serde_json::from_str(text).unwrap();
            if !change(&mut line) || (line["kind"] == "commit" && group == 0 && line["count"] != 0) {
                continue;
            }
            let members = line.as_object_mut().unwrap();
            members.remove("digest");
            members["seq"] = json!(seq);
            members["prev"] = json!(prev);
            if members["kind"] == "commit" {
                members["count"] = json!(group);
                members["synced"] = json!(members["synced"].as_u64().unwrap().min(seq.saturating_sub(1)));
            }
            if let Some(previous) = members.get_mut("previous") {
                previous["bytes"] = json!(before);
            }
            group = if members["kind"] == "commit" { 0 } else { group + 1 };
            // As the gateway writes line breaks.
            let body = line.to_string().replace("\\n", "\\u000a");
            let body = body.strip_suffix('}').unwrap();
            let sealed = format!("{body},\"digest\":\"{}\"}}", Sha256::of(body.as_bytes()));
            assert!(split_digest(sealed.as_bytes()).is_some());
            prev = leaf(sealed.as_bytes()).to_string();
            seq += 1;
            out.push_str(&(sealed + "\n"));
        }
        before = out.len();
        edit(&path, |bytes| *bytes = out.into_bytes());
    }
}

/// One life of a journal, with three checkpoints behind calls.
async fn one_life(room: &Room) {
    let journal = open(room, Duration::from_millis(1));
    let before = room.of_kind(Kind::Checkpoint).len();
    for count in 1..=3 {
        call(&journal, facts(&run(1))).await.unwrap();
        until(|| room.of_kind(Kind::Checkpoint).len() >= before + count).await;
    }
    journal.close().await.unwrap();
}

#[tokio::test]
async fn every_checkpoint_signs_all_lines_before_it_over_segments_and_restarts() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    lived(&room, 20).await;
    assert!(room.segments().len() > 5);
    let report =
        verify_with(&room, &[key(&room)], &notes(&room).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!((said(&report), report.checkpoints), (String::new(), 3));
    let mut summary = Summary::default();
    let items = Follower::open(&room.dir, From::LastStart).unwrap().poll().unwrap();
    let shown: Vec<_> = items.iter().filter_map(|item| summary.line(item)).collect();
    let size = Checkpoint::read(&notes(&room)[2], &[]).unwrap().size;
    assert!(
        shown.iter().any(|line| line.contains(&format!("  checkpoint  lines={size}  root="))),
        "{shown:?}"
    );
    // Older segments may be archived: what is left is still the end of what was signed.
    for path in room.segments().into_iter().take(3) {
        std::fs::remove_file(path).unwrap();
    }
    let report = verify_with(&room, &[key(&room)], &[]);
    assert_eq!((said(&report), report.checkpoints > 0), (String::new(), true));
}

#[tokio::test]
async fn a_checkpoint_comes_by_itself_where_something_is_new_and_not_otherwise() {
    let room = Room::new();
    let journal = open(&room, Duration::from_millis(1));
    until(|| room.of_kind(Kind::Checkpoint).len() == 1).await;
    call(&journal, facts(&run(1))).await.unwrap();
    until(|| room.of_kind(Kind::Checkpoint).len() >= 2).await;
    journal.close().await.unwrap();
    let lines = room.lines();
    let kinds: Vec<_> = lines.iter().map(|line| line["kind"].as_str().unwrap()).collect();
    let twice = kinds.windows(3).any(|three| three == ["checkpoint", "commit", "checkpoint"]);
    assert!(!twice, "{kinds:?}");
    assert_eq!(said(&verify_with(&room, &[key(&room)], &[])), "");
}

#[tokio::test]
async fn what_is_edited_and_sealed_anew_is_found_at_the_next_checkpoint() {
    let room = Room::new();
    one_life(&room).await;
    let text = std::fs::read(room.last()).unwrap();
    seal_anew(&room, |_| true);
    assert!(std::fs::read(room.last()).unwrap() == text, "sealing anew is what the gateway does");
    seal_anew(&room, |line| {
        if line["kind"] == "intent" {
            line["tool"] = json!("mail.read");
        }
        true
    });
    let report = verify_with(&room, &[], &[]);
    assert!(said(&report).contains("are not the"), "{}", said(&report));
    let edited = room.of_kind(Kind::Intent)[0]["seq"].as_u64().unwrap();
    let signed = room.of_kind(Kind::Checkpoint).into_iter().map(|line| line["seq"].as_u64().unwrap());
    let first = signed.into_iter().find(|seq| *seq > edited).unwrap();
    assert_eq!(report.findings[0].seq(), Seq(first), "the first checkpoint behind it says so");
}

#[tokio::test]
async fn who_signs_with_another_key_or_leaves_the_checkpoints_out_is_found_by_the_key() {
    let room = Room::new();
    one_life(&room).await;
    let key = key(&room);
    let note = notes(&room).pop().unwrap();
    // Everything anew, with a key of their own.
    let other = Signer::new(key.name(), &[7; 32]).unwrap();
    seal_anew(&room, |line| {
        if line["kind"] == "checkpoint" {
            line["note"] = json!(Checkpoint::read(&note, &[]).unwrap().signed_by([&other].into_iter()));
        }
        true
    });
    let found = said(&verify_with(&room, std::slice::from_ref(&key), &[]));
    assert!(found.contains("there is no checkpoint that the key signed"), "{found}");
    // Without any.
    seal_anew(&room, |line| {
        if line["kind"] == "intent" {
            line["tool"] = json!("mail.read");
        }
        line["kind"] != "checkpoint"
    });
    assert_eq!(said(&verify_with(&room, &[], &[])), "");
    assert!(said(&verify_with(&room, &[key], &[])).contains("no checkpoint that the key signed"));
    assert!(said(&verify_with(&room, &[], &[&note])).contains("the checkpoint that was kept"));
}

#[tokio::test]
async fn what_is_cut_off_or_forked_is_found_by_what_was_kept() {
    let room = Room::new();
    one_life(&room).await;
    let (key, kept) = (key(&room), notes(&room));
    let whole = std::fs::read_to_string(room.last()).unwrap();
    // Cut behind the group of the second checkpoint.
    let second = whole.lines().position(|line| line.contains(&kept[1].replace('\n', "\\u000a"))).unwrap();
    let cut: String = whole.lines().take(second + 2).map(|line| format!("{line}\n")).collect();
    edit(&room.last(), |bytes| *bytes = cut.into_bytes());
    assert_eq!(
        said(&verify_with(&room, std::slice::from_ref(&key), &[])),
        "",
        "nothing here says that there was more"
    );
    let report = verify_with(&room, std::slice::from_ref(&key), &[&kept[0], &kept[2]]);
    assert!(said(&report).contains("does not go on from the checkpoint that was kept"), "{}", said(&report));
    assert_eq!(report.findings.len(), 1);
    // Another journal grows from there, with the same key.
    one_life(&room).await;
    let report = verify_with(&room, std::slice::from_ref(&key), &[&kept[0], &kept[2]]);
    assert!(said(&report).contains("not those of the checkpoint that was kept"), "{}", said(&report));
    assert_eq!(said(&verify_with(&room, &[key], &[&kept[0]])), "");
}

#[tokio::test]
async fn a_segment_that_says_another_tree_is_found() {
    let room = Room { segment_bytes: 4096, queue_max: 2, ..Room::new() };
    lived(&room, 20).await;
    let all = room.segments();
    for path in all.iter().take(all.len() - 1) {
        std::fs::remove_file(path).unwrap();
    }
    let key = key(&room);
    assert_eq!(said(&verify_with(&room, std::slice::from_ref(&key), &[])), "");
    let first =
        serde_json::from_str::<Value>(std::fs::read_to_string(room.last()).unwrap().lines().next().unwrap());
    let first = first.unwrap();
    let (from, peak) =
        (first["seq"].as_u64().unwrap(), first["tree"]["peaks"][0].as_str().unwrap().to_owned());
    // Another history before this segment, and everything in it sealed anew.
    let path = room.last();
    let (mut out, mut prev) = (Vec::new(), first["prev"].as_str().unwrap().to_owned());
    for text in std::fs::read_to_string(&path).unwrap().lines() {
        let text = text.replace(&peak, &"ab".repeat(32));
        let mut line: Value = serde_json::from_str(&text).unwrap();
        line.as_object_mut().unwrap().remove("digest");
        line["prev"] = json!(prev);
        let body = line.to_string();
        let body = body.strip_suffix('}').unwrap();
        let sealed = format!("{body},\"digest\":\"{}\"}}", Sha256::of(body.as_bytes()));
        prev = leaf(sealed.as_bytes()).to_string();
        out.push(sealed);
    }
    edit(&path, |bytes| *bytes = (out.join("\n") + "\n").into_bytes());
    let report = verify_with(&room, &[key], &[]);
    assert!(said(&report).contains("are not the") && from > 0, "{}", said(&report));
}

#[tokio::test]
async fn a_journal_from_before_there_were_trees_goes_on_with_one_of_its_own() {
    let room = Room::new();
    for _ in 0..2 {
        let (journal, _) = room.open();
        call(&journal, facts(&run(1))).await.unwrap();
        journal.close().await.unwrap();
    }
    seal_anew(&room, |line| {
        line.as_object_mut().unwrap().remove("tree");
        true
    });
    assert_eq!(said(&verify_with(&room, &[], &[])), "");
    lived(&room, 1).await;
    let report = verify_with(&room, &[key(&room)], &[]);
    assert_eq!((said(&report), report.checkpoints), (String::new(), 3));
    let base = room.of_kind(Kind::Checkpoint)[0]["tree"]["base"].as_u64().unwrap();
    assert!(base > 0 && notes(&room)[0].lines().next().unwrap().ends_with(&format!("/{base}")));
    let last = room.of_kind(Kind::Checkpoint)[2]["seq"].as_u64().unwrap();
    assert!(includes(&prove_inclusion(&room.dir, Seq(last - 1), None).unwrap()));
    assert!(prove_inclusion(&room.dir, Seq(0), None).is_err(), "it was never signed");
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_written_costs_nobody_a_record() {
    for written in [0, 100, 700] {
        let room = Room::new();
        let journal = open(&room, AT_THE_END);
        call(&journal, facts(&run(1))).await.unwrap();
        // The next write is that of the checkpoint before the stop.
        room.disk.faults.plan_short_write(written, rustix::io::Errno::IO);
        journal.close().await.unwrap();
        let report = verify_with(&room, &[], &[]);
        assert_eq!((said(&report), report.checkpoints), (String::new(), 0));
        assert_eq!((room.of_kind(Kind::Stop).len(), room.of_kind(Kind::Halted).len()), (1, 1));
        lived(&room, 1).await;
        assert_eq!(said(&verify_with(&room, &[key(&room)], &[])), "");
    }
}

#[tokio::test]
async fn i10_the_private_key_is_for_its_owner_alone_and_never_made_anew() {
    use std::os::unix::fs::PermissionsExt as _;
    let room = Room::new();
    lived(&room, 1).await;
    let (before, path) = (key(&room), room.dir.with_file_name("audit-key"));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let refused = |room: &Room| {
        let checkpoints = Some(Checkpoints { key: path.clone(), every: AT_THE_END });
        let settings = Settings { checkpoints, ..room.settings() };
        Journal::open_on(settings, Clock::system(), room.disk.clone()).map(|_| ()).unwrap_err().to_string()
    };
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    assert!(refused(&room).contains("chmod 600"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, "x").unwrap();
    assert!(refused(&room).contains("does not hold what the gateway wrote"));
    std::fs::write(&path, &whole).unwrap();
    lived(&room, 1).await;
    assert_eq!(key(&room), before);
    let secret = String::from_utf8(whole).unwrap().split(' ').nth(1).unwrap().trim().to_owned();
    assert!(!std::fs::read_to_string(room.last()).unwrap().contains(&secret));
}

/// What the journal signs, and by how many keys each.
fn signatures(room: &Room) -> Vec<usize> {
    notes(room).iter().map(|note| note.lines().filter(|line| line.starts_with('\u{2014}')).count()).collect()
}

#[tokio::test]
async fn whoever_trusts_a_key_comes_to_trust_the_one_after_it_and_nobody_else() {
    let room = Room::new();
    let journal = open(&room, AT_THE_END);
    let first = key(&room);
    call(&journal, facts(&run(1))).await.unwrap();
    let by = Actor { uid: 1000 };
    let second = journal.rotate_key(by, Duration::from_secs(3600)).await.unwrap();
    assert_eq!((key(&room), first == second), (second.clone(), false));
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    // The overlap outlives a restart, and ends where the next one begins at once.
    let journal = open(&room, AT_THE_END);
    let third = journal.rotate_key(by, Duration::ZERO).await.unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    assert!(!room.dir.with_file_name("audit-key.before").exists(), "a key whose time is over is destroyed");
    // One more before the third: nobody can know whether the process before came to announce the second.
    assert_eq!(signatures(&room), [2, 2, 2, 1, 1], "{:?}", notes(&room));
    let whole = |keys: &[&VerifyingKey]| {
        let keys: Vec<_> = keys.iter().map(|key| (*key).clone()).collect();
        said(&verify_with(&room, &keys, &[]))
    };
    // The second signed that the third follows only where it signed after that was written: with no overlap nobody did.
    assert!(whole(&[&first]).contains("no key that is known signed it"), "{}", whole(&[&first]));
    for known in [&[&third][..], &[&first, &third], &[&second, &third]] {
        assert_eq!(whole(known), "", "{known:?}");
    }
    let report = verify_with(&room, &[third], &[]);
    assert!(
        report.notes.iter().any(|note| matches!(note, Note::OtherKeys { count: 3, .. })),
        "{:?}",
        report.notes
    );
}

#[tokio::test]
async fn a_key_that_the_journal_names_counts_only_once_a_known_one_has_signed_that() {
    let room = Room::new();
    let journal = open(&room, AT_THE_END);
    let first = key(&room);
    call(&journal, facts(&run(1))).await.unwrap();
    journal.rotate_key(Actor { uid: 0 }, Duration::from_secs(3600)).await.unwrap();
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(said(&verify_with(&room, std::slice::from_ref(&first), &[])), "");
    // Who owns the files names a key of their own, and signs with that from there on.
    let thief = Signer::new("sluicegate.journal/x", &[7; 32]).unwrap();
    seal_anew(&room, |line| {
        if line["kind"] == "audit_key" {
            line["key"] = json!(thief.key().to_string());
        }
        if line["kind"] == "checkpoint" {
            let signed = Checkpoint::read(line["note"].as_str().unwrap(), &[]).unwrap();
            line["note"] = json!(signed.signed_by([&thief].into_iter()));
        }
        true
    });
    let found = said(&verify_with(&room, &[first], &[]));
    assert!(found.contains("there is no checkpoint that the key signed"), "{found}");
}

#[tokio::test]
async fn a_key_that_cannot_be_kept_or_recorded_replaces_none() {
    let room = Room::new();
    let journal = open(&room, AT_THE_END);
    let first = key(&room);
    let blocked = room.dir.with_file_name("audit-key.before.new");
    std::fs::create_dir(&blocked).unwrap();
    let refused = journal.rotate_key(Actor { uid: 0 }, Duration::from_secs(60)).await;
    assert!(matches!(refused, Err(RotateError::Key(_))), "{refused:?}");
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(key(&room), first);
    call(&journal, facts(&run(1))).await.unwrap();
    journal.close().await.unwrap();
    assert_eq!(said(&verify_with(&room, &[first], &[])), "", "what signs nothing harms nothing");
}

#[tokio::test]
async fn a_key_whose_record_meets_a_failing_disk_replaces_none() {
    for op in [Op::Write, Op::Sync] {
        let room = Room::new();
        let journal = open(&room, AT_THE_END);
        let first = key(&room);
        call(&journal, facts(&run(1))).await.unwrap();
        // The journal goes on at once in another segment, where the record is not, or does not count.
        room.disk.faults.plan(op, 0, 1, rustix::io::Errno::IO);
        let refused = journal.rotate_key(Actor { uid: 0 }, Duration::from_secs(60)).await;
        assert!(matches!(refused, Err(RotateError::Journal(Reason::JournalHalted))), "{op:?}: {refused:?}");
        assert_eq!(key(&room), first);
        call(&journal, facts(&run(1))).await.unwrap();
        journal.rotate_key(Actor { uid: 0 }, Duration::from_secs(60)).await.unwrap();
        journal.close().await.unwrap();
        assert_eq!(said(&verify_with(&room, &[first], &[])), "", "{op:?}");
    }
}
