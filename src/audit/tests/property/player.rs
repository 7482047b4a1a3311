//! One life of a journal, step by step. After each step the writer comes to rest, so that the same steps do the same to
//! the disk each time; what is at once is in one group because the write before it is held up.

use std::future::Future;
use std::pin::pin;

use proptest::prelude::*;
use rustix::io::Errno;

use super::model::{Model, Proof};
use super::*;
use crate::audit::disk::Op;
use crate::audit::writer::PROBE_EVERY;

/// Looks of the writer that leave nothing to do: for a checkpoint, a new segment, a checkpoint in that; and one on its way.
const LOOKS: usize = 4;
/// Calls that are left open at most.
const OPEN_MAX: usize = 6;

/// One step.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Start(u8),
    End(u8),
    Call(Called, CallEnd),
    One(Said),
    /// These are recorded together, while the disk takes its time with the first.
    Together(Vec<Said>),
    /// Another key signs from here on, beginning with a checkpoint.
    NewKey,
    /// What nobody waits for is synced.
    Wait,
    /// So many of the next of these fail.
    Fails(Op, u32),
    /// The next write stops after so many bytes.
    WriteFails(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallEnd {
    Concluded,
    Open,
    Dropped,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Called {
    run: u8,
    adds: Option<u8>,
    stores: Stores,
}

/// What is said of a run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Said {
    Denial(u8, Option<u8>),
    Taint(u8, u8),
    /// A call that nobody forwards.
    Call(Called),
}

pub(super) fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = || 0..RUNS;
    let adds = || prop::option::of(0..4_u8);
    let called = move || {
        let stores = prop_oneof![Just(Stores::Nothing), Just(Stores::Subject), Just(Stores::All)];
        (number(), adds(), stores).prop_map(|(run, adds, stores)| Called { run, adds, stores })
    };
    let said = move || {
        prop_oneof![
            3 => (number(), adds()).prop_map(|(run, adds)| Said::Denial(run, adds)),
            1 => (number(), 0..4_u8).prop_map(|(run, adds)| Said::Taint(run, adds)),
            1 => called().prop_map(Said::Call),
        ]
    };
    let end = prop_oneof![Just(CallEnd::Concluded), Just(CallEnd::Open), Just(CallEnd::Dropped)];
    let op = prop::sample::select(&[
        Op::Sync,
        Op::Sync,
        Op::Sync,
        Op::Create,
        Op::Allocate,
        Op::Rename,
        Op::SyncDirectory,
    ]);
    let step = prop_oneof![
        4 => number().prop_map(Step::Start),
        2 => number().prop_map(Step::End),
        10 => (called(), end).prop_map(|(called, end)| Step::Call(called, end)),
        6 => said().prop_map(Step::One),
        4 => prop::collection::vec(said(), 2..5).prop_map(Step::Together),
        3 => Just(Step::NewKey),
        2 => Just(Step::Wait),
        3 => (op, 1..3_u32).prop_map(|(op, times)| Step::Fails(op, times)),
        2 => (0..900_usize).prop_map(Step::WriteFails),
    ];
    prop::collection::vec(step, 1..20)
}

/// Who plays a life.
pub(super) struct Player<'a> {
    room: &'a Room,
    journal: &'a Journal,
    clock: &'a Clock,
    model: &'a mut Model,
    /// The calls whose end nobody told.
    pub(super) open: Vec<OpenIntent>,
    /// The files of new keys, and how much was done to the disk before they came.
    pub(super) rotated: Vec<(usize, Keys)>,
}

/// What somebody waits for, and what it proves.
struct Asked {
    answer: tokio::task::JoinHandle<Result<Seq, Reason>>,
    kind: Kind,
    proof: Proof,
    run: u8,
    provenance: Provenance,
}

impl<'a> Player<'a> {
    pub(super) fn new(room: &'a Room, journal: &'a Journal, clock: &'a Clock, model: &'a mut Model) -> Self {
        Self { room, journal, clock, model, open: Vec::new(), rotated: Vec::new() }
    }

    pub(super) async fn play(&mut self, steps: &[Step]) {
        for step in steps {
            self.rest().await;
            self.step(step).await;
        }
        self.rest().await;
        assert_eq!(self.journal.figures().calls, self.open.len() as u64);
    }

    async fn step(&mut self, step: &Step) {
        match step {
            Step::Start(run) if !self.knows(*run) => self.start(*run).await,
            Step::End(run) if self.knows(*run) => self.end(*run).await,
            Step::Call(called, end) if self.knows(called.run) => self.call(*called, *end).await,
            Step::One(said) => self.together(&[*said]).await,
            Step::Together(all) => self.together(all).await,
            Step::NewKey => self.rotate().await,
            Step::Wait => self.clock.advance(LONG),
            Step::Fails(op, times) => self.room.disk.faults.plan(*op, 0, *times, Errno::IO),
            Step::WriteFails(written) => self.room.disk.faults.plan_short_write(*written, Errno::NOSPC),
            Step::Start(_) | Step::End(_) | Step::Call(..) => {}
        }
    }

    fn knows(&self, run: u8) -> bool {
        self.model.memory.contains_key(&run)
    }

    fn done(&self) -> usize {
        self.room.disk.trace.count()
    }

    async fn start(&mut self, number: u8) {
        let id = run(number);
        if let Ok(seq) = self.drive(start_run(self.journal, &id)).await {
            self.model.told(self.done(), Proof::Durable, seq, Kind::RunStart);
            self.model.memory.insert(number, sources(["chat"]));
        }
    }

    async fn end(&mut self, number: u8) {
        let (id, why) = (run(number), RunEnding::Idle);
        let end = Event::RunEnd { run: id, why, by: None, until: None, unstarted: None };
        if let Ok(seq) = self.drive(self.journal.record(end)).await {
            let done = self.done();
            self.model.told(done, Proof::Durable, seq, Kind::RunEnd);
            self.model.ended(done, number);
        }
    }

    async fn call(&mut self, called: Called, end: CallEnd) {
        let facts = CallFacts { stores: called.stores, ..self.model.section(called.run, called.adds) };
        let (proof, provenance) = (self.proof(&facts), self.model.memory[&called.run].clone());
        let Ok(intent) = self.drive(intend(self.journal, facts)).await else { return };
        self.told(intent.seq(), Kind::Intent, proof, called.run, provenance);
        let ((), begun) = intent.begin();
        match end {
            CallEnd::Concluded => {
                let is_full = self.room.durability == Durability::Full;
                if let Ok(seq) = self.drive(begun.conclude(answered())).await {
                    let proof = if is_full { Proof::Durable } else { Proof::Written };
                    self.model.told(self.done(), proof, seq, Kind::Outcome);
                }
            }
            CallEnd::Open if self.open.len() < OPEN_MAX => self.open.push(begun),
            CallEnd::Open | CallEnd::Dropped => drop(begun),
        }
    }

    async fn together(&mut self, all: &[Said]) {
        if all.len() > 1 {
            self.room.disk.faults.hold();
        }
        let mut asked: Vec<Asked> = Vec::new();
        for said in all {
            let Some(one) = self.ask(*said) else { continue };
            let (journal, faults, before) = (self.journal, &self.room.disk.faults, asked.len() as u64);
            until(|| {
                let is_there = if before == 0 { faults.holds() } else { journal.figures().queued == before };
                is_there || one.answer.is_finished()
            })
            .await;
            asked.push(one);
        }
        self.room.disk.faults.let_go();
        for Asked { answer, kind, proof, run, provenance } in asked {
            if let Ok(seq) = self.drive(answer).await.unwrap() {
                self.told(seq, kind, proof, run, provenance);
            }
        }
    }

    /// Has this recorded.
    fn ask(&mut self, said: Said) -> Option<Asked> {
        let (Said::Denial(run, _) | Said::Taint(run, _) | Said::Call(Called { run, .. })) = said;
        if !self.knows(run) {
            return None;
        }
        let journal = self.journal.clone();
        let (kind, proof, answer) = match said {
            Said::Denial(_, adds) => {
                let facts = self.model.section(run, adds);
                let is_durable = !facts.adds.is_empty() || self.room.durability == Durability::Full;
                let proof = if is_durable { Proof::Durable } else { Proof::Written };
                (Kind::Denial, proof, tokio::spawn(async move { journal.record(denial(facts)).await }))
            }
            Said::Taint(_, adds) => {
                let (adds, cause) = (self.model.section(run, Some(adds)).adds, Claim::new("x"));
                let event = Event::Taint { run: super::run(run), adds, entries: vec![], cause };
                (Kind::Taint, Proof::Durable, tokio::spawn(async move { journal.record(event).await }))
            }
            Said::Call(Called { adds, stores, .. }) => {
                let facts = CallFacts { stores, ..self.model.section(run, adds) };
                let proof = self.proof(&facts);
                let intended = async move { intend(&journal, facts).await.map(|intent| intent.seq()) };
                (Kind::Intent, proof, tokio::spawn(intended))
            }
        };
        Some(Asked { answer, kind, proof, run, provenance: self.model.memory[&run].clone() })
    }

    /// What an answer proves of an intent.
    fn proof(&self, facts: &CallFacts) -> Proof {
        let marks = !facts.adds.is_empty() || facts.stores != Stores::Nothing;
        if self.room.durability == Durability::Relaxed && !marks { Proof::Written } else { Proof::Durable }
    }

    fn told(&mut self, seq: Seq, kind: Kind, proof: Proof, run: u8, provenance: Provenance) {
        let done = self.done();
        self.model.told(done, proof, seq, kind);
        // The record of a taint brings what is new, and not what was refused before.
        if proof == Proof::Durable && kind != Kind::Taint {
            self.model.read(done, run, provenance);
        }
    }

    async fn rotate(&mut self) {
        let before = self.done();
        if self.drive(self.journal.rotate_key(Actor { uid: 0 }, LONG * 1000)).await.is_ok() {
            let done = self.room.disk.trace.all();
            let text = b"\"kind\":\"audit_key\"";
            let is_record = |did: &Did| match did {
                Did::Wrote { bytes, .. } => bytes.windows(text.len()).any(|part| part == text),
                _ => false,
            };
            let record = before + done[before..].iter().position(is_record).unwrap();
            let synced =
                record + done[record..].iter().position(|did| matches!(did, Did::Synced { .. })).unwrap();
            self.rotated.push((synced + 1, keys(self.room)));
        }
    }

    /// Lets the writer do all that is due, until the journal goes and nothing is left to do.
    async fn rest(&self) {
        let shared = &self.journal.0.shared;
        loop {
            for _ in 0..LOOKS {
                self.clock.advance(PROBE_EVERY);
                shared.ask_for_probe();
                until(|| !shared.is_probe_asked()).await;
            }
            if self.journal.status() == Status::Going {
                return;
            }
        }
    }

    /// Waits for an answer of the journal. Where that is halted it tries again as fast as it may.
    async fn drive<T>(&self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = tokio::task::yield_now() => {}
            }
            if self.journal.status() != Status::Going {
                self.clock.advance(PROBE_EVERY);
                self.journal.0.shared.ask_for_probe();
            }
        }
    }
}
