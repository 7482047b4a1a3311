//! What belongs to one caller is nobody else's: sessions, answers, counters, lists, what a server asks (I9).

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

const REVISION: &str = "2025-11-25";
/// As many callers at once as CASES A32 has, of two principals.
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
async fn i9_a32_two_hundred_callers_with_the_same_request_ids_each_get_their_own_answers() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut callers = tokio::task::JoinSet::new();
    for number in 0..CALLERS {
        let key = [CHAT_KEY, OTHER_KEY][number % 2];
        let client = Client::new(&gateway.url, key);
        callers.spawn(async move {
            // Half of each principal's callers have a session, and half are of the stateless revision.
            let client = if number % 4 < 2 { client.initialize(REVISION).await } else { client };
            let marker = format!("marker-{number}");
            let call = async |id, name: &str| {
                let params = json!({ "name": name, "arguments": { "id": marker } });
                let answer = if number % 4 < 2 {
                    client.request(id, "tools/call", &params).await
                } else {
                    client.modern(id, "tools/call", params).await
                };
                answer.json()
            };
            let (read, counted) = tokio::join!(call(7, "tools__read"), call(8, "tools__count"));
            assert_eq!((&read["id"], &counted["id"]), (&json!(7), &json!(8)));
            assert_eq!(read["result"]["content"][0]["text"], format!("ok {marker}"));
            (key, counted["result"]["structuredContent"]["count"].as_u64().unwrap())
        });
    }
    let counted = callers.join_all().await;
    // The tool server keeps a count for as long as it lives, and each principal has one of its own.
    let each: BTreeSet<u64> = (1..=CALLERS as u64 / 2).collect();
    for key in [CHAT_KEY, OTHER_KEY] {
        let own: BTreeSet<u64> =
            counted.iter().filter(|(whose, _)| *whose == key).map(|(_, count)| *count).collect();
        assert_eq!(own, each);
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed().len(), CALLERS * 2);
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
async fn a36_nobody_reaches_a_task_that_the_gateway_gave_them_no_handle_for() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    for key in [CHAT_KEY, OTHER_KEY] {
        let client = Client::new(&gateway.url, key).initialize(REVISION).await;
        for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
            let answer = client.request(4, method, &json!({ "taskId": "task-1" })).await;
            assert_eq!(answer.reason(), "Unknown task: task-1", "{method}: {answer:?}");
        }
        assert_eq!(client.request(5, "tasks/list", &json!({})).await.reason(), "method_unsupported");
    }
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "denial").len(), 8);
    check_audit(&site);
}
