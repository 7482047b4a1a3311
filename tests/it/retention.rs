//! What is kept of the journal and for how long, and the checkpoint that is kept elsewhere.

use crate::support::Client;
use crate::support::Site;
use crate::support::audit::{of_kind, wait_for};
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::tracer::start_noted;

const ANCHOR: &str = "[[audit.sinks]]\nname = \"anchor\"\ntype = \"checkpoint\"\npath = \"kept.note\"\n";

async fn call(gateway: &Gateway, id: &str) {
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", id).await.reason(), "ok");
}

/// So many lives of a gateway, each of which begins a segment.
async fn lived(site: &Site, lives: usize) {
    for life in 0..lives {
        let gateway = site.start();
        call(&gateway, &format!("life{life}")).await;
        assert!(gateway.stop().success());
    }
}

fn segments(site: &Site) -> usize {
    let entries = std::fs::read_dir(site.path("state/journal")).unwrap();
    entries
        .filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|ext| ext == "jsonl"))
        .count()
}

#[tokio::test]
async fn old_segments_go_on_the_record_and_what_is_left_verifies() {
    let site = Site::with_oracle(&format!("[audit]\nretention = \"1ms\"\n{ANCHOR}"));
    lived(&site, 1).await;
    let run = of_kind(&site, "run_start")[0]["run"].clone();
    lived(&site, 3).await;
    let gateway = site.start();
    wait_for(&site, &["\"kind\":\"retired\""]);
    call(&gateway, "last").await;
    assert!(gateway.stop().success());
    assert!(segments(&site) <= 3, "{}", segments(&site));
    let retired = of_kind(&site, "retired");
    let (first, last) = (&retired[0]["first"], retired[0]["last"].as_u64().unwrap());
    assert!(
        first.as_u64().is_some() && retired.iter().all(|record| record["segments"].as_u64().unwrap() >= 1)
    );
    let (code, out, err) =
        site.run(&["audit", "verify", "--key", "state/audit-key.pub", "--checkpoint", "kept.note"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("older segments are not here"), "{out}");
    let (code, _, err) = site.run(&["audit", "show", &last.to_string()]);
    assert!(code != 0 && err.contains("there is no record"), "{err}");
    // The run of the first life went on: no state is lost with the segments that told of it.
    let last = of_kind(&site, "intent").pop().unwrap();
    assert_eq!(last["run"], run);
}

#[tokio::test]
async fn what_a_sink_has_not_had_stays() {
    let gone = "[[audit.sinks]]\nname = \"gone\"\ntype = \"http\"\nurl = \"http://127.0.0.1:9/\"\n";
    let site = Site::with_oracle(&format!("[audit]\nretention = \"1ms\"\n{gone}"));
    lived(&site, 4).await;
    let before = segments(&site);
    // The next life looks at once, and finds nothing that may go; the one after it, without the sink, does.
    lived(&site, 1).await;
    assert_eq!((segments(&site), of_kind(&site, "retired").len()), (before + 1, 0));
    site.edit(|config| config.replace(gone, ""));
    let gateway = site.start();
    wait_for(&site, &["\"kind\":\"retired\""]);
    assert!(gateway.stop().success());
    assert!(segments(&site) < before);
}

/// In this order, each behind the one before, stand lines of `noted` that hold all of these.
fn assert_in_order(noted: &[String], wanted: &[&[&str]]) {
    let mut lines = noted.iter();
    for parts in wanted {
        let is_it = |line: &String| parts.iter().all(|part| line.contains(part));
        assert!(lines.any(is_it), "{parts:?} is not in its place: {noted:#?}");
    }
}

#[tokio::test]
async fn f69_the_places_of_sinks_are_durable_before_what_they_had_is_removed() {
    let copy = "[[audit.sinks]]\nname = \"copy\"\ntype = \"file\"\npath = \"copy.jsonl\"\n";
    let site = Site::with_oracle(&format!("[audit]\nretention = \"1ms\"\n{copy}"));
    lived(&site, 4).await;
    let gateway = start_noted(&site, "unlink,unlinkat,fsync,fdatasync", &site.path("noted"));
    // A start takes the newest segment up and begins one; of the others nothing stays.
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(5));
    while segments(&site) > 2 {
        assert!(tokio::time::Instant::now() < deadline, "nothing is removed");
        looks.tick().await;
    }
    assert!(gateway.stop().success());
    let noted = std::fs::read_to_string(site.path("noted")).unwrap();
    let noted: Vec<_> = noted.lines().map(str::to_owned).collect();
    let removes: &[&str] = &["unlink", "state/journal/0", ".jsonl"];
    let synced: [&[&str]; 3] =
        [&["fsync", "state/sinks/copy.json>"], &["fsync", "state/sinks>"], &["fdatasync", "state/journal/"]];
    assert_in_order(&noted, &[&synced[..], &[removes], &[&["fsync", "state/journal>"]]].concat());
    let first = noted.iter().position(|line| removes.iter().all(|part| line.contains(part))).unwrap();
    assert_in_order(&noted[..first], &synced);
}

#[tokio::test]
async fn a79_the_checkpoint_that_is_kept_elsewhere_finds_a_journal_that_was_cut_or_made_anew() {
    let (site, other) = (Site::with_oracle(ANCHOR), Site::with_oracle(""));
    lived(&site, 2).await;
    lived(&other, 3).await;
    let held = |site: &Site| {
        site.run(&["audit", "verify", "--key", "state/audit-key.pub", "--checkpoint", "kept.note"])
    };
    assert_eq!(held(&site).0, 0, "{:?}", held(&site));
    let key = std::fs::read_to_string(site.path("state/audit-key.pub")).unwrap();
    let note = std::fs::read_to_string(site.path("kept.note")).unwrap();
    assert!(
        note.starts_with("sluicegate.journal/") && note.contains(key.split('+').next().unwrap()),
        "{note}"
    );
    // The last life is taken out, as if it had never been.
    let newest = std::fs::read_dir(site.path("state/journal")).unwrap().map(|entry| entry.unwrap().path());
    let newest = newest.filter(|path| path.extension().is_some_and(|ext| ext == "jsonl")).max().unwrap();
    std::fs::remove_file(newest).unwrap();
    let (code, out, _) = held(&site);
    assert!(code == 1 && out.contains("does not go on from the checkpoint that was kept"), "{out}");
    std::fs::remove_dir_all(site.path("state/journal")).unwrap();
    std::fs::rename(other.path("state/journal"), site.path("state/journal")).unwrap();
    let (code, out, _) = held(&site);
    assert!(code == 1 && out.contains("checkpoint"), "{out}");
}
