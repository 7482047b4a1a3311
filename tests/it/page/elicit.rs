//! The page, offered through the client of the run that asks: elicitation by URL, in both eras.

use super::sign_in::{browser_of, site_of};
use super::*;
use crate::support::gateway::OTHER_KEY;

const ACCEPT: &str = "accept";

fn able() -> Value {
    json!({ "elicitation": { "url": {} } })
}

/// A session of 2025-11-25 whose client can take people to a URL, if `capabilities` says so.
async fn session(gateway: &Gateway, key: &str, capabilities: &Value) -> Client {
    let client = Client::new(&gateway.url, key);
    let info = json!({ "name": "t", "version": "1" });
    let params = json!({ "protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": info });
    let answer = client.request(0, "initialize", &params).await;
    let id = answer.headers["mcp-session-id"].to_str().unwrap().to_owned();
    let client = client.in_session(&id);
    client.post(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await;
    client
}

/// What is offered, as it is told in an error of 2025-11-25.
fn offered(answer: &Exchange) -> (String, String) {
    let error = answer.json()["error"].clone();
    assert_eq!(error["code"], -32042, "{answer:?}");
    assert_eq!(error["data"]["reason"], "approval_pending");
    let [one] = error["data"]["elicitations"].as_array().unwrap().as_slice() else { panic!("{error}") };
    assert_eq!(one["mode"], "url");
    assert!(!one["message"].as_str().unwrap().contains("://"), "{one}");
    let text = |key: &str| one[key].as_str().unwrap().to_owned();
    (text("elicitationId"), text("url"))
}

async fn visit(url: &str, account: &str, word: &str) {
    let mut browser = browser_of(account);
    let door = browser.get(url).await;
    let welcome = browser.get(&door.between("<p><a href=\"", "\"")).await;
    let question = go_on(&mut browser, &welcome).await;
    assert!(question.text().contains("May this call be made?"), "{}", question.text());
    answer(&mut browser, &question, word).await;
}

#[tokio::test]
async fn a_client_of_2025_11_25_is_sent_to_the_page_and_told_when_it_is_done() {
    let (site, _provider) = site_of("user:1", "url").await;
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY, &able()).await;
    let mut stream = client.clone().with("accept", "text/event-stream").open(Method::GET, "").await;
    let (id, url) = offered(&client.call("tools__write", "a").await);
    assert_eq!(url, format!("{}/approvals?question={id}", gateway.admin));
    assert_eq!(offered(&client.call("tools__write", "a").await), (id.clone(), url.clone()), "the same");
    // Whoever has the URL and is somebody else is let in to nothing.
    let mut other = browser_of("2");
    let door = other.get(&url).await;
    let welcome = other.get(&door.between("<p><a href=\"", "\"")).await;
    let home = welcome.between("content=\"0; url=", "\"");
    assert_eq!(other.get(&welcome.at(&home)).await.status(), StatusCode::NOT_FOUND);
    visit(&url, "1", "approve").await;
    let told = stream.next().await;
    assert_eq!(told["method"], "notifications/elicitation/complete", "{told}");
    assert_eq!(told["params"], json!({ "elicitationId": id }));
    assert_eq!(client.call("tools__write", "a").await.reason(), "ok");
    // Nobody else is offered it: not whose person is no approver, nor who cannot, nor in an earlier revision.
    for client in [
        session(&gateway, OTHER_KEY, &able()).await,
        session(&gateway, CHAT_KEY, &json!({ "elicitation": {} })).await,
        session(&gateway, CHAT_KEY, &json!({})).await,
        Client::new(&gateway.url, CHAT_KEY).initialize("2025-06-18").await,
    ] {
        asked(&client.call("tools__write", "b").await);
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a"]);
    check_signed(&site);
}

async fn modern(gateway: &Gateway, id: u64, more: Value) -> Value {
    let mut params = json!({ "name": "tools__write", "arguments": { "id": "a" } });
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = able();
    Client::new(&gateway.url, CHAT_KEY).modern(id, "tools/call", params).await.json()["result"].clone()
}

/// What is asked for, and where to go on.
fn required(result: &Value) -> (String, Value) {
    assert_eq!(result["resultType"], "input_required", "{result}");
    let asked = &result["inputRequests"]["approval"];
    assert_eq!(asked["method"], "elicitation/create");
    assert_eq!(asked["params"]["mode"], "url");
    assert!(asked["params"].get("elicitationId").is_none(), "2026-07-28 has none");
    (asked["params"]["url"].as_str().unwrap().to_owned(), result["requestState"].clone())
}

fn with(state: &Value, action: &str) -> Value {
    json!({ "requestState": state, "inputResponses": { "approval": { "action": action } } })
}

#[tokio::test]
async fn a_client_of_2026_07_28_goes_on_with_the_call_once_its_person_was_at_the_page() {
    let (site, _provider) = site_of("user:1", "url").await;
    site.edit(|config| format!("{config}\n[limits]\nask_hold = \"20s\"\n"));
    let gateway = site.start();
    // Who does not want to go there is told that it waits.
    let (_, state) = required(&modern(&gateway, 1, json!({})).await);
    let declined = modern(&gateway, 2, with(&state, "decline")).await;
    assert_eq!(declined["structuredContent"]["reason"], "approval_pending", "{declined}");
    // Agreeing to go there is no answer: the call is held until there is one.
    let (url, state) = required(&modern(&gateway, 3, json!({})).await);
    let waiting = modern(&gateway, 4, with(&state, ACCEPT));
    let (done, ()) = tokio::join!(waiting, visit(&url, "1", "approve"));
    assert_eq!(done["isError"], Value::Null, "{done}");
    assert_eq!(site.executed(), ["a"]);
    let (url, state) = required(&modern(&gateway, 5, json!({})).await);
    visit(&url, "1", "deny").await;
    let denied = modern(&gateway, 6, with(&state, ACCEPT)).await;
    assert_eq!(denied["structuredContent"]["reason"], "approval_denied", "{denied}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a"]);
    check_signed(&site);
}

#[tokio::test]
async fn without_a_public_url_of_the_page_nobody_is_sent_to_one() {
    let (site, _provider) = site_of("user:1", "").await;
    let gateway = site.start();
    asked(&session(&gateway, CHAT_KEY, &able()).await.call("tools__write", "a").await);
    let waits = modern(&gateway, 2, json!({})).await;
    assert_eq!(waits["structuredContent"]["reason"], "approval_pending", "{waits}");
    assert!(gateway.stop().success());
}
