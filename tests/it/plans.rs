//! Plans over the real binary: what is planned before the untrusted is read may still be done after it, and nothing else.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::audit::check_signed;
use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway};
use crate::support::tokens::minted;
use crate::support::{Client, Exchange, Site};

const SUBMIT: &str = "sluicegate__submit_plan";
const STATUS: &str = "sluicegate__plan_status";

/// The oracle; mail that was planned before a page was read may still go out.
fn site() -> Site {
    let site = Site::with_oracle("");
    site.edit(|config| config.replace("[sources.web]\n", "[sources.web]\nplan = [\"tools.send\"]\n"));
    site
}

async fn chat(gateway: &Gateway) -> Client {
    Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await
}

async fn submit(client: &Client, steps: &Value) -> Value {
    let plan = json!({ "name": SUBMIT, "arguments": { "v": 1, "steps": steps } });
    structured(&client.request(5, "tools/call", &plan).await)
}

async fn status(client: &Client) -> Value {
    structured(&client.request(6, "tools/call", &json!({ "name": STATUS, "arguments": {} })).await)
}

fn structured(answer: &Exchange) -> Value {
    answer.json()["result"]["structuredContent"].clone()
}

/// What became of each step, by the answer to a plan.
fn verdicts(answer: &Value) -> Vec<String> {
    let step = |step: &Value| {
        let why: Vec<_> =
            step["why"].as_array().into_iter().flatten().map(|why| why["reason"].as_str().unwrap()).collect();
        [&[step["verdict"].as_str().unwrap()], &why[..]].concat().join(" ")
    };
    answer["steps"].as_array().unwrap_or_else(|| panic!("{answer}")).iter().map(step).collect()
}

fn send_to(id: &str) -> Value {
    json!([{ "id": "s1", "tool": "tools__send", "args": { "id": { "lit": id } } }])
}

#[tokio::test]
async fn what_was_planned_before_a_page_was_read_may_go_out_after_it_once() {
    let site = site();
    let gateway = site.start();
    let client = chat(&gateway).await;
    assert!(client.list().await.contains(&SUBMIT.to_owned()));
    let granted = submit(&client, &send_to("ann")).await;
    assert_eq!((&granted["decision"], verdicts(&granted)), (&json!("allow"), vec!["granted".to_owned()]));
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    // Not what the plan names; and a denial says what would help.
    let other = client.call("tools__send", "eve").await;
    assert_eq!(other.reason(), "plan_required");
    assert_eq!(client.call("tools__send", "ann").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "ann").await.reason(), "plan_required", "a use is one");
    let left = status(&client).await;
    assert_eq!(left["plans"][0]["state"], "in_force");
    assert_eq!(left["plans"][0]["steps"], json!([{ "step": "s1", "state": "open", "left": 0 }]));
    // A plan that is made after the page was read meets nothing of the page.
    let late = submit(&client, &send_to("eve")).await;
    assert_eq!(verdicts(&late), ["person plan_uncovered"], "{late}");
    assert_eq!(client.call("tools__send", "eve").await.reason(), "plan_required");
    gateway.kill();
    let plans = of_kind(&site, "plan");
    assert_eq!(plans[0]["submitted"]["result"], "granted");
    assert_eq!(plans[1]["submitted"]["steps"][0]["findings"][0]["ground"], "plan_uncovered");
    let used: Vec<_> = of_kind(&site, "intent").iter().map(|intent| intent["step"].clone()).collect();
    assert_eq!(used[1]["step"], "s1", "{used:?}");
    assert_eq!(used[1]["plan"], plans[0]["submitted"]["sha256"]);
    assert_eq!(site.executed(), ["page", "ann"]);
}

#[tokio::test]
async fn a_use_is_used_also_after_a_kill_and_what_is_left_is_left() {
    let site = site();
    let gateway = site.start();
    let client = chat(&gateway).await;
    let steps = json!([
        { "id": "a", "tool": "tools__send", "args": { "id": { "lit": "ann" } } },
        { "id": "b", "tool": "tools__send", "args": { "id": { "lit": "bob" } } },
    ]);
    assert_eq!(verdicts(&submit(&client, &steps).await), ["granted", "granted"]);
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "ann").await.reason(), "ok");
    gateway.kill();
    for round in 0..2 {
        // The second time it starts from the state at the head of its segment.
        let gateway = site.start();
        let client = chat(&gateway).await;
        assert_eq!(client.call("tools__send", "ann").await.reason(), "plan_required", "{round}");
        let left = status(&client).await;
        assert_eq!(left["plans"][0]["steps"][1]["left"], 1, "{left}");
        gateway.kill();
    }
    let gateway = site.start();
    assert_eq!(chat(&gateway).await.call("tools__send", "bob").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["page", "ann", "bob"]);
    check_signed(&site);
}

#[tokio::test]
async fn a_plan_is_refused_step_by_step_with_what_would_mend_it() {
    let site = site();
    let gateway = site.start();
    let client = chat(&gateway).await;
    let invalid =
        submit(&client, &json!([{ "id": "s1", "tool": "tools__send", "args": { "to": { "lit": 1 } } }]))
            .await;
    assert_eq!(invalid["reason"], "plan_invalid");
    assert_eq!(invalid["problems"][0]["step"], "s1", "{invalid}");
    // A hidden tool and one that does not exist are told alike (I5).
    let hidden = submit(&client, &json!([{ "id": "s1", "tool": "tools__refuse", "args": {} }])).await;
    let missing = submit(&client, &json!([{ "id": "s1", "tool": "tools__none", "args": {} }])).await;
    assert_eq!(hidden["steps"], missing["steps"], "{hidden} {missing}");
    assert_eq!(verdicts(&hidden), ["refused not_visible"]);
    // An email asks for what no shape of it covers.
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    assert_eq!(verdicts(&submit(&mail, &send_to("ann")).await), ["person plan_uncovered"]);
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "plan_required");
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
}

#[tokio::test]
async fn plans_are_taken_only_where_something_can_be_met_by_one() {
    let site = Site::with_oracle("");
    site.edit(|config| config.replace("plan = [\"tools.send\"]\n", ""));
    let gateway = site.start();
    let client = chat(&gateway).await;
    assert!(!client.list().await.contains(&SUBMIT.to_owned()));
    let none = client.call(SUBMIT, "x").await;
    let missing = client.call("tools__none", "x").await;
    let told = |answer: &Exchange| answer.json().to_string();
    assert_eq!(told(&none).replace(SUBMIT, "X"), told(&missing).replace("tools__none", "X"));
}

/// The oracle of whose tools `flows` speak: `tools.echo` writes and `browser.count` executes, `tools.read` reads what is
/// private and `browser.echo` sends.
fn flowing() -> Site {
    let site = Site::with_oracle(&crate::support::tokens::minting());
    site.edit(|config| {
        let stored = "accept_stored = \"the oracle gives nothing back\"\n";
        let tools = "tools = [\n    { tool = \"echo\", classes = [\"writes\"] },\n    { tool = \"read\", classes = [\"reads\"] },\n    { tool = \"count\", classes = [\"reads\"] },\n]\n";
        let config = config.replace("call_timeout = \"5s\"\n", &format!("call_timeout = \"5s\"\n{stored}{tools}"));
        let config = config.replace("allow = [\"tools.read\", \"browser.read\"]", "allow = [\"*\"]");
        let browser = "tools = [\n    { tool = \"count\", classes = [\"executes\"] },\n    { tool = \"echo\", classes = [\"sends\"] },\n    { tool = \"read\", classes = [\"reads\"] },\n]\n";
        let config = config.replace("returns = \"web\"\n", &format!("returns = \"web\"\n{browser}"));
        format!(
            r#"{config}
[[flows]]
name = "written-then-executed"
from = {{ classes = "writes" }}
to = {{ classes = "executes" }}
answer = "deny"

[[flows]]
name = "private-then-public"
from = {{ tools = "tools.read" }}
to = {{ classes = "sends" }}
answer = "deny"
"#
        )
    });
    site
}

#[tokio::test]
async fn what_one_server_wrote_another_does_not_execute_in_that_run_also_after_a_kill() {
    let site = flowing();
    let gateway = site.start();
    let client = chat(&gateway).await;
    assert_eq!(client.call("browser__count", "before").await.reason(), "ok");
    assert_eq!(client.call("tools__echo", "written").await.reason(), "ok");
    assert_eq!(client.call("browser__count", "after").await.reason(), "flow_denies");
    gateway.kill();
    for _ in 0..2 {
        // The second time from the state at the head of a segment.
        let gateway = site.start();
        assert_eq!(chat(&gateway).await.call("browser__count", "again").await.reason(), "flow_denies");
        gateway.kill();
    }
    let denial = of_kind(&site, "denial").remove(0);
    let rule = &denial["decision"]["rules"][0];
    assert_eq!((&rule["dimension"], &rule["name"]), (&json!("flow"), &json!("written-then-executed")));
    assert!(rule["place"]["line"].as_u64().is_some(), "{rule}");
    // What another run wrote is no history of this one: it carries its sources instead.
    let gateway = site.start();
    let other = Client::new(&gateway.url, crate::support::gateway::OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(other.call("browser__count", "other").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["before", "written", "other"]);
}

#[tokio::test]
async fn what_a_run_has_read_its_child_does_not_send() {
    let site = flowing();
    let gateway = site.start();
    let label = ["--source", "email", "--subject", "user:1", "--role", "assistant", "--txn", "mail-1"];
    let token = |agents: &[&str]| {
        let agents: Vec<&str> = agents.iter().flat_map(|agent| ["--agent", agent]).collect();
        minted(&site, &[&label[..], &agents].concat())
    };
    let (parent, child) = (token(&["inbox"]), token(&["helper", "inbox"]));
    let call = async |token: &str, tool: &str| {
        let params = json!({ "name": tool, "arguments": { "id": "x" } });
        Client::new(&gateway.url, token).modern(1, "tools/call", params).await.reason()
    };
    assert_eq!(call(&child, "browser__echo").await, "ok");
    assert_eq!(call(&parent, "tools__read").await, "ok");
    assert_eq!(call(&child, "browser__echo").await, "flow_denies");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_at_once_one_takes_the_one_use() {
    let site = site();
    let gateway = site.start();
    let client = chat(&gateway).await;
    assert_eq!(verdicts(&submit(&client, &send_to("ann")).await), ["granted"]);
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    let params = json!({ "name": "tools__send", "arguments": { "id": "ann" } });
    let calls = (100..132).map(|id| client.request(id, "tools/call", &params));
    let mut reasons: Vec<_> = join_all(calls).await.iter().map(Exchange::reason).collect();
    reasons.sort();
    reasons.dedup_by(|a, b| a == b && a == "plan_required");
    assert_eq!(reasons, ["ok", "plan_required"]);
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["page", "ann"]);
    check_signed(&site);
}
