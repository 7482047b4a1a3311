//! Events of the Elastic Common Schema against an excerpt of it (tests/fixtures/ecs).

use std::collections::BTreeMap;

use jiff::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::sink::tests::samples::{Maker, Sample, anything, sent_kinds, written};

/// `ignore_above` of the schema, in characters.
const KEYWORD_CHARS_MAX: usize = 1024;

/// The rows of a file of `tests/fixtures/ecs`, behind its head.
fn rows(text: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    text.lines().skip(1).map(|line| line.split(',').collect())
}

/// Type and normalization of a field.
fn field(name: &str) -> Option<(&'static str, &'static str)> {
    let mut all = rows(include_str!("../../../tests/fixtures/ecs/fields.csv"));
    all.find(|row| row[0] == name).map(|row| (row[1], row[2]))
}

/// The types that the schema expects of each value of `name`.
fn values(name: &str) -> BTreeMap<&'static str, Vec<&'static str>> {
    let all = rows(include_str!("../../../tests/fixtures/ecs/values.csv"));
    all.filter(|row| row[0] == name).map(|row| (row[1], row[2].split(' ').collect())).collect()
}

/// The fields of `value`, each with its whole name.
fn flat<'a>(prefix: &str, value: &'a Value, into: &mut Vec<(String, &'a Value)>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                flat(&if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") }, value, into);
            }
        }
        value => into.push((prefix.to_owned(), value)),
    }
}

fn assert_value(name: &str, kind: &str, value: &Value) {
    match kind {
        "keyword" => {
            let text = value.as_str().unwrap_or_else(|| panic!("{name} is {value}"));
            assert!(
                name == "event.original" || text.chars().count() <= KEYWORD_CHARS_MAX,
                "{name} is {text}"
            );
        }
        "match_only_text" => assert!(value.is_string(), "{name} is {value}"),
        "long" => assert!(value.is_i64(), "{name} is {value}"),
        "date" => drop(value.as_str().unwrap().parse::<Timestamp>().unwrap()),
        other => panic!("{name} has the type {other}"),
    }
}

fn assert_valid(event: &Value) {
    let mut fields = Vec::new();
    flat("", event, &mut fields);
    for (name, value) in fields {
        if name
            .strip_prefix("sluicegate.")
            .is_some_and(|own| own.chars().all(|c| c.is_ascii_lowercase() || "._".contains(c)))
        {
            continue;
        }
        let (kind, normalization) = field(&name).unwrap_or_else(|| panic!("no field is named {name}"));
        match (value, normalization) {
            (Value::Array(all), "array") => all.iter().for_each(|value| assert_value(&name, kind, value)),
            (value, "") => assert_value(&name, kind, value),
            (value, _) => panic!("{name} is {value}"),
        }
    }
    for required in
        ["/@timestamp", "/ecs/version", "/message", "/event/kind", "/event/action", "/event/original"]
    {
        assert!(event.pointer(required).is_some(), "no {required} in {event:#}");
    }
    let happened = &event["event"];
    assert!(values("event.kind").contains_key(happened["kind"].as_str().unwrap()));
    let outcome = happened.get("outcome").map(|outcome| outcome.as_str().unwrap());
    assert!(outcome.is_none_or(|outcome| values("event.outcome").contains_key(outcome)));
    for category in happened["category"].as_array().unwrap() {
        let expected = &values("event.category")[category.as_str().unwrap()];
        for word in happened["type"].as_array().unwrap() {
            assert!(expected.contains(&word.as_str().unwrap()), "{category} {word}");
        }
    }
}

fn valid(kind: Kind, record: Value, intent: Option<Value>) -> Value {
    let sample = Sample::new(kind, record, intent);
    let sent = sample.sent(&event(sample.told()).unwrap());
    assert_valid(&sent);
    sent
}

#[test]
fn a_call_is_one_event_with_what_its_intent_says() {
    let intent = json!({
        "seq": 7, "t": "2026-11-27T10:00:00.000001Z", "kind": "intent", "run": "r1", "method": "tools/call",
        "principal": { "entry_point": "keys.laptop", "subject": "user:1", "roles": ["assistant"], "agents": ["a"] },
        "provenance": ["chat"], "tool": "mail.send",
        "claimed": { "request_id": "\"3\"", "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01" },
        "decision": { "verdict": "allow", "rules": [
            { "dimension": "source", "name": "chat", "answer": "ask" },
            { "dimension": "role", "name": "assistant", "answer": "allow", "permission": "mail.*",
              "place": { "file": "gateway.toml", "line": 3, "column": 9 } },
        ] },
    });
    let outcome = json!({
        "seq": 9, "t": "2026-11-27T10:00:00.5Z", "kind": "outcome", "intent": 7, "run": "r1", "subject": "user:1",
        "tool": "mail.send", "reason": "answered", "jsonrpc": { "response": "result" }, "is_error": false,
        "latency_us": { "total": 1500 }, "digest": "ab",
    });
    let told = Sample::new(Kind::Intent, intent.clone(), None);
    assert_eq!(event(told.told()), None);
    let line = crate::sink::one_line::one_line(&outcome);
    let event = valid(Kind::Outcome, outcome, Some(intent));
    assert_eq!(event["@timestamp"], "2026-11-27T10:00:00.500000Z");
    let happened = json!({
        "kind": "event", "category": ["api"], "type": ["access", "allowed"], "action": "tools/call", "code": "outcome",
        "outcome": "success", "reason": "answered", "severity": 1, "duration": 1_500_000, "dataset": "sluicegate.audit",
        "module": "sluicegate", "provider": "sluicegate", "sequence": 9, "id": "9", "hash": "ab", "original": line,
    });
    assert_eq!(event["event"], happened);
    assert_eq!(event["user"], json!({ "id": "user:1", "name": "user:1", "roles": ["assistant"] }));
    let rule = json!({
        "name": "assistant", "category": "role", "description": "mail.*", "ruleset": "gateway.toml",
        "id": "gateway.toml:3:9",
    });
    assert_eq!(event["rule"], rule);
    assert_eq!(event["trace"]["id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(event["message"], "outcome tools/call mail.send for user:1: answered");
    let own = json!({
        "run": "r1", "entry_point": "keys.laptop", "agent": "a", "agents": ["a"], "upstream": "mail", "request_id": "3",
        "intent": 7, "method": "tools/call", "verdict": "allow", "provenance": ["chat"],
        "target": { "type": "tool", "name": "mail.send" },
    });
    assert_eq!(event["sluicegate"], own);
}

#[test]
fn what_a_person_did_to_a_subject_names_both() {
    let revocation = json!({ "change": "revoked", "subject": "user:1", "by": { "uid": 1000 } });
    let event = valid(Kind::Revocation, revocation, None);
    let user = json!({ "id": "1000", "name": "1000", "target": { "id": "user:1", "name": "user:1" } });
    assert_eq!((&event["user"], &event["event"]["action"]), (&user, &json!("revocation_revoked")));
    assert_eq!(event["related"]["user"], json!(["user:1", "1000"]));
}

#[test]
fn who_signed_in_and_answered_is_named_with_what_vouches_for_them() {
    let by = json!({ "entry_point": "people.corp", "subject": "user:ann" });
    let event = valid(Kind::Approval, json!({ "change": "approved", "by": by }), None);
    assert_eq!(event["user"], json!({ "id": "user:ann", "name": "user:ann" }));
    assert_eq!(event["sluicegate"]["by_entry_point"], json!("people.corp"));
}

#[test]
fn every_kind_of_record_has_a_valid_event() {
    for kind in sent_kinds().into_iter().filter(|kind| *kind != Kind::Intent) {
        for seed in 0..8 {
            valid(kind, Maker::new(seed).record(kind), None);
        }
    }
}

fn assert_event(sample: &Sample) {
    let Some(event) = event(sample.told()) else { return };
    let sent = sample.sent(&event);
    assert_valid(&sent);
    let time: Timestamp = sent["@timestamp"].as_str().unwrap().parse().unwrap();
    assert_eq!(time.as_microsecond(), sample.told().time().as_microsecond());
}

proptest! {
    #[test]
    fn a73_whatever_stands_in_a_record_its_event_is_valid(sample in anything()) {
        assert_event(&sample);
    }

    #[test]
    fn a73_whatever_the_gateway_writes_its_event_is_valid(sample in written()) {
        assert_event(&sample);
        if sample.kind != Kind::Intent {
            let event = event(sample.told()).unwrap();
            assert_eq!(event["@timestamp"].as_str().unwrap().parse::<Timestamp>().unwrap(),
                sample.record["t"].as_str().unwrap().parse().unwrap());
            assert_eq!(event["event"]["original"], crate::sink::one_line::one_line(&sample.record));
        }
    }
}
