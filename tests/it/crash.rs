//! `kill -9` under load, at random moments, with two sinks attached: what the client saw, what the upstream executed,
//! what the journal says and what the sinks have agree, each time.
//!
//! CI makes a few kills; `SLUICEGATE_KILLS=1000 cargo nextest run --profile long crash:: --no-capture` makes a thousand
//! and prints the figures of docs/PROMISES.md.

use serde_json::Value;

use crate::support::audit::{check_signed, newest_segment, of_kind};
use crate::support::load::{Answers, Load, Seen, answers, check_answers, kills};
use crate::support::receiver::{Receiver, status};
use crate::support::sink::{assert_whole, owed, two_sinks};
use crate::support::{Site, check_audit};

/// Calls in flight at once: so many may be unknown after a kill.
const CLIENTS: usize = 16;
/// Kills in CI.
const KILLS_DEFAULT: u32 = 6;
/// Kills of one site: what it has recorded is held in memory to be compared.
const KILLS_OF_A_SITE: u32 = 50;
/// Answers before a kill, at most.
const ANSWERS_MAX: u64 = 150;

#[derive(Default)]
struct Figures {
    answers: usize,
    executed: usize,
    unknown: usize,
    again: usize,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn i6_no_kill_leaves_an_execution_without_intent_or_an_answer_without_outcome() {
    let kills = kills().unwrap_or(KILLS_DEFAULT);
    let mut all = Figures::default();
    let mut left = kills;
    while left > 0 {
        let now = left.min(KILLS_OF_A_SITE);
        lives_of_a_site(now, &mut all).await;
        left -= now;
    }
    println!(
        "{kills} kills: {} answers seen, {} executions, {} unknown, {} records that a sink got again; executions \
         without intent 0, executions marked denied 0, answers without outcome 0, intents without ending 0, records \
         that a sink lacks 0",
        all.answers, all.executed, all.unknown, all.again
    );
}

/// So many lives of one gateway, each ended by a kill, and one that is stopped.
async fn lives_of_a_site(kills: u32, all: &mut Figures) {
    let receiver = Receiver::start(|_, _| status(200)).await;
    let site = two_sinks(&receiver.url);
    let mut answered = Answers::new();
    for kill in 0..kills {
        let gateway = site.start();
        assert!(unknown_at_start(&site) <= CLIENTS, "more unknown calls than were in flight");
        let load = Load { clients: CLIENTS, calls: usize::MAX, padding: 0 };
        let (callers, seen) = (load.sessions(&gateway).await, Seen::default());
        let clients = callers.call(&kill.to_string(), &seen);
        let random = u64::from(u16::from_le_bytes(sluicegate::chance::bytes().unwrap()));
        let until = 1 + random % ANSWERS_MAX;
        seen.subscribe().wait_for(|answers| *answers >= until).await.unwrap();
        gateway.kill();
        answered.extend(answers(clients).await);
    }
    assert!(site.start().stop().success());
    check_audit(&site);
    check_signed(&site);
    check_answers(&site, &answered);
    let text = std::fs::read_to_string(site.path("out.jsonl")).unwrap();
    let (file, sent) = (text.lines().map(str::to_owned).collect::<Vec<_>>(), receiver.taken());
    assert_whole(&site, &file, &[]);
    assert_whole(&site, &sent, &[]);
    all.answers += answered.len();
    all.executed += site.executed().len();
    all.unknown += of_kind(&site, "unknown").len();
    all.again += file.len() + sent.len() - 2 * owed(&site).len();
}

/// How many calls the start that came last knows no ending of: its segment opens with them.
fn unknown_at_start(site: &Site) -> usize {
    let text = std::fs::read_to_string(newest_segment(site)).unwrap();
    let kinds = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    kinds.filter(|record| record["kind"] == "unknown").count()
}
