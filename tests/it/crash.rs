//! `kill -9` under load, at random moments: what the client saw, what the upstream executed and what the
//! journal says agree, each time.
//!
//! CI makes a few kills; `SLUICEGATE_KILLS=100 cargo nextest run crash::` makes a hundred and prints the
//! figures of docs/PROMISES.md.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sluicegate::model::digest::Sha256;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::support::audit::{argument_digest, of_kind, records};
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Site, check_audit};

/// Calls in flight at once: so many may be unknown after a kill.
const CLIENTS: usize = 16;
/// Kills in CI.
const KILLS_DEFAULT: u32 = 6;

/// Id of the call and digest of the raw result, for each answer that a client saw.
type Answers = BTreeMap<String, Sha256>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_no_kill_leaves_an_execution_without_intent_or_an_answer_without_outcome() {
    let kills: u32 = std::env::var("SLUICEGATE_KILLS").map_or(KILLS_DEFAULT, |kills| kills.parse().unwrap());
    let site = Site::with_oracle("");
    let mut answers = Answers::new();
    for kill in 0..kills {
        let unknown_before = of_kind_or_none(&site, "unknown");
        let gateway = site.start();
        let unknown_after = of_kind_or_none(&site, "unknown");
        assert!(unknown_after - unknown_before <= CLIENTS, "more unknown calls than were in flight");
        let (seen, mut seeing) = watch::channel(0_u64);
        let mut clients = load(&gateway.url, kill, seen).await;
        let random = u64::from(u16::from_le_bytes(sluicegate::chance::bytes().unwrap()));
        let until = 1 + random % 150;
        seeing.wait_for(|answers| *answers >= until).await.unwrap();
        gateway.kill();
        while let Some(seen) = clients.join_next().await {
            answers.extend(seen.unwrap());
        }
    }
    assert!(site.start().stop().success());
    check_audit(&site);
    check_answers(&site, &answers);
    let (executed, unknown) = (site.executed().len(), of_kind(&site, "unknown").len());
    println!(
        "{kills} kills: {} answers seen, {executed} executions, {unknown} unknown; executions without intent 0, \
         executions marked denied 0, answers without outcome 0, intents without ending 0",
        answers.len()
    );
}

fn of_kind_or_none(site: &Site, kind: &str) -> usize {
    if site.path("state/journal").exists() { of_kind(site, kind).len() } else { 0 }
}

/// Clients that call until the gateway is gone. All have their session before the first of them calls.
async fn load(url: &str, kill: u32, seen: watch::Sender<u64>) -> JoinSet<Answers> {
    let (seen, numbers) = (Arc::new(seen), Arc::new(AtomicU64::new(0)));
    let mut callers = Vec::new();
    for _ in 0..CLIENTS {
        callers.push(Client::new(url, CHAT_KEY).initialize("2025-11-25").await);
    }
    let mut clients = JoinSet::new();
    for (client, caller) in callers.into_iter().enumerate() {
        let (seen, numbers) = (Arc::clone(&seen), Arc::clone(&numbers));
        clients.spawn(async move {
            let mut answers = Answers::new();
            loop {
                let id = format!("{kill}-{client}-{}", numbers.fetch_add(1, Ordering::Relaxed));
                let Some(answer) = caller.try_call("tools__read", &id).await else { return answers };
                assert_eq!(answer.reason(), "ok", "{answer:?}");
                let raw = answer.body.strip_prefix(br#"{"jsonrpc":"2.0","id":2,"result":"#).unwrap();
                answers.insert(id, Sha256::of(raw.strip_suffix(b"}").unwrap()));
                seen.send_modify(|answers| *answers += 1);
            }
        });
    }
    clients
}

/// Every answer that a client saw has an outcome with the digest of exactly that result.
fn check_answers(site: &Site, answers: &Answers) {
    let mut intents = BTreeMap::new();
    let mut results = BTreeMap::new();
    for record in records(site) {
        if record["kind"] == "intent" {
            intents.insert(record["arguments"]["sha256"].to_string(), record["seq"].as_u64().unwrap());
        } else if record["kind"] == "outcome" {
            results.insert(record["intent"].as_u64().unwrap(), record["result"]["sha256"].to_string());
        }
    }
    for (id, digest) in answers {
        let seq = intents.get(&format!("\"{}\"", argument_digest(id))).unwrap();
        assert_eq!(results.get(seq), Some(&format!("\"{digest}\"")), "the answer to {id} has no outcome");
    }
}
