//! Random histories, random crashes: what was acknowledged is there, the state is what the records say.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use rustix::io::Errno;
use serde_json::Value;

use super::*;
use crate::audit::disk::Op;

/// One step of a history.
#[derive(Debug, Clone)]
enum Step {
    Start(u8),
    End(u8),
    Call {
        run: u8,
        adds: Option<u8>,
        stores: Stores,
        end: CallEnd,
    },
    Denial {
        run: u8,
        adds: Option<u8>,
    },
    Taint {
        run: u8,
        adds: u8,
    },
    /// The next sync fails.
    SyncFails,
    /// The next write stops after so many bytes.
    WriteFails(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CallEnd {
    Concluded,
    Open,
    Dropped,
}

/// What the crash does to lines that were not synced.
#[derive(Debug, Clone)]
enum Crash {
    /// The process died; the machine lives.
    Process,
    /// The machine died: the file ends somewhere behind what was synced.
    Cut(prop::sample::Index),
    /// The machine died: some blocks behind what was synced never came to the disk.
    Holes(Vec<prop::sample::Index>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let stores = prop_oneof![Just(Stores::Nothing), Just(Stores::Subject), Just(Stores::All)];
    let end = prop_oneof![Just(CallEnd::Concluded), Just(CallEnd::Open), Just(CallEnd::Dropped)];
    let adds = prop::option::of(0..4_u8);
    let step = prop_oneof![
        2 => (0..4_u8).prop_map(Step::Start),
        1 => (0..4_u8).prop_map(Step::End),
        6 => (0..4_u8, adds.clone(), stores, end)
            .prop_map(|(run, adds, stores, end)| Step::Call { run, adds, stores, end }),
        3 => (0..4_u8, adds).prop_map(|(run, adds)| Step::Denial { run, adds }),
        1 => (0..4_u8, 0..4_u8).prop_map(|(run, adds)| Step::Taint { run, adds }),
        1 => Just(Step::SyncFails),
        1 => (0..900_usize).prop_map(Step::WriteFails),
    ];
    prop::collection::vec(step, 1..40)
}

fn crash() -> impl Strategy<Value = Crash> {
    prop_oneof![
        Just(Crash::Process),
        any::<prop::sample::Index>().prop_map(Crash::Cut),
        prop::collection::vec(any::<prop::sample::Index>(), 1..4).prop_map(Crash::Holes),
    ]
}

/// What the journal acknowledged.
#[derive(Debug, Default)]
struct Acknowledged {
    /// Known durable: survives everything.
    durable: Vec<Seq>,
    /// Written: survives the death of the process.
    written: Vec<Seq>,
    /// What the agent of each run may have read: everything that was in its provenance when one of its
    /// records was acknowledged as durable.
    read: BTreeMap<u8, Provenance>,
    /// The provenance of each run in the memory of the gateway. It grows whatever the journal answers.
    memory: BTreeMap<u8, Provenance>,
}

impl Acknowledged {
    /// What a run's critical section does: the source counts from here on.
    fn section(&mut self, number: u8, adds: Option<u8>) -> CallFacts {
        let memory = self.memory.get_mut(&number).unwrap();
        let provenance = memory.clone();
        let adds = memory.join(&adds.map(source).unwrap_or_default());
        CallFacts { provenance, adds, ..facts(&run(number)) }
    }

    fn durable(&mut self, number: u8, seq: Seq) {
        self.durable.push(seq);
        self.read.insert(number, self.memory[&number].clone());
    }
}

fn source(number: u8) -> Provenance {
    sources([["email", "web", "cron", "files"][usize::from(number)]])
}

/// Plays a history; gives what was acknowledged and the calls that are still open.
async fn play(room: &Room, journal: &Journal, steps: &[Step]) -> (Acknowledged, Vec<OpenIntent>) {
    let is_relaxed = room.durability == Durability::Relaxed;
    let (mut known, mut open) = (Acknowledged::default(), Vec::new());
    for step in steps {
        until_going(journal).await;
        match step {
            Step::Start(number) if !known.memory.contains_key(number) => {
                if let Ok(seq) = start_run(journal, &run(*number)).await {
                    known.durable.push(seq);
                    known.memory.insert(*number, sources(["chat"]));
                }
            }
            Step::End(number) if known.memory.contains_key(number) => {
                let end = Event::RunEnd {
                    run: run(*number),
                    why: RunEnding::Idle,
                    by: None,
                    until: None,
                    unstarted: None,
                };
                if let Ok(seq) = journal.record(end).await {
                    known.durable.push(seq);
                    known.memory.remove(number);
                    known.read.remove(number);
                }
            }
            Step::Call { run: number, adds, stores, end } if known.memory.contains_key(number) => {
                let facts = CallFacts { stores: *stores, ..known.section(*number, *adds) };
                let marks = !facts.adds.is_empty() || *stores != Stores::Nothing;
                let Ok(intent) = intend(journal, facts).await else { continue };
                if is_relaxed && !marks {
                    known.written.push(intent.seq());
                } else {
                    known.durable(*number, intent.seq());
                }
                let ((), begun) = intent.begin();
                match end {
                    CallEnd::Concluded => {
                        let ended = begun.conclude(answered()).await;
                        let is_full = room.durability == Durability::Full;
                        if is_full { &mut known.durable } else { &mut known.written }.extend(ended);
                    }
                    CallEnd::Open if open.len() < 8 => open.push(begun),
                    CallEnd::Open | CallEnd::Dropped => drop(begun),
                }
            }
            Step::Denial { run: number, adds } if known.memory.contains_key(number) => {
                let facts = known.section(*number, *adds);
                let adding = !facts.adds.is_empty();
                match journal.record(denial(facts)).await {
                    Ok(seq) if adding => known.durable(*number, seq),
                    Ok(seq) if room.durability == Durability::Full => known.durable.push(seq),
                    Ok(seq) => known.written.push(seq),
                    Err(_) => {}
                }
            }
            Step::Taint { run: number, adds } if known.memory.contains_key(number) => {
                let adds = known.section(*number, Some(*adds)).adds;
                let event = Event::Taint { run: run(*number), adds, entries: vec![], cause: Claim::new("x") };
                known.durable.extend(journal.record(event).await);
            }
            Step::SyncFails => room.disk.faults.plan(Op::Sync, 0, 1, Errno::IO),
            Step::WriteFails(written) => room.disk.faults.plan_short_write(*written, Errno::NOSPC),
            _ => {}
        }
    }
    (known, open)
}

/// Does to the copy of the journal what the crash does, behind what was synced and nowhere else.
fn crashed(room: &Room, synced: u64, crash: &Crash) {
    let path = room.last();
    let text = std::fs::read_to_string(&path).unwrap();
    // A segment gets its name only once its head is durable, whatever was known synced a moment ago
    // (docs/AUDIT.md §5.2): one that was begun since is no tail.
    let (mut safe, mut is_head) = (0, true);
    for line in text.lines() {
        let value: Value = serde_json::from_str(line).unwrap();
        if !is_head && value["seq"].as_u64().unwrap() > synced {
            break;
        }
        is_head = is_head && value["kind"] != "commit";
        safe += line.len() + 1;
    }
    let tail = text.len() - safe;
    if tail == 0 {
        return;
    }
    edit(&path, |bytes| match crash {
        Crash::Process => {}
        Crash::Cut(at) => bytes.truncate(safe + at.index(tail)),
        Crash::Holes(holes) => {
            for hole in holes {
                let start = safe + hole.index(tail);
                let end = (start + 512).min(bytes.len());
                bytes[start..end].fill(0);
            }
        }
    });
}

/// The state that the records describe: a slow and obvious second fold, over all lines from the first.
fn folded(lines: &[Value]) -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let refused: BTreeSet<_> = lines
        .iter()
        .filter(|line| line["kind"] == "restated" && line["refused"] == true)
        .map(|line| line["line"]["seq"].as_u64())
        .collect();
    let names = |list: &Value| -> BTreeSet<String> {
        list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let (mut runs, mut stored) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    for line in lines.iter().filter(|line| !refused.contains(&line["seq"].as_u64())) {
        let run = line["run"].as_str().unwrap_or_default().to_owned();
        match line["kind"].as_str().unwrap() {
            "run_start" => drop(runs.insert(run, names(&line["provenance"]))),
            "run_end" => drop(runs.remove(&run)),
            "intent" | "denial" | "list" | "suspended" | "resumed" | "taint" => {
                let known = runs.get_mut(&run).unwrap();
                known.extend(names(&line["adds"]));
                if line["kind"] == "intent" && line["stores"] != "nothing" {
                    stored.extend(known.iter().cloned());
                }
            }
            _ => {}
        }
    }
    (runs, stored)
}

fn names(provenance: &Provenance) -> BTreeSet<String> {
    provenance.iter().map(ToString::to_string).collect()
}

async fn holds(durability: Durability, steps: Vec<Step>, crash: Crash) {
    let room = Room { segment_bytes: 8 * 1024, queue_max: 12, durability, ..Room::new() };
    // Without the delay nothing is synced that nobody waits for: the tail is as long as it can be.
    let settings = Settings { sync_delay_max: Duration::from_secs(3600), ..room.settings() };
    let (journal, _) = Journal::open_on(settings, Clock::system(), room.disk.clone()).unwrap();
    let (known, open) = play(&room, &journal, &steps).await;
    until_going(&journal).await;
    room.disk.faults.mend();
    // What drops owe is still on its way; the crash comes when the writer rests.
    until(|| journal.figures().calls == open.len() as u64).await;
    let synced = journal.figures().synced_seq;
    let killed = room.killed();
    crashed(&killed, synced, &crash);
    let (again, recovered) = killed.open();
    again.close().await.unwrap();
    killed.verified();
    let lines = killed.lines();
    let there: BTreeSet<_> = lines.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert!(known.durable.iter().all(|seq| there.contains(&seq.0)), "a durable record is lost");
    if matches!(crash, Crash::Process) {
        assert!(known.written.iter().all(|seq| there.contains(&seq.0)), "a written record is lost");
        assert_eq!(recovered.unknown, open.len() as u64);
    }
    let of = |kind: &str, key: &str| -> Vec<u64> {
        lines.iter().filter(|line| line["kind"] == kind).map(|line| line[key].as_u64().unwrap()).collect()
    };
    let mut ended = [of("outcome", "intent"), of("unknown", "intent")].concat();
    ended.sort_unstable();
    assert_eq!(of("intent", "seq"), ended, "each intent ends exactly once");
    let (runs, stored) = folded(&lines);
    let live = recovered.live;
    let found: BTreeMap<_, _> =
        live.runs.values().map(|run| (run.run.to_string(), names(&run.provenance))).collect();
    assert_eq!(found, runs);
    assert!(live.runs.values().all(|run| run.history == RunHistory::Whole));
    for (number, read) in &known.read {
        assert!(
            read.missing_from(&live.runs[&run(*number)].provenance).is_empty(),
            "run {number} is laundered"
        );
    }
    let kept: BTreeSet<_> = live
        .stored
        .values()
        .flat_map(|stored| stored.subjects.values().chain([&stored.all]))
        .flat_map(names)
        .collect();
    assert_eq!(kept, stored);
    drop(open);
    journal.close().await.unwrap();
    room.verified();
}

proptest! {
    // `PROPTEST_CASES=10000` plays as many as one has patience for.
    #![proptest_config(match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(32),
    })]

    #[test]
    fn i6_whatever_happens_what_was_acknowledged_is_there(
        durability in prop::sample::select(&Durability::ALL),
        steps in steps(),
        crash in crash(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(holds(durability, steps, crash));
    }
}
