//! What belongs to one caller is nobody else's: sessions, answers, counters, lists, what a server asks (I9).

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

const REVISION: &str = "2025-11-25";
/// As many callers at once as CASES A32 has.
const CALLERS: usize = 200;

fn arguments(id: &str) -> Value {
    json!({ "name": "tools__read", "arguments": { "id": id } })
}

#[tokio::test]
async fn a30_a31_a_session_is_nobody_elses_whatever_event_id_is_shown_with_it() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let owner = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    let thief = Client::new(&gateway.url, OTHER_KEY).in_session(owner.session());
    let replaying = thief.clone().header("last-event-id", "1");
    for who in [&thief, &replaying] {
        for (method, body) in [
            (Method::POST, crate::support::client::message(2, "tools/call", &arguments("stolen"))),
            (Method::GET, String::new()),
            (Method::DELETE, String::new()),
        ] {
            let answer = who.send(method.clone(), body).await;
            assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "session_unknown"));
        }
    }
    // One that does not exist is answered alike; the owner's goes on.
    let nobody = Client::new(&gateway.url, OTHER_KEY).in_session(&"0".repeat(32));
    assert_eq!(nobody.call("tools__read", "none").await.status, StatusCode::NOT_FOUND);
    assert_eq!(owner.call("tools__read", "own").await.reason(), "ok");
    let ids: BTreeSet<_> = {
        let mut ids = BTreeSet::new();
        for _ in 0..16 {
            ids.insert(Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await.session().to_owned());
        }
        ids
    };
    assert!(ids.len() == 16 && ids.iter().all(|id| id.len() == 32), "{ids:?}");
    assert!(gateway.stop().success());
    let refused = of_kind(&site, "denial").into_iter().filter(|denial| denial["reason"] == "session_unknown");
    assert_eq!(refused.count(), 7, "each is on the record");
    assert_eq!(site.executed(), ["own"]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a32_two_hundred_callers_with_one_request_id_each_get_their_own_answer() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let key = if number % 2 == 0 { CHAT_KEY } else { OTHER_KEY };
        let client = Client::new(&gateway.url, key);
        callers.spawn(async move {
            let marker = format!("marker-{number}");
            let answer = client.modern(7, "tools/call", arguments(&marker)).await.json();
            (answer["id"].clone(), answer["result"]["content"][0]["text"].clone(), format!("ok {marker}"))
        });
    }
    for (id, text, own) in callers.join_all().await {
        assert_eq!((id, text), (json!(7), json!(own)));
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed().len(), CALLERS);
    check_audit(&site);
}

#[tokio::test]
async fn a33_two_subjects_share_no_state_of_a_tool_server() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let (one, other) = (Client::new(&gateway.url, CHAT_KEY), Client::new(&gateway.url, OTHER_KEY));
    let mut counted = Vec::new();
    for (client, id) in [(&one, "a"), (&one, "b"), (&other, "c"), (&one, "d"), (&other, "e")] {
        let params = json!({ "name": "tools__count", "arguments": { "id": id } });
        let answer = client.modern(1, "tools/call", params).await.json();
        counted.push(answer["result"]["structuredContent"]["count"].clone());
    }
    assert_eq!(counted, [1, 2, 1, 3, 2]);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a34_a_list_is_made_for_who_asks_and_says_that_it_is_private() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let (chat, mail) = (Client::new(&gateway.url, CHAT_KEY), Client::new(&gateway.url, EMAIL_KEY));
    let mut seen = Vec::new();
    for client in [&chat, &mail, &chat, &mail] {
        let answer = client.modern(1, "tools/list", json!({})).await;
        assert_eq!(answer.headers["cache-control"], "no-store");
        let result = answer.json()["result"].clone();
        assert_eq!((&result["cacheScope"], &result["ttlMs"]), (&json!("private"), &json!(0)));
        let tools = result["tools"].as_array().unwrap().iter();
        seen.push(tools.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>());
    }
    assert!(seen[1].is_subset(&seen[0]) && seen[1] != seen[0], "{seen:?}");
    assert_eq!((&seen[0], &seen[1]), (&seen[2], &seen[3]));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a35_what_a_tool_server_asks_of_the_client_reaches_nobody_and_is_on_the_record() {
    let server = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/rogue_server.py");
    let command = format!("command = [\"python3\", \"-B\", {server:?}, \"stdio\"]");
    let site = Site::with_oracle(&format!("[upstreams.rogue]\n{command}\nreturns = \"web\"\n"));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    let answer = client.request(3, "tools/call", &json!({ "name": "rogue__ask", "arguments": {} })).await;
    // Its elicitation is refused to it, and nothing but the answer of the call comes out.
    assert_eq!((answer.json()["id"].clone(), answer.reason().as_str()), (json!(3), "ok"), "{answer:?}");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains("elicitation/create") && !text.contains("sampling/createMessage"), "{text}");
    assert!(gateway.stop().success());
    let refused = of_kind(&site, "upstream").into_iter().find(|record| record["state"] == "request_refused");
    assert!(refused.is_some(), "{:?}", of_kind(&site, "upstream"));
}

#[tokio::test]
async fn a36_nobody_reaches_a_task_whoever_it_belongs_to() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    for key in [CHAT_KEY, OTHER_KEY] {
        let client = Client::new(&gateway.url, key).initialize(REVISION).await;
        for method in ["tasks/get", "tasks/result", "tasks/cancel", "tasks/list"] {
            let answer = client.request(4, method, &json!({ "taskId": "task-1" })).await;
            assert_eq!(answer.reason(), "method_unsupported", "{method}: {answer:?}");
        }
    }
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "denial").len(), 8);
    check_audit(&site);
}
