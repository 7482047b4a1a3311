//! The forms of a sink (`format`) in real files: each has what real calls made, once, in order, and valid.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::support::audit::records;
use crate::support::gateway::CHAT_KEY;
use crate::support::sink::owed;
use crate::support::{Client, Site, check_audit};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// One file for each form that is not the journal's own.
const SINKS: &str = r#"
[[audit.sinks]]
name = "ocsf"
type = "file"
path = "ocsf.jsonl"
format = "ocsf"

[[audit.sinks]]
name = "ecs"
type = "file"
path = "ecs.jsonl"
format = "ecs"

[[audit.sinks]]
name = "otel"
type = "file"
path = "otel.jsonl"
format = "otel"
"#;

/// What a gateway leaves that was started twice: six calls, two refusals, two callers whom nobody knows.
async fn used() -> Site {
    let site = Site::with_oracle(SINKS);
    for _ in 0..2 {
        let gateway = site.start();
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        for id in 1..4 {
            let meta = json!({ "traceparent": format!("00-{TRACE}-00f067aa0ba902b7-01") });
            let params =
                json!({ "name": "tools__read", "arguments": { "id": id.to_string() }, "_meta": meta });
            assert_eq!(client.request(id, "tools/call", &params).await.reason(), "ok");
        }
        assert_eq!(client.call("tools__write", "refused").await.reason(), "approval_pending");
        let nobody = Client::new(&gateway.url, "sg_nobody").post("{}").await;
        assert_eq!(nobody.reason(), "credential_unknown");
        assert!(gateway.stop().success());
    }
    site
}

fn events(site: &Site, form: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(site.path(&format!("{form}.jsonl"))).unwrap();
    assert!(text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The numbers of the records that have an event: every one that a sink is owed but intents, once, in order.
fn told(site: &Site) -> Vec<u64> {
    let all = records(site);
    let is_intent = |seq: u64| all.iter().any(|record| record["seq"] == seq && record["kind"] == "intent");
    owed(site).into_iter().filter(|seq| !is_intent(*seq)).collect()
}

/// The line of the record with the number `seq`, as the journal has it.
fn line(site: &Site, seq: &Value) -> String {
    let mark = format!("\"seq\":{seq},");
    let lines = crate::support::audit::lines(site);
    lines.into_iter().find(|line| line.contains(&mark)).unwrap()
}

/// The validators of the OCSF classes that events may have, by `class_uid` (tests/fixtures/ocsf).
fn ocsf() -> BTreeMap<u64, jsonschema::Validator> {
    let file: Value = serde_json::from_str(include_str!("../fixtures/ocsf/1.8.0.json")).unwrap();
    let validator = |(uid, class): (&String, &Value)| {
        let mut class = class.clone();
        class["$defs"] = file["$defs"].clone();
        (uid.parse().unwrap(), jsonschema::validator_for(&class).unwrap())
    };
    file["classes"].as_object().unwrap().iter().map(validator).collect()
}

fn assert_ocsf(site: &Site) {
    let (validators, events) = (ocsf(), events(site, "ocsf"));
    for event in &events {
        let errors = validators[&event["class_uid"].as_u64().unwrap()].iter_errors(event);
        let wrong: Vec<String> = errors.map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{event:#}\n{wrong:#?}");
    }
    let seqs: Vec<u64> = events.iter().map(|event| event["metadata"]["sequence"].as_u64().unwrap()).collect();
    assert_eq!(seqs, told(site));
    let of = |kind: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["metadata"]["event_code"] == kind).collect()
    };
    let outcomes = of("outcome");
    assert_eq!((outcomes.len(), of("denial").len(), of("auth_failures").len() >= 2), (6, 2, true));
    let first = outcomes[0];
    assert_eq!((&first["activity_name"], &first["status"]), (&json!("tools/call"), &json!("Success")));
    assert_eq!(first["actor"]["user"], json!({ "uid": "user:1", "groups": [{ "name": "assistant" }] }));
    assert_eq!(first["resources"], json!([{ "name": "tools.read", "type": "tool" }]));
    assert_eq!(first["unmapped"]["intent"]["seq"], first["unmapped"]["record"]["intent"]);
    assert_eq!(of("denial")[0]["status_code"], "approval_pending");
    assert_eq!(of("run_start")[0]["class_uid"], 3002);
}

fn assert_ecs(site: &Site) {
    let events = events(site, "ecs");
    let seqs: Vec<u64> = events.iter().map(|event| event["event"]["sequence"].as_u64().unwrap()).collect();
    assert_eq!(seqs, told(site));
    let of = |kind: &str| -> Vec<&Value> {
        events.iter().filter(|event| event["event"]["code"] == kind).collect()
    };
    let outcomes = of("outcome");
    assert_eq!((outcomes.len(), of("denial").len(), of("auth_failures").len() >= 2), (6, 2, true));
    let first = outcomes[0];
    let happened = &first["event"];
    assert_eq!((&happened["action"], &happened["outcome"]), (&json!("tools/call"), &json!("success")));
    assert_eq!(happened["category"], json!(["api"]));
    assert_eq!(happened["original"], line(site, &happened["sequence"]));
    assert_eq!(first["@timestamp"].as_str().unwrap().len(), "2026-11-27T10:00:00.000000Z".len());
    assert_eq!(first["user"], json!({ "id": "user:1", "name": "user:1", "roles": ["assistant"] }));
    assert_eq!(first["trace"], json!({ "id": TRACE }));
    assert_eq!(first["sluicegate"]["target"], json!({ "type": "tool", "name": "tools.read" }));
    let denial = of("denial")[0];
    assert_eq!(denial["event"]["type"], json!(["access", "denied"]));
    assert_eq!(denial["event"]["reason"], "approval_pending");
    assert!(denial["rule"]["name"].is_string(), "{denial:#}");
}

fn assert_otel(site: &Site) {
    let events = events(site, "otel");
    let seq = |event: &Value| event["attributes"]["sluicegate.seq"].as_u64().unwrap();
    assert_eq!(events.iter().map(seq).collect::<Vec<_>>(), told(site));
    let of = |kind: &str| -> Vec<&Value> {
        let name = format!("sluicegate.{kind}");
        events.iter().filter(|event| event["event_name"] == name.as_str()).collect()
    };
    let outcomes = of("outcome");
    assert_eq!((outcomes.len(), of("denial").len(), of("auth_failures").len() >= 2), (6, 2, true));
    let first = outcomes[0];
    assert_eq!((&first["trace_id"], &first["severity_text"]), (&json!(TRACE), &json!("INFO")));
    let attributes = &first["attributes"];
    let said =
        ["mcp.method.name", "gen_ai.operation.name", "gen_ai.tool.name", "jsonrpc.request.id", "user.id"];
    let said: Vec<&Value> = said.iter().map(|name| &attributes[*name]).collect();
    assert_eq!(json!(said), json!(["tools/call", "execute_tool", "tools.read", "1", "user:1"]));
    assert_eq!(attributes["mcp.protocol.version"], "2025-11-25");
    assert_eq!(attributes["log.record.original"], line(site, &attributes["sluicegate.seq"]));
    assert_eq!(of("denial")[0]["attributes"]["error.type"], "approval_pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sink_of_each_form_gets_one_valid_event_a_call() {
    let site = used().await;
    assert_ocsf(&site);
    assert_ecs(&site);
    assert_otel(&site);
    check_audit(&site);
}
