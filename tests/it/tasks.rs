//! Tasks: calls that are answered with a handle, in both forms; whose handle it is, and what is decided about it.

use http::Method;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Exchange, Site, check_audit};

const EXTENSION: &str = "io.modelcontextprotocol/tasks";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A server of each form, `old` and `new`; `new` may ask users but no model.
fn site(more: &str) -> Site {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/task_server.py");
    let site = Site::with_oracle("");
    let upstream = |name: &str, era: &str| {
        let ledger = site.path(&format!("{name}.requests"));
        format!(
            "[upstreams.{name}]\ncommand = [\"python3\", {server:?}, {ledger:?}{era}]\nreturns = \"trusted\"\n{more}"
        )
    };
    site.edit(|config| {
        let open = "elicitation = { allow = [\"*\"] }\n";
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{open}"));
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{open}"));
        let config = config.replace("[sources.web]\nallow = [", "[sources.web]\nallow = [\"*.work\", ");
        format!("{config}\n{}{}", upstream("old", ""), upstream("new", ", \"stateless\""))
    });
    site
}

/// A client of 2025-11-25 that can be asked.
async fn session(gateway: &Gateway, key: &str) -> Client {
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": { "elicitation": {} },
        "clientInfo": { "name": "t", "version": "1" }
    });
    let client = Client::new(&gateway.url, key);
    let answer = client.request(0, "initialize", &params).await;
    client.in_session(answer.headers["mcp-session-id"].to_str().unwrap())
}

/// One request of a client of 2026-07-28 that takes tasks and can be asked.
async fn modern(client: &Client, method: &str, mut params: Value) -> Exchange {
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] =
        json!({ "elicitation": {}, "sampling": {}, "extensions": { EXTENSION: {} } });
    client.modern(7, method, params).await
}

/// What came of a call: text that is one JSON value, or is not.
fn said(result: &Value) -> Value {
    let text = result["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no content: {result}"));
    serde_json::from_str(text).unwrap_or_else(|_| json!(text))
}

/// The last message that `upstream` was sent with `method`.
fn sent(site: &Site, upstream: &str, method: &str) -> Value {
    let text = std::fs::read_to_string(site.path(&format!("{upstream}.requests"))).unwrap();
    let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.rfind(|line| line["method"] == method).unwrap_or_else(|| panic!("no {method}"))
}

#[tokio::test]
async fn a_task_of_2025_is_made_asked_about_and_fetched_by_a_handle_of_the_gateways() {
    let site = site("");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let call = json!({ "name": "old__work", "arguments": {}, "task": { "ttl": 60000 } });
    let made = chat.request(1, "tools/call", &call).await.json();
    assert_eq!(sent(&site, "old", "tools/call")["params"]["task"], json!({ "ttl": 60000 }));
    let task = &made["result"]["task"];
    assert_eq!(task["x-unknown"], 12_345_678_901_234_567_890_u64);
    let id = task["taskId"].as_str().unwrap();
    assert!(!id.contains("own"), "{made}");
    let about = json!({ "taskId": id, "extra": 1 });
    let got = chat.request(2, "tasks/get", &about).await.json();
    assert_eq!((&got["result"]["taskId"], &got["result"]["status"]), (&json!(id), &json!("completed")));
    assert_eq!(sent(&site, "old", "tasks/get")["params"], json!({ "taskId": "own-1", "extra": 1 }));
    let fetched = chat.request(3, "tasks/result", &about).await.json();
    assert_eq!(said(&fetched["result"]), Value::Null);
    assert_eq!(fetched["result"]["_meta"][RELATED]["taskId"], id);
    let cancelled = chat.request(4, "tasks/cancel", &about).await.json();
    assert_eq!(cancelled["result"]["taskId"], id);
    let listed = chat.request(5, "tasks/list", &json!({})).await.json();
    assert_eq!(listed["error"]["code"], -32_601, "whoever made a task knows it");
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    let asked: Vec<_> = intents.iter().map(|intent| intent["method"].as_str().unwrap()).collect();
    assert_eq!(asked, ["tools/call", "tasks/get", "tasks/result", "tasks/cancel"]);
    assert!(intents.iter().all(|intent| intent["tool"] == "old.work"), "decided as its tool");
    check_audit(&site);
}

#[tokio::test]
async fn a36_a_handle_is_of_one_caller_and_one_form_and_any_other_is_unknown() {
    let site = site("");
    let gateway = site.start();
    let (chat, other) = (session(&gateway, CHAT_KEY).await, session(&gateway, OTHER_KEY).await);
    let call = |tool: &str| json!({ "name": tool, "arguments": {}, "task": {} });
    let made = chat.request(1, "tools/call", &call("old__work")).await.json();
    let old = made["result"]["task"]["taskId"].as_str().unwrap().to_owned();
    let key = Client::new(&gateway.url, CHAT_KEY);
    let made = modern(&key, "tools/call", json!({ "name": "new__work", "arguments": {} })).await.json();
    assert_eq!(made["result"]["resultType"], "task");
    let new = made["result"]["taskId"].as_str().unwrap().to_owned();
    let unknown = async |client: &Client, id: &str| {
        let answer = client.request(2, "tasks/get", &json!({ "taskId": id })).await.json().to_string();
        answer.replace(id, "ID")
    };
    let nothing = unknown(&chat, "made-up").await;
    assert!(nothing.contains("-32602") && nothing.contains("Unknown task: ID"), "{nothing}");
    for id in ["own-1", &new] {
        assert_eq!(unknown(&chat, id).await, nothing, "{id}");
    }
    for id in [&old, &new] {
        assert_eq!(unknown(&other, id).await, nothing);
        let thief = Client::new(&gateway.url, OTHER_KEY);
        let answer = modern(&thief, "tasks/get", json!({ "taskId": id })).await.json();
        assert_eq!(answer["error"]["code"], -32_602, "{answer}");
    }
    assert_eq!(modern(&key, "tasks/get", json!({ "taskId": new })).await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_task_of_2026_asks_through_the_gateway_and_its_answers_are_decided() {
    let site = site("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY);
    let call = json!({ "name": "new__ask", "arguments": {} });
    let made = modern(&chat, "tools/call", call).await.json();
    let id = made["result"]["taskId"].as_str().unwrap().to_owned();
    for _ in 0..2 {
        let got = modern(&chat, "tasks/get", json!({ "taskId": id })).await.json();
        assert_eq!(got["result"]["taskId"], id);
        assert_eq!(got["result"]["inputRequests"]["sure"]["params"]["message"], "Sure?");
    }
    let answer = |key: &str| json!({ "taskId": id, "inputResponses": { key: { "action": "accept", "content": { "n": 1 } } } });
    let unasked = modern(&chat, "tasks/update", answer("other")).await;
    assert_eq!(unasked.reason(), "ok");
    assert_eq!(
        sent(&site, "new", "tasks/update")["params"]["inputResponses"],
        json!({}),
        "nobody asked that"
    );
    let updated = modern(&chat, "tasks/update", answer("sure")).await.json();
    assert_eq!(updated["result"], json!({ "resultType": "complete" }));
    let sent = sent(&site, "new", "tasks/update");
    assert_eq!(sent["params"]["taskId"], "own-1");
    let over = modern(&chat, "tasks/get", json!({ "taskId": id })).await.json();
    let given = json!({ "sure": { "action": "accept", "content": { "n": 1 } } });
    assert_eq!(said(&over["result"]["result"]), given);
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "suspended").len(), 1, "asked again is not another question");
    check_audit(&site);
}

#[tokio::test]
async fn what_a_task_may_not_ask_is_declined_or_the_task_is_given_up() {
    let site = site("");
    let gateway = site.start();
    let key = Client::new(&gateway.url, CHAT_KEY);
    // Nobody allows it to ask a model, and that cannot be declined.
    let made = modern(&key, "tools/call", json!({ "name": "new__sample", "arguments": {} })).await.json();
    let about = json!({ "taskId": made["result"]["taskId"] });
    assert_eq!(modern(&key, "tasks/get", about.clone()).await.reason(), "input_required");
    assert_eq!(sent(&site, "new", "tasks/cancel")["params"]["taskId"], "own-1");
    // A client that did not say that it can be asked is not asked.
    let made = modern(&key, "tools/call", json!({ "name": "new__ask", "arguments": {} })).await.json();
    let unable = json!({ "extensions": { EXTENSION: {} } });
    let about = json!({
        "taskId": made["result"]["taskId"], "_meta": { "io.modelcontextprotocol/clientCapabilities": unable }
    });
    let got = key.modern(8, "tasks/get", about.clone()).await.json();
    assert_eq!(got["result"]["inputRequests"], json!({}), "{got}");
    let update = sent(&site, "new", "tasks/update");
    assert_eq!(update["params"]["inputResponses"], json!({ "sure": { "action": "decline" } }));
    let over = key.modern(9, "tasks/get", about).await.json();
    assert_eq!(said(&over["result"]["result"]), json!({ "sure": { "action": "decline" } }));
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "suspended").len(), 0);
    check_audit(&site);
}

#[tokio::test]
async fn a_task_of_2025_asks_while_its_result_is_waited_for_and_names_the_clients_handle() {
    let site = site("");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let call = json!({ "name": "old__ask", "arguments": {}, "task": {} });
    let made = chat.request(1, "tools/call", &call).await.json();
    let id = made["result"]["task"]["taskId"].as_str().unwrap();
    let fetch = message(2, "tasks/result", &json!({ "taskId": id }));
    let mut events = chat.open(Method::POST, fetch).await;
    let asked = events.next().await;
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["_meta"][RELATED]["taskId"], id, "{asked}");
    let result = json!({ "action": "accept", "_meta": { RELATED: { "taskId": id } } });
    let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
    assert_eq!(chat.post(answer.to_string()).await.status, 202);
    let fetched = events.next().await;
    let heard = json!({ "action": "accept", "_meta": { RELATED: { "taskId": "own-1" } } });
    assert_eq!(said(&fetched["result"]), heard, "by the name that the server knows");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_task_is_made_only_where_both_ends_have_it_and_the_call_is_answered_elsewhere() {
    let site = site("");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let wants = json!({ "name": "new__work", "arguments": {}, "task": {} });
    assert_eq!(said(&chat.request(1, "tools/call", &wants).await.json()["result"]), "at once");
    let key = Client::new(&gateway.url, CHAT_KEY);
    let old = modern(&key, "tools/call", json!({ "name": "old__work", "arguments": {} })).await.json();
    assert_eq!(said(&old["result"]), "at once");
    // Who does not take tasks gets answers, and has no such methods.
    let plain = key.modern(3, "tools/call", json!({ "name": "new__work", "arguments": {} })).await.json();
    assert_eq!(said(&plain["result"]), "at once");
    for method in ["tasks/get", "tasks/cancel"] {
        let refused = key.modern(4, method, json!({ "taskId": "x" })).await;
        assert_eq!(refused.status, 400);
        let json = refused.json();
        assert_eq!(json["error"]["code"], -32_021, "{json}");
        assert!(json["error"]["data"]["requiredCapabilities"]["extensions"][EXTENSION].is_object());
    }
    let capabilities = async |revision: &str| {
        let body = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer = Client::new(&gateway.url, CHAT_KEY).request(1, "initialize", &body).await;
        answer.json()["result"]["capabilities"].clone()
    };
    assert_eq!(capabilities("2025-11-25").await["tasks"]["requests"]["tools"]["call"], json!({}));
    assert!(capabilities("2025-06-18").await["tasks"].is_null());
    let discovered = key.modern(5, "server/discover", json!({})).await.json();
    let said = &discovered["result"]["capabilities"];
    assert!(said["extensions"][EXTENSION].is_object() && said["tasks"].is_null(), "{said}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn i4_a_run_that_may_no_longer_call_the_tool_may_no_longer_ask_about_its_task() {
    let site = site("");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let made = async |tool: &str| {
        let call = json!({ "name": tool, "arguments": {}, "task": {} });
        let made = chat.request(1, "tools/call", &call).await.json();
        json!({ "taskId": made["result"]["task"]["taskId"] })
    };
    let (work, ask) = (made("old__work").await, made("old__ask").await);
    assert_eq!(chat.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(chat.request(3, "tasks/get", &work).await.reason(), "ok");
    assert_eq!(chat.request(4, "tasks/get", &ask).await.reason(), "source_denies");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn an_instance_that_works_on_a_task_is_kept_until_its_result_was_fetched() {
    let site = site("instance_idle = \"1s\"\n");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let call = json!({ "name": "old__work", "arguments": {}, "task": {} });
    let made = chat.request(1, "tools/call", &call).await.json();
    let about = json!({ "taskId": made["result"]["task"]["taskId"] });
    // The other is used after it, and goes for being idle: this one would have gone as well.
    assert_eq!(
        chat.request(2, "tools/call", &json!({ "name": "new__work", "arguments": {} })).await.reason(),
        "ok"
    );
    let gone = |upstream: &str| {
        of_kind(&site, "upstream")
            .iter()
            .any(|event| event["upstream"] == upstream && event["state"] == "exited")
    };
    while !gone("new") {
        tokio::task::yield_now().await;
    }
    assert!(!gone("old"));
    assert_eq!(said(&chat.request(3, "tasks/result", &about).await.json()["result"]), Value::Null);
    while !gone("old") {
        tokio::task::yield_now().await;
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_planned_call_that_is_answered_with_a_task_is_done_once_its_result_was_fetched() {
    let site = site("");
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let step = |id: &str, after: &str, value: &str| json!({ "id": id, "tool": "tools__echo", "after": [after], "args": { "id": { "lit": value } } });
    let work = |id: &str, tool: &str| json!({ "id": id, "tool": tool, "args": {} });
    let steps =
        [work("old", "old__work"), work("new", "new__work"), step("a", "old", "a"), step("b", "new", "b")];
    let plan = json!({ "name": "sluicegate__submit_plan", "arguments": { "v": 1, "steps": steps } });
    let told = chat.request(1, "tools/call", &plan).await.json();
    assert_eq!(told["result"]["structuredContent"]["decision"], "allow", "{told}");
    // The step that the newest call was attributed to.
    let echoed = async |value: &str| {
        assert_eq!(chat.call("tools__echo", value).await.reason(), "ok");
        of_kind(&site, "intent").pop().unwrap()["step"]["step"].clone()
    };
    let call = json!({ "name": "old__work", "arguments": {}, "task": {} });
    let made = chat.request(2, "tools/call", &call).await.json();
    assert_eq!(echoed("a").await, Value::Null, "the task is not done, for all that is known");
    let about = json!({ "taskId": made["result"]["task"]["taskId"] });
    assert_eq!(chat.request(3, "tasks/result", &about).await.reason(), "ok");
    assert_eq!(echoed("a").await, "a");
    // The same in 2026-07-28, where the result comes with the state.
    let key = Client::new(&gateway.url, CHAT_KEY);
    let made = modern(&key, "tools/call", json!({ "name": "new__work", "arguments": {} })).await.json();
    assert_eq!(echoed("b").await, Value::Null);
    let about = json!({ "taskId": made["result"]["taskId"] });
    assert_eq!(modern(&key, "tasks/get", about).await.json()["result"]["status"], "completed");
    assert_eq!(echoed("b").await, "b");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn what_a_person_approved_is_answered_with_a_task_that_can_be_asked_about() {
    let site = site("");
    site.edit(|config| config.replace("ask = [\"tools.write\"]", "ask = [\"tools.write\", \"old.work\"]"));
    let gateway = site.start();
    let chat = session(&gateway, CHAT_KEY).await;
    let call = json!({ "name": "old__work", "arguments": {}, "task": {} });
    let id = crate::approvals::asked(&chat.request(1, "tools/call", &call).await);
    crate::approvals::answer(&site, "approve", &id);
    let made = chat.request(2, "tools/call", &call).await.json();
    let about = json!({ "taskId": made["result"]["task"]["taskId"] });
    assert_eq!(chat.request(3, "tasks/get", &about).await.json()["result"]["status"], "completed");
    assert_eq!(chat.request(4, "tasks/result", &about).await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&site);
}
