//! Events of OCSF against its schemas (tests/fixtures/ocsf).

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::sink::tests::samples::{Maker, Sample, anything, sent_kinds, written};

const VERSIONS: [OcsfVersion; 2] = [OcsfVersion::V1_6, OcsfVersion::V1_8];

type Validators = BTreeMap<(&'static str, u64), jsonschema::Validator>;

/// The validator of a class, from the file of its version.
fn validator(version: OcsfVersion, class: u64) -> jsonschema::Validator {
    let text = match version {
        OcsfVersion::V1_6 => include_str!("../../../tests/fixtures/ocsf/1.6.0.json"),
        OcsfVersion::V1_8 => include_str!("../../../tests/fixtures/ocsf/1.8.0.json"),
    };
    let mut file: Value = serde_json::from_str(text).unwrap();
    let mut schema = file["classes"][class.to_string()].take();
    assert!(schema.is_object(), "there is no schema of class {class}");
    schema["$defs"] = file["$defs"].take();
    jsonschema::validator_for(&schema).unwrap()
}

// Each is made once in a test: they are large.
thread_local!(static MADE: RefCell<Validators> = RefCell::default());

fn assert_valid(event: &Value, version: OcsfVersion) {
    let class = event["class_uid"].as_u64().unwrap();
    MADE.with_borrow_mut(|made| {
        let own = made.entry((version.as_str(), class)).or_insert_with(|| validator(version, class));
        let wrong: Vec<String> = own.iter_errors(event).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{event:#}\n{wrong:#?}");
    });
    assert_eq!(event["type_uid"].as_u64().unwrap(), class * 100 + event["activity_id"].as_u64().unwrap());
}

/// The event of `record` in 1.8.0; it is valid in both.
fn valid(kind: Kind, record: Value, intent: Option<Value>) -> Value {
    let sample = Sample::new(kind, record, intent);
    for version in VERSIONS {
        assert_valid(&event(sample.told(), version).unwrap(), version);
    }
    event(sample.told(), OcsfVersion::V1_8).unwrap()
}

#[test]
fn a_call_is_one_event_of_api_activity_with_what_its_intent_says() {
    let intent = json!({
        "v": 1, "seq": 7, "t": "2026-11-27T10:00:00.000001Z", "kind": "intent", "run": "r1", "method": "tools/call",
        "principal": { "entry_point": "keys.laptop", "subject": "user:1", "roles": ["assistant"], "agents": ["a"] },
        "tool": "mail.send", "claimed": { "request_id": "3" },
    });
    let outcome = json!({
        "v": 1, "seq": 9, "t": "2026-11-27T10:00:00.5Z", "kind": "outcome", "intent": 7, "run": "r1",
        "subject": "user:1", "tool": "mail.send", "reason": "answered", "is_error": false, "digest": "ab",
    });
    let told = Sample::new(Kind::Intent, intent.clone(), None);
    assert_eq!(event(told.told(), OcsfVersion::V1_8), None);
    let event = valid(Kind::Outcome, outcome, Some(intent.clone()));
    assert_eq!((&event["class_uid"], &event["type_uid"]), (&json!(6003), &json!(600_399)));
    assert_eq!((&event["time"], &event["status_id"]), (&json!(1_795_773_600_500_i64), &json!(1)));
    assert_eq!(event["actor"]["user"], json!({ "uid": "user:1", "groups": [{ "name": "assistant" }] }));
    assert_eq!(event["api"]["service"]["name"], "mail");
    assert_eq!(event["metadata"]["correlation_uid"], "7");
    assert_eq!(event["unmapped"]["intent"], intent);
}

#[test]
fn a_call_that_was_answered_with_an_error_failed() {
    for (jsonrpc, is_error, error) in [
        (json!({ "response": "error", "code": -32603 }), Value::Null, "-32603"),
        (json!({ "response": "result" }), json!(true), "tool_error"),
    ] {
        let outcome = json!({ "reason": "answered", "jsonrpc": jsonrpc, "is_error": is_error });
        let event = valid(Kind::Outcome, outcome, None);
        assert_eq!((&event["status"], &event["status_code"]), (&json!("Failure"), &json!("answered")));
        assert_eq!(event["api"]["response"]["error"], error);
    }
}

/// What becomes of plans and questions.
fn of_plans() -> Vec<(Kind, Value, u64, u64)> {
    let change = |word: &str| json!({ "change": word });
    vec![
        (Kind::Plan, json!({}), 3004, 1),
        (Kind::Grant, change("done"), 3004, 3),
        (Kind::Grant, change("approved"), 3004, 10),
        (Kind::Approval, change("asked"), 3004, 1),
        (Kind::Approval, change("denied"), 3004, 9),
        (Kind::Approval, change("lapsed"), 3004, 4),
    ]
}

/// Every record that is sent, what it tells apart, and the class and activity that it becomes (docs/AUDIT.md §9).
#[test]
fn each_record_becomes_what_the_document_says() {
    let none = json!({});
    let change = |word: &str| json!({ "change": word });
    let state = |word: &str| json!({ "state": word });
    let why = |word: &str| json!({ "why": word });
    let by = |word: &str| json!({ "change": word, "findings": [{ "what": "hidden", "at": "x" }], "by": { "uid": 1 } });
    let found = json!({ "change": "new", "findings": [{ "what": "hidden", "at": "x" }] });
    let mut cases = vec![
        (Kind::Outcome, none.clone(), 6003, 99),
        (Kind::Denial, none.clone(), 6003, 99),
        (Kind::List, none.clone(), 6003, 99),
        (Kind::Suspended, none.clone(), 6003, 99),
        (Kind::Resumed, none.clone(), 6003, 99),
        (Kind::Unknown, none.clone(), 6003, 99),
        (Kind::Start, none.clone(), 6002, 3),
        (Kind::Stop, none.clone(), 6002, 4),
        (Kind::Upstream, state("started"), 6002, 3),
        (Kind::Upstream, state("failed"), 6002, 3),
        (Kind::Upstream, state("exited"), 6002, 4),
        (Kind::Upstream, state("breaker_open"), 6002, 7),
        (Kind::Upstream, state("breaker_closed"), 6002, 6),
        (Kind::Upstream, state("request_refused"), 6002, 99),
        (Kind::Upstream, state("quarantined"), 2004, 1),
        (Kind::Gap, none.clone(), 2004, 1),
        (Kind::Torn, none.clone(), 2004, 1),
        (Kind::Pin, change("changed"), 2004, 1),
        (Kind::Pin, change("restored"), 2004, 3),
        (Kind::Pin, found, 2004, 1),
        (Kind::Pin, change("new"), 3004, 1),
        (Kind::Pin, change("first"), 3004, 10),
        (Kind::Pin, by("accepted"), 3004, 10),
        (Kind::Pin, change("taken"), 3004, 3),
        (Kind::Pin, change("forgotten"), 3004, 4),
        (Kind::AuthFailures, none.clone(), 3002, 1),
        (Kind::RunStart, none.clone(), 3002, 1),
        (Kind::RunEnd, none.clone(), 3002, 2),
        (Kind::Mint, none.clone(), 3002, 99),
        (Kind::Revocation, json!({ "change": "revoked", "subject": "user:1" }), 3001, 5),
        (Kind::Revocation, json!({ "change": "lifted", "subject": "user:1" }), 3001, 2),
        (Kind::Revocation, json!({ "change": "revoked", "entry_point": "keys.a" }), 3004, 9),
        (Kind::Revocation, json!({ "change": "lifted", "entry_point": "keys.a" }), 3004, 8),
        (Kind::Source, change("closed"), 3004, 9),
        (Kind::Source, change("opened"), 3004, 8),
        (Kind::StoredCleared, none.clone(), 3004, 3),
        (Kind::Erasure, json!({ "subject": "user:1" }), 3004, 4),
        (Kind::AuditKey, json!({ "key": "a+b+c" }), 3004, 3),
        (Kind::TokenKey, change("made"), 3004, 1),
        (Kind::TokenKey, change("rotated"), 3004, 3),
        (Kind::Reload, none.clone(), 3004, 3),
        (Kind::Segment, why("started"), 1008, 6),
        (Kind::Segment, why("full"), 1008, 5),
        (Kind::Segment, why("mended"), 1008, 8),
        (Kind::Halted, none.clone(), 1008, 10),
        (Kind::Retired, none.clone(), 1008, 2),
        (Kind::Checkpoint, none.clone(), 1008, 99),
        (Kind::Taint, none, 0, 99),
    ];
    cases.extend(of_plans());
    for (kind, record, class, activity) in &cases {
        let event = valid(*kind, record.clone(), None);
        let said = (event["class_uid"].as_u64().unwrap(), event["activity_id"].as_u64().unwrap());
        assert_eq!(said, (*class, *activity), "{kind:?} {record}");
    }
    for kind in sent_kinds().into_iter().filter(|kind| *kind != Kind::Intent) {
        assert!(cases.iter().any(|case| case.0 == kind), "{kind:?} is not said");
    }
}

#[test]
fn a_definition_that_is_restored_closes_the_finding_that_it_changed() {
    let pin = |change: &str| json!({ "seq": 3, "tool": "mail.send", "change": change });
    let (opened, closed) = (valid(Kind::Pin, pin("changed"), None), valid(Kind::Pin, pin("restored"), None));
    assert_eq!(opened["finding_info"]["uid"], "pin:mail.send");
    assert_eq!(opened["finding_info"]["uid"], closed["finding_info"]["uid"]);
    assert_eq!((&opened["is_alert"], &closed["status"]), (&json!(true), &json!("Resolved")));
}

#[test]
fn a_token_says_whom_it_is_for_who_made_it_and_until_when() {
    let mint = json!({
        "act": "mint", "by": { "uid": 1000 }, "result": "made", "txn": "t1", "jti_sha256": "ab", "expires": "1970-01-01T00:00:02Z",
        "label": { "subject": "user:1", "roles": ["assistant"] },
    });
    let event = valid(Kind::Mint, mint, None);
    assert_eq!(event["user"], json!({ "uid": "user:1", "groups": [{ "name": "assistant" }] }));
    assert_eq!(event["actor"], json!({ "user": { "uid": "1000" } }));
    let session = json!({ "uid": "t1", "credential_uid": "ab", "expiration_time": 2000 });
    assert_eq!((&event["session"], &event["activity_name"]), (&session, &json!("mint_mint")));
}

#[test]
fn every_kind_of_record_has_a_valid_event() {
    for kind in sent_kinds().into_iter().filter(|kind| *kind != Kind::Intent) {
        for seed in 0..8 {
            valid(kind, Maker::new(seed).record(kind), None);
        }
    }
}

fn assert_events(sample: &Sample) {
    for version in VERSIONS {
        let Some(event) = event(sample.told(), version) else { continue };
        let sent = sample.sent(&event);
        assert_valid(&sent, version);
        assert_eq!(sent["unmapped"]["record"], sample.record);
        assert_eq!(sent["time"], sample.told().time().as_millisecond());
    }
}

proptest! {
    #[test]
    fn a73_whatever_stands_in_a_record_its_event_is_valid(sample in anything()) {
        assert_events(&sample);
    }

    #[test]
    fn a73_whatever_the_gateway_writes_its_event_is_valid(sample in written()) {
        assert_events(&sample);
    }
}
