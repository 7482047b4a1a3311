//! Sinks of OpenTelemetry before a receiver that rejects a part, refuses, is busy, hangs, or is none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Response, StatusCode};
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::support::receiver::{Attempts, Batch, Receiver, json as answer, of_kind, status};
use crate::support::sink::{
    assert_denial_set_aside, assert_whole, call, call_around_a_denial, letters, sink_site, until_ready_shows,
};
use crate::support::tls::write;
use crate::support::{Site, check_audit};

const PATH: &str = "/v1/logs";

/// `ExportLogsServiceRequest` (opentelemetry/proto/collector/logs/v1/logs_service.proto and what it imports), of which
/// nothing may stand that the protocol does not name: a receiver would not see it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ExportLogsServiceRequest {
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceLogs {
    resource: Resource,
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ScopeLogs {
    scope: BTreeMap<String, String>,
    log_records: Vec<LogRecord>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LogRecord {
    time_unix_nano: String,
    observed_time_unix_nano: String,
    severity_number: u8,
    severity_text: String,
    body: AnyValue,
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: AnyValue,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
enum AnyValue {
    StringValue(String),
    IntValue(String),
}

impl AnyValue {
    fn text(&self) -> &str {
        match self {
            Self::StringValue(text) | Self::IntValue(text) => text,
        }
    }
}

fn attributes(written: &[KeyValue]) -> BTreeMap<&str, &str> {
    written.iter().map(|one| (one.key.as_str(), one.value.text())).collect()
}

/// The log records of a request; none where it is not one.
fn log_records(batch: &Batch) -> Option<Vec<LogRecord>> {
    let request: ExportLogsServiceRequest = serde_json::from_str(batch.lines.first()?).ok()?;
    let mut records = Vec::new();
    for ResourceLogs { resource, scope_logs } in request.resource_logs {
        let resource = attributes(&resource.attributes);
        assert_eq!(
            (resource["service.name"], resource["service.version"]),
            ("sluicegate", env!("CARGO_PKG_VERSION"))
        );
        for ScopeLogs { scope, log_records } in scope_logs {
            assert_eq!(scope["name"], "sluicegate");
            records.extend(log_records);
        }
    }
    // "Senders SHOULD NOT create empty envelopes."
    (!records.is_empty()).then_some(records)
}

type Answer = Response<Full<Bytes>>;

/// A receiver of OTLP over HTTP: it refuses what is not of the protocol, and answers the rest as `answers` says, from
/// how many requests came before and the bodies of this one.
#[derive(Clone)]
struct Otlp {
    receiver: Receiver,
    is_taken: Arc<dyn Fn(&str) -> bool + Send + Sync>,
}

impl Otlp {
    /// What `is_taken` says is not is rejected, the rest is taken.
    async fn start(
        is_taken: impl Fn(&str) -> bool + Send + Sync + 'static,
        answers: impl Fn(usize, &[String]) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let receiver = Receiver::start(move |number, batch| {
            if batch.uri.path() != PATH {
                return status(404);
            }
            if batch.header("content-type") != "application/json" {
                return status(415);
            }
            match log_records(batch) {
                Some(records) => answers(number, &bodies(&records)),
                None => answer(400, &json!({ "message": "malformed" })),
            }
        })
        .await;
        Self { receiver, is_taken: Arc::new(is_taken) }
    }

    /// What it has: what was not rejected of what it answered with 200.
    fn records(&self) -> Vec<String> {
        let came = self.receiver.came().into_iter().filter(|(_, status)| *status == StatusCode::OK);
        let all = came.flat_map(|(batch, _)| bodies(&log_records(&batch).unwrap()));
        all.filter(|body| (self.is_taken)(body)).collect()
    }

    async fn has(&self, kind: &str, times: usize) {
        self.receiver.until(|| of_kind(&self.records(), kind) >= times).await;
    }
}

fn bodies(records: &[LogRecord]) -> Vec<String> {
    records.iter().map(|record| record.body.text().to_owned()).collect()
}

/// The answer to what is taken whole.
fn full() -> Answer {
    answer(200, &json!({}))
}

fn is_denial(body: &str) -> bool {
    body.contains("\"kind\":\"denial\"")
}

fn site(otlp: &Otlp, more: &str) -> Site {
    sink_site("otlp", &otlp.receiver.url, more)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_of_otlp_gets_everything_once_with_what_tells_it_apart() {
    let otlp = Otlp::start(|_| true, |_, _| full()).await;
    let more = "headers = { Authorization = { file = \"token\" } }\ncompress = \"gzip\"";
    let site = site(&otlp, more);
    write(&site, "token", "Bearer s3cr3t-t0ken");
    for _ in 0..2 {
        let gateway = site.start();
        call(&gateway, &["one", "two", "three"]).await;
        assert!(!gateway.shows("/readyz").await.contains("s3cr3t-t0ken"));
        assert!(gateway.stop().success());
    }
    let records = otlp.records();
    assert_whole(&site, &records, &[]);
    let mut sorted = records.clone();
    sorted.sort();
    sorted.dedup();
    assert_eq!(sorted.len(), records.len(), "once");
    for (batch, _) in otlp.receiver.came() {
        assert_eq!(batch.header("authorization"), "Bearer s3cr3t-t0ken");
        assert_eq!(
            (batch.header("content-type"), batch.header("content-encoding")),
            ("application/json", "gzip")
        );
        for log in log_records(&batch).unwrap() {
            let record: Value = serde_json::from_str(log.body.text()).unwrap();
            let said = attributes(&log.attributes);
            assert_eq!(
                (said["seq"], said["digest"]),
                (&*record["seq"].to_string(), record["digest"].as_str().unwrap())
            );
            assert_eq!(said["kind"], record["kind"]);
            let time: jiff::Timestamp = record["t"].as_str().unwrap().parse().unwrap();
            assert_eq!(log.time_unix_nano, time.as_nanosecond().to_string());
            assert_eq!(log.observed_time_unix_nano, log.time_unix_nano);
            let severity = match record["kind"].as_str().unwrap() {
                "start" | "stop" | "reload" => (10, "INFO2"),
                "pin" => (13, "WARN"),
                _ => (9, "INFO"),
            };
            assert_eq!((log.severity_number, log.severity_text.as_str()), severity);
        }
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f63_a_record_that_is_rejected_beside_others_is_set_aside_alone_and_a_warning_is_no_rejection() {
    let otlp = Otlp::start(
        |body| !is_denial(body),
        |_, bodies| {
            let rejected = bodies.iter().filter(|body| is_denial(body)).count();
            let why = if rejected == 0 { "soon too slow" } else { "no denials" };
            // Of 64 bits: a string.
            answer(200, &json!({ "partialSuccess": { "rejectedLogRecords": rejected.to_string(), "errorMessage": why } }))
        },
    )
    .await;
    let site = site(&otlp, "");
    let gateway = site.start();
    call_around_a_denial(&gateway).await;
    otlp.has("outcome", 2).await;
    until_ready_shows(&gateway, "sink_dead_letters").await;
    assert!(gateway.stop().success());
    let denial = assert_denial_set_aside(&site);
    assert_eq!(letters(&site)[0]["why"], "200 OK: no denials");
    assert_whole(&site, &otlp.records(), &[denial]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_or_too_large_comes_in_parts_until_one_record_is_left() {
    let otlp = Otlp::start(
        |_| true,
        |_, bodies| match bodies {
            _ if bodies.len() > 3 => status(413),
            _ if bodies.iter().any(|body| is_denial(body)) => {
                answer(400, &json!({ "message": "no denials" }))
            }
            _ => full(),
        },
    )
    .await;
    let site = site(&otlp, "");
    let gateway = site.start();
    call_around_a_denial(&gateway).await;
    assert!(gateway.stop().success());
    // All of it again, at once.
    for file in ["siem.json", "siem.dead.jsonl"] {
        _ = std::fs::remove_file(site.path("state/sinks").join(file));
    }
    let gateway = site.start();
    otlp.has("start", 3).await;
    until_ready_shows(&gateway, "sink_dead_letters").await;
    assert!(gateway.stop().success());
    let came = otlp.receiver.came();
    assert!(came.iter().any(|(_, status)| *status == StatusCode::PAYLOAD_TOO_LARGE));
    let denial = assert_denial_set_aside(&site);
    assert_eq!(letters(&site)[0]["why"], "400 Bad Request: no denials");
    assert_whole(&site, &otlp.records(), &[denial]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_rejects_everything_makes_nothing_be_set_aside() {
    let is_well = watch::Sender::new(false);
    let (well, is_taken) = (is_well.subscribe(), watch::Sender::new(false));
    let (taking, attempts) = (is_taken.clone(), Attempts::default());
    let otlp = Otlp::start(
        move |_| *taking.borrow(),
        move |_, bodies| {
            // Not in the midst of a batch, of which it would take a part then.
            if attempts.begins(bodies) && *well.borrow() {
                is_taken.send_replace(true);
            }
            let rejected = if *is_taken.borrow() { 0 } else { bodies.len() };
            answer(200, &json!({ "partialSuccess": { "rejectedLogRecords": rejected } }))
        },
    )
    .await;
    let site = site(&otlp, "");
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    while !gateway.shows("/readyz").await.contains("takes none of") {}
    is_well.send_replace(true);
    while gateway.shows("/readyz").await.contains("takes none of") {}
    assert!(gateway.stop().success());
    assert_eq!(letters(&site).len(), 0);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_tried_again_is_and_what_is_no_receiver_of_otlp_has_nothing() {
    let otlp = Otlp::start(
        |_| true,
        |number, _| match number {
            0 => Response::builder().status(429).header("retry-after", "1").body(Full::default()).unwrap(),
            1 => status(502),
            2 => answer(503, &json!({ "message": "full" })),
            3 => status(504),
            4 => status(401),
            5 => Response::builder().status(202).body(Full::from("<html>")).unwrap(),
            _ => full(),
        },
    )
    .await;
    let site = site(&otlp, "");
    let gateway = site.start();
    while !gateway.shows("/readyz").await.contains("503 Service Unavailable: full") {}
    while !gateway.shows("/readyz").await.contains("name a receiver of OTLP over HTTP in `url`") {}
    otlp.has("start", 1).await;
    assert!(gateway.stop().success());
    let came = otlp.receiver.came();
    assert!(came[1].0.at - came[0].0.at >= Duration::from_secs(1));
    assert_eq!(letters(&site).len(), 0);
    assert_whole(&site, &otlp.records(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_of_otlp_that_says_nothing_holds_no_call_up_and_gets_it_all_after_a_restart() {
    let otlp = Otlp::start(|_| true, |_, _| full()).await;
    let site = site(&otlp, "format = \"record\"");
    otlp.receiver.silent_at.send_replace(PATH);
    let gateway = site.start();
    otlp.receiver.asked(1).await;
    call(&gateway, &["one", "two"]).await;
    gateway.kill();
    otlp.receiver.silent_at.send_replace("");
    let gateway = site.start();
    otlp.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert_whole(&site, &otlp.records(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_ocsf_go_over_otlp_with_the_key_of_their_record() {
    let otlp = Otlp::start(|_| true, |_, _| full()).await;
    let site = site(&otlp, "format = \"ocsf\"");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    assert!(gateway.stop().success());
    let came = otlp.receiver.came();
    let logs: Vec<LogRecord> = came.iter().flat_map(|(batch, _)| log_records(batch).unwrap()).collect();
    let call = logs.iter().find(|log| attributes(&log.attributes)["kind"] == "outcome").unwrap();
    let event: Value = serde_json::from_str(call.body.text()).unwrap();
    assert_eq!(event["class_uid"], 6003);
    let record = &event["unmapped"]["record"];
    let said = attributes(&call.attributes);
    assert_eq!(
        (said["seq"], said["digest"]),
        (&*record["seq"].to_string(), record["digest"].as_str().unwrap())
    );
    check_audit(&site);
}
