//! Traces before a receiver that is true to the protocol, one that hangs, one that refuses; and what tool servers get.

use std::collections::BTreeMap;
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::support::audit::records;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::receiver::{Batch, Receiver, json as answer, status};
use crate::support::shaped::{self, ledger};
use crate::support::tls::write;
use crate::support::{Client, Site, check_audit};

const PATH: &str = "/v1/traces";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";
/// Stands in arguments, results, credentials and claims, and must stand in no span.
const SECRET: &str = "s3cr3t";

/// `ExportTraceServiceRequest` (opentelemetry/proto/collector/trace/v1/trace_service.proto and what it imports), of which
/// nothing may stand that the protocol does not name.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ExportTraceServiceRequest {
    resource_spans: Vec<ResourceSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct ResourceSpans {
    resource: Resource,
    scope_spans: Vec<ScopeSpans>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resource {
    attributes: Vec<KeyValue>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeSpans {
    scope: BTreeMap<String, String>,
    spans: Vec<Span>,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Span {
    trace_id: String,
    span_id: String,
    #[serde(default)]
    parent_span_id: String,
    #[serde(default)]
    trace_state: String,
    flags: u32,
    name: String,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue>,
    #[serde(default)]
    status: Status,
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct KeyValue {
    key: String,
    value: Value,
}

#[derive(Deserialize, Clone, Default)]
#[serde(deny_unknown_fields)]
struct Status {
    code: u8,
}

impl Span {
    /// The attribute `key`, as its text, number or list; null where there is none.
    fn says(&self, key: &str) -> Value {
        let Some(found) = self.attributes.iter().find(|one| one.key == key) else { return Value::Null };
        let (kind, value) = found.value.as_object().unwrap().iter().next().unwrap();
        match kind.as_str() {
            "stringValue" => value.clone(),
            "intValue" => json!(value.as_str().unwrap().parse::<i64>().unwrap()),
            "arrayValue" => {
                value["values"].as_array().unwrap().iter().map(|one| one["stringValue"].clone()).collect()
            }
            other => panic!("{other}"),
        }
    }

    fn nanos(&self) -> (u128, u128) {
        (self.start_time_unix_nano.parse().unwrap(), self.end_time_unix_nano.parse().unwrap())
    }
}

fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|c| c.is_ascii_hexdigit() && !c.is_ascii_uppercase())
}

/// The spans of a request; none where it is not one that a receiver takes.
fn spans(batch: &Batch) -> Option<Vec<Span>> {
    let request: ExportTraceServiceRequest = serde_json::from_str(batch.lines.first()?).ok()?;
    let mut all = Vec::new();
    for ResourceSpans { resource, scope_spans } in request.resource_spans {
        assert!(resource.attributes.iter().any(|one| one.key == "service.name"));
        for ScopeSpans { scope, spans } in scope_spans {
            assert_eq!(scope["name"], "sluicegate");
            all.extend(spans);
        }
    }
    let is_valid = |span: &Span| {
        let has_parent = span.parent_span_id.is_empty() || is_hex(&span.parent_span_id, 16);
        is_hex(&span.trace_id, 32)
            && is_hex(&span.span_id, 16)
            && has_parent
            && span.nanos().0 <= span.nanos().1
    };
    (!all.is_empty() && all.iter().all(is_valid)).then_some(all)
}

async fn collector(answers: impl Fn(usize) -> Response<Full<Bytes>> + Send + Sync + 'static) -> Receiver {
    Receiver::start(move |number, batch| match spans(batch) {
        _ if batch.uri.path() != PATH => status(404),
        _ if batch.header("content-type") != "application/json" => status(415),
        Some(_) => answers(number),
        None => answer(400, &json!({ "message": "malformed" })),
    })
    .await
}

fn full(_: usize) -> Response<Full<Bytes>> {
    answer(200, &json!({}))
}

fn taken(receiver: &Receiver) -> Vec<Span> {
    let came = receiver.came().into_iter().filter(|(_, status)| status.is_success());
    came.flat_map(|(batch, _)| spans(&batch).unwrap()).collect()
}

fn telemetry(receiver: &Receiver, more: &str) -> String {
    format!("\n[admin]\naddress = \"127.0.0.1:0\"\n[telemetry]\ntraces = {:?}\n{more}\n", receiver.url)
}

/// A site whose tool server writes down what it is sent.
fn traced(receiver: &Receiver, more: &str) -> Site {
    let text = json!([{ "type": "text", "text": SECRET }]);
    let tool = json!({ "name": "do", "description": "Does it.", "inputSchema": { "type": "object" } });
    let site = shaped::site("", "", &json!({ "tools": [tool], "content": text }));
    site.edit(|config| config + &telemetry(receiver, more));
    site
}

fn parent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A call of the tool server with this `_meta`.
fn params(meta: &Value) -> Value {
    json!({ "name": "shaped__do", "arguments": { "password": SECRET }, "_meta": meta })
}

/// What the tool server was sent in calls, as `params`.
fn sent(site: &Site) -> Vec<Value> {
    let all = ledger(site).into_iter().filter_map(|line| serde_json::from_str::<Value>(&line).ok());
    let calls = all.filter(|message| message["method"] == "tools/call");
    calls.map(|message| message["params"].clone()).collect()
}

async fn metric(gateway: &Gateway, name: &str) -> u64 {
    let text = gateway.shows("/metrics").await;
    let value = text.lines().find_map(|line| line.strip_prefix(&format!("sluicegate_traces_{name}_total ")));
    value.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_a_span_in_its_callers_trace_with_its_parts_and_the_tool_server_goes_on_from_there() {
    let receiver = collector(full).await;
    let site = traced(&receiver, "headers = { Authorization = { file = \"token\" } }");
    write(&site, "token", &format!("Bearer {SECRET}"));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let session = client.session().to_owned();
    let meta = json!({ "traceparent": parent("01"), "tracestate": "vendor=1", "mine": [1] });
    assert_eq!(client.request(2, "tools/call", &params(&meta)).await.status, 200);
    assert_eq!(client.call("tools__write", SECRET).await.reason(), "approval_pending");
    assert!(gateway.stop().success());
    for (batch, _) in receiver.came() {
        assert_eq!(batch.header("authorization"), format!("Bearer {SECRET}"));
        let body = &batch.lines[0];
        assert!(!body.contains(SECRET) && !body.contains(CHAT_KEY) && !body.contains(&session), "{body}");
    }
    let all = taken(&receiver);
    let intent = records(&site).into_iter().find(|record| record["kind"] == "intent").unwrap();
    let call = all.iter().find(|span| span.says("sluicegate.seq") == intent["seq"]).unwrap();
    assert_eq!((call.name.as_str(), call.kind, call.flags), ("tools/call shaped.do", 2, 0x301));
    assert_eq!((call.trace_id.as_str(), call.parent_span_id.as_str()), (TRACE, PARENT));
    assert_eq!((call.trace_state.as_str(), call.status.code), ("vendor=1", 0));
    for (key, value) in [
        ("mcp.method.name", json!("tools/call")),
        ("mcp.protocol.version", json!("2025-11-25")),
        ("gen_ai.operation.name", json!("execute_tool")),
        ("gen_ai.tool.name", json!("shaped.do")),
        ("sluicegate.run", intent["run"].clone()),
        ("sluicegate.verdict", json!("allow")),
        ("sluicegate.reason", json!("answered")),
        ("sluicegate.sources", json!(["chat"])),
        ("error.type", Value::Null),
    ] {
        assert_eq!(call.says(key), value, "{key}");
    }
    let children: Vec<&Span> = all.iter().filter(|span| span.parent_span_id == call.span_id).collect();
    let [journal, exchange] = children.as_slice() else { panic!("{}", children.len()) };
    assert_eq!((journal.name.as_str(), journal.kind, exchange.kind), ("journal", 1, 3));
    assert_eq!((exchange.name.as_str(), exchange.trace_id.as_str()), ("tools/call shaped.do", TRACE));
    let ((start, end), (waits, durable), (asked, answered)) =
        (call.nanos(), journal.nanos(), exchange.nanos());
    assert!(start <= waits && durable == asked && answered <= end && asked < answered);
    // What the tool server traces is below what it was asked.
    let own = json!({ "traceparent": format!("00-{TRACE}-{}-01", exchange.span_id), "tracestate": "vendor=1", "mine": [1] });
    assert_eq!(sent(&site)[0]["_meta"], own);
    let outcome = records(&site).into_iter().find(|record| record["kind"] == "outcome").unwrap();
    for record in [&intent, &outcome] {
        assert_eq!((&record["trace_id"], &record["span_id"]), (&json!(TRACE), &json!(call.span_id)));
    }
    assert_eq!(intent["claimed"]["traceparent"], parent("01"));
    let refused = all.iter().find(|span| span.status.code == 2).unwrap();
    assert_eq!(
        (refused.says("error.type"), refused.says("sluicegate.verdict")),
        (json!("approval_pending"), json!("ask"))
    );
    assert!(refused.parent_span_id.is_empty() && refused.trace_id != TRACE);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i7_what_is_not_valid_is_replaced_the_header_counts_where_the_message_is_silent_and_nothing_else_changes()
 {
    let receiver = collector(full).await;
    let site = traced(&receiver, "");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let malformed = json!({ "traceparent": "00-zz", "tracestate": "vendor=1", "n": 1 });
    client.request(2, "tools/call", &params(&malformed)).await;
    let by_header = client.clone().header("traceparent", &parent("00")).header("tracestate", "vendor=2");
    by_header.request(3, "tools/call", &json!({ "name": "shaped__do" })).await;
    let meta = json!({ "traceparent": format!("00-{}-{PARENT}-01", "a".repeat(32)) });
    by_header.request(4, "tools/call", &params(&meta)).await;
    // What is of the hop goes, and what is put in stays an object.
    let modern = Client::new(&gateway.url, CHAT_KEY);
    modern.modern(5, "tools/call", json!({ "name": "shaped__do", "arguments": {} })).await;
    assert!(gateway.stop().success());
    let [first, second, third, fourth] = &sent(&site)[..] else { panic!("not four calls") };
    let root = first["_meta"]["traceparent"].as_str().unwrap();
    assert!(
        is_hex(root.split('-').nth(1).unwrap(), 32) && !root.contains(TRACE) && root.ends_with("-01"),
        "{root}"
    );
    assert_eq!(first["_meta"], json!({ "traceparent": root, "n": 1 }), "of another trace, or of none");
    let second_parent = second["_meta"]["traceparent"].as_str().unwrap();
    assert!(
        second_parent.starts_with(&format!("00-{TRACE}-")) && second_parent.ends_with("-00"),
        "{second_parent}"
    );
    assert!(!second_parent.contains(PARENT));
    assert_eq!(
        second,
        &json!({ "name": "do", "_meta": { "traceparent": second_parent, "tracestate": "vendor=2" } })
    );
    let third_parent = third["_meta"]["traceparent"].as_str().unwrap();
    assert!(
        third_parent.starts_with(&format!("00-{}-", "a".repeat(32))),
        "the message is nearer: {third_parent}"
    );
    assert_eq!(third["_meta"], json!({ "traceparent": third_parent }));
    assert!(fourth["_meta"]["traceparent"].is_string(), "{fourth}");
    // Who is not sampled is not recorded; its record says where it stands all the same.
    let calls =
        taken(&receiver).into_iter().filter(|span| span.name == "tools/call shaped.do" && span.kind == 2);
    assert_eq!(calls.filter(|span| span.trace_id == TRACE).count(), 0);
    let all = records(&site);
    assert!(all.iter().any(|record| record["kind"] == "intent" && record["trace_id"] == TRACE));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_receiver_the_trace_of_the_client_goes_on_unchanged_and_no_record_has_one() {
    let tool = json!({ "name": "do", "description": "Does it.", "inputSchema": { "type": "object" } });
    let site = shaped::site("", "", &json!({ "tools": [tool] }));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY)
        .header("traceparent", &parent("01"))
        .initialize("2025-11-25")
        .await;
    let meta = json!({ "traceparent": "00-zz", "tracestate": "vendor=1" });
    client.request(2, "tools/call", &params(&meta)).await;
    client.request(3, "tools/call", &json!({ "name": "shaped__do" })).await;
    assert!(gateway.stop().success());
    assert_eq!((&sent(&site)[0]["_meta"], sent(&site)[1].get("_meta")), (&meta, None));
    assert!(records(&site).iter().all(|record| record.get("trace_id").is_none()));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_share_is_recorded_and_a_caller_that_records_is_followed() {
    let receiver = collector(full).await;
    let site = traced(&receiver, "sample = 0.0");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for id in 2..12 {
        client.request(id, "tools/call", &params(&json!({}))).await;
    }
    client.request(12, "tools/call", &params(&json!({ "traceparent": parent("01") }))).await;
    assert!(gateway.stop().success());
    let all = taken(&receiver);
    assert!(all.len() == 3 && all.iter().all(|span| span.trace_id == TRACE), "{}", all.len());
    assert!(
        sent(&site)
            .iter()
            .take(10)
            .all(|params| params["_meta"]["traceparent"].as_str().unwrap().ends_with("-00"))
    );
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_holds_no_call_up_and_no_stop() {
    let receiver = collector(full).await;
    receiver.silent_at.send_replace(PATH);
    let site = traced(&receiver, "");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    client.request(2, "tools/call", &params(&json!({}))).await;
    receiver.asked(1).await;
    // More than may wait: each makes one span, and none of them waits.
    for id in 0..1100 {
        assert_eq!(
            client.request(3 + id, "tools/call", &json!({ "name": "tools__refuse" })).await.status,
            200
        );
    }
    assert!(metric(&gateway, "dropped").await > 0);
    let clock = sluicegate::clock::Clock::system();
    assert!(gateway.stop().success());
    assert!(clock.monotonic() < Duration::from_secs(15), "{:?}", clock.monotonic());
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_be_tried_again_is_and_what_is_rejected_is_counted() {
    let receiver = collector(|number| match number {
        0 => Response::builder().status(503).header("retry-after", "1").body(Full::default()).unwrap(),
        1 => answer(200, &json!({ "partialSuccess": { "rejectedSpans": "1", "errorMessage": "old" } })),
        2 => status(401),
        _ => full(number),
    })
    .await;
    let site = traced(&receiver, "");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    client.request(2, "tools/call", &params(&json!({}))).await;
    while metric(&gateway, "sent").await < 2 {}
    assert_eq!((metric(&gateway, "dropped").await, metric(&gateway, "failures").await), (1, 1));
    client.request(3, "tools/call", &params(&json!({}))).await;
    while metric(&gateway, "dropped").await < 4 {}
    assert_eq!((metric(&gateway, "sent").await, metric(&gateway, "failures").await), (2, 2));
    let came = receiver.came();
    assert_eq!(came[0].0.body, came[1].0.body, "the same batch again");
    assert!(gateway.stop().success());
    check_audit(&site);
}

/// A tool server over HTTP, of 2025-11-25.
fn tool_server(batch: &Batch) -> Response<Full<Bytes>> {
    let message: Value = serde_json::from_str(&batch.lines.concat()).unwrap_or_default();
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "far", "version": "1" },
        }),
        Some("tools/list") => json!({ "tools": [{ "name": "do", "inputSchema": { "type": "object" } }] }),
        Some("tools/call") => json!({ "content": [] }),
        Some("server/discover") => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            return answer(404, &json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }));
        }
        Some(_) => return status(202),
        None => return status(405),
    };
    answer(200, &json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_server_over_http_gets_the_trace_in_its_headers_too() {
    let receiver = collector(full).await;
    let far = Receiver::start(|_, batch| tool_server(batch)).await;
    let upstream = format!("\n[upstreams.far]\nurl = \"{}/mcp\"\nreturns = \"trusted\"\n", far.url);
    let site = Site::with_oracle(&(upstream + &telemetry(&receiver, "")));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let meta = json!({ "traceparent": parent("01"), "tracestate": "vendor=1" });
    let answered = client.request(2, "tools/call", &json!({ "name": "far__do", "_meta": meta })).await;
    assert_eq!(answered.json()["result"]["content"], json!([]), "{answered:?}");
    assert!(gateway.stop().success());
    let came = far.came();
    let (call, _) = came.iter().find(|(batch, _)| batch.lines.concat().contains("\"tools/call\"")).unwrap();
    let body: Value = serde_json::from_str(&call.lines.concat()).unwrap();
    let own = call.header("traceparent");
    assert!(own.starts_with(&format!("00-{TRACE}-")) && !own.contains(PARENT), "{own}");
    assert_eq!(body["params"]["_meta"], json!({ "traceparent": own, "tracestate": "vendor=1" }));
    assert_eq!(call.header("tracestate"), "vendor=1");
    let exchange = taken(&receiver).into_iter().find(|span| span.kind == 3).unwrap();
    assert!(own.contains(&exchange.span_id));
    check_audit(&site);
}
