//! Questions to people over the real binary: a call waits, a person answers, and the yes counts once, for that call.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::support::audit::check_signed;
use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, Exchange, Site};

const RESUME: &str = "sluicegate__resume";

pub async fn client(gateway: &Gateway, key: &str) -> Client {
    Client::new(&gateway.url, key).initialize("2025-11-25").await
}

/// The id of the question that `answer` says was asked.
pub fn asked(answer: &Exchange) -> String {
    assert_eq!(answer.reason(), "approval_pending", "{answer:?}");
    let told = answer.json()["result"]["structuredContent"].clone();
    assert_eq!(told["remedy"]["tool"], RESUME, "{told}");
    told["remedy"]["arguments"]["id"].as_str().unwrap().to_owned()
}

pub async fn resume(client: &Client, id: &str) -> Exchange {
    client.request(7, "tools/call", &json!({ "name": RESUME, "arguments": { "id": id } })).await
}

pub fn questions(site: &Site) -> Vec<Value> {
    let (code, out, err) = site.run(&["approvals", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

pub fn answer(site: &Site, word: &str, id: &str) {
    let (code, out, err) = site.run(&["approvals", word, id]);
    assert_eq!(code, 0, "{out}{err}");
}

#[tokio::test]
async fn a_call_waits_for_a_person_and_goes_on_once_with_their_yes() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    assert!(chat.list().await.contains(&RESUME.to_owned()));
    let id = asked(&chat.call("tools__write", "a").await);
    assert_eq!(asked(&chat.call("tools__write", "a").await), id, "the same question");
    assert_eq!(asked(&resume(&chat, &id).await), id, "it still waits");
    let shown = &questions(&site)[0];
    assert_eq!((&shown["id"], &shown["tool"]), (&json!(id), &json!("tools.write")));
    assert_eq!(shown["arguments"], json!(r#"{"id":"a"}"#), "exactly what would be sent");
    let (_, text, _) = site.run(&["approvals", "show", &id]);
    assert!(text.contains("influenced  chat") && text.contains("source chat ask by `tools.write`"), "{text}");
    answer(&site, "approve", &id);
    // Not for another call, nor for another run.
    assert_ne!(asked(&chat.call("tools__write", "b").await), id);
    let other = client(&gateway, OTHER_KEY).await;
    assert_eq!(resume(&other, &id).await.reason(), "approval_unknown");
    assert_ne!(asked(&other.call("tools__write", "a").await), id);
    assert_eq!(resume(&chat, &id).await.reason(), "ok");
    assert_eq!(resume(&chat, &id).await.reason(), "approval_unknown", "it is spent");
    assert_ne!(asked(&chat.call("tools__write", "a").await), id, "and asked again");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a"]);
    let taken: Vec<_> = of_kind(&site, "intent").iter().map(|intent| intent["approval"].clone()).collect();
    assert_eq!(taken, [json!(id)]);
    let words: Vec<_> = of_kind(&site, "approval").iter().map(|it| it["change"].clone()).collect();
    assert_eq!(words, ["asked", "approved", "asked", "asked", "asked"]);
    check_signed(&site);
}

#[tokio::test]
async fn a_no_stays_a_no_and_a_yes_lapses_when_a_source_joins_the_run() {
    let site = Site::with_oracle("");
    site.edit(|config| config.replace("[sources.web]\n", "[sources.web]\nask = [\"tools.write\"]\n"));
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let denied = asked(&chat.call("tools__write", "no").await);
    answer(&site, "deny", &denied);
    assert_eq!(chat.call("tools__write", "no").await.reason(), "approval_denied");
    assert_eq!(resume(&chat, &denied).await.reason(), "approval_denied");
    let (code, _, err) = site.run(&["approvals", "approve", &denied]);
    assert!(code != 0 && err.contains("no question of this id waits"), "{err}");
    let id = asked(&chat.call("tools__write", "yes").await);
    answer(&site, "approve", &id);
    assert_eq!(chat.call("browser__read", "page").await.reason(), "ok");
    // What the person said yes to was a run that had read nothing.
    assert_eq!(resume(&chat, &id).await.reason(), "approval_unknown");
    assert_ne!(asked(&chat.call("tools__write", "yes").await), id);
    let lapsed = of_kind(&site, "approval").into_iter().filter(|it| it["change"] == "lapsed");
    assert_eq!(lapsed.count(), 2, "the no as well: it was said to another run, too");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["page"]);
}

#[tokio::test]
async fn a_yes_survives_a_kill_and_is_spent_once_also_over_one() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let (yes, open) =
        (asked(&chat.call("tools__write", "yes").await), asked(&chat.call("tools__write", "open").await));
    answer(&site, "approve", &yes);
    gateway.kill();
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    // What would go on is known by its digest alone now: nobody says yes to it, and its agent makes it again.
    assert_eq!(resume(&chat, &yes).await.reason(), "approval_unknown");
    let (code, _, err) = site.run(&["approvals", "approve", &open]);
    assert!(code != 0 && err.contains("not known any more"), "{err}");
    assert_eq!(chat.call("tools__write", "yes").await.reason(), "ok");
    assert_eq!(
        asked(&chat.call("tools__write", "open").await),
        open,
        "made again, it can be looked at again"
    );
    answer(&site, "approve", &open);
    gateway.kill();
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    assert_ne!(asked(&chat.call("tools__write", "yes").await), yes);
    assert_eq!(chat.call("tools__write", "open").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["yes", "open"]);
    check_signed(&site);
}

#[tokio::test]
async fn a_yes_counts_under_the_configuration_that_it_was_said_under() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let id = asked(&chat.call("tools__write", "a").await);
    answer(&site, "approve", &id);
    site.edit(|config| {
        config.replace("deny = [\"tools.refuse\"]", "deny = [\"tools.refuse\", \"tools.exit\"]")
    });
    let (code, _, err) = site.run(&["reload"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(resume(&chat, &id).await.reason(), "approval_unknown", "it lapsed with the configuration");
    assert_ne!(asked(&chat.call("tools__write", "a").await), id);
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
}

#[tokio::test]
async fn a_person_says_yes_to_a_step_of_a_plan_and_its_calls_may_be_made() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    // An email asks for what no shape of it covers.
    let mail = client(&gateway, crate::support::gateway::EMAIL_KEY).await;
    let plan = json!({ "v": 1, "steps": [
        { "id": "s1", "tool": "tools__send", "max_calls": 2, "args": { "id": { "lit": "ann" } } },
    ] });
    let call = json!({ "name": "sluicegate__submit_plan", "arguments": plan });
    let told = mail.request(5, "tools/call", &call).await.json()["result"]["structuredContent"].clone();
    assert_eq!(told["steps"][0]["verdict"], "person", "{told}");
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "plan_required");
    let waiting = questions(&site);
    assert_eq!(waiting[0]["about"], "step");
    assert_eq!(waiting[0]["arguments"], json!(r#"{"id":{"lit":"ann"}}"#));
    answer(&site, "approve", waiting[0]["id"].as_str().unwrap());
    assert!(questions(&site).is_empty());
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "ok");
    gateway.kill();
    let gateway = site.start();
    let mail = client(&gateway, crate::support::gateway::EMAIL_KEY).await;
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "ok");
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "plan_required");
    assert_eq!(mail.call("tools__send", "eve").await.reason(), "plan_required");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["ann", "ann"]);
    check_signed(&site);
}

/// A call whose client takes progress, as it is held.
pub async fn held(client: &Client, arguments: Value) -> crate::support::client::Events {
    let params =
        json!({ "name": "tools__write", "arguments": arguments, "_meta": { "progressToken": "p-7" } });
    client.hold(9, "tools/call", params).await
}

#[tokio::test]
async fn a_client_that_takes_progress_is_held_until_a_person_answers() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY);
    for (word, expected) in [("approve", json!(null)), ("deny", json!(true))] {
        let mut call = held(&chat, json!({ "id": word })).await;
        let told = call.next().await;
        assert_eq!(
            (&told["method"], &told["params"]["progressToken"]),
            (&json!("notifications/progress"), &json!("p-7"))
        );
        let waiting = questions(&site);
        answer(&site, word, waiting.last().unwrap()["id"].as_str().unwrap());
        let mut last = call.next().await;
        while last["method"] == "notifications/progress" {
            last = call.next().await;
        }
        assert_eq!((&last["id"], &last["result"]["isError"]), (&json!(9), &expected), "{last}");
    }
    // Who hangs up is not waited for, and the question stays.
    let mut gone = held(&chat, json!({ "id": "gone" })).await;
    gone.next().await;
    drop(gone);
    assert_eq!(questions(&site).last().unwrap()["standing"], "waiting");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["approve"]);
    let denials = of_kind(&site, "denial");
    assert_eq!(
        denials.iter().map(|denial| &denial["reason"]).collect::<Vec<_>>(),
        ["approval_denied", "approval_pending"],
        "also the one of who hung up"
    );
    check_signed(&site);
}

#[tokio::test]
async fn a_call_that_nobody_answers_is_held_no_longer_than_it_may_be() {
    let site = Site::with_oracle("[limits]\nask_hold = \"1s\"\n");
    let gateway = site.start();
    let mut call = held(&Client::new(&gateway.url, CHAT_KEY), json!({ "id": "x" })).await;
    let mut last = call.next().await;
    while last["method"] == "notifications/progress" {
        last = call.next().await;
    }
    assert_eq!(last["result"]["structuredContent"]["reason"], "approval_pending", "{last}");
    // One that is held when the gateway ends is told at once.
    let mut call = held(&Client::new(&gateway.url, CHAT_KEY), json!({ "id": "y" })).await;
    call.next().await;
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_calls_at_once_one_takes_the_one_yes() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = client(&gateway, CHAT_KEY).await;
    let id = asked(&chat.call("tools__write", "once").await);
    answer(&site, "approve", &id);
    let again = json!({ "name": RESUME, "arguments": { "id": id } });
    let same = json!({ "name": "tools__write", "arguments": { "id": "once" } });
    let calls = (100..116).map(|id| chat.request(id, "tools/call", if id % 2 == 0 { &again } else { &same }));
    let reasons: Vec<_> = join_all(calls).await.iter().map(Exchange::reason).collect();
    assert_eq!(reasons.iter().filter(|reason| *reason == "ok").count(), 1, "{reasons:?}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["once"]);
    check_signed(&site);
}
