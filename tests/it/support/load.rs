//! Calls of many clients at once, until they have made them all or the gateway is gone, and what has to be true of
//! the answers that they saw.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluicegate::model::digest::Sha256;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::audit::{argument_digest, records};
use super::gateway::{CHAT_KEY, Gateway};
use super::{Client, Site};

/// Id of the call and digest of the raw result, for each answer that a client saw.
pub type Answers = BTreeMap<String, Sha256>;

/// How many answers were seen so far.
pub type Seen = Arc<watch::Sender<u64>>;

/// What clients do.
#[derive(Clone, Copy)]
pub struct Load {
    pub clients: usize,
    /// Calls of each client.
    pub calls: usize,
    /// Bytes by which the arguments of each call are longer than they need be.
    pub padding: usize,
}

/// Clients that have their session and do not call yet.
pub struct Callers(Vec<Client>, Load);

impl Load {
    pub async fn sessions(self, gateway: &Gateway) -> Callers {
        let mut clients = Vec::new();
        for _ in 0..self.clients {
            clients.push(Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await);
        }
        Callers(clients, self)
    }
}

impl Callers {
    /// Has them call; `life` tells their ids from those of other lives of the gateway.
    pub fn call(self, life: &str, seen: &Seen) -> JoinSet<Answers> {
        let Self(callers, load) = self;
        let mut clients = JoinSet::new();
        for (client, caller) in callers.into_iter().enumerate() {
            let (life, seen, padding) = (life.to_owned(), Arc::clone(seen), "x".repeat(load.padding));
            clients.spawn(async move {
                let mut answers = Answers::new();
                for call in 0..load.calls {
                    let id = format!("{life}-{client}-{call}-{padding}");
                    let Some(answer) = caller.try_call("tools__read", &id).await else { break };
                    assert_eq!(answer.reason(), "ok", "{answer:?}");
                    let raw = answer.body.strip_prefix(br#"{"jsonrpc":"2.0","id":2,"result":"#).unwrap();
                    answers.insert(id, Sha256::of(raw.strip_suffix(b"}").unwrap()));
                    seen.send_modify(|answers| *answers += 1);
                }
                answers
            });
        }
        clients
    }
}

/// What all of them saw.
pub async fn answers(clients: JoinSet<Answers>) -> Answers {
    clients.join_all().await.into_iter().flatten().collect()
}

/// Every answer that a client saw has an outcome with the digest of exactly that result.
pub fn check_answers(site: &Site, answers: &Answers) {
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

/// How often the long command kills; nothing where it is not asked for.
pub fn kills() -> Option<u32> {
    std::env::var("SLUICEGATE_KILLS").ok().map(|kills| kills.parse().unwrap())
}
