//! What a run table must hold: one run a key, growth only, no laundering.

mod barriers;
mod claims;

use std::sync::Mutex;
use std::time::Duration;

use super::*;
use crate::clock::Clock;
use crate::model::barrier::Since;
use crate::model::name::SourceName;
use crate::model::principal::{Label, RunRule};
use crate::plan::Held;

#[derive(Default)]
struct Book {
    lines: Mutex<Vec<String>>,
    refuses: bool,
}

impl Chronicle for Book {
    async fn record(&self, milestone: Milestone<'_>) -> Result<(), Reason> {
        if self.refuses {
            return Err(Reason::JournalHalted);
        }
        let line = match milestone {
            Milestone::Started { key, .. } => match &key.unit {
                Unit::Subject(name) | Unit::Session(name, _) => format!("start {name}"),
                Unit::Claim(txn) => format!("start {txn}"),
            },
            Milestone::Joined { adds, entries, .. } => {
                let adds: Vec<_> = adds.iter().map(ToString::to_string).collect();
                format!("join [{}] and {} entries", adds.join(","), entries.len())
            }
            Milestone::Ended { why, .. } => format!("end {why:?}"),
            Milestone::Barrier { change, .. } => format!("{change:?}"),
        };
        self.lines.lock().unwrap().push(line);
        Ok(())
    }
}

fn principal(scope: RunScope) -> Arc<Principal> {
    Arc::new(Principal::configured(
        Label {
            entry_point: EntryPointName::new("keys.test").unwrap(),
            subject: Subject::new("user:1").unwrap(),
            roles: [].into(),
            agents: vec![],
            sources: sources(["chat"]),
        },
        rule(scope),
    ))
}

fn sources<const N: usize>(names: [&str; N]) -> Provenance {
    Provenance::of(names.map(|name| SourceName::new(name).unwrap()))
}

fn rule(scope: RunScope) -> RunRule {
    RunRule {
        scope,
        idle: Duration::from_secs(60),
        max: Duration::from_secs(600),
        token_ttl_max: Duration::from_secs(3600),
    }
}

fn table() -> Runs {
    Runs::recover(RecoveredRuns::default(), 2, |_| None)
}

fn main() -> Origin {
    Origin { listener: "main".into(), uid: None }
}

async fn attach(
    runs: &Runs,
    principal: &Arc<Principal>,
    session: Option<&Arc<str>>,
    now: Timestamp,
    book: &Book,
) -> Result<Arc<Run>, Reason> {
    runs.attach(Approach { principal, session, origin: &main(), now }, book).await
}

fn person(at: Timestamp) -> Since {
    Since { at, by: Actor { uid: 0 } }
}

fn clock() -> Clock {
    Clock::manual("2026-11-21T00:00:00Z".parse().unwrap())
}

#[tokio::test]
async fn a_run_lives_on_until_it_is_idle_for_too_long() {
    let (runs, book, clock, caller) = (table(), Book::default(), clock(), principal(RunScope::Subject));
    let first = attach(&runs, &caller, None, clock.wall(), &book).await.unwrap();
    clock.advance(Duration::from_secs(59));
    first.section(clock.wall(), |_| ()).unwrap();
    clock.advance(Duration::from_secs(59));
    let again = attach(&runs, &caller, None, clock.wall(), &book).await.unwrap();
    assert_eq!(first.id(), again.id());
    clock.advance(Duration::from_secs(60));
    let fresh = attach(&runs, &caller, None, clock.wall(), &book).await.unwrap();
    assert_ne!(first.id(), fresh.id());
    assert_eq!(*book.lines.lock().unwrap(), ["start user:1", "end Idle", "start user:1"]);
    assert_eq!(first.section(clock.wall(), |_| ()), Err(Reason::RunClosed));
}

#[tokio::test]
async fn i4_a_session_is_a_run_of_its_own_only_where_the_entry_point_says_so() {
    let (book, clock) = (Book::default(), clock());
    let (one, two): (Arc<str>, Arc<str>) = ("one".into(), "two".into());
    for (scope, same) in [(RunScope::Subject, true), (RunScope::Session, false)] {
        let (runs, caller) = (table(), principal(scope));
        let a = attach(&runs, &caller, Some(&one), clock.wall(), &book).await.unwrap();
        let b = attach(&runs, &caller, Some(&two), clock.wall(), &book).await.unwrap();
        assert_eq!(a.id() == b.id(), same);
    }
}

#[tokio::test]
async fn a_run_whose_start_is_not_durable_does_not_exist() {
    let (runs, clock, caller) = (table(), clock(), principal(RunScope::Subject));
    let refusing = Book { refuses: true, ..Book::default() };
    let refused = attach(&runs, &caller, None, clock.wall(), &refusing).await;
    assert_eq!(refused.map(|run| run.id().clone()), Err(Reason::JournalHalted));
    assert!(runs.report().await.is_empty());
}

#[tokio::test]
async fn a_full_table_refuses_the_new_and_evicts_nothing() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let caller = principal(RunScope::Session);
    let ids: Vec<Arc<str>> = vec!["a".into(), "b".into(), "c".into()];
    let first = attach(&runs, &caller, Some(&ids[0]), clock.wall(), &book).await.unwrap();
    attach(&runs, &caller, Some(&ids[1]), clock.wall(), &book).await.unwrap();
    let third = attach(&runs, &caller, Some(&ids[2]), clock.wall(), &book).await;
    assert_eq!(third.map(|_| ()), Err(Reason::RunsFull));
    assert!(first.section(clock.wall(), |_| ()).is_ok());
    runs.end(first.id(), RunEnding::Person, person(clock.wall()), &book).await.unwrap().unwrap();
    assert!(attach(&runs, &caller, Some(&ids[2]), clock.wall(), &book).await.is_ok());
}

#[tokio::test]
async fn i4_a_run_with_lost_history_refuses_until_a_person_ends_it() {
    let (book, clock, caller) = (Book::default(), clock(), principal(RunScope::Subject));
    let key = RunKey::of(&caller, None).unwrap();
    let id = RunId::of([7; 16]);
    let now = clock.wall();
    let lost = RecoveredRun {
        id: id.clone(),
        key,
        subject: caller.subject.clone(),
        claim: None,
        origin: None,
        provenance: sources(["chat"]),
        started: now,
        used: now,
        history: RunHistory::Lost,
        plans: Held::default(),
    };
    let runs = Runs::recover(RecoveredRuns { runs: vec![lost], ..RecoveredRuns::default() }, 2, |_| None);
    clock.advance(Duration::from_secs(30 * 24 * 60 * 60));
    runs.expire(clock.wall(), &book).await.unwrap();
    let refused = attach(&runs, &caller, None, clock.wall(), &book).await;
    assert_eq!(refused.map(|_| ()), Err(Reason::RunClosed));
    assert!(runs.end(&id, RunEnding::Person, person(clock.wall()), &book).await.unwrap().is_some());
    assert!(attach(&runs, &caller, None, clock.wall(), &book).await.is_ok());
}

#[tokio::test]
async fn simultaneous_first_requests_become_one_run() {
    let (runs, book, clock) = (Arc::new(table()), Arc::new(Book::default()), clock());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let (runs, book, now) = (Arc::clone(&runs), Arc::clone(&book), clock.wall());
        let caller = principal(RunScope::Subject);
        tasks
            .spawn(async move { attach(&runs, &caller, None, now, &book).await.map(|run| run.id().clone()) });
    }
    let ids: std::collections::BTreeSet<_> = tasks.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(book.lines.lock().unwrap().len(), 1);
}

#[test]
fn what_is_stored_for_one_subject_stays_with_that_subject() {
    use crate::model::call::Stores;
    use crate::model::name::UpstreamName;
    let (notes, table) = (UpstreamName::new("notes").unwrap(), StoredSources::default());
    let (a, b) = (Subject::new("user:a").unwrap(), Subject::new("user:b").unwrap());
    table.write(&notes, &a, Stores::Subject, &sources(["email"]));
    assert_eq!(table.read(&notes, &a), sources(["email"]));
    assert!(table.read(&notes, &b).is_empty());
    table.write(&notes, &a, Stores::All, &sources(["web"]));
    assert_eq!(table.read(&notes, &b), sources(["web"]));
    assert_eq!(table.read(&notes, &a), sources(["email", "web"]));
}

#[tokio::test]
async fn open_runs_follow_the_rules_of_another_configuration_and_else_keep_their_last() {
    let (runs, book, clock, caller) = (table(), Book::default(), clock(), principal(RunScope::Subject));
    let first = attach(&runs, &caller, None, clock.wall(), &book).await.unwrap();
    let sooner = RunRule { idle: Duration::from_secs(10), ..caller.runs };
    runs.follow(1, |_| Some(sooner)).await;
    let more = Arc::new(Principal { subject: Subject::new("user:2").unwrap(), ..(*caller).clone() });
    assert_eq!(attach(&runs, &more, None, clock.wall(), &book).await.unwrap_err(), Reason::RunsFull);
    // Its entry point is gone: the last rule that it had still ends it.
    runs.follow(2, |_| None).await;
    clock.advance(Duration::from_secs(9));
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(runs.figures().open, 1);
    clock.advance(Duration::from_secs(1));
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(first.section(clock.wall(), |_| ()), Err(Reason::RunClosed));
    assert_eq!(*book.lines.lock().unwrap(), ["start user:1", "end Idle"]);
}
