//! Reloads under load: every call is decided by one configuration, and none loses its answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Edited, records};
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway, OTHER_KEY};
use crate::support::{Client, audit, check_audit};

/// Callers at once.
const CALLERS: usize = 4;

/// A request whose head was accepted, and whose body is not there yet.
struct Halfway {
    stream: TcpStream,
    body: String,
}

impl Halfway {
    /// Waits for `100 Continue`: the credential was accepted then, because nothing of a body is asked for
    /// before that.
    async fn of(gateway: &Gateway, key: &str, session: &str, body: String) -> Self {
        let address = gateway.url.trim_start_matches("http://").trim_end_matches("/mcp");
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {key}\r\nmcp-session-id: {session}\r\n\
             content-type: application/json\r\naccept: application/json, text/event-stream\r\n\
             content-length: {}\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\r\n\r\n") {
            said.push(stream.read_u8().await.unwrap());
        }
        assert!(said.starts_with(b"HTTP/1.1 100"), "{}", String::from_utf8_lossy(&said));
        Self { stream, body }
    }

    /// Sends the body and gives the whole answer.
    async fn finish(mut self) -> String {
        self.stream.write_all(self.body.as_bytes()).await.unwrap();
        let mut answer = String::new();
        self.stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn call(name: &str, id: &str) -> String {
    message(9, "tools/call", &json!({ "name": name, "arguments": { "id": id } }))
}

#[tokio::test]
async fn a29_what_was_not_decided_before_a_reload_is_decided_by_the_new_configuration() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let other = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    let narrowed = Halfway::of(&gateway, CHAT_KEY, client.session(), call("tools__echo", "narrowed")).await;
    let widened = Halfway::of(&gateway, CHAT_KEY, client.session(), call("tools__write", "widened")).await;
    let gone = Halfway::of(&gateway, OTHER_KEY, other.session(), call("tools__read", "gone")).await;
    let opening = message(
        1,
        "initialize",
        &json!({
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" }
        }),
    );
    let opens = Halfway::of(&gateway, OTHER_KEY, "", opening).await;
    edited.edit("ask = [\"tools.write\"]", "ask = [\"tools.echo\"]");
    let other_hash = sluicegate::model::digest::Sha256::of(OTHER_KEY.as_bytes()).to_string();
    edited.edit(&other_hash, &sluicegate::model::digest::Sha256::of(b"another key").to_string());
    edited.take_effect();
    assert!(narrowed.finish().await.contains("approval_pending"));
    assert!(widened.finish().await.contains("ok widened"));
    for late in [gone.finish().await, opens.finish().await] {
        assert!(late.starts_with("HTTP/1.1 401") && late.contains("credential_unknown"), "{late}");
        assert!(!late.contains("mcp-session-id"), "{late}");
    }
    assert!(gateway.stop().success());
    for record in audit::of_kind(&edited.site, "intent") {
        assert_eq!(record["decision"]["epoch"], 2, "{record}");
    }
    assert_eq!(edited.site.executed(), ["widened"]);
    check_audit(&edited.site);
}

/// Calls `tool` until told to stop, each time with an id of its own; gives what became of each.
fn keep_calling(
    client: &Client,
    tool: &'static str,
    who: usize,
    stop: &Arc<AtomicBool>,
) -> tokio::task::JoinHandle<Vec<String>> {
    let (client, stop) = (client.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut ended = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let id = format!("{who}_{}", ended.len());
            ended.push(client.call(tool, &id).await.reason());
        }
        ended
    })
}

async fn callers(
    gateway: &Gateway,
    tool: &'static str,
    stop: &Arc<AtomicBool>,
) -> Vec<tokio::task::JoinHandle<Vec<String>>> {
    let mut callers = Vec::new();
    for who in 0..CALLERS {
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        callers.push(keep_calling(&client, tool, who, stop));
    }
    callers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a29_every_call_is_decided_by_one_configuration_and_none_by_an_old_one_after_the_answer() {
    let mut edited = Edited::new("");
    edited.edit("ask = [\"tools.write\"]", "plan = [\"tools.write\"]");
    let gateway = edited.site.start();
    let probe = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let stop = Arc::new(AtomicBool::new(false));
    let callers = callers(&gateway, "tools__write", &stop).await;
    for round in 0..8 {
        // Odd configurations want a plan, even ones let it pass.
        let (from, to) =
            if round % 2 == 0 { ("[\"tools.write\"]", "[]") } else { ("[]", "[\"tools.write\"]") };
        edited.edit(&format!("plan = {from}"), &format!("plan = {to}"));
        assert_eq!(edited.take_effect()["epoch"], round + 2);
        let expected = if round % 2 == 0 { "ok" } else { "plan_required" };
        assert_eq!(probe.call("tools__write", &format!("probe_{round}")).await.reason(), expected);
    }
    stop.store(true, Ordering::Relaxed);
    let mut seen = std::collections::BTreeSet::new();
    for caller in callers {
        seen.extend(caller.await.unwrap());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["ok", "plan_required"]);
    assert!(gateway.stop().success());
    let is_even = |record: &Value| record["decision"]["epoch"].as_u64().unwrap().is_multiple_of(2);
    assert!(audit::of_kind(&edited.site, "intent").iter().all(is_even));
    let denials = audit::of_kind(&edited.site, "denial");
    assert!(!denials.is_empty() && !denials.iter().any(is_even));
    let places = |record: &Value| record["decision"]["rules"][0]["permission"].clone();
    assert!(denials.iter().all(|record| places(record) == "tools.write"), "by the rules of its own epoch");
    check_audit(&edited.site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tool_server_that_is_launched_anew_under_load_loses_no_answer() {
    let mut edited = Edited::new("");
    edited.edit("call_timeout = \"5s\"", "call_timeout = \"60s\"\nenv = { ROUND = \"0\" }");
    let gateway = edited.site.start();
    let stop = Arc::new(AtomicBool::new(false));
    let callers = callers(&gateway, "tools__count", &stop).await;
    for round in 1..6 {
        edited.edit(&format!("ROUND = \"{}\"", round - 1), &format!("ROUND = \"{round}\""));
        let answer = edited.take_effect();
        assert_eq!(answer["changed"], json!(["upstream tools is launched anew"]));
        let at = format!("round_{round}");
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        assert_eq!(client.call("tools__count", &at).await.reason(), "ok");
    }
    stop.store(true, Ordering::Relaxed);
    let mut calls = 0;
    for caller in callers {
        let ended = caller.await.unwrap();
        calls += ended.len();
        assert!(ended.iter().all(|reason| reason == "ok"), "{ended:?}");
    }
    assert!(gateway.stop().success());
    let mut pids: Vec<_> = edited.site.ledger().iter().map(|entry| entry["pid"].clone()).collect();
    pids.dedup();
    pids.sort_by_key(Value::as_u64);
    pids.dedup();
    assert_eq!(pids.len(), 6, "one process for each launch, and {calls} calls");
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_storm_of_signals_is_a_few_reloads_and_the_last_configuration_counts() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    edited.edit("ask = [\"tools.write\"]", "ask = []");
    for _ in 0..500 {
        gateway.signal(Signal::HUP);
    }
    // Its turn comes after what the signals asked for.
    let last = edited.take_effect()["epoch"].as_u64().unwrap();
    assert_eq!(client.call("tools__write", "writes").await.reason(), "ok");
    assert!(gateway.stop().success());
    let reloads = records(&edited.site).len() - 1;
    assert!((2..100).contains(&reloads), "{reloads} reloads");
    assert!(last >= 3, "the signals were heeded before: {last}");
    check_audit(&edited.site);
}

#[tokio::test]
async fn people_who_ask_at_once_are_answered_one_after_the_other() {
    let edited = Edited::new("");
    let gateway = edited.site.start();
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let mut command = edited.site.command(&["reload", "--json"]);
            command.stdout(std::process::Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut epochs: Vec<u64> = asking
        .into_iter()
        .map(|child| {
            let answer: Value = serde_json::from_slice(&child.wait_with_output().unwrap().stdout).unwrap();
            answer["epoch"].as_u64().unwrap()
        })
        .collect();
    epochs.sort_unstable();
    assert_eq!(epochs, [2, 3, 4, 5, 6, 7]);
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}
