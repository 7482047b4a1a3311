//! Random histories of several lives, each of which ends in a random crash: what was acknowledged is there, the state is
//! what the records say, what was signed is what the first key vouches for, and the journal goes on.

mod model;
mod platter;
mod player;

use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;
use crate::audit::trace::Did;
use model::Model;
use platter::{Fate, Luck, Platter};
use player::{Player, Step, steps};

/// Histories that are played where nobody says how many.
const CASES: u32 = 96;
/// Runs that there may be.
const RUNS: u8 = 4;
/// How long a key that was replaced signs too, and what is not waited for stays unsynced: longer than any history here.
const LONG: Duration = Duration::from_secs(1_000_000);

/// Whether what the kernel has not written back yet is lost in a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Machine {
    /// The process died alone.
    Lives,
    Dies,
}

/// How a life ends.
#[derive(Debug, Clone)]
struct Crash {
    machine: Machine,
    /// Before which of the things that are done to the disk; at the end, behind all of them.
    at: Option<prop::sample::Index>,
    /// What the disk has of what it may have.
    luck: Luck,
}

/// How often checkpoints come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Signing {
    /// With a new key and at a stop.
    Seldom,
    /// Behind each group.
    Always,
}

/// The lives of one journal.
#[derive(Debug, Clone)]
struct History {
    durability: Durability,
    signing: Signing,
    lives: Vec<(Vec<Step>, Crash)>,
}

fn crash() -> impl Strategy<Value = Crash> {
    let machine = prop_oneof![1 => Just(Machine::Lives), 3 => Just(Machine::Dies)];
    let fate = prop_oneof![1 => Just(Fate::Nothing), 1 => Just(Fate::Everything), 3 => Just(Fate::Anything)];
    let luck = (fate, any::<u64>()).prop_map(|(fate, seed)| Luck { fate, seed });
    (machine, prop::option::of(any::<prop::sample::Index>()), luck).prop_map(|(machine, at, luck)| Crash {
        machine,
        at,
        luck,
    })
}

fn history() -> impl Strategy<Value = History> {
    let durability = prop::sample::select(&Durability::ALL);
    let signing = prop_oneof![Just(Signing::Seldom), Just(Signing::Always)];
    (durability, signing, prop::collection::vec((steps(), crash()), 1..4))
        .prop_map(|(durability, signing, lives)| History { durability, signing, lives })
}

/// The files of the keys that sign.
type Keys = BTreeMap<std::ffi::OsString, Vec<u8>>;

/// A journal over all its lives.
struct House {
    room: Room,
    signing: Signing,
    clock: Clock,
    platter: Platter,
    model: Model,
    /// Whoever verifies knows no other.
    first_key: Option<VerifyingKey>,
    /// How many calls were open in the crash, where that is known.
    open: Option<u64>,
}

/// The present life.
struct Life {
    journal: Journal,
    /// The files of the keys, and how much was done to the disk when they came.
    keys: Vec<(usize, Keys)>,
}

impl House {
    fn new(durability: Durability, signing: Signing) -> Self {
        let room = Room { segment_bytes: 8 * 1024, queue_max: 16, durability, ..Room::new() };
        let clock = Clock::manual("2026-11-27T10:30:00Z".parse().unwrap());
        let (platter, model) = (Platter::default(), Model::default());
        Self { room, signing, clock, platter, model, first_key: None, open: None }
    }

    fn settings(&self) -> Settings {
        let every = if self.signing == Signing::Always { Duration::ZERO } else { LONG };
        let key = self.room.dir.with_file_name("audit-key");
        let checkpoints = Some(Checkpoints { key, every });
        // Whoever waits here waits for a disk that is mended at once, however slow the machine is.
        let queue_wait = Duration::from_secs(60);
        Settings { checkpoints, sync_delay_max: LONG, queue_wait, ..self.room.settings() }
    }

    /// The journal starts, and holds what it has to.
    fn start(&mut self) -> Life {
        self.room.disk = Disk::default();
        let trace = &self.room.disk.trace;
        trace.begin();
        let opened = Journal::open_on(self.settings(), self.clock.clone(), self.room.disk.clone());
        let (journal, recovered) = opened.unwrap();
        self.room.verified();
        // What the writer does by itself meanwhile nobody was told of.
        let mut lines = model::lines(&self.room);
        let synced = journal.figures().synced_seq;
        lines.retain(|seq, _| *seq <= synced);
        self.model.check(trace.count(), lines, &recovered);
        if let Some(open) = self.open.take() {
            assert_eq!(recovered.unknown, open);
        }
        if self.model.is_fresh() {
            self.first_key = Some(checkpoints::key(&self.room));
        }
        Life { journal, keys: vec![(0, keys(&self.room))] }
    }

    /// The crash comes, and leaves another folder. Gives the one before.
    fn crash(&mut self, life: &Life, crash: &Crash) -> Room {
        let done = self.room.disk.trace.all();
        let at = crash.at.map_or(done.len(), |at| at.index(done.len() + 1));
        let mut luck = crash.luck;
        done[..at].iter().for_each(|did| self.platter.apply(did, &mut luck));
        if let Some(Did::Wrote { file, at, bytes }) = done.get(at) {
            // In the midst of it.
            let bytes = bytes[..luck.below(bytes.len() + 1)].to_vec();
            self.platter.apply(&Did::Wrote { file: *file, at: *at, bytes }, &mut luck);
        }
        if crash.machine == Machine::Dies {
            self.platter.lose_power(&mut luck);
        }
        self.model.crash(at, crash.machine);
        let Room { segment_bytes, queue_max, durability, .. } = self.room;
        let next = Room { segment_bytes, queue_max, durability, ..Room::new() };
        self.platter.mount(&next.dir);
        let of_owner =
            |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        of_owner(next.dir.parent().unwrap(), 0o700);
        for (name, bytes) in life.keys_at(at, &mut luck) {
            let path = next.dir.with_file_name(name);
            std::fs::write(&path, bytes).unwrap();
            of_owner(&path, 0o600);
        }
        std::mem::replace(&mut self.room, next)
    }

    /// The journal in `room` ends in order, and whoever knows the first key finds nothing wrong.
    async fn stop(&self, room: &Room, journal: Journal) {
        journal.close().await.unwrap();
        let report = checkpoints::verify_with(room, &[self.first_key.clone().unwrap()], &[]);
        assert_eq!(checkpoints::said(&report), "", "the first key vouches for all that followed");
    }
}

impl Life {
    /// The keys when so much was done to the disk. They come between two of those things, one file after the other.
    fn keys_at(&self, at: usize, luck: &mut Luck) -> Keys {
        let mut come = self.keys.iter().rev().skip_while(|(then, _)| *then > at);
        let (then, last) = come.next().unwrap();
        match (come.next(), luck.below(3)) {
            (Some((_, before)), 0) if *then == at => before.clone(),
            (Some((_, before)), 1) if *then == at => {
                let retired = last.iter().filter(|(name, _)| *name == "audit-key.before");
                let files = before.iter().chain(retired);
                files.map(|(name, bytes)| (name.clone(), bytes.clone())).collect()
            }
            _ => last.clone(),
        }
    }
}

/// The files of the keys beside the journal.
fn keys(room: &Room) -> Keys {
    let files = std::fs::read_dir(room.dir.parent().unwrap()).unwrap().map(Result::unwrap);
    let keys = files.filter(|file| file.file_type().unwrap().is_file());
    keys.map(|file| (file.file_name(), std::fs::read(file.path()).unwrap())).collect()
}

async fn holds(history: History) {
    let mut house = House::new(history.durability, history.signing);
    for (steps, crash) in &history.lives {
        let mut life = house.start();
        let mut player = Player::new(&house.room, &life.journal, &house.clock, &mut house.model);
        player.play(steps).await;
        let Player { open, rotated, .. } = player;
        life.keys.extend(rotated);
        let is_at_rest = crash.at.is_none() && crash.machine == Machine::Lives;
        house.open = is_at_rest.then_some(open.len() as u64);
        let before = house.crash(&life, crash);
        before.disk.faults.mend();
        drop(open);
        house.stop(&before, life.journal).await;
    }
    let last = house.start();
    house.stop(&house.room, last.journal).await;
}

proptest! {
    // `PROPTEST_CASES=10000` plays as many as one has patience for.
    #![proptest_config(match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig::default(),
        None => ProptestConfig::with_cases(CASES),
    })]

    #[test]
    fn i6_whatever_happens_what_was_acknowledged_is_there(history in history()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(holds(history));
    }
}
