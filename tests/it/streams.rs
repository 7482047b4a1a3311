//! Sessions and their streams: lost and picked up again, several at once, closed and polled, and the batches
//! of 2025-03-26.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::client::{Events, message};
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

const REVISION: &str = "2025-11-25";

/// A site with a board that all share.
fn site(limits: &str) -> Site {
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/board_server.py");
    Site::with_oracle(&format!(
        "[upstreams.board]\ncommand = [\"python3\", {board:?}]\nreturns = \"trusted\"\nshare = \"all\"\n{limits}"
    ))
}

async fn client(gateway: &Gateway) -> Client {
    Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await
}

fn call(id: u64, tool: &str, marker: &str) -> String {
    message(id, "tools/call", &json!({ "name": tool, "arguments": { "id": marker } }))
}

/// A call of `board.watch` that was told of once.
async fn watch(client: &Client) -> Events {
    let params = json!({ "name": "board__watch", "arguments": {}, "_meta": { "progressToken": "mine" } });
    let mut events = client.open(Method::POST, message(9, "tools/call", &params)).await;
    assert_eq!(told(&events.next().await), "watching");
    events
}

/// The text of a progress notification.
fn told(event: &Value) -> &str {
    event["params"]["message"].as_str().unwrap_or_else(|| panic!("no progress: {event}"))
}

/// The stream of `client` after the event `id`.
fn after(client: &Client, id: &str) -> Client {
    client.clone().with("last-event-id", id)
}

#[tokio::test]
async fn a_call_outlives_its_connection_and_what_was_missed_is_told_when_the_client_comes_back() {
    let site = site("");
    let gateway = site.start();
    let client = client(&gateway).await;
    let lost = watch(&client).await;
    let id = lost.last_id();
    drop(lost);
    assert_eq!(client.call("board__say", "while away").await.reason(), "ok");
    let mut found = after(&client, &id).open(Method::GET, "").await;
    assert_eq!(told(&found.next().await), "while away");
    assert_eq!(client.call("board__stop", "").await.reason(), "ok");
    let answer = found.next().await;
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(9), &json!("stopped")));
    assert!(found.ends().await);
    // What was told once may be told again, for a client that lost it on the way.
    let mut again = after(&client, &id).open(Method::GET, "").await;
    assert_eq!(told(&again.next().await), "while away");
    assert_eq!(again.next().await["id"], 9);
    assert!(gateway.stop().success());
    let outcomes = of_kind(&site, "outcome");
    let watched = outcomes.iter().filter(|outcome| outcome["tool"] == "board.watch");
    assert_eq!(watched.map(|outcome| outcome["reason"].clone()).collect::<Vec<_>>(), ["answered"]);
    check_audit(&site);
}

#[tokio::test]
async fn a30_a_stream_is_picked_up_by_its_own_session_only_and_never_with_a_gap() {
    let site = site("[limits]\nresume_window = \"1s\"\n");
    let gateway = site.start();
    let owner = client(&gateway).await;
    let events = watch(&owner).await;
    let id = events.last_id();
    let refused = async |client: &Client, id: &str| {
        let answer = after(client, id).send(Method::GET, "").await;
        (answer.status, answer.reason())
    };
    let thief = Client::new(&gateway.url, OTHER_KEY).initialize(REVISION).await;
    let foreign = Client::new(&gateway.url, OTHER_KEY).in_session(owner.session());
    let another = client(&gateway).await;
    for client in [&thief, &another] {
        assert_eq!(refused(client, &id).await.1, "event_unknown");
    }
    assert_eq!(refused(&foreign, &id).await, (StatusCode::NOT_FOUND, "session_unknown".to_owned()));
    let shortened: String = id.chars().skip(1).collect();
    for made_up in ["1", "", "x", &format!("{id}0"), &shortened] {
        assert_eq!(refused(&owner, made_up).await.1, "event_unknown", "{made_up}");
    }
    // Nobody comes back in time: the call is cancelled, and what it told is gone, which is said.
    drop(events);
    let hang = json!({ "name": "tools__hang", "arguments": { "id": "h" } });
    let streaming = owner.clone().with("accept", "text/event-stream");
    drop(streaming.open(Method::POST, message(11, "tools/call", &hang)).await);
    site.wait_for_ledger(|entry| entry["cancelled"] == true).await;
    while refused(&owner, &id).await.1 != "events_gone" {
        tokio::task::yield_now().await;
    }
    assert!(gateway.stop().success());
    let reasons: Vec<_> = of_kind(&site, "outcome").iter().map(|outcome| outcome["reason"].clone()).collect();
    assert_eq!(reasons, ["cancelled", "cancelled"]);
    check_audit(&site);
}

#[tokio::test]
async fn sep_1699_a_connection_that_lived_long_is_closed_and_its_stream_is_polled() {
    let site = site("[limits]\nstream_age_max = \"1s\"\n");
    let gateway = site.start();
    let client = client(&gateway).await;
    let mut events = watch(&client).await;
    assert!(events.ends().await, "the gateway closes the connection");
    let id = events.last_id();
    assert_eq!(client.call("board__say", "between").await.reason(), "ok");
    let mut polled = after(&client, &id).open(Method::GET, "").await;
    assert_eq!(told(&polled.next().await), "between");
    assert_eq!(client.call("board__stop", "").await.reason(), "ok");
    assert_eq!(polled.next().await["result"]["content"][0]["text"], "stopped");
    // A client of a revision that does not know this keeps its connection.
    let older = Client::new(&gateway.url, CHAT_KEY).initialize("2025-06-18").await;
    let mut watched = watch(&older).await;
    let lived = tokio::time::timeout(std::time::Duration::from_millis(1500), watched.next()).await;
    assert!(lived.is_err(), "nothing is told, and nothing ends: {lived:?}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_message_goes_on_one_of_several_streams_and_what_was_missed_is_told_later() {
    let site = site("");
    let gateway = site.start();
    let client = client(&gateway).await;
    let mut first = client.open(Method::GET, "").await;
    let mut second = client.open(Method::GET, "").await;
    // The first source that closes tools shortens the list, and the session is told.
    assert_eq!(client.call("browser__read", "b").await.reason(), "ok");
    assert_eq!(second.next().await["method"], "notifications/tools/list_changed");
    drop(second);
    drop(client.send(Method::DELETE, "").await);
    assert!(first.ends().await, "what the other was told, this one was not, and it ends with its session");
    let gone = client.send(Method::GET, "").await;
    assert_eq!((gone.status, gone.reason().as_str()), (StatusCode::NOT_FOUND, "session_unknown"));
    assert_eq!(client.call("tools__read", "r").await.status, StatusCode::NOT_FOUND);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_client_is_answered_in_the_one_form_that_it_takes() {
    let site = site("");
    let gateway = site.start();
    let client = client(&gateway).await;
    let params =
        json!({ "name": "tools__progress", "arguments": { "id": "p" }, "_meta": { "progressToken": "t" } });
    let json_only = client.clone().with("accept", "application/json");
    let answer = json_only.request(3, "tools/call", &params).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.json()["result"]["content"][0]["text"], "done");
    let events_only = client.clone().with("accept", "text/event-stream");
    for body in [call(4, "tools__read", "e"), message(5, "tools/list", &json!({}))] {
        let answer = events_only.post(body).await;
        assert_eq!(answer.headers["content-type"], "text/event-stream");
        assert!(answer.json()["result"].is_object(), "{answer:?}");
    }
    let refused = json_only.send(Method::GET, "").await;
    assert_eq!((refused.status, refused.reason().as_str()), (StatusCode::NOT_ACCEPTABLE, "not_acceptable"));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn f53_each_message_of_a_batch_takes_its_own_path_and_the_answers_come_together() {
    let site = site("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-03-26").await;
    let note = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
    let members = [
        call(1, "tools__read", "one"),
        call(2, "tools__send", "two"),
        note.clone(),
        "{\"jsonrpc\":\"2.0\",\"id\":3}".to_owned(),
        call(1, "tools__read", "the same id"),
        message(4, "ping", &json!({})),
        call(5, "browser__read", "five"),
        call(6, "tools__write", "six"),
    ];
    let answer = client.post(format!("[{}]", members.join(","))).await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    let answers: Vec<Value> = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(answers.len(), 7, "{answers:?}");
    let of = |id: u64| answers.iter().filter(|answer| answer["id"] == id).collect::<Vec<_>>();
    assert_eq!(of(2)[0]["result"]["_meta"]["dev.sluicegate/decision"]["reason"], "plan_required");
    assert_eq!(of(4)[0]["result"], json!({}));
    assert_eq!(of(5)[0]["result"]["content"][0]["text"], "ok five");
    assert_eq!(of(6)[0]["error"]["code"], -32602);
    let (one, other) = (of(1)[0], of(1)[1]);
    let texts = [one, other].map(|answer| answer.to_string());
    assert!(
        texts.iter().any(|text| text.contains("ok one"))
            && texts.iter().any(|text| text.contains("id_in_use"))
    );
    assert_eq!(client.post(format!("[{note},{note}]")).await.status, StatusCode::ACCEPTED);
    let reason = async |client: &Client, body: String| client.post(body).await.reason();
    let initialize = message(7, "initialize", &json!({ "protocolVersion": "2025-03-26" }));
    let refused = client.post(format!("[{initialize}]")).await.body;
    assert!(String::from_utf8_lossy(&refused).contains("batch_member_forbidden"), "{refused:?}");
    let many = vec![message(8, "ping", &json!({})); 65].join(",");
    assert_eq!(reason(&client, format!("[{many}]")).await, "batch_too_large");
    assert_eq!(reason(&client, "[]".to_owned()).await, "envelope_invalid");
    let newer = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-06-18").await;
    assert_eq!(reason(&newer, format!("[{}]", call(1, "tools__read", "no"))).await, "batch_forbidden");
    assert_eq!(
        reason(&Client::new(&gateway.url, EMAIL_KEY), format!("[{}]", call(1, "tools__read", "no"))).await,
        "batch_forbidden"
    );
    assert!(gateway.stop().success());
    let mut executed = site.executed();
    executed.sort();
    assert_eq!(executed, ["five", "one"]);
    assert_eq!(of_kind(&site, "intent").len(), 2, "each has its own");
    check_audit(&site);
}

#[tokio::test]
async fn a_batch_that_tells_something_is_a_stream_with_every_answer_on_it() {
    let site = site("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-03-26").await;
    let progress =
        json!({ "name": "tools__progress", "arguments": { "id": "p" }, "_meta": { "progressToken": "t" } });
    let batch = [message(1, "tools/call", &progress), call(2, "tools__read", "r")].join(",");
    let answer = client.post(format!("[{batch}]")).await;
    assert_eq!(answer.headers["content-type"], "text/event-stream");
    let events = answer.events();
    let ids: std::collections::BTreeSet<_> = events.iter().filter_map(|event| event["id"].as_u64()).collect();
    assert_eq!(ids, [1, 2].into());
    assert_eq!(events.iter().filter(|event| event["method"] == "notifications/progress").count(), 3);
    assert!(gateway.stop().success());
    check_audit(&site);
}
