//! Any bytes as a result: what is read out of it and rewritten for another revision, and tool definitions.
//!
//! Run by the fuzz target of the same name and, over the kept corpus, by the test suite.

use bytes::Bytes;
use serde_json::Value;
use sluicegate::wire::{self, ListKind, Message, Object, Outcome, Revision, ScanLimits, list, result, tool};

pub fn run(data: &[u8]) {
    let mut body = br#"{"jsonrpc":"2.0","id":1,"result":"#.to_vec();
    body.extend_from_slice(data);
    body.push(b'}');
    let Ok(Message::Response(response)) = wire::parse(body.into(), &ScanLimits::default()) else { return };
    let facts = response.facts();
    let Outcome::Result(raw) = response.outcome else { return };
    assert_eq!(facts, result::inspect(&raw), "both ways of reading see the same");
    revisions(&raw);
    spelling(&raw);
    if let Ok(page) = list::split(&raw, ListKind::Tools) {
        for listed in page.entries {
            definition(&listed.raw, &listed.name);
        }
    }
    if let Ok(object) = Object::of(&raw)
        && let Some(Ok(name)) = object.text("name")
    {
        definition(&raw, &name);
    }
}

/// A revision differs in one member: there for one, gone for the other, all else byte for byte.
fn revisions(raw: &Bytes) {
    let modern = result::for_revision(raw, "tools/call", Revision::V2026_07_28);
    let legacy = result::for_revision(raw, "tools/call", Revision::V2025_11_25);
    let Ok(came_in) = Object::of(raw) else {
        assert!(modern == *raw && legacy == *raw, "what is no object stays");
        return;
    };
    let (modern, legacy) = (Object::of(&modern).expect("an object"), Object::of(&legacy).expect("an object"));
    assert!(modern.get("resultType").is_some());
    assert!(legacy.get("resultType").is_none());
    for key in came_in.keys().filter(|key| *key != "resultType") {
        assert_eq!(modern.get(key), came_in.get(key));
        assert_eq!(legacy.get(key), came_in.get(key));
    }
    let others = |object: &Object| object.keys().filter(|key| *key != "resultType").count();
    assert_eq!(others(&modern), others(&came_in));
    assert_eq!(others(&legacy), others(&came_in));
}

/// The canonical spelling is one, and means the same.
fn spelling(raw: &Bytes) {
    let canonical = Bytes::from(tool::canonical(raw).expect("JSON"));
    assert_eq!(tool::canonical(&canonical).expect("JSON"), canonical);
    if let Ok(value) = serde_json::from_slice::<Value>(raw) {
        assert_eq!(serde_json::from_slice::<Value>(&canonical).expect("JSON"), value);
    }
}

fn definition(raw: &Bytes, name: &str) {
    let renamed = tool::rename(raw, "mail__\"send\"").expect("it has a name");
    assert_eq!(tool::rename(&renamed, name).map(|back| tool::canonical(&back)), Ok(tool::canonical(raw)));
    let _ = tool::has_output_schema(raw);
    let _ = tool::param_headers(raw);
}
