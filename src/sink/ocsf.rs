//! Records as events of the Open Cybersecurity Schema Framework (schema.ocsf.io), 1.8.0 and 1.6.0.
//!
//! Pure. Must give a valid event for every record, whatever stands in it: what has no place of its own stands under
//! `unmapped`, whole, and what a record lacks is said to be unknown. One event a call: that of its outcome, with what its
//! intent says.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::audit::Kind;

/// A version of the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcsfVersion {
    /// 1.6.0.
    V1_6,
    /// 1.8.0.
    V1_8,
}

impl OcsfVersion {
    const fn as_str(self) -> &'static str {
        match self {
            Self::V1_6 => "1.6.0",
            Self::V1_8 => "1.8.0",
        }
    }
}

/// A class: its category and its number (schema.ocsf.io).
#[derive(Debug, Clone, Copy)]
struct Class {
    category: u64,
    uid: u64,
}

const BASE_EVENT: Class = Class { category: 0, uid: 0 };
const AUTHENTICATION: Class = Class { category: 3, uid: 3002 };
const APPLICATION_LIFECYCLE: Class = Class { category: 6, uid: 6002 };
const API_ACTIVITY: Class = Class { category: 6, uid: 6003 };

/// `activity_id` of what no class has a number for.
const OTHER: u64 = 99;
/// `severity_id`.
const INFORMATIONAL: u64 = 1;
const LOW: u64 = 2;
const MEDIUM: u64 = 3;
const HIGH: u64 = 4;
/// `status_id`.
const SUCCESS: u64 = 1;
const FAILURE: u64 = 2;

/// The event of `record`, which is of the kind `kind`; of an outcome, with the `intent` that it ends. None for an intent,
/// which its outcome tells.
pub(super) fn event(
    kind: Kind,
    record: &Value,
    intent: Option<&Value>,
    version: OcsfVersion,
) -> Option<Value> {
    let told = Told { kind, record, intent };
    let event = match kind {
        Kind::Intent => return None,
        Kind::Outcome | Kind::Denial | Kind::List | Kind::Suspended | Kind::Resumed => told.call(),
        Kind::Start => told.application(3),
        Kind::Stop => told.application(4),
        Kind::AuthFailures => told.authentication(),
        _ => told.base(BASE_EVENT, OTHER),
    };
    Some(told.finish(event, version))
}

/// What is told of.
struct Told<'a> {
    kind: Kind,
    record: &'a Value,
    intent: Option<&'a Value>,
}

impl Told<'_> {
    /// What the record says at `pointer`, or else its intent.
    fn text(&self, pointer: &str) -> Option<&str> {
        let own = self.record.pointer(pointer).and_then(Value::as_str);
        own.or_else(|| self.intent?.pointer(pointer)?.as_str()).filter(|text| !text.is_empty())
    }

    fn base(&self, class: Class, activity: u64) -> Map<String, Value> {
        let severity = match self.kind {
            Kind::Halted | Kind::Gap | Kind::Torn => HIGH,
            Kind::Denial | Kind::AuthFailures | Kind::Unknown | Kind::Pin | Kind::Revocation => MEDIUM,
            _ if self.is_failure() => LOW,
            _ => INFORMATIONAL,
        };
        let event = json!({
            "class_uid": class.uid, "category_uid": class.category, "activity_id": activity,
            "type_uid": class.uid * 100 + activity, "severity_id": severity, "time": self.time(),
        });
        event.as_object().cloned().unwrap_or_default()
    }

    /// API Activity (6003): a request that an agent made.
    fn call(&self) -> Map<String, Value> {
        let mut event = self.base(API_ACTIVITY, OTHER);
        let mut put = |key: &str, value: Value| drop(event.insert(key.to_owned(), value));
        let operation = self.text("/method").unwrap_or(self.kind.as_str());
        put("activity_name", json!(operation));
        put("actor", self.actor());
        put("src_endpoint", json!({ "name": self.text("/principal/entry_point").unwrap_or("unknown") }));
        put("api", self.api(operation));
        let (status, name) = if self.is_failure() { (FAILURE, "Failure") } else { (SUCCESS, "Success") };
        put("status_id", json!(status));
        put("status", json!(name));
        if let Some(reason) = self.text("/reason") {
            put("status_code", json!(reason));
        }
        let targets = ["tool", "prompt", "resource", "completion", "sampling", "elicitation", "roots"];
        let target = targets.iter().find_map(|class| Some((class, self.text(&format!("/{class}"))?)));
        if let Some((class, name)) = target {
            put("resources", json!([{ "name": name, "type": class }]));
        }
        event
    }

    fn actor(&self) -> Value {
        let mut actor = Map::new();
        let subject = self.text("/principal/subject").or_else(|| self.text("/subject")).unwrap_or("unknown");
        let named = |list: Option<&Value>| -> Vec<Value> {
            let names = list.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
            names.map(|name| json!({ "name": name })).collect()
        };
        let roles = self.intent.unwrap_or(self.record).pointer("/principal/roles");
        actor.insert("user".to_owned(), json!({ "uid": subject, "groups": named(roles) }));
        if let Some(agent) = self.text("/principal/agents/0") {
            actor.insert("app_name".to_owned(), json!(agent));
        }
        if let Some(run) = self.text("/run") {
            actor.insert("session".to_owned(), json!({ "uid": run }));
        }
        Value::Object(actor)
    }

    fn api(&self, operation: &str) -> Value {
        let mut api = Map::from_iter([("operation".to_owned(), json!(operation))]);
        let upstream =
            self.text("/tool").or_else(|| self.text("/prompt")).and_then(|name| name.split('.').next());
        if let Some(upstream) = upstream.filter(|name| !name.is_empty()) {
            api.insert("service".to_owned(), json!({ "name": upstream }));
        }
        if let Some(id) = self.text("/claimed/request_id") {
            api.insert("request".to_owned(), json!({ "uid": id }));
        }
        let error = self.text("/reason").filter(|_| self.is_failure());
        if let Some(error) = error {
            api.insert("response".to_owned(), json!({ "error": error }));
        }
        Value::Object(api)
    }

    /// Application Lifecycle (6002): the gateway itself.
    fn application(&self, activity: u64) -> Map<String, Value> {
        let mut event = self.base(APPLICATION_LIFECYCLE, activity);
        event.insert("app".to_owned(), json!({ "name": PRODUCT, "vendor_name": PRODUCT }));
        event
    }

    /// Authentication (3002): requests that were refused before there was a principal, counted.
    fn authentication(&self) -> Map<String, Value> {
        // 1 is Logon.
        let mut event = self.base(AUTHENTICATION, 1);
        let mut put = |key: &str, value: Value| drop(event.insert(key.to_owned(), value));
        put("user", json!({ "name": "unknown" }));
        put("service", json!({ "name": self.text("/listener").unwrap_or("unknown") }));
        put("status_id", json!(FAILURE));
        put("status", json!("Failure"));
        if let Some(reason) = self.text("/reason") {
            put("status_code", json!(reason));
        }
        if let Some(count) = self.record.pointer("/count").and_then(Value::as_i64) {
            put("count", json!(count));
        }
        event
    }

    /// What every event has.
    fn finish(&self, mut event: Map<String, Value>, version: OcsfVersion) -> Value {
        let mut metadata = json!({
            "version": version.as_str(),
            "product": { "name": PRODUCT, "vendor_name": PRODUCT, "version": env!("CARGO_PKG_VERSION") },
            "log_name": "audit", "event_code": self.kind.as_str(),
        });
        let seq = self.record.get("seq").and_then(Value::as_u64).and_then(|seq| i64::try_from(seq).ok());
        if let (Some(metadata), Some(seq)) = (metadata.as_object_mut(), seq) {
            metadata.insert("sequence".to_owned(), json!(seq));
            // What comes twice has the same.
            metadata.insert("uid".to_owned(), json!(seq.to_string()));
            let intent = self.record.get("intent").and_then(Value::as_u64);
            metadata.insert(
                "correlation_uid".to_owned(),
                json!(intent.map_or(seq.to_string(), |seq| seq.to_string())),
            );
        }
        event.insert("metadata".to_owned(), metadata);
        let mut unmapped = json!({ "record": self.record });
        if let (Some(unmapped), Some(intent)) = (unmapped.as_object_mut(), self.intent) {
            unmapped.insert("intent".to_owned(), intent.clone());
        }
        event.insert("unmapped".to_owned(), unmapped);
        Value::Object(event)
    }

    fn is_failure(&self) -> bool {
        match self.kind {
            Kind::Denial | Kind::AuthFailures => true,
            Kind::Outcome => {
                let is_error = self.record.get("is_error").and_then(Value::as_bool) == Some(true);
                is_error || self.text("/reason") != Some("answered")
            }
            _ => false,
        }
    }

    /// Milliseconds since 1970.
    fn time(&self) -> i64 {
        let time =
            self.record.get("t").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
        time.map_or(0, Timestamp::as_millisecond)
    }
}

const PRODUCT: &str = "Sluicegate";

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn validators() -> BTreeMap<(&'static str, u64), jsonschema::Validator> {
        let files = [
            ("1.6.0", include_str!("../../tests/fixtures/ocsf/1.6.0.json")),
            ("1.8.0", include_str!("../../tests/fixtures/ocsf/1.8.0.json")),
        ];
        let classes = [
            ("base_event", 0),
            ("authentication", 3002),
            ("application_lifecycle", 6002),
            ("api_activity", 6003),
        ];
        let mut all = BTreeMap::new();
        for (version, text) in files {
            let schemas: Value = serde_json::from_str(text).unwrap();
            for (name, uid) in classes {
                all.insert((version, uid), jsonschema::validator_for(&schemas[name]).unwrap());
            }
        }
        all
    }

    fn assert_valid(
        all: &BTreeMap<(&'static str, u64), jsonschema::Validator>,
        event: &Value,
        version: OcsfVersion,
    ) {
        let class = event["class_uid"].as_u64().unwrap();
        let wrong: Vec<String> =
            all[&(version.as_str(), class)].iter_errors(event).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{event:#}\n{wrong:#?}");
        assert_eq!(event["type_uid"].as_u64().unwrap(), class * 100 + event["activity_id"].as_u64().unwrap());
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
        let all = validators();
        for version in [OcsfVersion::V1_6, OcsfVersion::V1_8] {
            assert_eq!(event(Kind::Intent, &intent, None, version), None);
            let event = event(Kind::Outcome, &outcome, Some(&intent), version).unwrap();
            assert_valid(&all, &event, version);
            assert_eq!((&event["class_uid"], &event["type_uid"]), (&json!(6003), &json!(600399)));
            assert_eq!((&event["time"], &event["status_id"]), (&json!(1_795_773_600_500_i64), &json!(1)));
            assert_eq!(
                event["actor"]["user"],
                json!({ "uid": "user:1", "groups": [{ "name": "assistant" }] })
            );
            assert_eq!(event["api"]["service"]["name"], "mail");
            assert_eq!(event["metadata"]["correlation_uid"], "7");
            assert_eq!(event["unmapped"]["intent"], intent);
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key(), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    fn key() -> impl Strategy<Value = String> {
        const KNOWN: [&str; 20] = [
            "seq",
            "t",
            "kind",
            "run",
            "method",
            "principal",
            "subject",
            "roles",
            "agents",
            "entry_point",
            "tool",
            "prompt",
            "resource",
            "claimed",
            "request_id",
            "reason",
            "intent",
            "is_error",
            "count",
            "digest",
        ];
        prop_oneof![prop::sample::select(&KNOWN[..]).prop_map(str::to_owned), "[a-z]{1,4}"]
    }

    proptest! {
        #[test]
        fn a73_whatever_stands_in_a_record_its_event_is_valid(
            kind in prop::sample::select(Kind::ALL),
            record in value(),
            intent in prop::option::of(value()),
        ) {
            // Made once: they are large.
            thread_local!(static ALL: BTreeMap<(&'static str, u64), jsonschema::Validator> = validators());
            for version in [OcsfVersion::V1_6, OcsfVersion::V1_8] {
                if let Some(event) = event(kind, &record, intent.as_ref(), version) {
                    ALL.with(|all| assert_valid(all, &event, version));
                }
            }
        }
    }
}
