//! Faults of CASES, parts C and D, that have no better place: ids that meet, calls that are made again, names that
//! stay, envelopes that are whole.

use http::Method;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Site, check_audit};

fn library(site: &Site, name: &str, more: &str) -> String {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/library_server.py");
    let ledger = site.path(&format!("{name}.requests"));
    format!(
        "[upstreams.{name}]\ncommand = [\"python3\", {server:?}, {ledger:?}, \"0\"{more}]\nreturns = \"trusted\"\n"
    )
}

/// A library that may ask users.
fn site(more: &str) -> Site {
    let site = Site::with_oracle("");
    site.edit(|config| {
        let open = "elicitation = { allow = [\"*\"] }\nresources = { allow = [\"*\"] }\n";
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{open}"));
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{open}"));
        format!("{config}\n{}", library(&site, "library", more))
    });
    site
}

async fn able(gateway: &Gateway) -> Client {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "t", "version": "1" }
    });
    let client = Client::new(&gateway.url, CHAT_KEY);
    let answer = client.request(0, "initialize", &params).await;
    client.in_session(answer.headers["mcp-session-id"].to_str().unwrap())
}

#[tokio::test]
async fn f34_a_question_with_the_id_of_the_call_ends_no_stream_and_answers_no_call() {
    let site = site("");
    let gateway = site.start();
    let client = able(&gateway).await;
    let arguments = json!({ "method": "elicitation/create", "params": { "message": "m" }, "same_id": true });
    let call = message(0, "tools/call", &json!({ "name": "library__ask", "arguments": arguments }));
    let mut events = client.open(Method::POST, call).await;
    let asked = events.next().await;
    assert_eq!(asked["method"], "elicitation/create");
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "cancel" } });
    assert_eq!(client.post(answer.to_string()).await.status, 202);
    let last = events.next().await;
    assert_eq!(last["id"], 0);
    assert_eq!(last["result"]["content"][0]["text"], r#"{"action": "cancel"}"#);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn f36_a_call_that_is_made_again_after_its_answer_was_lost_is_two_calls_on_the_record() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY);
    let params = || json!({ "name": "tools__read", "arguments": { "id": "again" } });
    for _ in 0..2 {
        // The client sees the beginning of the answer and hangs up; then it asks once more, with the same id.
        drop(client.hold(7, "tools/call", params()).await);
    }
    let last = client.modern(7, "tools/call", params()).await;
    assert_eq!(last.reason(), "ok");
    assert!(gateway.stop().success());
    let (intents, outcomes) = (of_kind(&site, "intent"), of_kind(&site, "outcome"));
    assert_eq!((intents.len(), outcomes.len()), (3, 3), "each by itself");
    assert!(intents.iter().all(|intent| intent["claimed"]["request_id"] == "7"), "{intents:?}");
    let executed = site.executed();
    assert!(executed.iter().all(|id| id == "again") && (1..=3).contains(&executed.len()), "{executed:?}");
    check_audit(&site);
}

#[tokio::test]
async fn f44_names_stay_what_they_are_when_another_upstream_comes_and_goes() {
    let site = site("");
    let names = async |site: &Site| {
        let gateway = site.start();
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        let names = client.list().await;
        assert!(gateway.stop().success());
        names
    };
    let before = names(&site).await;
    assert!(before.iter().any(|name| name == "library__log"), "{before:?}");
    site.edit(|config| format!("{}\n{config}", library(&site, "another", "")));
    let with = names(&site).await;
    let kept: Vec<_> = with.iter().filter(|name| !name.starts_with("another__")).cloned().collect();
    assert_eq!(kept, before);
    assert!(with.len() > before.len());
}

#[tokio::test]
async fn f45_whatever_the_gateway_asks_a_stateless_server_has_the_whole_envelope() {
    let site = site(", \"stateless\"");
    let gateway = site.start();
    let client = able(&gateway).await;
    for (id, method, params) in [
        (1, "tools/call", json!({ "name": "library__log", "arguments": {} })),
        (2, "resources/list", json!({})),
        (3, "resources/read", json!({ "uri": "note:1" })),
        (4, "resources/subscribe", json!({ "uri": "note:1" })),
    ] {
        assert_eq!(client.request(id, method, &params).await.reason(), "ok", "{method}");
    }
    assert!(gateway.stop().success());
    let ledger = std::fs::read_to_string(site.path("library.requests")).unwrap();
    let sent: Vec<Value> = ledger.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let requests: Vec<_> = sent.iter().filter(|sent| sent.get("id").is_some()).collect();
    for method in
        ["server/discover", "tools/list", "subscriptions/listen", "resources/list", "resources/read"]
    {
        assert!(requests.iter().any(|request| request["method"] == method), "no {method}");
    }
    for request in requests {
        let meta = &request["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28", "{request}");
        assert!(meta["io.modelcontextprotocol/clientCapabilities"].is_object(), "{request}");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "sluicegate", "{request}");
    }
    check_audit(&site);
}
