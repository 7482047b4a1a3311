//! Budgets with a real gateway and real tool servers: what each limit refuses, what the caller is told, what the
//! record says, and what a restart and a reload keep.

use std::sync::atomic::{AtomicU64, Ordering};

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Exchange, Site, check_audit};

/// A caller of the revision with sessions.
async fn session(gateway: &Gateway, key: &str) -> Client {
    Client::new(&gateway.url, key).initialize("2025-11-25").await
}

/// An id for the ledger that no other call of the test has.
fn fresh_id() -> String {
    static LAST: AtomicU64 = AtomicU64::new(0);
    format!("call-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// One call like no other.
async fn call(client: &Client, tool: &str) -> Exchange {
    client.call(tool, &fresh_id()).await
}

/// The same in 2026-07-28.
async fn call_modern(client: &Client, tool: &str) -> Exchange {
    client.modern(7, "tools/call", json!({ "name": tool, "arguments": { "id": fresh_id() } })).await
}

/// The reasons of so many calls, one after the other.
async fn reasons(client: &Client, tool: &str, times: usize) -> Vec<String> {
    let mut reasons = Vec::new();
    for _ in 0..times {
        reasons.push(call(client, tool).await.reason());
    }
    reasons
}

/// The facts of a refusal, wherever they stand.
fn facts(refused: &Exchange) -> Value {
    let json = refused.json();
    let places = ["/result/_meta/dev.sluicegate~1decision", "/error/data"];
    places.iter().find_map(|place| json.pointer(place)).cloned().unwrap_or_else(|| panic!("no facts: {json}"))
}

/// Refused by `budget`: the records that say so.
fn refused_by(site: &Site, budget: &str) -> Vec<Value> {
    let mut denials = of_kind(site, "denial");
    denials.retain(|denial| denial["budget"]["name"] == budget);
    denials
}

#[tokio::test]
async fn a_rate_refuses_with_the_time_to_wait_in_every_revision() {
    let site = Site::with_oracle("[[budgets]]\nname = \"rate\"\nper = \"subject\"\ncalls_per_minute = 3\n");
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    // At most one minute ends meanwhile, so at most six of seven find room.
    let mut refused = None;
    for _ in 0..7 {
        let answer = call(&client, "tools__read").await;
        refused = (answer.reason() == "rate_exceeded").then_some(answer).or(refused);
    }
    let refused = refused.expect("one of seven is refused");
    let told = facts(&refused);
    assert_eq!((&told["decision"], &told["retryable"]), (&json!("deny"), &json!(true)));
    assert!((1..=60).contains(&told["retry_after_s"].as_u64().unwrap()), "{told}");
    let result = &refused.json()["result"];
    assert_eq!((&result["isError"], &result["structuredContent"]), (&json!(true), &told));
    let modern = Client::new(&gateway.url, CHAT_KEY);
    let mut told = None;
    for _ in 0..7 {
        let answer = call_modern(&modern, "tools__read").await;
        told = (answer.reason() == "rate_exceeded").then(|| facts(&answer)).or(told);
    }
    assert!((1..=60).contains(&told.unwrap()["retry_after_s"].as_u64().unwrap()));
    assert_eq!(reasons(&session(&gateway, OTHER_KEY).await, "tools__read", 1).await, ["ok"]);
    assert!(gateway.stop().success());
    let refused = refused_by(&site, "rate");
    assert_eq!(refused[0]["reason"], "rate_exceeded");
    assert_eq!(refused[0]["budget"]["limit"], "calls_per_minute");
    let intent = &of_kind(&site, "intent")[0];
    assert_eq!(intent["charges"][0]["budget"], "rate");
    assert_eq!(intent["charges"][0]["amounts"], json!({ "calls_per_minute": 1 }));
    check_audit(&site);
}

#[tokio::test]
async fn a_source_that_a_run_has_read_counts_too() {
    let site = Site::with_oracle(
        "[[budgets]]\nname = \"web\"\nsource = \"web\"\nper = [\"source\", \"subject\"]\ncalls_per_day = 1\n",
    );
    let gateway = site.start();
    let (chat, other) = (session(&gateway, CHAT_KEY).await, session(&gateway, OTHER_KEY).await);
    assert_eq!(reasons(&chat, "tools__read", 2).await, ["ok", "ok"]);
    // The call that brings the source was not decided under it yet.
    assert_eq!(call(&chat, "browser__read").await.reason(), "ok");
    assert_eq!(reasons(&chat, "tools__read", 2).await, ["ok", "budget_exceeded"]);
    assert_eq!(reasons(&other, "tools__read", 2).await, ["ok", "ok"], "it has read nothing of the web");
    assert!(gateway.stop().success());
    assert_eq!(refused_by(&site, "web").len(), 1);
    check_audit(&site);
}

#[tokio::test]
async fn a_tool_costs_what_its_upstream_says() {
    let site = Site::with_oracle(
        "[[budgets]]\nname = \"money\"\nupstream = \"tools\"\ntools = [\"*.count\", \"*.read\"]\ncost_per_day = 10\n",
    );
    site.edit(|config| {
        let dear = "call_timeout = \"5s\"\ntools = [{ tool = \"count\", cost = 7 }]";
        config.replacen("call_timeout = \"5s\"", dear, 1)
    });
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(reasons(&client, "tools__count", 2).await, ["ok", "budget_exceeded"]);
    assert_eq!(reasons(&client, "tools__read", 4).await, ["ok", "ok", "ok", "budget_exceeded"]);
    assert_eq!(reasons(&client, "tools__echo", 2).await, ["ok", "ok"], "no tool of this budget");
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "intent")[0]["charges"][0]["amounts"], json!({ "cost_per_day": 7 }));
    check_audit(&site);
}

#[tokio::test]
async fn i5_who_is_denied_too_often_is_refused_and_hidden_and_made_up_count_alike() {
    for (key, asked_for) in
        [(CHAT_KEY, "tools__refuse"), (CHAT_KEY, "tools__made_up"), (EMAIL_KEY, "tools__send")]
    {
        let site =
            Site::with_oracle("[[budgets]]\nname = \"probes\"\nper = \"subject\"\ndenials_per_hour = 3\n");
        let gateway = site.start();
        let (client, other) = (session(&gateway, key).await, session(&gateway, OTHER_KEY).await);
        let mut denied = 0;
        // At most one hour ends meanwhile.
        let last = loop {
            let answer = call(&client, "tools__read").await;
            if answer.reason() == "denials_exceeded" {
                break answer;
            }
            assert_eq!(answer.reason(), "ok");
            assert!(denied < 6, "{asked_for} counts");
            let expected = if asked_for == "tools__send" { "plan_required" } else { "Unknown tool" };
            let reason = call(&client, asked_for).await.reason();
            assert!(reason.starts_with(expected), "{reason}");
            denied += 1;
        };
        assert!(facts(&last)["retry_after_s"].as_u64().unwrap() <= 3600);
        // What is hidden stays so: a limit is looked at behind the decision.
        let hidden = call(&client, "tools__refuse").await.reason();
        assert_eq!(hidden, "Unknown tool: tools__refuse");
        assert_eq!(call(&other, "tools__read").await.reason(), "ok");
        assert!(gateway.stop().success());
        let refused = refused_by(&site, "probes");
        assert_eq!(refused.len(), 1);
        assert!(refused[0].get("charges").is_none(), "what passes by itself is no attempt");
        assert_eq!(of_kind(&site, "denial")[0]["charges"][0]["amounts"], json!({ "denials_per_hour": 1 }));
        check_audit(&site);
    }
}

#[tokio::test]
async fn what_was_counted_survives_a_kill_and_an_orderly_restart() {
    let site = Site::with_oracle(
        "[[budgets]]\nname = \"day\"\nper = [\"subject\", \"tool\"]\ncalls_per_day = 4\n\n\
         [[budgets]]\nname = \"probes\"\nsource = \"email\"\ndenials_per_hour = 1000\n",
    );
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(reasons(&client, "tools__read", 2).await, ["ok", "ok"]);
    let email = session(&gateway, EMAIL_KEY).await;
    assert!(call(&email, "tools__nothing").await.reason().starts_with("Unknown tool"));
    gateway.kill();
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(call(&client, "tools__read").await.reason(), "ok");
    assert!(gateway.stop().success());
    // Twice, so that the second knows only what the head of the segment of the first says.
    assert!(site.start().stop().success());
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(reasons(&client, "tools__read", 2).await, ["ok", "budget_exceeded"]);
    assert_eq!(call(&client, "tools__echo").await.reason(), "ok", "another tool");
    assert!(gateway.stop().success());
    let states = of_kind(&site, "state");
    let last = states.iter().rev().find_map(|state| state.get("budgets")).unwrap().as_array().unwrap();
    let of = |name: &str| last.iter().find(|entry| entry["budget"] == name).unwrap()["counts"].clone();
    assert_eq!(of("day")["calls_per_day"]["used"], 3);
    assert_eq!(of("probes")["denials_per_hour"]["used"], 1);
    check_audit(&site);
}

/// Calls of one day, of everybody together.
const DAY: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_under_load_gives_a_call_back() {
    let site = Site::with_oracle(&format!("[[budgets]]\nname = \"day\"\ncalls_per_day = {DAY}\n"));
    for kill in 0..4_u64 {
        let gateway = site.start();
        let (seen, mut seeing) = tokio::sync::watch::channel(0_u64);
        let mut callers = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let (client, seen) = (session(&gateway, CHAT_KEY).await, seen.clone());
            callers.spawn(async move {
                while client.try_call("tools__read", &fresh_id()).await.is_some() {
                    seen.send_modify(|answers| *answers += 1);
                }
            });
        }
        drop(seen);
        seeing.wait_for(|answers| *answers > 3 * kill).await.unwrap();
        gateway.kill();
        callers.join_all().await;
    }
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    while call(&client, "tools__read").await.reason() == "ok" {}
    assert_eq!(call(&client, "tools__read").await.reason(), "budget_exceeded");
    assert!(gateway.stop().success());
    // Each call that is on the record was counted once, and none twice.
    assert_eq!(of_kind(&site, "intent").len(), DAY);
    assert!(site.executed().len() <= DAY);
    check_audit(&site);
}

#[tokio::test]
async fn a_reload_keeps_counts_and_says_which_budget_is_wider() {
    let site = Site::with_oracle("[[budgets]]\nname = \"day\"\nper = \"subject\"\ncalls_per_day = 1\n");
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(reasons(&client, "tools__read", 2).await, ["ok", "budget_exceeded"]);
    site.edit(|config| config.replace("calls_per_day = 1", "calls_per_day = 2"));
    let (code, out, err) = site.run(&["reload", "--json"]);
    assert_eq!(code, 0, "{out}{err}");
    let answer: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(answer["widened"], json!(["budget day: `calls_per_day` 2 instead of 1"]));
    assert_eq!(reasons(&client, "tools__read", 2).await, ["ok", "budget_exceeded"]);
    site.edit(|config| config.replace("calls_per_day = 2", "calls_per_day = 1"));
    let (code, out, _) = site.run(&["reload", "--json"]);
    assert_eq!(code, 0, "{out}");
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["widened"], json!([]));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn questions_to_the_model_have_a_budget_of_tokens() {
    let library = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/library_server.py");
    let site = Site::with_oracle(
        "[[budgets]]\nname = \"model\"\nupstream = \"library\"\nsampling_tokens_per_day = 100\n",
    );
    let ledger = site.path("library.requests");
    site.edit(|config| {
        let open = |section: &str| format!("{section}\nsampling = {{ allow = [\"library\"] }}\n");
        let config = config.replace("[sources.chat]", &open("[sources.chat]"));
        let config = config.replace("[roles.assistant]", &open("[roles.assistant]"));
        let command = format!("command = [\"python3\", {library:?}, {ledger:?}]");
        format!("{config}\n[upstreams.library]\n{command}\nreturns = \"trusted\"\n")
    });
    let gateway = site.start();
    // An instance for each subject, because the first question waits for its answer. The budget is one for both.
    let (one, other) = (Client::new(&gateway.url, CHAT_KEY), Client::new(&gateway.url, OTHER_KEY));
    let ask = async |client: &Client, params: Value| {
        let arguments = json!({ "method": "sampling/createMessage", "params": params });
        let meta = json!({ "io.modelcontextprotocol/clientCapabilities": { "sampling": {} } });
        let params = json!({ "name": "library__ask", "arguments": arguments, "_meta": meta });
        client.modern(1, "tools/call", params).await.json()["result"].clone()
    };
    assert_eq!(ask(&one, json!({ "maxTokens": 60 })).await["resultType"], "input_required");
    let refused = ask(&other, json!({ "maxTokens": 41 })).await;
    assert!(refused["content"][0]["text"].as_str().unwrap().contains("\"code\": -1"), "declined: {refused}");
    assert!(ask(&other, json!({})).await.get("content").is_some(), "one that does not say how many");
    assert_eq!(ask(&other, json!({ "maxTokens": 40 })).await["resultType"], "input_required");
    assert!(gateway.stop().success());
    let suspended = of_kind(&site, "suspended");
    assert_eq!(suspended[0]["charges"][0]["amounts"], json!({ "sampling_tokens_per_day": 60 }));
    let refused = refused_by(&site, "model");
    assert_eq!(refused.len(), 2);
    assert_eq!(
        (&refused[0]["reason"], &refused[0]["sampling"]),
        (&json!("budget_exceeded"), &json!("library"))
    );
    check_audit(&site);
}

#[tokio::test]
async fn a67_an_answer_that_is_larger_than_a_budget_lets_it_be_is_withheld_and_measured() {
    let site =
        Site::with_oracle("[[budgets]]\nname = \"email\"\nsource = \"email\"\nresult_max = \"1KiB\"\n");
    site.edit(|config| config.replace("allow = [\"tools.read\"", "allow = [\"tools.echo\", \"tools.read\""));
    let gateway = site.start();
    let (chat, email) = (session(&gateway, CHAT_KEY).await, session(&gateway, EMAIL_KEY).await);
    let long = "x".repeat(2000);
    assert_eq!(chat.call("tools__echo", &long).await.reason(), "ok");
    let withheld = email.call("tools__echo", &long).await;
    assert_eq!(withheld.reason(), "result_too_large");
    assert!(!String::from_utf8_lossy(&withheld.body).contains("xxx"));
    assert_eq!(email.call("tools__echo", "short").await.reason(), "ok");
    assert!(gateway.stop().success());
    let outcomes = of_kind(&site, "outcome");
    assert_eq!(
        (&outcomes[1]["reason"], &outcomes[1]["executed"]),
        (&json!("result_too_large"), &json!("yes"))
    );
    assert!(outcomes[1]["result"]["bytes"].as_u64().unwrap() > 2000);
    check_audit(&site);
}

#[tokio::test]
async fn a_budget_of_calls_in_flight_has_room_again_when_one_ends() {
    let site = Site::with_oracle(
        "[[budgets]]\nname = \"slow\"\ntools = [\"*.hang\", \"*.echo\"]\nin_flight_max = 1\n",
    );
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY);
    let hang = |id: &str| json!({ "name": "tools__hang", "arguments": { "id": id } });
    let held = client.hold(1, "tools/call", hang("first")).await;
    site.wait_for_ledger(|entry| entry["id"] == "first").await;
    let busy = client.modern(2, "tools/call", hang("second")).await;
    assert_eq!((busy.reason().as_str(), &facts(&busy)["retry_after_s"]), ("budget_busy", &json!(1)));
    assert_eq!(call_modern(&client, "tools__read").await.reason(), "ok");
    drop(held);
    site.wait_for_ledger(|entry| entry["cancelled"] == true).await;
    // Until its outcome is durable it is in flight, and nobody is told when that is.
    loop {
        let probe = call_modern(&client, "tools__echo").await.reason();
        if probe != "budget_busy" {
            assert_eq!(probe, "ok");
            break;
        }
    }
    let third = client.hold(4, "tools/call", hang("third")).await;
    site.wait_for_ledger(|entry| entry["id"] == "third").await;
    drop(third);
    assert!(gateway.stop().success());
    assert!(!site.executed().contains(&"second".to_owned()));
    check_audit(&site);
}

#[tokio::test]
async fn an_address_whose_credentials_are_refused_too_often_has_to_wait() {
    let site = Site::with_oracle("[limits]\nfailed_authentications_per_minute = 3\n");
    let gateway = site.start();
    let (good, bad) = (Client::new(&gateway.url, CHAT_KEY), Client::new(&gateway.url, "sg_nobody"));
    assert_eq!(good.modern(1, "tools/list", json!({})).await.status, StatusCode::OK);
    let mut last = bad.post("{}").await;
    // At most one minute ends meanwhile.
    for _ in 0..7 {
        if last.status == StatusCode::TOO_MANY_REQUESTS {
            break;
        }
        assert_eq!((last.status, last.reason().as_str()), (StatusCode::UNAUTHORIZED, "credential_unknown"));
        last = bad.post("{}").await;
    }
    assert_eq!(
        (last.status, last.reason().as_str()),
        (StatusCode::TOO_MANY_REQUESTS, "authentications_exceeded")
    );
    assert_eq!(last.headers["retry-after"], "60");
    assert!(last.headers.get("www-authenticate").is_none());
    assert!(gateway.stop().success());
    let counted = of_kind(&site, "auth_failures");
    assert!(counted.iter().any(|line| line["reason"] == "authentications_exceeded"), "{counted:?}");
    check_audit(&site);
}

#[tokio::test]
async fn metrics_say_how_full_a_budget_is_and_what_it_refused() {
    let site = Site::with_oracle(
        "[admin]\naddress = \"127.0.0.1:0\"\n[[budgets]]\nname = \"day\"\nper = \"subject\"\ncalls_per_day = 2\n",
    );
    let gateway = site.start();
    let client = session(&gateway, CHAT_KEY).await;
    assert_eq!(reasons(&client, "tools__read", 3).await, ["ok", "ok", "budget_exceeded"]);
    let text = gateway.shows("/metrics").await;
    for line in [
        "sluicegate_budget_used{budget=\"day\",amount=\"calls_per_day\"} 2",
        "sluicegate_budget_limit{budget=\"day\",amount=\"calls_per_day\"} 2",
        "sluicegate_budget_refusals_total{budget=\"day\",reason=\"budget_exceeded\"} 1",
    ] {
        assert!(text.contains(line), "{line} is not in {text}");
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}
