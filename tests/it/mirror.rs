//! What a tool server asks of the client during a call: asked where the run may answer, declined elsewhere,
//! decided again with the answer, and recorded; old and new clients in front of old and new servers.

use http::Method;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Exchange, Site, check_audit};

const ABLE: &str = r#"{"elicitation":{"form":{}},"sampling":{},"roots":{}}"#;

/// A trusted library that may ask everything, and one of the web's that may ask nothing.
fn site(more: &str) -> Site {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/library_server.py");
    let site = Site::with_oracle("");
    let upstream = |name: &str, returns: &str| {
        let ledger = site.path(&format!("{name}.requests"));
        format!(
            "[upstreams.{name}]\ncommand = [\"python3\", {library:?}, {ledger:?}]\nreturns = \"{returns}\"\n"
        )
    };
    let open = |what: &str| {
        ["sampling", "elicitation", "roots"]
            .map(|class| format!("{class} = {{ allow = [{what}] }}\n"))
            .concat()
    };
    site.edit(|config| {
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{}", open("\"library\"")));
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{}", open("\"*\"")));
        format!("{config}\n{}{more}\n{}", upstream("library", "trusted"), upstream("web", "web"))
    });
    site
}

async fn able(gateway: &Gateway, key: &str) -> Client {
    let capabilities: Value = serde_json::from_str(ABLE).unwrap();
    let params = json!({
        "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": { "name": "t", "version": "1" }
    });
    let client = Client::new(&gateway.url, key);
    let answer = client.request(0, "initialize", &params).await;
    client.in_session(answer.headers["mcp-session-id"].to_str().unwrap())
}

fn asking(upstream: &str, method: &str) -> Value {
    let params = json!({ "message": "who?", "n": 9_007_199_254_740_993_u64 });
    json!({ "name": format!("{upstream}__ask"), "arguments": { "method": method, "params": params } })
}

/// What the server says that it was answered.
fn heard(answer: &Value) -> Value {
    let text =
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no answer: {answer}"));
    serde_json::from_str(text).unwrap()
}

/// One request of 2026-07-28 of a client that can be asked everything.
async fn ask_modern(client: &Client, id: u64, mut params: Value) -> Exchange {
    params["_meta"] = json!({
        "io.modelcontextprotocol/clientCapabilities": serde_json::from_str::<Value>(ABLE).unwrap()
    });
    client.modern(id, "tools/call", params).await
}

#[tokio::test]
async fn a_question_reaches_a_client_of_a_session_and_its_answer_the_server() {
    let site = site("");
    let gateway = site.start();
    let client = able(&gateway, CHAT_KEY).await;
    for method in ["elicitation/create", "sampling/createMessage", "roots/list"] {
        let mut events =
            client.open(Method::POST, message(5, "tools/call", &asking("library", method))).await;
        let asked = events.next().await;
        assert_eq!(asked["method"], method);
        assert_eq!(asked["params"]["n"], 9_007_199_254_740_993_u64);
        let result = json!({ "action": "accept", "of": method });
        let answer = json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result });
        assert_eq!(client.post(answer.to_string()).await.status, 202);
        assert_eq!(client.post(answer.to_string()).await.reason(), "response_unexpected", "once");
        assert_eq!(heard(&events.next().await), result);
    }
    // A client may decline by an error, which is handed on.
    let mut events = client
        .open(Method::POST, message(6, "tools/call", &asking("library", "sampling/createMessage")))
        .await;
    let id = events.next().await["id"].clone();
    let error = json!({ "code": -1, "message": "no" });
    // Nobody else can answer it.
    let other = able(&gateway, OTHER_KEY).await;
    let stolen = json!({ "jsonrpc": "2.0", "id": id, "result": {} });
    assert_eq!(other.post(stolen.to_string()).await.reason(), "response_unexpected");
    client.post(json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string()).await;
    assert_eq!(heard(&events.next().await), error);
    assert!(gateway.stop().success());
    let (suspended, resumed) = (of_kind(&site, "suspended"), of_kind(&site, "resumed"));
    assert_eq!((suspended.len(), resumed.len()), (4, 4));
    assert_eq!(suspended[0]["elicitation"], "library");
    assert_eq!(resumed[1]["sampling"], "library");
    assert_eq!(of_kind(&site, "intent").len(), 4);
    check_audit(&site);
}

#[tokio::test]
async fn what_may_not_be_asked_is_declined_and_the_call_goes_on() {
    let site = site("");
    let gateway = site.start();
    let client = able(&gateway, CHAT_KEY).await;
    // The source of the web's library has no permission to be answered.
    let declined = client.request(1, "tools/call", &asking("web", "elicitation/create")).await;
    assert_eq!(heard(&declined.json()), json!({ "action": "decline" }));
    let unable = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    let declined = unable.request(2, "tools/call", &asking("library", "elicitation/create")).await;
    assert_eq!(
        heard(&declined.json()),
        json!({ "action": "decline" }),
        "it did not say that it can be asked"
    );
    let refused = unable.request(3, "tools/call", &asking("library", "tools/list")).await;
    assert_eq!(heard(&refused.json())["code"], -32_601, "no server may ask that");
    assert!(gateway.stop().success());
    let reasons: Vec<_> = of_kind(&site, "denial").iter().map(|denial| denial["reason"].clone()).collect();
    assert_eq!(reasons, ["not_visible", "upstream_request_refused"]);
    assert_eq!(of_kind(&site, "suspended").len(), 0);
    check_audit(&site);
}

#[tokio::test]
async fn a_stateless_client_leaves_with_the_question_and_comes_back_with_the_answer() {
    let site = site("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY);
    let first = ask_modern(&client, 1, asking("library", "elicitation/create")).await;
    let required = &first.json()["result"];
    assert_eq!(required["resultType"], "input_required");
    assert_eq!(required["inputRequests"]["1"]["method"], "elicitation/create");
    assert_eq!(required["inputRequests"]["1"]["params"]["n"], 9_007_199_254_740_993_u64);
    let result = json!({ "action": "accept", "content": { "a": 1 } });
    let mut retry = asking("library", "elicitation/create");
    retry["inputResponses"] = json!({ "1": result, "unasked": {} });
    retry["requestState"] = required["requestState"].clone();
    let stranger = Client::new(&gateway.url, OTHER_KEY);
    assert_eq!(ask_modern(&stranger, 2, retry.clone()).await.reason(), "not_parked");
    let mut another = retry.clone();
    another["arguments"]["params"]["n"] = json!(1);
    assert_eq!(ask_modern(&client, 3, another).await.reason(), "not_parked", "another request");
    let mut tampered = retry.clone();
    tampered["requestState"] = json!("AAAA");
    assert_eq!(ask_modern(&client, 4, tampered).await.reason(), "not_parked");
    let second = ask_modern(&client, 6, retry.clone()).await;
    assert_eq!(heard(&second.json()), result);
    assert_eq!(second.json()["id"], 6);
    assert_eq!(ask_modern(&client, 7, retry.clone()).await.reason(), "not_parked", "once");
    let mut stateless = retry.clone();
    stateless.as_object_mut().unwrap().remove("requestState");
    // A server without state is answered by a request that names none: asked, decided and recorded like any.
    let anew = ask_modern(&client, 5, stateless).await;
    assert_eq!(heard(&anew.json()), result);
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "intent").len(), 2, "each call is forwarded once");
    let kinds = ["suspended", "resumed", "outcome"].map(|kind| of_kind(&site, kind).len());
    assert_eq!(kinds, [2, 2, 2]);
    let ledger = std::fs::read_to_string(site.path("library.requests")).unwrap();
    assert!(!ledger.contains("inputResponses") && !ledger.contains("requestState"), "{ledger}");
    check_audit(&site);
}

#[tokio::test]
async fn i4_an_answer_that_the_run_may_no_longer_give_stays_here() {
    let site = site("");
    let gateway = site.start();
    let client = able(&gateway, CHAT_KEY).await;
    let call = message(5, "tools/call", &asking("library", "elicitation/create"));
    let mut events = client.open(Method::POST, call).await;
    let asked = loop {
        let event = events.next().await;
        if event["method"] == "elicitation/create" {
            break event;
        }
    };
    // Meanwhile the run reads the web, whose source lets nothing be answered.
    assert_eq!(client.call("browser__read", "").await.reason(), "ok");
    let answer =
        json!({ "jsonrpc": "2.0", "id": asked["id"], "result": { "action": "accept", "secret": "s3cret" } });
    assert_eq!(client.post(answer.to_string()).await.status, 202);
    let ended = loop {
        let event = events.next().await;
        if event["id"] == 5 {
            break event;
        }
    };
    assert_eq!(ended["result"]["isError"], true, "{ended}");
    assert!(gateway.stop().success());
    let ledger = std::fs::read_to_string(site.path("library.requests")).unwrap();
    assert!(!ledger.contains("s3cret"), "{ledger}");
    assert!(ledger.contains("decline"));
    let denials = of_kind(&site, "denial");
    assert!(
        denials
            .iter()
            .any(|denial| denial["reason"] == "source_denies" && denial["elicitation"] == "library")
    );
    check_audit(&site);
}

#[tokio::test]
async fn a_call_whose_client_left_does_not_hold_up_the_end() {
    let site = site("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY);
    let first = ask_modern(&client, 1, asking("library", "elicitation/create")).await;
    assert_eq!(first.json()["result"]["resultType"], "input_required");
    assert!(gateway.stop().success());
    let outcomes = of_kind(&site, "outcome");
    assert_eq!(outcomes.iter().map(|outcome| outcome["reason"].clone()).collect::<Vec<_>>(), ["abandoned"]);
    check_audit(&site);
}

#[tokio::test]
async fn an_instance_that_all_share_asks_nobody() {
    let site = site("share = \"all\"\n");
    let gateway = site.start();
    let client = able(&gateway, CHAT_KEY).await;
    let refused = client.request(1, "tools/call", &asking("library", "elicitation/create")).await;
    assert_eq!(heard(&refused.json())["code"], -32_601);
    assert!(gateway.stop().success());
    check_audit(&site);
}
