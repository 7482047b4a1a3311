//! Progress is text of a tool server like any other: it reaches no run that does not carry its sources,
//! and none that a person stopped.

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Events, message};
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

const REVISION: &str = "2025-11-25";

/// A site with a board that all share; `say` stores as `stores` says.
fn site(stores: &str) -> Site {
    let board = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/board_server.py");
    let site = Site::with_oracle(&format!(
        "[upstreams.board]\ncommand = [\"python3\", {board:?}]\nreturns = \"trusted\"\nshare = \"all\"\n\
         tools = [{{ tool = \"say\", stores = {stores:?} }}]\n"
    ));
    site.edit(|config| config.replace("\"browser.*\"]", "\"browser.*\", \"board.*\"]"));
    site
}

async fn client(gateway: &Gateway, key: &str) -> Client {
    Client::new(&gateway.url, key).initialize(REVISION).await
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

#[tokio::test]
async fn progress_brings_nothing_that_another_run_stored_meanwhile() {
    let site = site("all");
    let gateway = site.start();
    let (chat, mail) = (client(&gateway, CHAT_KEY).await, client(&gateway, EMAIL_KEY).await);
    let mut watched = watch(&chat).await;
    // Of its own kind, it hears what is said.
    assert_eq!(client(&gateway, OTHER_KEY).await.call("board__say", "from a person").await.reason(), "ok");
    assert_eq!(told(&watched.next().await), "from a person");
    assert_eq!(mail.call("board__say", "from a mail").await.reason(), "ok");
    // Still decided as what nothing but a person influenced, so the mail must not have been read.
    assert_eq!(chat.call("tools__send", "clean").await.reason(), "ok");
    assert_eq!(mail.call("board__stop", "").await.reason(), "ok");
    let answer = watched.next().await;
    assert_eq!(answer["result"]["content"][0]["text"], "stopped", "nothing was told between: {answer}");
    // With the answer the source has joined the run, and from then on progress may bring it.
    assert_eq!(chat.call("tools__send", "tainted").await.reason(), "plan_required");
    let mut watched = watch(&chat).await;
    assert_eq!(mail.call("board__say", "from a mail").await.reason(), "ok");
    assert_eq!(told(&watched.next().await), "from a mail");
    drop(watched);
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["clean"]);
    check_audit(&site);
}

#[tokio::test]
async fn progress_stops_where_the_answer_would_be_withheld() {
    for (stop, reason) in [
        (&["source", "close", "chat"][..], "source_closed"),
        (&["runs", "revoke", "--entry-point", "keys.person"][..], "run_closed"),
        (&["runs", "end"][..], "run_closed"),
    ] {
        let site = site("nothing");
        let gateway = site.start();
        let (chat, mail) = (client(&gateway, CHAT_KEY).await, client(&gateway, EMAIL_KEY).await);
        let mut watched = watch(&chat).await;
        assert_eq!(mail.call("board__say", "before").await.reason(), "ok");
        assert_eq!(told(&watched.next().await), "before");
        let (_, runs, _) = site.run(&["runs", "list", "--json"]);
        let runs: Vec<Value> = serde_json::from_str(&runs).unwrap();
        let run =
            runs.iter().find(|run| run["entry_point"] == "keys.person").unwrap_or_else(|| panic!("{runs:?}"));
        let run = run["run"].as_str().unwrap();
        let more = if stop == ["runs", "end"] { &[run][..] } else { &[] };
        let (code, out, err) = site.run(&[stop, more].concat());
        assert_eq!(code, 0, "{out}{err}");
        assert_eq!(mail.call("board__say", "after").await.reason(), "ok", "{stop:?}");
        assert_eq!(mail.call("board__stop", "").await.reason(), "ok", "{stop:?}");
        let last = watched.next().await;
        let why = &last["result"]["_meta"]["dev.sluicegate/decision"]["reason"];
        assert_eq!(why, reason, "{stop:?}: {last}");
        assert!(gateway.stop().success());
        check_audit(&site);
    }
}
