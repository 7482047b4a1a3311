//! What must be true of a journal after every test, against the ledger of what was executed.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use serde_json::Value;

use super::Site;

/// The segments of a site's journal, in order.
pub fn segments(site: &Site) -> Vec<PathBuf> {
    let dir = site.path("state").join("journal");
    let mut segments: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
        .collect();
    segments.sort();
    segments
}

/// The segment that is written to.
pub fn newest_segment(site: &Site) -> PathBuf {
    segments(site).pop().unwrap()
}

/// The lines of a site's journal, in order.
pub fn lines(site: &Site) -> Vec<String> {
    let mut lines = Vec::new();
    for segment in segments(site) {
        lines.extend(std::fs::read_to_string(segment).unwrap().lines().map(str::to_owned));
    }
    lines
}

/// The records of a site's journal, in order.
pub fn records(site: &Site) -> Vec<Value> {
    lines(site).iter().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The records of one kind.
pub fn of_kind(site: &Site, kind: &str) -> Vec<Value> {
    records(site).into_iter().filter(|record| record["kind"] == kind).collect()
}

/// Waits until the running gateway has recorded something with all these `parts`.
pub fn wait_for(site: &Site, parts: &[&str]) {
    let mut command = site.command(&["audit", "tail", "--json", "--since-start"]);
    let mut tail = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(tail.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| parts.iter().all(|part| line.contains(part))), "the tail ended");
    tail.kill().unwrap();
    tail.wait().unwrap();
}

/// The oracle check that ends every integration test (CASES.md): nothing was executed without an intent,
/// every intent has exactly one ending, and the chain verifies. The gateway must have ended.
pub fn check_audit(site: &Site) {
    let (code, out, err) = site.run(&["audit", "verify"]);
    assert_eq!(code, 0, "audit verify: {out}{err}");
    let records = records(site);
    let of = |kind: &'static str| records.iter().filter(move |record| record["kind"] == kind);
    let mut endings: BTreeMap<u64, usize> = BTreeMap::new();
    for ending in of("outcome").chain(of("unknown")) {
        *endings.entry(ending["intent"].as_u64().unwrap()).or_default() += 1;
    }
    for intent in of("intent") {
        let seq = intent["seq"].as_u64().unwrap();
        assert_eq!(endings.get(&seq), Some(&1), "intent {seq} has not exactly one ending");
    }
    let intended: BTreeSet<_> = of("intent").map(digest_of_arguments).collect();
    let denied: BTreeSet<_> = of("denial").map(digest_of_arguments).collect();
    for id in site.executed() {
        let digest = argument_digest(&id);
        assert!(intended.contains(&digest), "{id} was executed without an intent");
        assert!(!denied.contains(&digest), "{id} was executed and denied");
    }
}

/// The chain and the tree are what the key of the site signed.
pub fn check_signed(site: &Site) {
    let key = std::fs::read_to_string(site.path("state/audit-key.pub")).unwrap();
    let (code, out, err) = site.run(&["audit", "verify", "--key", key.trim_end()]);
    assert_eq!(code, 0, "audit verify with the key: {out}{err}");
}

fn digest_of_arguments(record: &Value) -> String {
    record["arguments"]["sha256"].as_str().unwrap_or_default().to_owned()
}

/// The digest of the arguments that `Client::call` sends for the oracle's ledger.
pub fn argument_digest(id: &str) -> String {
    let arguments = serde_json::json!({ "id": id }).to_string();
    sluicegate::model::digest::Sha256::of(arguments.as_bytes()).to_string()
}
