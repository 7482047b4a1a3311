//! A restart, a reconnect, a second session, a renewed token, a child agent, a flooded table, an expiry, an
//! end, a revocation, in any order and with calls between them: none launders (I4).
//!
//! The run table works over a real journal and is rebuilt from it at each restart; beside it goes the slow
//! and obvious [`Model`]. After each step both have to say the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::model::{Caller, IDLE, Key, MAX, Model, RUNS_MAX, TTL_MAX, Token, Who};
use crate::audit::{self, Event, Journal, Latency};
use crate::clock::Clock;
use crate::gateway::chronicle::JournalOfRuns;
use crate::gateway::life::recover;
use crate::model::barrier::{BarrierChange, Revoked, Since};
use crate::model::budget::Metered;
use crate::model::call::Stores;
use crate::model::facts::{CallFacts, RunId};
use crate::model::name::{
    AgentName, AttributeName, EntryPointName, Goal, RoleName, SourceName, Subject, Txn,
};
use crate::model::principal::{Holder, Label, Origin, Principal, RunRule, RunScope};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding};
use crate::model::trigger::{AttributeValue, Trigger, TriggerEntry};
use crate::run::{Approach, BarrierError, Runs};

/// One step of a sequence.
#[derive(Debug, Clone)]
enum Step {
    Call(Caller, Option<&'static str>),
    Advance(u64),
    /// The gateway ends in order, or is killed; another takes over.
    Stop,
    Kill,
    End(Key),
    RevokeRun(u8),
    Revoke(Who),
    Lift(Who),
}

fn token() -> impl Strategy<Value = Token> {
    let usual = (0..5_u8, select(vec![60_u64, 600, TTL_MAX])).prop_map(|(txn, ttl)| Token {
        txn,
        subject: 0,
        goal: 0,
        roles: ["assistant", "reader"].into(),
        agents: vec!["inbox"],
        entries: vec![("email", "a")],
        listener: "agents",
        is_proved: false,
        ttl,
    });
    let entries = subsequence(vec![("email", "a"), ("email", "b"), ("cron", "x"), ("hook", "y")], 1..=4);
    let roles = subsequence(vec!["assistant", "reader", "admin"], 0..=3);
    let agents = select(vec![vec!["inbox"], vec!["helper", "inbox"], vec!["other"], vec![]]);
    let listener = select(vec!["agents", "main"]);
    let odd = (0..10_u8, entries, roles, agents, listener, any::<bool>(), 0..2_u8);
    (usual, odd).prop_map(|(mut token, (which, entries, roles, agents, listener, is_proved, other))| {
        match which {
            0 | 1 => token.entries = entries,
            2 => token.roles = roles.into_iter().collect(),
            3 => token.agents = agents,
            4 => (token.listener, token.is_proved) = (listener, is_proved),
            5 => (token.subject, token.goal) = (other, 1 - other),
            _ => {}
        }
        token
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let caller = prop_oneof![
        2 => Just(Caller::Key),
        2 => (0..2_u8).prop_map(Caller::Session),
        8 => token().prop_map(Caller::Token),
    ];
    let reads = prop::option::of(select(vec!["web", "files"]));
    let who = || prop_oneof![(0..2_u8).prop_map(Who::Subject), Just(Who::Issuer)];
    let key = prop_oneof![Just(Key::Subject), (0..2_u8).prop_map(Key::Session), (0..5_u8).prop_map(Key::Txn)];
    let step = prop_oneof![
        14 => (caller, reads).prop_map(|(caller, reads)| Step::Call(caller, reads)),
        3 => select(vec![1, IDLE / 2, IDLE, TTL_MAX, MAX, 4 * MAX]).prop_map(Step::Advance),
        1 => Just(Step::Stop),
        2 => Just(Step::Kill),
        2 => key.prop_map(Step::End),
        1 => (0..5_u8).prop_map(Step::RevokeRun),
        1 => who().prop_map(Step::Revoke),
        2 => who().prop_map(Step::Lift),
    ];
    prop::collection::vec(step, 1..40)
}

/// The run table over its journal.
struct Bench {
    home: tempfile::TempDir,
    clock: Clock,
    journal: Journal,
    runs: Runs,
}

impl Bench {
    async fn begin(home: tempfile::TempDir, clock: Clock) -> Self {
        let settings = audit::Settings {
            dir: dir(home.path()),
            segment_bytes: 16 * 1024,
            queue_max: 8,
            queue_wait: Duration::from_secs(5),
            durability: crate::audit::Durability::default(),
            checkpoints: None,
            sync_delay_max: Duration::from_millis(5),
            retention: None,
        };
        let (journal, recovered) = Journal::open(settings, clock.clone()).unwrap();
        let runs = Runs::recover(recover(recovered.live), RUNS_MAX, |name| {
            Some(rule(match name.as_str() {
                "keys.laptop" => RunScope::Subject,
                "keys.desk" => RunScope::Session,
                _ => RunScope::Claim,
            }))
        });
        runs.end_lost_sessions(clock.wall(), &JournalOfRuns(&journal)).await.unwrap();
        Self { home, clock, journal, runs }
    }

    async fn stop(self) -> Self {
        self.journal.close().await.unwrap();
        Self::begin(self.home, self.clock).await
    }

    /// Takes over the files as they are now.
    async fn kill(self) -> Self {
        let copy = tempfile::tempdir().unwrap();
        let (from, to) = (dir(self.home.path()), dir(copy.path()));
        // A kill finds all files as they are at one moment. Copying takes longer than a moment, so it is
        // done anew where the writer moved on meanwhile: it tends its segments after it has answered.
        loop {
            let before = files(&from);
            let _ = std::fs::remove_dir_all(&to);
            make(&to);
            let copied = before
                .iter()
                .all(|(path, ..)| std::fs::copy(path, to.join(path.file_name().unwrap_or_default())).is_ok());
            if copied && files(&from) == before {
                break;
            }
        }
        let clock = self.clock.clone();
        self.journal.close().await.unwrap();
        Self::begin(copy, clock).await
    }

    /// The steps that the gateway takes for a call, up to its durable intent.
    async fn call(&self, caller: &Caller, reads: Option<&'static str>) -> Result<RunId, Reason> {
        let now = self.clock.wall();
        let principal = Arc::new(principal(caller, &self.clock));
        self.runs.admits(&principal)?;
        let session = match caller {
            Caller::Session(number) => Some(Arc::from(format!("session {number}"))),
            // Another session each time: it must not matter.
            Caller::Key => Some(Arc::from(now.to_string())),
            Caller::Token(_) => None,
        };
        let listener = match caller {
            Caller::Token(token) => token.listener,
            Caller::Key | Caller::Session(_) => "main",
        };
        let origin = Origin { listener: listener.into(), uid: None };
        let approach = Approach { principal: &principal, session: session.as_ref(), origin: &origin, now };
        let run = match self.runs.attach(approach, &JournalOfRuns(&self.journal)).await {
            Ok(run) => run,
            Err(reason) => {
                let facts = Box::new(facts(&principal, None));
                self.journal
                    .record(Event::Denial { facts, reason, latency: Latency::default() })
                    .await
                    .unwrap();
                return Err(reason);
            }
        };
        let slot = self.journal.reserve().await.unwrap();
        let pending = run.section(now, |section| {
            let mut facts = facts(&principal, Some(run.id().clone()));
            facts.provenance = section.provenance().clone();
            facts.adds = section.taint(&sources(reads));
            slot.intend((), facts)
        })?;
        drop(pending.durable().await.map_err(|((), reason)| reason)?);
        Ok(run.id().clone())
    }

    fn person(&self) -> Since {
        Since { at: self.clock.wall(), by: Actor { uid: 0 } }
    }

    async fn end(&self, id: Option<String>, why: RunEnding) {
        let reports = self.runs.report().await;
        if let Some(report) = reports.iter().find(|report| Some(report.run.as_str()) == id.as_deref()) {
            let chronicle = JournalOfRuns(&self.journal);
            self.runs.end(&report.run, why, self.person(), &chronicle).await.unwrap().unwrap();
        }
    }

    async fn change(&self, change: BarrierChange) -> Result<(), BarrierError> {
        self.runs.change(&change, self.person(), &JournalOfRuns(&self.journal)).await
    }

    /// Both say the same of every open run.
    async fn check(&self, model: &Model) {
        let found: BTreeSet<_> = self
            .runs
            .report()
            .await
            .into_iter()
            .map(|report| {
                let provenance: BTreeSet<_> = report.provenance.iter().map(ToString::to_string).collect();
                let entries = report.claim.map_or(0, |claim| claim.trigger.entries.len());
                (report.run.to_string(), provenance, entries)
            })
            .collect();
        let said = model.runs.values().map(|run| {
            let provenance: BTreeSet<_> = run.provenance.iter().map(ToString::to_string).collect();
            (run.id.clone(), provenance, run.entries.len())
        });
        assert_eq!(found, said.collect());
    }
}

fn dir(home: &Path) -> PathBuf {
    home.join("state").join("journal")
}

/// The files of a folder, each with its length and mode.
fn files(dir: &Path) -> BTreeSet<(PathBuf, u64, u32)> {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    // One that is renamed while it is looked at makes the folder another one: so does leaving it out.
    entries
        .filter_map(|path| Some((path.clone(), path.metadata().ok()?.len(), path.metadata().ok()?.mode())))
        .collect()
}

fn make(dir: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new().mode(0o700).recursive(true).create(dir).unwrap();
}

fn rule(scope: RunScope) -> RunRule {
    let seconds = Duration::from_secs;
    RunRule { scope, idle: seconds(IDLE), max: seconds(MAX), token_ttl_max: seconds(TTL_MAX) }
}

fn sources(names: impl IntoIterator<Item = &'static str>) -> Provenance {
    Provenance::of(names.into_iter().map(|name| SourceName::new(name).unwrap()))
}

fn principal(caller: &Caller, clock: &Clock) -> Principal {
    let (entry_point, scope, subject) = match caller {
        Caller::Key => ("keys.laptop", RunScope::Subject, 0),
        Caller::Session(_) => ("keys.desk", RunScope::Session, 0),
        Caller::Token(token) => ("issuers.mailbot", RunScope::Claim, token.subject),
    };
    let label = Label {
        entry_point: EntryPointName::new(entry_point).unwrap(),
        subject: subject_name(subject),
        roles: BTreeSet::new(),
        agents: vec![],
        sources: sources(caller.sources()),
    };
    let base = Principal::configured(label, rule(scope));
    let Caller::Token(token) = caller else { return base };
    let entries = token.entries.iter().map(|(kind, sender)| {
        let kind = SourceName::new(kind).unwrap();
        let sender = (AttributeName::new("sender").unwrap(), AttributeValue::Text((*sender).into()));
        TriggerEntry { source: kind.clone(), kind, attributes: [sender].into(), dropped: vec![] }
    });
    let goal = Some(Goal::new(["triage", "send"][usize::from(token.goal)]).unwrap());
    Principal {
        roles: token.roles.iter().map(|role| RoleName::new(role).unwrap()).collect(),
        agents: token.agents.iter().map(|agent| AgentName::new(agent).unwrap()).collect(),
        trigger: Trigger { entries: entries.collect(), goal },
        txn: Some(Txn::new(&format!("txn-{}", token.txn)).unwrap()),
        holder: if token.is_proved { Holder::Proved } else { Holder::Bearer },
        until: Some(clock.wall().checked_add(Duration::from_secs(token.ttl)).unwrap()),
        ..base
    }
}

fn subject_name(number: u8) -> Subject {
    Subject::new(&format!("user:{number}")).unwrap()
}

fn facts(principal: &Arc<Principal>, run: Option<RunId>) -> CallFacts {
    CallFacts {
        principal: Arc::clone(principal),
        run,
        trigger: None,
        provenance: principal.sources.clone(),
        adds: Provenance::default(),
        stores: Stores::Nothing,
        method: "tools/call",
        named: None,
        target: None,
        definition: None,
        arguments: None,
        kept: None,
        decision: None,
        step: None,
        like: None,
        past: None,
        approval: None,
        metered: Metered::default(),
        revision: None,
        request_id: None,
        trace: None,
        traceparent: None,
        client: None,
    }
}

fn revoked(who: &Who) -> Revoked {
    match who {
        Who::Subject(number) => Revoked::Subject(subject_name(*number)),
        Who::Issuer => Revoked::EntryPoint(EntryPointName::new("issuers.mailbot").unwrap()),
    }
}

async fn play(steps: Vec<Step>) {
    let home = tempfile::tempdir().unwrap();
    let mut bench = Bench::begin(home, Clock::manual("2026-11-25T00:00:00Z".parse().unwrap())).await;
    let (mut model, mut seen) = (Model::default(), BTreeSet::new());
    for step in steps {
        match &step {
            Step::Call(caller, reads) => {
                let (said, found) = (model.call(caller, *reads), bench.call(caller, *reads).await);
                match (said, found) {
                    (Ok(Some(id)), Ok(found)) => assert_eq!(id, found.as_str(), "{step:?}"),
                    (Ok(None), Ok(found)) => {
                        assert!(seen.insert(found.to_string()), "an ended run opened again: {step:?}");
                        model.runs.get_mut(&caller.key()).unwrap().id = found.to_string();
                    }
                    (Err(said), Err(found)) => assert_eq!(said, found, "{step:?}"),
                    (said, found) => panic!("{step:?}: {found:?} where it should be {said:?}"),
                }
            }
            Step::Advance(seconds) => {
                model.advance(*seconds);
                bench.clock.advance(Duration::from_secs(*seconds));
                bench.runs.expire(bench.clock.wall(), &JournalOfRuns(&bench.journal)).await.unwrap();
            }
            Step::Stop | Step::Kill => {
                model.restart();
                let is_stop = matches!(step, Step::Stop);
                bench = if is_stop { bench.stop().await } else { bench.kill().await };
            }
            Step::End(key) => {
                bench.end(model.runs.get(key).map(|run| run.id.clone()), RunEnding::Person).await;
                model.end(key, RunEnding::Person);
            }
            Step::RevokeRun(txn) => {
                let key = Key::Txn(*txn);
                bench.end(model.runs.get(&key).map(|run| run.id.clone()), RunEnding::Revoked).await;
                model.end(&key, RunEnding::Revoked);
            }
            Step::Revoke(who) => {
                let changed = bench.change(BarrierChange::Revoke(revoked(who))).await;
                assert!(matches!(changed, Ok(()) | Err(BarrierError::Already)), "{changed:?}");
                let chronicle = JournalOfRuns(&bench.journal);
                let ended = bench.runs.end_revoked(&revoked(who), bench.person(), &chronicle).await;
                assert_eq!(ended, model.revoke(who), "{step:?}");
            }
            Step::Lift(who) => {
                let lifted = bench.change(BarrierChange::Lift(revoked(who))).await;
                let said = if model.lift(who) { Ok(()) } else { Err(BarrierError::Already) };
                assert_eq!(lifted, said, "{step:?}");
            }
        }
        bench.check(&model).await;
    }
    bench.journal.close().await.unwrap();
}

proptest! {
    // `PROPTEST_CASES=10000` plays as many as one has patience for.
    #![proptest_config(match std::env::var_os("PROPTEST_CASES") {
        Some(_) => ProptestConfig { failure_persistence: None, ..ProptestConfig::default() },
        None => ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() },
    })]

    #[test]
    fn i4_no_sequence_of_tokens_restarts_ends_and_calls_launders_a_run(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(play(steps));
    }
}
