//! What a sink has, against what the journal says it is owed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Site;
use super::audit::records;

/// The numbers of the records in the journal that a sink is owed.
pub fn owed(site: &Site) -> Vec<u64> {
    let counts =
        |record: &&Value| !matches!(record["kind"].as_str().unwrap(), "state" | "commit" | "restated");
    records(site).iter().filter(counts).map(|record| record["seq"].as_u64().unwrap()).collect()
}

/// The numbers of `lines`.
pub fn seqs(lines: &[String]) -> Vec<u64> {
    let records = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.map(|record| record["seq"].as_u64().unwrap()).collect()
}

/// Everything but `lacking` is there; what is there twice is the same twice; without what was sent again it is in order.
#[track_caller]
pub fn assert_whole(site: &Site, lines: &[String], lacking: &[u64]) {
    let mut seen: BTreeMap<u64, &String> = BTreeMap::new();
    let mut first = Vec::new();
    for (seq, line) in seqs(lines).into_iter().zip(lines) {
        match seen.insert(seq, line) {
            None => first.push(seq),
            Some(before) => assert_eq!(before, line, "one number for two records"),
        }
    }
    assert_eq!(first, owed(site).into_iter().filter(|seq| !lacking.contains(seq)).collect::<Vec<_>>());
}
