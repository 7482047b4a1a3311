//! Starts that fail, instances that are shared, idle, full; groups that do not want to go.

use std::time::Duration;

use super::bench::{Bench, Web, child, gone, is_alive, text_of};
use crate::upstream::*;

fn read_pid(bench: &Bench) -> i32 {
    std::fs::read_to_string(bench.file("mail.GRANDCHILD")).unwrap().parse().unwrap()
}

fn children(bench: &Bench) -> Vec<i32> {
    let entries = std::fs::read_dir(bench.file("children")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_str().unwrap().parse().unwrap()).collect()
}

async fn why_not(settings: Settings) -> String {
    let mut bench = Bench::listed(vec![settings]).await;
    assert!(bench.upstreams.catalogue().tools().is_empty());
    bench
        .notice(|notice| match notice {
            Notice::StartFailed { why, .. } => Some(why.as_str().to_owned()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let why = why_not(child("mail", &["exit_at_once"])).await;
    assert!(why.contains("it ended during its start: it exited: exit status: 7"), "{why}");
    let why = why_not(child("mail", &["revision=2030-01-01"])).await;
    assert!(why.contains("2030-01-01"), "{why}");
    let why = why_not(child("mail", &["modern"])).await;
    assert!(why.contains("-32022"), "{why}");
    let mut mute = child("mail", &["mute"]);
    mute.start_timeout = Duration::from_millis(300);
    assert!(why_not(mute).await.contains("start_timeout"));
    let mut missing = child("mail", &[]);
    if let Launch::Process { command, .. } = &mut missing.launch {
        command[0] = "no-such-program".to_owned();
    }
    let why = why_not(missing).await;
    assert!(why.contains("`no-such-program`; is it installed"), "{why}");
}

#[tokio::test]
async fn older_revisions_and_servers_without_tools_are_spoken_to() {
    let none = child("none", &["no_tools"]);
    let mut bench = Bench::listed(vec![child("old", &["revision=2024-11-05"]), none]).await;
    let mut revisions = Vec::new();
    for _ in 0..2 {
        let started = bench.notice(|notice| match notice {
            Notice::Started { upstream, revision } => Some((upstream.to_string(), *revision)),
            _ => None,
        });
        revisions.push(started.await);
    }
    revisions.sort();
    assert_eq!(revisions, [("none".to_owned(), "2025-11-25"), ("old".to_owned(), "2024-11-05")]);
    assert!(bench.call("old__echo", "{}").await.is_ok());
    assert!(bench.upstreams.catalogue().tools().iter().all(|tool| tool.id.upstream.as_str() == "old"));
}

#[tokio::test]
async fn f24_starts_that_fail_are_retried_less_and_less_often() {
    let mut bench = Bench::new(vec![child("mail", &["exit_at_once"])]);
    for _ in 0..100 {
        bench.upstreams.list_ready().await;
    }
    assert_eq!(bench.figures("mail").start_failures, 2, "one retry at once, then a pause");
    for _ in 2..BREAKER_FAILURES_MAX {
        bench.clock.advance(Duration::from_secs(2));
        bench.upstreams.list_ready().await;
    }
    bench.notice(|notice| matches!(notice, Notice::BreakerOpen { .. }).then_some(())).await;
    bench.clock.advance(BREAKER_OPEN / 2);
    bench.upstreams.list_ready().await;
    assert_eq!(bench.figures("mail").start_failures, u64::from(BREAKER_FAILURES_MAX));
}

#[tokio::test]
async fn f25_stopping_kills_the_whole_group_whatever_it_ignores() {
    let behaviours = ["ignore_sigterm", "ignore_eof", "grandchild"];
    let bench = Bench::listed(vec![child("mail", &behaviours)]).await;
    let (child, grandchild) = (children(&bench)[0], read_pid(&bench));
    assert!(is_alive(child) && is_alive(grandchild));
    bench.upstreams.stop().await;
    gone(child).await;
    gone(grandchild).await;
    assert_eq!(children(&bench), [0; 0]);
    assert_eq!(bench.ledger("mail").last().unwrap(), "eof", "it was asked before it was killed");
    let failure = bench.call("mail__echo", "{}").await.unwrap_err();
    assert_eq!(failure, Failure::Draining);
}

#[tokio::test]
async fn f25_a_child_that_dies_leaves_no_grandchild_and_none_can_hold_up_its_calls() {
    let mut bench = Bench::listed(vec![child("mail", &["grandchild"])]).await;
    let grandchild = read_pid(&bench);
    bench.call("mail__die", "{}").await.unwrap_err();
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    gone(grandchild).await;
    // One that left the group holds the pipes of the dead child open.
    assert!(bench.call("mail__spawn", "{\"setsid\":true}").await.is_ok());
    let stray = read_pid(&bench);
    let failure = bench.call("mail__die", "{}").await.unwrap_err();
    assert!(matches!(failure, Failure::Closed(_)), "{failure}");
    rustix::process::kill_process(
        rustix::process::Pid::from_raw(stray).unwrap(),
        rustix::process::Signal::KILL,
    )
    .unwrap();
}

#[tokio::test]
async fn dropping_everything_kills_the_group_as_well() {
    let bench = Bench::listed(vec![child("mail", &["ignore_sigterm", "ignore_eof", "grandchild"])]).await;
    let (child, grandchild) = (children(&bench)[0], read_pid(&bench));
    let pool = bench.upstreams.fleet().pools().next().unwrap().clone();
    let lease = pool.acquire(&pool.key_for_listing()).await.unwrap();
    // A start that is given up: what it had started goes with it.
    let parts = pool.parts().clone();
    let started = parts.start().await.unwrap();
    let second = read_pid(&bench);
    drop(started);
    assert_ne!(second, grandchild);
    gone(second).await;
    drop(lease);
    bench.upstreams.stop().await;
    gone(child).await;
    gone(grandchild).await;
}

#[tokio::test]
async fn what_a_killed_gateway_left_behind_is_killed_at_the_next_start() {
    let first = Bench::listed(vec![child("mail", &["ignore_sigterm", "ignore_eof", "grandchild"])]).await;
    let (child, grandchild) = (children(&first)[0], read_pid(&first));
    // The first gateway is as good as dead for the second one: it finds only the record.
    let record = std::fs::read_to_string(first.file(&format!("children/{child}"))).unwrap();
    let second = tempfile::tempdir().unwrap();
    std::fs::create_dir(second.path().join("children")).unwrap();
    std::fs::write(second.path().join(format!("children/{child}")), &record).unwrap();
    // Another start time: the number was given to somebody else since. Nobody is killed.
    let other = record.replace("\"started_ticks\":", "\"started_ticks\":1");
    std::fs::write(second.path().join("children/1"), other).unwrap();
    let mut second = Bench::inside(second, vec![]);
    assert_eq!(second.told(), [Notice::LeftoverKilled { pid: child }]);
    assert_eq!(children(&second), [0; 0]);
    let mut first = first;
    first.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    gone(child).await;
    gone(grandchild).await;
}

#[tokio::test]
async fn idle_instances_are_ended_and_started_again_when_needed() {
    let mut settings = child("mail", &[]);
    settings.instance_idle = Duration::from_millis(50);
    let mut bench = Bench::listed(vec![settings]).await;
    let why = bench.notice(|notice| match notice {
        Notice::Exited { why, .. } => Some(why.as_str().to_owned()),
        _ => None,
    });
    assert_eq!(why.await, "it was idle");
    let answer = bench.call("mail__slow", "{\"seconds\":0.3}").await.unwrap();
    assert_eq!(text_of(&answer), "{\"seconds\": 0.3}", "one in use is not idle");
    assert_eq!(bench.figures("mail").starts, 2);
    assert_eq!(bench.figures("mail").exits, 0);
}

#[tokio::test]
async fn i9_i11_subjects_share_no_instance_and_a_full_table_refuses_the_new() {
    let mut settings = child("mail", &[]);
    (settings.share, settings.instances_max) = (Share::Subject, 2);
    let mut bench = Bench::listed(vec![settings]).await;
    assert!(bench.call_as("user:1", "mail__echo", "{}").await.is_ok());
    assert_eq!(bench.figures("mail").starts, 1, "the first takes the one that was listed");
    assert!(bench.call_as("user:2", "mail__echo", "{}").await.is_ok());
    let failure = bench.call_as("user:3", "mail__echo", "{}").await.unwrap_err();
    assert_eq!((&failure, failure.executed()), (&Failure::InstancesFull, Executed::No));
    for subject in ["user:1", "user:2"] {
        assert!(bench.call_as(subject, "mail__echo", "{}").await.is_ok());
    }
    assert_eq!(bench.figures("mail").starts, 2);
    bench.call_as("user:2", "mail__die", "{}").await.unwrap_err();
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    assert!(bench.call_as("user:1", "mail__echo", "{}").await.is_ok(), "the other one lives");
}

#[tokio::test]
async fn f15_an_expired_session_is_begun_anew_for_the_next_call() {
    for behaviours in [&["stream"][..], &["expired_is_400"]] {
        let web = Web::serve(behaviours).await;
        let mut bench = Bench::listed(vec![web.upstream("web")]).await;
        assert!(bench.call("web__expire", "{}").await.is_ok());
        let failure = bench.call("web__echo", "{\"tag\":1}").await.unwrap_err();
        assert_eq!(failure.executed(), Executed::Unknown);
        bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
        assert!(bench.call("web__echo", "{\"tag\":2}").await.is_ok());
        let echoes: Vec<_> = web.ledger().into_iter().filter(|line| line.starts_with("echo")).collect();
        assert_eq!(echoes, ["echo 2"], "the first was not sent twice");
    }
}
