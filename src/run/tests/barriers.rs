//! What people close: it counts once it is durable, ends what it has to, and lasts until it is lifted.

use super::claims::token;
use super::*;
use crate::model::barrier::Revoked;

fn revoke(who: Revoked) -> BarrierChange {
    BarrierChange::Revoke(who)
}

fn subject() -> Revoked {
    Revoked::Subject(Subject::new("user:1").unwrap())
}

#[tokio::test]
async fn a_revoked_subject_is_refused_at_every_entry_point_until_it_is_lifted() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let (keyed, claimed) = (principal(RunScope::Subject), Arc::new(token()));
    let open = attach(&runs, &keyed, None, clock.wall(), &book).await.unwrap();
    attach(&runs, &claimed, None, clock.wall(), &book).await.unwrap();
    let by = person(clock.wall());
    assert_eq!(runs.change(&revoke(subject()), by, &book).await, Ok(()));
    assert_eq!(runs.end_revoked(&subject(), by, &book).await, 2);
    assert_eq!(open.section(clock.wall(), |_| ()), Err(Reason::RunClosed), "a call in flight ends here");
    for caller in [&keyed, &claimed] {
        assert_eq!(runs.admits(caller), Err(Reason::CredentialRevoked));
        let raced = attach(&runs, caller, None, clock.wall(), &book).await;
        assert_eq!(raced.map(|_| ()), Err(Reason::CredentialRevoked), "authenticated before, attached after");
    }
    let lift = BarrierChange::Lift(subject());
    assert_eq!(runs.change(&lift, person(clock.wall()), &book).await, Ok(()));
    assert_eq!(runs.admits(&keyed), Ok(()));
    let fresh = attach(&runs, &keyed, None, clock.wall(), &book).await.unwrap();
    assert_ne!(fresh.id(), open.id());
    // The claimed run has ended; its token stays what it is.
    assert_eq!(runs.admits(&claimed), Err(Reason::CredentialRevoked));
    assert_eq!(runs.change(&lift, person(clock.wall()), &book).await, Err(BarrierError::Already));
}

#[tokio::test]
async fn a_revoked_entry_point_and_a_revoked_run_leave_the_others_alone() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let (keyed, claimed) = (principal(RunScope::Subject), Arc::new(token()));
    attach(&runs, &keyed, None, clock.wall(), &book).await.unwrap();
    let run = attach(&runs, &claimed, None, clock.wall(), &book).await.unwrap();
    runs.end(run.id(), RunEnding::Revoked, person(clock.wall()), &book).await.unwrap().unwrap();
    assert_eq!(runs.admits(&claimed), Err(Reason::CredentialRevoked));
    let sibling = Principal { txn: Some(Txn::new("r2").unwrap()), ..token() };
    assert_eq!(runs.admits(&sibling), Ok(()));
    // It is remembered for longer than its tokens live, should its dispatcher go on renewing.
    clock.advance(Duration::from_secs(3600));
    runs.expire(clock.wall(), &book).await.unwrap();
    assert_eq!(runs.admits(&claimed), Err(Reason::CredentialRevoked));
    let mailbot = Revoked::EntryPoint(claimed.entry_point.clone());
    assert_eq!(runs.change(&revoke(mailbot), person(clock.wall()), &book).await, Ok(()));
    assert_eq!(runs.admits(&sibling), Err(Reason::CredentialRevoked));
    assert_eq!(runs.admits(&keyed), Ok(()));
}

#[tokio::test]
async fn what_cannot_be_recorded_is_not_closed() {
    let (runs, clock) = (table(), clock());
    let halted = Book { refuses: true, ..Book::default() };
    let changes = [revoke(subject()), BarrierChange::Close(SourceName::new("email").unwrap())];
    for change in &changes {
        let refused = runs.change(change, person(clock.wall()), &halted).await;
        assert_eq!(refused, Err(BarrierError::Refused(Reason::JournalHalted)));
    }
    assert_eq!(runs.admits(&token()), Ok(()));
    assert_eq!(runs.barriers(), BarrierReport::default());
}

#[tokio::test]
async fn a_closed_source_is_seen_in_the_section_of_every_run_until_it_is_opened() {
    let (runs, book, clock) = (table(), Book::default(), clock());
    let run = attach(&runs, &principal(RunScope::Subject), None, clock.wall(), &book).await.unwrap();
    let email = SourceName::new("email").unwrap();
    let closed = || run.section(clock.wall(), |section| section.closed().contains(&email)).unwrap();
    for (change, is_closed) in
        [(BarrierChange::Close(email.clone()), true), (BarrierChange::Open(email.clone()), false)]
    {
        runs.change(&change, person(clock.wall()), &book).await.unwrap();
        assert_eq!(closed(), is_closed);
        assert_eq!(runs.barriers().closed.contains_key(&email), is_closed);
    }
}

#[tokio::test]
async fn i11_a_full_table_of_revocations_refuses_the_new_and_forgets_none() {
    let (book, clock) = (Book::default(), clock());
    let since = person(clock.wall());
    let name = |number: usize| Revoked::Subject(Subject::new(&format!("user:{number}")).unwrap());
    let revoked = (0..REVOCATIONS_MAX).map(|number| (name(number), since)).collect();
    let barriers = BarrierReport { revoked, ..BarrierReport::default() };
    let runs = Runs::recover(RecoveredRuns { barriers, ..RecoveredRuns::default() }, 2, |_| None);
    let one_more = runs.change(&revoke(name(REVOCATIONS_MAX)), since, &book).await;
    assert_eq!(one_more, Err(BarrierError::Full(REVOCATIONS_MAX)));
    assert_eq!(runs.admits(&token()), Err(Reason::CredentialRevoked));
    runs.change(&BarrierChange::Lift(name(7)), since, &book).await.unwrap();
    assert_eq!(runs.change(&revoke(name(REVOCATIONS_MAX)), since, &book).await, Ok(()));
}
