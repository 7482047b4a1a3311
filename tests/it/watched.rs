//! Resources that are watched: subscribed to like called, told of to whom it concerns and nobody else.

use http::Method;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::client::Events;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

const REVISION: &str = "2025-11-25";

/// Two libraries: a trusted one, of either era, and one whose words are the web's.
fn site(era: &str) -> Site {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/library_server.py");
    let site = Site::with_oracle("");
    let upstream = |name: &str, returns: &str, more: &str| {
        let ledger = site.path(&format!("{name}.requests"));
        format!(
            "[upstreams.{name}]\ncommand = [\"python3\", {library:?}, {ledger:?}, \"0\"{more}]\nreturns = \"{returns}\"\n"
        )
    };
    let lists = "resources = { allow = [\"library:note:*\", \"library:other:*\", \"web:page:*\"], deny = [\"library:note:secret\"] }\n";
    site.edit(|config| {
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{lists}"));
        let web = "resources = { allow = [\"web:*\", \"library:note:1\"], deny = [\"web:page:secret*\"] }\n";
        let config =
            config.replace("[sources.web]\nallow = [", &format!("[sources.web]\n{web}allow = [\"web.*\", "));
        let all = "resources = { allow = [\"*\"] }\n";
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{all}"));
        let more = if era.is_empty() { String::new() } else { format!(", {era:?}") };
        format!(
            "{config}\n{}{}share = \"all\"\n",
            upstream("library", "trusted", &more),
            upstream("web", "web", "")
        )
    });
    site
}

/// A session and its GET stream.
async fn listening(gateway: &Gateway, key: &str) -> (Client, Events) {
    let client = Client::new(&gateway.url, key).initialize(REVISION).await;
    let events = client.open(Method::GET, "").await;
    (client, events)
}

async fn subscribe(client: &Client, id: u64, uri: &str) -> String {
    client.request(id, "resources/subscribe", &json!({ "uri": uri })).await.reason()
}

async fn unsubscribe(client: &Client, id: u64, uri: &str) -> String {
    client.request(id, "resources/unsubscribe", &json!({ "uri": uri })).await.reason()
}

/// Has `upstream` say that these changed.
async fn announce(client: &Client, upstream: &str, updated: &[&str]) {
    let params = json!({ "name": format!("{upstream}__announce"), "arguments": { "updated": updated } });
    assert_eq!(client.request(99, "tools/call", &params).await.reason(), "ok");
}

/// The URI of the next update; what says that a list changed is passed over.
async fn updated(events: &mut Events) -> Value {
    loop {
        let event = events.next().await;
        match event["method"].as_str() {
            Some("notifications/resources/updated") => return event["params"].clone(),
            Some("notifications/resources/list_changed" | "notifications/prompts/list_changed") => {}
            _ => assert_eq!(event["method"], "notifications/tools/list_changed", "{event}"),
        }
    }
}

/// The next two: each resource has a watcher of its own, so that they come in any order.
async fn both(events: &mut Events) -> [Value; 2] {
    [updated(events).await, updated(events).await]
}

fn uris(told: &[Value; 2]) -> [String; 2] {
    let mut uris = told.clone().map(|told| told["uri"].as_str().unwrap().to_owned());
    uris.sort();
    uris
}

/// The URIs that `upstream` was sent with `method`.
fn sent(site: &Site, upstream: &str, method: &str) -> Vec<String> {
    let text = std::fs::read_to_string(site.path(&format!("{upstream}.requests"))).unwrap_or_default();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines
        .filter(|line| line["method"] == method)
        .map(|line| line["params"]["uri"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Waits until `upstream` was sent `count` messages with `method`.
async fn until_sent(site: &Site, upstream: &str, method: &str, count: usize) {
    while sent(site, upstream, method).len() < count {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn who_watches_is_told_and_nobody_else_and_of_nothing_else() {
    let site = site("");
    let gateway = site.start();
    let (chat, mut events) = listening(&gateway, CHAT_KEY).await;
    let (second, mut more) = listening(&gateway, CHAT_KEY).await;
    assert_eq!(subscribe(&chat, 1, "note:1").await, "ok");
    assert_eq!(subscribe(&chat, 2, "note:1").await, "ok", "once more is the same");
    assert_eq!(subscribe(&second, 1, "NOTE:1").await, "ok", "one resource, however it is spelled");
    assert_eq!(subscribe(&second, 2, "note:2").await, "ok");
    announce(&chat, "library", &["note:3", "note:secret", "file:///../x", "note:1/part"]).await;
    let told = updated(&mut events).await;
    assert_eq!(told, json!({ "uri": "note:1/part", "x-unknown": 12_345_678_901_234_567_890_u64 }));
    assert_eq!(updated(&mut more).await["uri"], "note:1/part");
    assert_eq!(sent(&site, "library", "resources/subscribe"), ["note:1", "note:2"], "each once");
    // One of two leaves: the other is told as before.
    assert_eq!(unsubscribe(&chat, 3, "note:1").await, "ok");
    announce(&chat, "library", &["note:1", "note:2"]).await;
    assert_eq!(uris(&both(&mut more).await), ["note:1", "note:2"]);
    assert_eq!(unsubscribe(&second, 3, "note:1").await, "ok");
    until_sent(&site, "library", "resources/unsubscribe", 1).await;
    assert_eq!(sent(&site, "library", "resources/unsubscribe"), ["note:1"]);
    // The end of a session is the end of what it watched.
    assert_eq!(second.send(Method::DELETE, "").await.status, 204);
    until_sent(&site, "library", "resources/unsubscribe", 2).await;
    assert_eq!(subscribe(&chat, 4, "note:4").await, "ok");
    announce(&chat, "library", &["note:1", "note:2", "note:4"]).await;
    assert_eq!(updated(&mut events).await["uri"], "note:4");
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    let watched = intents.iter().filter(|intent| intent["method"] == "resources/subscribe");
    assert_eq!(watched.count(), 5);
    check_audit(&site);
}

#[tokio::test]
async fn i5_what_is_hidden_is_watched_like_what_does_not_exist() {
    let site = site("");
    let gateway = site.start();
    let (chat, _events) = listening(&gateway, CHAT_KEY).await;
    for method in ["resources/subscribe", "resources/unsubscribe"] {
        let answer = async |uri: &str| {
            let answer = chat.request(7, method, &json!({ "uri": uri })).await.json().to_string();
            answer.replace(uri, "URI")
        };
        let unknown = answer("nothing:1").await;
        assert!(unknown.contains("-32002"), "{unknown}");
        for hidden in ["note:secret", "file:///../x", "no uri"] {
            assert_eq!(answer(hidden).await, unknown, "{method} {hidden}");
        }
    }
    // The server's own words for it stay here, for what is watched taints nobody.
    let gone = chat.request(8, "resources/subscribe", &json!({ "uri": "note:gone" })).await.json();
    assert_eq!(gone["error"]["message"], "Resource not found", "{gone}");
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize(REVISION).await;
    assert_eq!(subscribe(&mail, 1, "note:1").await, "Resource not found");
    assert_eq!(sent(&site, "library", "resources/subscribe"), ["note:gone"]);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn i3_a_run_hears_of_strangers_only_once_it_has_read_them_and_only_what_it_may_then() {
    let site = site("");
    let gateway = site.start();
    let (chat, mut events) = listening(&gateway, CHAT_KEY).await;
    assert_eq!(subscribe(&chat, 1, "page:1").await, "ok");
    assert_eq!(subscribe(&chat, 2, "page:secret").await, "ok");
    assert_eq!(subscribe(&chat, 3, "note:1").await, "ok");
    assert_eq!(of_kind(&site, "intent").last().unwrap()["provenance"], json!(["chat"]));
    // Another's run has read the web, and has its server speak; this one has not.
    let other = Client::new(&gateway.url, OTHER_KEY).initialize(REVISION).await;
    announce(&other, "web", &["page:1"]).await;
    announce(&chat, "library", &["note:1"]).await;
    assert_eq!(updated(&mut events).await["uri"], "note:1");
    let read = chat.request(4, "resources/read", &json!({ "uri": "page:1" })).await;
    assert_eq!(read.reason(), "Resource not found", "asked for, and so the web's words came");
    announce(&other, "web", &["page:secret", "page:1"]).await;
    assert_eq!(updated(&mut events).await["uri"], "page:1", "the web may not hear of the other");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_stateless_client_hears_of_both_eras_on_its_one_stream() {
    for era in ["", "stateless"] {
        let site = site(era);
        let gateway = site.start();
        let chat = Client::new(&gateway.url, CHAT_KEY);
        let wanted = ["note:1", "note:secret", "other:1", "no uri", "note:2"];
        let mut events =
            chat.listen_to(5, json!({ "resourcesListChanged": true, "resourceSubscriptions": wanted })).await;
        let first = events.next().await;
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        let honoured = &first["params"]["notifications"];
        // The old server takes every name; whether there is an `other:1` only it knows.
        let expected =
            if era.is_empty() { json!(["note:1", "other:1", "note:2"]) } else { json!(["note:1", "note:2"]) };
        assert_eq!(honoured["resourceSubscriptions"], expected, "{era}: {first}");
        let (session, _stream) = listening(&gateway, CHAT_KEY).await;
        announce(&session, "library", &["note:3", "note:2", "note:1"]).await;
        let told = both(&mut events).await;
        assert_eq!(uris(&told), ["note:1", "note:2"], "{era}");
        for told in told {
            assert_eq!(told["_meta"], json!({ "io.modelcontextprotocol/subscriptionId": 5 }));
        }
        // Whoever hangs up is told of nothing more, and neither does the server have to look.
        drop(events);
        match era {
            "" => until_sent(&site, "library", "resources/unsubscribe", 3).await,
            _ => until_sent(&site, "library", "notifications/cancelled", 2).await,
        }
        assert!(gateway.stop().success());
        check_audit(&site);
    }
}

#[tokio::test]
async fn what_is_watched_is_watched_again_when_its_server_comes_back() {
    for era in ["", "stateless"] {
        let site = site(era);
        let gateway = site.start();
        let (chat, mut events) = listening(&gateway, CHAT_KEY).await;
        assert_eq!(subscribe(&chat, 1, "note:1").await, "ok");
        announce(&chat, "library", &["note:1"]).await;
        assert_eq!(updated(&mut events).await["uri"], "note:1");
        let died = chat.request(2, "tools/call", &json!({ "name": "library__die" })).await;
        assert_eq!(died.reason(), "upstream_closed");
        // What changed while nobody watched is not known, so that it is said once.
        assert_eq!(updated(&mut events).await, json!({ "uri": "note:1" }), "{era}");
        announce(&chat, "library", &["note:2", "note:1"]).await;
        assert_eq!(updated(&mut events).await["uri"], "note:1");
        assert!(gateway.stop().success());
        let intents = of_kind(&site, "intent");
        let watched = intents.iter().filter(|intent| intent["method"] == "resources/subscribe");
        assert!(watched.count() >= 2, "decided and recorded again");
        check_audit(&site);
    }
}

#[tokio::test]
async fn i11_a_client_watches_so_many_resources_and_no_more() {
    let site = site("");
    let gateway = site.start();
    let (chat, _events) = listening(&gateway, CHAT_KEY).await;
    for number in 0..64 {
        assert_eq!(subscribe(&chat, number + 1, &format!("note:{number}")).await, "ok");
    }
    assert_eq!(subscribe(&chat, 100, "note:64").await, "subscriptions_full");
    assert_eq!(subscribe(&chat, 101, "note:63").await, "ok", "it watches that already");
    assert_eq!(unsubscribe(&chat, 102, "note:0").await, "ok");
    assert_eq!(subscribe(&chat, 103, "note:64").await, "ok");
    let many: Vec<_> = (0..65).map(|number| format!("note:{number}")).collect();
    let params = json!({ "notifications": { "resourceSubscriptions": many } });
    let refused = Client::new(&gateway.url, CHAT_KEY).modern(1, "subscriptions/listen", params).await;
    assert_eq!(refused.reason(), "subscriptions_full");
    assert!(gateway.stop().success());
    check_audit(&site);
}
