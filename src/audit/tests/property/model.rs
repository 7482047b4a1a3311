//! What a journal has to hold after a crash: what somebody was told to be there, and the state that its lines describe.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

/// By their number, the lines of a journal.
pub(super) type Lines = BTreeMap<u64, Value>;

/// How sure somebody was made of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Proof {
    /// It survives the death of the process.
    Written,
    /// It survives the loss of power.
    Durable,
}

/// What was told of one record.
#[derive(Debug)]
struct Told {
    /// How much had been done to the disk by then.
    at: usize,
    proof: Proof,
    seq: u64,
    kind: Kind,
}

/// What an agent may know.
#[derive(Debug)]
enum Fact {
    /// Everything that was in the provenance of its run when one of its records was told to be durable.
    Read(u8, Provenance),
    /// The run is over.
    Ended(u8),
}

/// What was told to whom, and what follows.
#[derive(Debug, Default)]
pub(super) struct Model {
    told: Vec<Told>,
    facts: Vec<(usize, Fact)>,
    /// Lines that were there after a start: they are durable.
    lines: Lines,
    /// The same of the present process, and how much had been done to the disk when it had started.
    opened: Option<(usize, Lines)>,
    /// The provenance of each run in the memory of the gateway. It grows whatever the journal answers.
    pub(super) memory: BTreeMap<u8, Provenance>,
}

impl Model {
    /// Whether nobody was told of anything.
    pub(super) fn is_fresh(&self) -> bool {
        self.lines.is_empty() && self.told.is_empty()
    }

    /// What a run's critical section does: the source counts from here on.
    pub(super) fn section(&mut self, number: u8, adds: Option<u8>) -> CallFacts {
        let memory = self.memory.get_mut(&number).unwrap();
        let provenance = memory.clone();
        let adds = memory.join(&adds.map(source).unwrap_or_default());
        CallFacts { provenance, adds, ..facts(&run(number)) }
    }

    /// The journal says that `seq` is there.
    pub(super) fn told(&mut self, at: usize, proof: Proof, seq: Seq, kind: Kind) {
        self.told.push(Told { at, proof, seq: seq.0, kind });
    }

    /// A record of the run was told to be durable when it carried `provenance`.
    pub(super) fn read(&mut self, at: usize, number: u8, provenance: Provenance) {
        self.facts.push((at, Fact::Read(number, provenance)));
    }

    pub(super) fn ended(&mut self, at: usize, number: u8) {
        self.memory.remove(&number);
        self.facts.push((at, Fact::Ended(number)));
    }

    /// The crash came when so much was done to the disk: nobody was told what came later.
    pub(super) fn crash(&mut self, at: usize, machine: Machine) {
        let survives = |told: &Told| machine == Machine::Lives || told.proof == Proof::Durable;
        self.told.retain(|told| told.at <= at && survives(told));
        self.told.iter_mut().for_each(|told| told.at = 0);
        self.facts.retain(|(then, _)| *then <= at);
        self.facts.iter_mut().for_each(|(then, _)| *then = 0);
        if let Some((_, lines)) = self.opened.take().filter(|(opened, _)| *opened <= at) {
            self.lines = lines;
        }
    }

    /// What the journal holds after the next start is what it has to; from here on the memory is what was recovered.
    pub(super) fn check(&mut self, at: usize, lines: Lines, recovered: &Recovered) {
        for Told { seq, kind, proof, .. } in &self.told {
            let line = lines.get(seq).unwrap_or_else(|| panic!("record {seq}, {proof:?}, is lost"));
            assert_eq!(line["kind"], kind.as_str(), "record {seq} is another");
        }
        for (seq, line) in &self.lines {
            assert_eq!(lines.get(seq), Some(line), "record {seq} was there after a start");
        }
        check_ended(&lines);
        check_state(&lines, &recovered.live);
        let mut read = BTreeMap::new();
        for (_, fact) in &self.facts {
            match fact {
                Fact::Read(number, provenance) => drop(read.insert(*number, provenance.clone())),
                Fact::Ended(number) => drop(read.remove(number)),
            }
        }
        self.memory.clear();
        for number in 0..RUNS {
            let live = recovered.live.runs.get(&run(number)).map(|run| run.provenance.clone());
            match (live, read.get(&number)) {
                (Some(live), read) => {
                    let lost = read.map(|read| read.missing_from(&live)).unwrap_or_default();
                    assert!(lost.is_empty(), "run {number} is laundered of {lost:?}");
                    self.facts.push((at, Fact::Read(number, live.clone())));
                    self.memory.insert(number, live);
                }
                (None, Some(_)) => {
                    let id = run(number).to_string();
                    let is_over = |line: &Value| line["kind"] == "run_end" && line["run"] == id.as_str();
                    assert!(lines.values().any(is_over), "run {number} is lost");
                    self.facts.push((at, Fact::Ended(number)));
                }
                (None, None) => {}
            }
        }
        self.opened = Some((at, lines));
    }
}

pub(super) fn source(number: u8) -> Provenance {
    sources([["email", "web", "cron", "files"][usize::from(number)]])
}

/// Each intent has exactly one ending: what was open is unknown after a start.
fn check_ended(lines: &Lines) {
    let of = |kind: &str, key: &str| -> Vec<u64> {
        lines.values().filter(|line| line["kind"] == kind).map(|line| line[key].as_u64().unwrap()).collect()
    };
    let mut ended = [of("outcome", "intent"), of("unknown", "intent")].concat();
    ended.sort_unstable();
    assert_eq!(of("intent", "seq"), ended, "each intent ends exactly once");
}

/// What was recovered is what the lines say.
fn check_state(lines: &Lines, live: &Live) {
    let (runs, stored) = folded(lines);
    let found: BTreeMap<_, _> =
        live.runs.values().map(|run| (run.run.to_string(), names(&run.provenance))).collect();
    assert_eq!(found, runs);
    assert!(live.runs.values().all(|run| run.history == RunHistory::Whole));
    assert!(live.open.is_empty());
    let kept: BTreeSet<_> = live
        .stored
        .values()
        .flat_map(|stored| stored.subjects.values().chain([&stored.all]))
        .flat_map(names)
        .collect();
    assert_eq!(kept, stored);
}

/// The state that the records describe: a slow and obvious second fold, over all lines from the first.
fn folded(lines: &Lines) -> (BTreeMap<String, BTreeSet<String>>, BTreeSet<String>) {
    let refused: BTreeSet<_> = lines
        .values()
        .filter(|line| line["kind"] == "restated" && line["refused"] == true)
        .map(|line| line["line"]["seq"].as_u64())
        .collect();
    let names = |list: &Value| -> BTreeSet<String> {
        list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().to_owned()).collect()
    };
    let (mut runs, mut stored) = (BTreeMap::<String, BTreeSet<String>>::new(), BTreeSet::new());
    for line in lines.values().filter(|line| !refused.contains(&line["seq"].as_u64())) {
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

/// Every line that counts, as a reader finds it who knows docs/AUDIT.md: in its segment, as far as the next one says that
/// it counts, or stated again in that.
pub(super) fn lines(room: &Room) -> Lines {
    let mut all = Lines::new();
    let mut segments: Vec<_> =
        room.segments().iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect();
    for at in (1..segments.len()).rev() {
        let first = segments[at].1.split(|byte| *byte == b'\n').next().unwrap();
        let first: Value = serde_json::from_slice(first).unwrap();
        let bytes = usize::try_from(first["previous"]["bytes"].as_u64().unwrap()).unwrap();
        assert_eq!(first["previous"]["file"], segments[at - 1].0.file_name().unwrap().to_str().unwrap());
        segments[at - 1].1.truncate(bytes);
    }
    for (_, bytes) in segments {
        for line in bytes.split(|byte| *byte == b'\n') {
            // What the disk lost of a closed segment is no line.
            let Ok(line) = serde_json::from_slice::<Value>(line) else { continue };
            if line["kind"] == "restated" {
                let again = line["line"].clone();
                all.entry(again["seq"].as_u64().unwrap()).or_insert(again);
            }
            all.insert(line["seq"].as_u64().unwrap(), line);
        }
    }
    all
}
