//! A yes to several like calls over the real binary: bounded, counted, and ended by whatever it was not said to.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::approvals::{answer, asked, client, held, questions, resume};
use crate::support::audit::{check_signed, of_kind};
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Exchange, Site};

/// Whatever begins with `a` and a digit.
const LIMIT: &str = r#"id={"match":"a[0-9]+"}"#;

fn approve_like(site: &Site, id: &str, calls: &str) {
    let args = ["approvals", "approve", id, "--like", calls, "--for", "10m", "--where", LIMIT];
    let (code, out, err) = site.run(&args);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.contains(r#"{"id":{"match":"a[0-9]+"}}"#), "it says what it is for: {out}");
}

#[tokio::test]
async fn a_yes_to_like_calls_counts_for_as_many_as_were_said_also_over_a_kill() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let (first, second, other) = (
        asked(&chat.call("tools__write", "a1").await),
        asked(&chat.call("tools__write", "a2").await),
        asked(&chat.call("tools__write", "b").await),
    );
    let groups: Vec<_> = questions(&site).iter().map(|question| question["group"].clone()).collect();
    assert!(groups[0].is_string() && groups.iter().all(|group| *group == groups[0]), "{groups:?}");
    let (_, text, _) = site.run(&["approvals", "list"]);
    assert_eq!(text.matches("like call").count(), 2, "{text}");
    approve_like(&site, &first, "4");
    assert_eq!(resume(&chat, &first).await.reason(), "ok");
    assert_eq!(resume(&chat, &second).await.reason(), "ok", "one like it waited");
    assert_eq!(resume(&chat, &other).await.reason(), "approval_pending", "this is none");
    assert_eq!(questions(&site).len(), 1, "what went on waits no more");
    gateway.kill();
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    for (id, reason) in [("a3", "ok"), ("b", "approval_pending"), ("a4", "ok"), ("a5", "approval_pending")] {
        assert_eq!(chat.call("tools__write", id).await.reason(), reason, "{id}");
    }
    gateway.kill();
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    assert_eq!(chat.call("tools__write", "a6").await.reason(), "approval_pending", "none is left");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a1", "a2", "a3", "a4"]);
    let counts: Vec<_> =
        of_kind(&site, "intent").iter().map(|intent| intent["like"]["count"].clone()).collect();
    assert_eq!(counts, [json!(null), json!(1), json!(2), json!(3)]);
    let granted: Vec<_> =
        of_kind(&site, "approval").into_iter().filter(|it| it["grant"].is_object()).collect();
    assert_eq!(granted.len(), 1);
    assert_eq!(granted[0]["grant"]["terms"]["like"]["question"], json!(first));
    check_signed(&site);
}

#[tokio::test]
async fn a_yes_to_like_calls_is_over_once_anything_is_another_that_it_was_said_to() {
    let site = Site::with_oracle("");
    site.edit(|config| config.replace("[sources.web]\n", "[sources.web]\nask = [\"tools.write\"]\n"));
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    // A no to exactly one of them stays a no.
    answer(&site, "deny", &asked(&chat.call("tools__write", "a0").await));
    approve_like(&site, &asked(&chat.call("tools__write", "a1").await), "9");
    assert_eq!(chat.call("tools__write", "a0").await.reason(), "approval_denied");
    assert_eq!(chat.call("tools__write", "a2").await.reason(), "ok");
    // Not in another run, and not in one that read something since.
    let other = client(&gateway, OTHER_KEY).await;
    assert_eq!(other.call("tools__write", "a3").await.reason(), "approval_pending");
    assert_eq!(chat.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(chat.call("tools__write", "a3").await.reason(), "approval_pending");
    approve_like(&site, &asked(&other.call("tools__write", "a3").await), "9");
    assert_eq!(other.call("tools__write", "a4").await.reason(), "ok");
    // Nor under another configuration.
    site.edit(|config| {
        config.replace("deny = [\"tools.refuse\"]", "deny = [\"tools.refuse\", \"tools.exit\"]")
    });
    let (code, _, err) = site.run(&["reload"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(other.call("tools__write", "a5").await.reason(), "approval_pending");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a2", "page", "a4"]);
    check_signed(&site);
}

#[tokio::test]
async fn what_is_said_to_like_calls_has_bounds_and_is_told_what_is_wrong_with_it() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let id = asked(&chat.call("tools__write", "a1").await);
    let refused = |args: &[&str]| {
        let (code, out, err) = site.run(&[&["approvals", "approve", &id], args].concat());
        assert_ne!(code, 0, "{out}");
        err
    };
    for (args, says) in [
        (&["--like", "1", "--for", "10m"][..], "2 to 64"),
        (&["--like", "65", "--for", "10m"], "2 to 64"),
        (&["--like", "2", "--for", "2h"], "up to 1h"),
        (&["--like", "2"], "--for"),
        (&["--like", "2", "--for", "1m", "--where", "id"], "ARG=CONSTRAINT"),
        (&["--like", "2", "--for", "1m", "--where", "id={"], "not one JSON value"),
        (&["--like", "2", "--for", "1m", "--where", r#"id={"mach":"a"}"#], "`mach` is not known here"),
        (&["--like", "2", "--for", "1m", "--where", r#"nonsense={"lit":1}"#], "nonsense"),
    ] {
        let err = refused(args);
        assert!(err.contains(says), "{args:?}: {err}");
    }
    assert_eq!(questions(&site)[0]["standing"], "waiting");
    // Nobody says yes to what they cannot look at.
    gateway.kill();
    let gateway = site.start();
    assert!(refused(&["--like", "2", "--for", "1m"]).contains("not known any more"));
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_like_calls_at_once_as_many_go_on_as_were_said() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    approve_like(&site, &asked(&chat.call("tools__write", "a0").await), "4");
    let calls = (100..112).map(|number| {
        let params = json!({ "name": "tools__write", "arguments": { "id": format!("a{number}") } });
        let chat = &chat;
        async move { chat.request(number, "tools/call", &params).await }
    });
    let reasons: Vec<_> = join_all(calls).await.iter().map(Exchange::reason).collect();
    assert_eq!(reasons.iter().filter(|reason| *reason == "ok").count(), 3, "{reasons:?}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed().len(), 3);
    check_signed(&site);
}

#[tokio::test]
async fn a_call_that_is_held_goes_on_with_a_yes_to_one_like_it() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let first = asked(&chat.call("tools__write", "a1").await);
    let mut call = held(&chat, json!({ "id": "a2" })).await;
    call.next().await;
    approve_like(&site, &first, "2");
    let mut last = call.next().await;
    while last["method"] == "notifications/progress" {
        last = call.next().await;
    }
    assert_eq!((&last["id"], &last["result"]["isError"]), (&json!(9), &Value::Null), "{last}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a2"]);
    check_signed(&site);
}

#[tokio::test]
async fn how_often_a_rule_asks_and_what_came_of_it_is_counted() {
    let site = Site::with_oracle("[admin]\naddress = \"127.0.0.1:0\"\n");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    for (id, word) in [("y", "approve"), ("n", "deny")] {
        answer(&site, word, &asked(&chat.call("tools__write", id).await));
    }
    asked(&chat.call("tools__write", "w").await);
    // Steps of plans are asked about by what the review found.
    let mail = client(&gateway, EMAIL_KEY).await;
    let steps = json!([{ "id": "s1", "tool": "tools__send", "args": { "id": { "lit": "ann" } } }]);
    let plan = json!({ "name": "sluicegate__submit_plan", "arguments": { "v": 1, "steps": steps } });
    mail.request(5, "tools/call", &plan).await;
    let step = questions(&site).into_iter().find(|question| question["about"] == "step").unwrap();
    answer(&site, "approve", step["id"].as_str().unwrap());
    let (code, out, err) = site.run(&["approvals", "stats", "--json"]);
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    let rule = &told["rules"][0];
    let words = rule["rule"].as_str().unwrap();
    assert!(
        words.starts_with("source chat ask by `tools.write` at ") && words.contains("gateway.toml:"),
        "{out}"
    );
    let counts = ["asked", "approved", "denied", "lapsed", "waiting"].map(|count| rule[count].clone());
    assert_eq!(counts, [3, 1, 1, 0, 1].map(Value::from), "{out}");
    assert!(rule["median_wait_s"].is_u64(), "{out}");
    let step = &told["rules"][1];
    assert_eq!(
        (&step["rule"], &step["asked"], &step["approved"]),
        (&json!("requests"), &json!(1), &json!(1)),
        "{out}"
    );
    let (code, text, _) = site.run(&["approvals", "stats", "--since", "1h"]);
    assert!(code == 0 && text.contains("MEDIAN WAIT"), "{text}");
    let metrics = gateway.shows("/metrics").await;
    assert!(metrics.contains(r#"sluicegate_approvals_total{change="asked"} 3"#), "{metrics}");
    assert!(metrics.contains("sluicegate_approval_wait_seconds_count 2"), "{metrics}");
    assert!(gateway.stop().success());
}
