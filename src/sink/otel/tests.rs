//! Log records of OpenTelemetry against an excerpt of its semantic conventions (tests/fixtures/otel).

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::sink::tests::samples::{Maker, Sample, anything, sent_kinds, written};

const TOP: [&str; 10] = [
    "timestamp",
    "severity_number",
    "severity_text",
    "event_name",
    "body",
    "trace_id",
    "span_id",
    "trace_flags",
    "resource",
    "attributes",
];

/// The type of an attribute of the conventions.
fn attribute(name: &str) -> Option<&'static str> {
    let all = include_str!("../../../tests/fixtures/otel/attributes.csv").lines().skip(1);
    all.filter_map(|line| line.split_once(',')).find(|(known, _)| *known == name).map(|(_, kind)| kind)
}

fn assert_attribute(name: &str, value: &Value) {
    let is_plain = |value: &Value| value.is_string() || value.is_i64();
    let is_texts = || value.as_array().is_some_and(|all| all.iter().all(Value::is_string));
    if name.starts_with("sluicegate.") {
        assert!(is_plain(value) || is_texts(), "{name} is {value}");
        return;
    }
    match attribute(name).unwrap_or_else(|| panic!("no attribute is named {name}")) {
        "string" => assert!(value.as_str().is_some_and(|text| !text.is_empty()), "{name} is {value}"),
        "string[]" => assert!(is_texts(), "{name} is {value}"),
        other => panic!("{name} has the type {other}"),
    }
}

fn assert_valid(record: &Value) {
    for key in record.as_object().unwrap().keys() {
        assert!(TOP.contains(&key.as_str()), "{key}");
    }
    let is_hex = |key: &str, count: usize| {
        record.get(key).is_none_or(|id| {
            let id = id.as_str().unwrap();
            id.len() == count && id.bytes().all(|c| c.is_ascii_hexdigit()) && id.bytes().any(|c| c != b'0')
        })
    };
    assert!(is_hex("trace_id", 32) && is_hex("span_id", 16), "{record:#}");
    assert_eq!(record.get("trace_id").is_some(), record.get("span_id").is_some());
    let number = record["severity_number"].as_u64().unwrap();
    assert!((1..=24).contains(&number) && record["severity_text"].is_string());
    assert!(record["event_name"].as_str().unwrap().starts_with("sluicegate."));
    assert!(record["body"].as_str().is_some_and(|body| !body.is_empty()));
    for part in ["attributes", "resource"] {
        for (name, value) in record[part].as_object().unwrap() {
            assert_attribute(name, value);
        }
    }
    for secret in ["mcp.session.id", "gen_ai.tool.call.arguments", "gen_ai.tool.call.result"] {
        assert!(record["attributes"].get(secret).is_none(), "{secret}");
    }
}

fn valid(kind: Kind, record: Value, intent: Option<Value>) -> Value {
    let sample = Sample::new(kind, record, intent);
    let sent = sample.sent(&log_record(sample.told()).unwrap());
    assert_valid(&sent);
    sent
}

#[test]
fn a_call_is_one_log_record_with_what_its_intent_says() {
    let intent = json!({
        "seq": 7, "t": "2026-11-27T10:00:00.000001Z", "kind": "intent", "run": "r1", "method": "tools/call",
        "principal": { "entry_point": "keys.laptop", "subject": "user:1", "roles": ["assistant"], "agents": ["a"] },
        "tool": "mail.send", "revision": "2025-11-25",
        "claimed": { "request_id": "3", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
    });
    let outcome = json!({
        "seq": 9, "t": "2026-11-27T10:00:00.5Z", "kind": "outcome", "intent": 7, "run": "r1", "subject": "user:1",
        "tool": "mail.send", "reason": "answered", "jsonrpc": { "response": "error", "code": -32603 },
        "latency_us": { "total": 1500 }, "digest": "ab",
    });
    let told = Sample::new(Kind::Intent, intent.clone(), None);
    assert_eq!(log_record(told.told()), None);
    let line = crate::sink::one_line::one_line(&outcome);
    let record = valid(Kind::Outcome, outcome, Some(intent));
    assert_eq!(record["timestamp"], "2026-11-27T10:00:00.500000Z");
    assert_eq!((&record["severity_number"], &record["severity_text"]), (&json!(10), &json!("INFO2")));
    assert_eq!((&record["event_name"], &record["trace_flags"]), (&json!("sluicegate.outcome"), &json!("01")));
    assert_eq!(record["span_id"], "00f067aa0ba902b7");
    let attributes = json!({
        "mcp.method.name": "tools/call", "mcp.protocol.version": "2025-11-25", "jsonrpc.request.id": "3",
        "rpc.response.status_code": "-32603", "error.type": "-32603", "gen_ai.agent.name": "a",
        "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "mail.send", "user.id": "user:1",
        "user.roles": ["assistant"], "log.record.uid": "9", "log.record.original": line,
        "sluicegate.kind": "outcome", "sluicegate.seq": 9, "sluicegate.intent": 7, "sluicegate.digest": "ab",
        "sluicegate.run": "r1", "sluicegate.method": "tools/call", "sluicegate.protocol_version": "2025-11-25",
        "sluicegate.agents": ["a"], "sluicegate.action": "tools/call", "sluicegate.reason": "answered",
        "sluicegate.outcome": "failure", "sluicegate.duration_ns": 1_500_000, "sluicegate.entry_point": "keys.laptop",
        "sluicegate.upstream": "mail", "sluicegate.target.type": "tool", "sluicegate.target.name": "mail.send",
    });
    assert_eq!(record["attributes"], attributes);
}

#[test]
fn a_resource_stands_without_its_upstream_and_an_error_of_a_tool_is_one() {
    let read = json!({ "method": "resources/read", "resource": "docs:file:///a", "reason": "answered" });
    let record = valid(Kind::Outcome, read, None);
    assert_eq!(record["attributes"]["mcp.resource.uri"], "file:///a");
    assert_eq!(record["attributes"].get("error.type"), None);
    let refused = json!({ "tool": "a.b", "reason": "answered", "is_error": true });
    assert_eq!(valid(Kind::Outcome, refused, None)["attributes"]["error.type"], "tool_error");
    let denied = json!({ "method": "tools/call", "tool": "a.b", "reason": "source_denies" });
    assert_eq!(valid(Kind::Denial, denied, None)["attributes"]["error.type"], "source_denies");
}

#[test]
fn every_kind_of_record_has_a_valid_log_record() {
    for kind in sent_kinds().into_iter().filter(|kind| *kind != Kind::Intent) {
        for seed in 0..8 {
            valid(kind, Maker::new(seed).record(kind), None);
        }
    }
}

fn assert_record(sample: &Sample) {
    let Some(record) = log_record(sample.told()) else { return };
    let sent = sample.sent(&record);
    assert_valid(&sent);
    let time: Timestamp = sent["timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(time.as_microsecond(), sample.told().time().as_microsecond());
}

proptest! {
    #[test]
    fn a73_whatever_stands_in_a_record_its_log_record_is_valid(sample in anything()) {
        assert_record(&sample);
    }

    #[test]
    fn a73_whatever_the_gateway_writes_its_log_record_is_valid(sample in written()) {
        assert_record(&sample);
        if sample.kind != Kind::Intent {
            let record = log_record(sample.told()).unwrap();
            assert_eq!(record["timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap(),
                sample.record["t"].as_str().unwrap().parse().unwrap());
        }
    }
}
