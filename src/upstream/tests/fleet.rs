//! Settings follow each other while calls are under way.

use super::bench::{Bench, child, text_of};
use crate::model::call::Pin;
use crate::upstream::*;

/// One upstream for each subject, and the same launched in another way.
fn before_and_after(bench: &Bench) -> Vec<Settings> {
    let mut after = bench.settings.clone();
    for settings in &mut after {
        settings.call_timeout *= 2;
    }
    after
}

async fn bench() -> Bench {
    Bench::listed(vec![Settings { share: Share::Subject, ..child("mail", &[]) }]).await
}

#[tokio::test]
async fn a29_a_call_reaches_the_launch_it_was_decided_for_and_what_that_offers_no_longer_counts() {
    let mut bench = bench().await;
    let call = bench.call_of("mail__changing", "{}");
    let decided_for = bench.upstreams.fleet().only(call.target.upstream());
    let prepared = bench.upstreams.prepare(before_and_after(&bench)).unwrap();
    bench.upstreams.replace(prepared).await;
    bench.told();
    // The instance that was asked for its tools goes to the first who needs one, as before.
    let answer = bench.deliver_to(&decided_for, &call, "user:2", CancelSignal::never()).await.outcome;
    assert_eq!(text_of(&answer.unwrap()), "generation 0");
    // Another of that launch offers another definition, which is nobody's business any more.
    std::fs::write(bench.file("mail.GENERATION"), "7").unwrap();
    let failure = bench.deliver_to(&decided_for, &call, "user:3", CancelSignal::never()).await.outcome;
    assert_eq!(failure.unwrap_err(), Failure::PinChanged);
    let catalogue = bench.upstreams.catalogue();
    assert!(matches!(catalogue.find("mail__changing").unwrap().pin, Pin::Accepted(_)));
    // Nobody is left who could call it: every instance of it ends.
    drop(decided_for);
    for _ in 0..2 {
        let why = bench.notice(|notice| match notice {
            Notice::Exited { why, .. } => Some(why.as_str().to_owned()),
            _ => None,
        });
        assert_eq!(why.await, "its settings are no longer in force");
    }
    bench.close().await;
}

#[tokio::test]
async fn what_only_the_catalogue_looks_at_changes_without_a_new_instance() {
    let bench = bench().await;
    let pool = |bench: &Bench| bench.upstreams.conditions()[0].1.instances;
    assert_eq!(pool(&bench), 1);
    let mut after = bench.settings.clone();
    after[0].prefix = Prefix::Bare;
    after[0].calls_in_flight_max = 1;
    let prepared = bench.upstreams.prepare(after).unwrap();
    let draft = bench.upstreams.draft(&prepared).await;
    assert!(draft.find("echo").is_some() && bench.upstreams.catalogue().find("echo").is_none());
    bench.upstreams.replace(prepared).await;
    assert_eq!(bench.upstreams.catalogue().tools(), draft.tools());
    assert_eq!(pool(&bench), 1);
    bench.close().await;
}

#[tokio::test]
async fn what_was_prepared_and_not_used_changes_nothing_and_what_leaves_is_stopped_with_the_rest() {
    let bench = bench().await;
    let prepared = bench.upstreams.prepare(before_and_after(&bench)).unwrap();
    drop(prepared);
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    assert_eq!(bench.figures("mail").starts, 1, "the instance of the list went to the first caller");
    let call = bench.call_of("mail__echo", "{}");
    let held = bench.upstreams.fleet().only(call.target.upstream());
    let none = bench.upstreams.prepare(Vec::new()).unwrap();
    bench.upstreams.replace(none).await;
    assert!(bench.upstreams.catalogue().tools().is_empty() && bench.upstreams.conditions().is_empty());
    bench.upstreams.stop().await;
    let late = bench.deliver_to(&held, &call, "user:1", CancelSignal::never()).await.outcome;
    assert_eq!(late.unwrap_err(), Failure::Draining);
}
