//! A stop while calls are in flight (CASES F70): those end and are answered, or are recorded as what became of them;
//! nobody is left without a record, and nothing new begins.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::support::audit::{argument_digest, check_signed, of_kind, wait_for};
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Exchange, Site, check_audit};

/// The site, whose tool servers have as long as they like, with probes.
fn site() -> Site {
    let site = Site::with_oracle("[admin]\naddress = \"127.0.0.1:0\"\n");
    site.edit(|config| config.replace("call_timeout = \"5s\"", "call_timeout = \"5m\""));
    site
}

/// A call that goes on by itself, once its intent is on the record.
fn begun(
    site: &Site,
    client: &Client,
    tool: &'static str,
    id: &'static str,
) -> tokio::task::JoinHandle<Exchange> {
    let client = client.clone();
    let call = tokio::spawn(async move { client.call(tool, id).await });
    wait_for(site, &["\"kind\":\"intent\"", &argument_digest(id)]);
    call
}

/// Waits until the gateway says that it takes nothing new.
async fn draining(gateway: &Gateway) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    while !gateway.shows("/readyz").await.contains("\"draining\"") {
        assert!(tokio::time::Instant::now() < deadline, "it never stops");
        looks.tick().await;
    }
}

/// What is recorded of the end of the call of `id`.
fn outcome(site: &Site, id: &str) -> serde_json::Value {
    let intents = of_kind(site, "intent");
    let intent = intents.iter().find(|intent| intent["arguments"]["sha256"] == argument_digest(id)).unwrap();
    of_kind(site, "outcome").into_iter().find(|outcome| outcome["intent"] == intent["seq"]).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f70_calls_in_flight_end_before_a_stop_does_and_nothing_new_begins() {
    let site = site();
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let other = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let third = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
    // The tool server takes its time.
    let pid = i32::try_from(site.ledger()[0]["pid"].as_i64().unwrap()).unwrap();
    let oracle = Pid::from_raw(pid).unwrap();
    kill_process(oracle, Signal::STOP).unwrap();
    let calls = [begun(&site, &client, "tools__read", "one"), begun(&site, &other, "tools__count", "two")];
    gateway.signal(Signal::TERM);
    draining(&gateway).await;
    // Its connection may be closed already, or it is told why.
    let late = third.try_call("tools__read", "late").await;
    assert!(late.is_none_or(|answer| answer.reason() == "draining"));
    assert!(calls.iter().all(|call| !call.is_finished()));
    kill_process(oracle, Signal::CONT).unwrap();
    for call in calls {
        assert_eq!(call.await.unwrap().reason(), "ok");
    }
    assert!(gateway.ended().success());
    assert_eq!(site.executed(), ["before", "one", "two"]);
    for id in ["one", "two"] {
        let outcome = outcome(&site, id);
        assert_eq!((&outcome["reason"], &outcome["executed"]), (&"answered".into(), &"yes".into()));
    }
    assert_eq!(of_kind(&site, "stop").len(), 1);
    check_audit(&site);
    check_signed(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f70_a_call_that_does_not_end_is_ended_by_a_stop_answered_and_recorded() {
    let site = site();
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let stuck = begun(&site, &client, "tools__hang", "stuck");
    site.wait_for_ledger(|entry| entry["id"] == "stuck").await;
    assert!(gateway.stop().success());
    let told = stuck.await.unwrap().reason();
    let outcome = outcome(&site, "stuck");
    assert_eq!(
        (outcome["reason"].as_str().unwrap(), &outcome["executed"]),
        (told.as_str(), &"unknown".into())
    );
    assert_eq!((of_kind(&site, "unknown").len(), of_kind(&site, "stop").len()), (0, 1));
    check_audit(&site);
    check_signed(&site);
}
