//! The path of a call, driven over a real socket with a real upstream behind it.

use http::StatusCode;
use serde_json::json;

use crate::support::audit::of_kind;
use crate::support::client::names;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Site, check_audit};

#[tokio::test]
async fn a_call_is_listed_forwarded_and_recorded_in_every_revision() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    for revision in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let client = Client::new(&gateway.url, CHAT_KEY).initialize(revision).await;
        assert!(client.list().await.contains(&"tools__read".to_owned()));
        let answer = client.call("tools__read", revision).await;
        assert_eq!(answer.json()["result"]["content"][0]["text"], format!("ok {revision}"));
        assert!(answer.json()["result"].get("resultType").is_none());
    }
    let client = Client::new(&gateway.url, CHAT_KEY);
    let discovered = client.modern(1, "server/discover", json!({})).await.json();
    assert_eq!(
        discovered["result"]["supportedVersions"],
        json!(["2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26"])
    );
    let listed = client.modern(2, "tools/list", json!({})).await;
    assert!(names(&listed).contains(&"tools__read".to_owned()));
    assert_eq!(listed.json()["result"]["cacheScope"], "private");
    let params = json!({ "name": "tools__read", "arguments": { "id": "modern" } });
    let answer = client.modern(3, "tools/call", params).await.json();
    assert_eq!(answer["result"]["resultType"], "complete");
    assert_eq!(answer["result"]["content"][0]["text"], "ok modern");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["2025-03-26", "2025-06-18", "2025-11-25", "modern"]);
    assert_eq!(of_kind(&site, "intent").len(), 4);
    check_audit(&site);
}

#[tokio::test]
async fn i5_hidden_and_nonexistent_are_the_same_to_a_caller_and_visible_ones_tell_their_reason() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    let listed = mail.list().await;
    assert!(listed.contains(&"tools__send".to_owned()), "what a plan could open is visible: {listed:?}");
    assert!(!listed.contains(&"tools__write".to_owned()));
    let hidden = mail.call("tools__write", "h").await;
    let missing = mail.call("tools__wrote", "h").await;
    assert_eq!((hidden.status, missing.status), (StatusCode::OK, StatusCode::OK));
    let told = |answer: &crate::support::Exchange| answer.json()["error"].to_string();
    assert_eq!(told(&hidden).replace("tools__write", "X"), told(&missing).replace("tools__wrote", "X"));
    assert_eq!(hidden.json()["error"]["code"], -32602);
    assert_eq!(hidden.json()["error"]["message"], "Unknown tool: tools__write");
    assert_eq!(mail.call("tools__send", "s").await.reason(), "plan_required");
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(chat.call("tools__write", "w").await.reason(), "approval_pending");
    assert_eq!(chat.call("tools__refuse", "r").await.json()["error"]["code"], -32602);
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    let reasons: Vec<_> = of_kind(&site, "denial").iter().map(|r| r["reason"].clone()).collect();
    assert_eq!(reasons, ["not_visible", "not_visible", "plan_required", "approval_pending", "not_visible"]);
    check_audit(&site);
}

#[tokio::test]
async fn i3_i4_what_was_read_stays_read_across_sessions_connections_kill_and_restart() {
    let site = Site::with_oracle("");
    let mut gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__send", "before").await.reason(), "ok");
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "after").await.reason(), "source_denies");
    assert_eq!(client.call("tools__read", "still").await.reason(), "ok");
    // The courtesy of the older revisions: the list is shorter now. The newer shows what is visible.
    assert!(!client.list().await.contains(&"tools__send".to_owned()));
    let modern = client.modern(5, "tools/list", json!({})).await;
    assert!(names(&modern).contains(&"tools__send".to_owned()));
    let params = json!({ "name": "tools__send", "arguments": { "id": "modern" } });
    assert_eq!(client.modern(6, "tools/call", params).await.reason(), "source_denies");
    for kill in [false, true, true] {
        if kill {
            gateway.kill();
            gateway = site.start();
        }
        let again = Client::new(&gateway.url, CHAT_KEY).initialize("2025-06-18").await;
        assert_eq!(again.call("tools__send", "again").await.reason(), "source_denies");
        assert_eq!(again.call("browser__read", "reread").await.reason(), "ok");
    }
    // Another person's run has read nothing.
    let other = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(other.call("tools__send", "other").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert!(!site.executed().iter().any(|id| id == "after" || id == "again" || id == "modern"));
    check_audit(&site);
}

#[tokio::test]
async fn i7_arguments_reach_the_upstream_byte_for_byte() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let arguments =
        r#"{ "id":"x","n":12345678901234567890,"f":1.0e2,"d":0.10,"s":"\u00e9é\/","k":{"b":1,"a":[ ]} }"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"extra":1e400,"name":"tools__echo","arguments":{arguments}}}}}"#
    );
    let answer = client.post(body).await.json();
    let echoed = answer["result"]["content"][0]["text"].as_str().unwrap();
    assert_eq!(echoed, format!(r#"{{"extra":1e400,"name":"echo","arguments":{arguments}}}"#));
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn refusals_of_official_shape_keep_structured_content_away_from_tools_with_a_schema() {
    let site = Site::with_oracle("");
    site.configure(
        &std::fs::read_to_string(site.path("gateway.toml"))
            .unwrap()
            .replace(r#"ask = ["tools.write"]"#, r#"ask = ["tools.write", "tools.count"]"#),
    );
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let with_schema = client.call("tools__count", "c").await.json();
    assert!(with_schema["result"].get("structuredContent").is_none());
    assert_eq!(with_schema["result"]["isError"], true);
    let without = client.call("tools__write", "w").await.json();
    assert_eq!(without["result"]["structuredContent"]["reason"], "approval_pending");
    assert!(without["result"]["content"][0]["text"].as_str().unwrap().contains("approve"));
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn progress_comes_under_the_clients_own_token_before_the_answer() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let meta = json!({ "progressToken": "mine" });
    let params = json!({ "name": "tools__progress", "arguments": { "id": "p" }, "_meta": meta });
    let events = client.request(9, "tools/call", &params).await.events();
    let told: Vec<_> = events.iter().filter_map(|event| event["params"]["progress"].as_u64()).collect();
    assert_eq!(told, [1, 2, 3]);
    assert!(events[..3].iter().all(|event| event["params"]["progressToken"] == "mine"));
    assert_eq!(events[3]["result"]["content"][0]["text"], "done");
    assert!(gateway.stop().success());
}

#[tokio::test]
async fn failures_after_forwarding_say_so_and_tool_errors_pass_through() {
    let site = Site::with_oracle("");
    let toml = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    site.configure(&toml.replace(r#"deny = ["tools.refuse"]"#, "").replace(r#""5s""#, r#""1s""#));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let failed = client.call("tools__fail", "f").await.json();
    assert_eq!(failed["result"]["isError"], true);
    assert_eq!(failed["result"]["content"][0]["text"], "it did not work");
    let refused = client.call("tools__refuse", "r").await;
    assert!(std::str::from_utf8(&refused.body).unwrap().contains("12345678901234567890"), "{refused:?}");
    assert_eq!(client.call("tools__hang", "h").await.reason(), "upstream_timeout");
    assert_eq!(client.call("tools__exit", "e").await.reason(), "upstream_closed");
    assert_eq!(client.call("tools__read", "next").await.reason(), "ok");
    assert!(gateway.stop().success());
    let outcomes = of_kind(&site, "outcome");
    let reasons: Vec<_> = outcomes.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["answered", "answered", "upstream_timeout", "upstream_closed", "answered"]);
    assert_eq!(outcomes[0]["is_error"], true);
    assert_eq!(outcomes[2]["executed"], "unknown");
    check_audit(&site);
}

#[tokio::test]
async fn a_cancelled_call_is_cancelled_upstream_and_recorded() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let calling = {
        let client = client.clone();
        tokio::spawn(async move { client.call("tools__hang", "c").await })
    };
    site.wait_for_ledger(|entry| entry["id"] == "c").await;
    let params = json!({ "requestId": 2, "reason": "changed my mind" });
    let cancel = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    assert_eq!(client.post(cancel.to_string()).await.status, StatusCode::ACCEPTED);
    assert_eq!(calling.await.unwrap().reason(), "cancelled");
    site.wait_for_ledger(|entry| entry["cancelled"] == true).await;
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn f27_i9_an_id_in_flight_is_not_used_twice_and_two_callers_never_meet() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let hanging = {
        let client = client.clone();
        tokio::spawn(async move { client.call("tools__hang", "held").await })
    };
    site.wait_for_ledger(|entry| entry["id"] == "held").await;
    assert_eq!(client.call("tools__read", "same id").await.reason(), "id_in_use");
    let other = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(other.call("tools__read", "other").await.json()["result"]["content"][0]["text"], "ok other");
    // A31: another's session is no session.
    let stolen = Client::new(&gateway.url, OTHER_KEY).in_session(client.session());
    let answer = stolen.call("tools__read", "stolen").await;
    assert_eq!((answer.status, answer.reason()), (StatusCode::NOT_FOUND, "session_unknown".to_owned()));
    // A33: each subject has its own instance.
    assert_eq!(other.call("tools__count", "1").await.json()["result"]["structuredContent"]["count"], 1);
    let params = json!({ "name": "tools__count", "arguments": { "id": "2" } });
    let third = client.request(3, "tools/call", &params).await;
    assert_eq!(third.json()["result"]["structuredContent"]["count"], 1);
    drop(hanging);
    assert!(gateway.stop().success());
    check_audit(&site);
}
