//! How a run's provenance grows by what others stored, and how clients hear that their list is another.

use http::{Method, StatusCode};
use serde_json::json;

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

#[tokio::test]
async fn i4_what_one_run_stored_taints_every_later_reader_also_after_a_kill() {
    let site = Site::with_oracle("");
    let toml = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let stores = "call_timeout = \"5s\"\ntools = [{ tool = \"send\", stores = \"all\" }]";
    let toml = toml.replacen("call_timeout = \"5s\"", stores, 1);
    site.configure(&toml.replace("plan = [\"tools.send\"]", "plan = []\n").replace(
        "allow = [\"tools.read\", \"tools.count\", \"browser.*\"]",
        "allow = [\"tools.read\", \"tools.send\"]",
    ));
    let gateway = site.start();
    let other = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(other.call("tools__read", "clean").await.reason(), "ok");
    assert_eq!(other.call("tools__fail", "still chat").await.json()["result"]["isError"], true);
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    assert_eq!(mail.call("tools__send", "stored").await.reason(), "ok");
    // What another subject reads there now may be what the mail wrote.
    assert_eq!(other.call("tools__read", "tainted").await.reason(), "ok");
    assert_eq!(other.call("tools__fail", "no longer").await.reason(), "source_denies");
    gateway.kill();
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(chat.call("tools__read", "after the kill").await.reason(), "ok");
    assert_eq!(chat.call("tools__fail", "nor here").await.reason(), "source_denies");
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    assert_eq!(intents.last().unwrap()["adds"], json!(["email"]));
    check_audit(&site);
}

#[tokio::test]
async fn a_client_of_2025_hears_that_its_list_shrank_and_one_of_2026_what_it_subscribed_to() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let mut stream = client.clone().with("accept", "text/event-stream").open(Method::GET, "").await;
    let mut listening = client.listen(7).await;
    let acknowledged = listening.next().await;
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    assert_eq!(acknowledged["params"]["notifications"], json!({ "toolsListChanged": true }));
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_session_that_was_ended_is_unknown_and_one_that_never_began_too() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-06-18").await;
    assert_eq!(client.send(Method::DELETE, "").await.status, StatusCode::NO_CONTENT);
    let answer = client.call("tools__read", "late").await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "session_unknown"));
    let bare = Client::new(&gateway.url, CHAT_KEY).call("tools__read", "bare").await;
    assert_eq!((bare.status, bare.reason().as_str()), (StatusCode::BAD_REQUEST, "session_missing"));
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    check_audit(&site);
}
