//! What a sink has, against what the journal says it is owed.

use std::collections::BTreeMap;

use serde_json::Value;

use super::audit::records;
use super::gateway::{CHAT_KEY, Gateway};
use super::{Client, Site};

/// A site with the sink `siem` of the type `kind` to `url`.
pub fn sink_site(kind: &str, url: &str, more: &str) -> Site {
    Site::with_oracle(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[[audit.sinks]]\nname = \"siem\"\ntype = {kind:?}\nurl = {url:?}\n{more}\n"
    ))
}

/// A site with the sink `file`, which is `out.jsonl`, and the sink `siem`, which is over HTTP to `url`; signed often.
pub fn two_sinks(url: &str) -> Site {
    Site::with_oracle(&format!(
        "[admin]\naddress = \"127.0.0.1:0\"\n[audit]\nsegment_bytes = \"4MiB\"\ncheckpoint_every = \"20ms\"\nvalues = \"plain\"\n\
         [[audit.sinks]]\nname = \"file\"\ntype = \"file\"\npath = \"out.jsonl\"\n\
         [[audit.sinks]]\nname = \"siem\"\ntype = \"http\"\nurl = {url:?}\n"
    ))
}

/// Makes a call for each of `ids`, each of which has to be answered.
pub async fn call(gateway: &Gateway, ids: &[&str]) {
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for id in ids {
        assert_eq!(client.call("tools__read", id).await.reason(), "ok");
    }
}

/// A call between two others that is refused.
pub async fn call_around_a_denial(gateway: &Gateway) {
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
    assert_eq!(client.call("tools__refuse", "poison").await.reason(), "Unknown tool: tools__refuse");
    assert_eq!(client.call("tools__read", "after").await.reason(), "ok");
}

/// What was set aside.
pub fn letters(site: &Site) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path("state/sinks/siem.dead.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The one denial of the journal alone was set aside, whole and as it stands there; gives its number.
#[track_caller]
pub fn assert_denial_set_aside(site: &Site) -> u64 {
    let denial = records(site).into_iter().find(|record| record["kind"] == "denial").unwrap();
    let letters = letters(site);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((&letters[0]["seq"], &letters[0]["digest"]), (&denial["seq"], &denial["digest"]));
    let text: Value = serde_json::from_str(letters[0]["text"].as_str().unwrap()).unwrap();
    assert_eq!(text, denial, "whole, as it was sent");
    denial["seq"].as_u64().unwrap()
}

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

/// Waits until `/readyz` shows this.
pub async fn until_ready_shows(gateway: &Gateway, part: &str) {
    while !gateway.shows("/readyz").await.contains(part) {}
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
