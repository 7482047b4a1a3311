//! Tool servers of 2026-07-28, over both transports, and how the era of a server is found out.

use std::time::Duration;

use serde_json::Value;

use super::bench::{Bench, Web, child, moved, text_of};
use crate::model::pin::PinChange;
use crate::upstream::*;

/// The same server over stdio and over HTTP, as `mail` and `web`.
async fn both(behaviours: &[&str]) -> (Web, Bench) {
    let web = Web::serve(behaviours).await;
    let bench = Bench::listed(vec![child("mail", behaviours), web.upstream("web")]).await;
    (web, bench)
}

async fn started(bench: &mut Bench) -> (String, &'static str) {
    bench
        .notice(|notice| match notice {
            Notice::Started { upstream, revision } => Some((upstream.to_string(), *revision)),
            _ => None,
        })
        .await
}

async fn start_failed(settings: Settings) -> String {
    let mut bench = Bench::listed(vec![settings]).await;
    bench
        .notice(|notice| match notice {
            Notice::StartFailed { why, .. } => Some(why.as_str().to_owned()),
            _ => None,
        })
        .await
}

#[tokio::test]
async fn a_server_of_2026_07_28_is_listed_and_called_over_both_transports() {
    let (web, mut bench) = both(&["era=2026"]).await;
    let mut revisions = [started(&mut bench).await, started(&mut bench).await];
    revisions.sort();
    assert_eq!(revisions.each_ref().map(|(_, revision)| *revision), ["2026-07-28"; 2]);
    for upstream in ["mail", "web"] {
        assert_eq!(
            text_of(&bench.call(&format!("{upstream}__echo"), "{\"a\":1}").await.unwrap()),
            "{\"a\": 1}"
        );
        let meta = text_of(&bench.call(&format!("{upstream}__meta"), "{}").await.unwrap());
        let meta: Value = serde_json::from_str(&meta).unwrap();
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "sluicegate");
        assert!(meta["progressToken"].is_u64(), "our own token: {meta}");
        let call = bench.call_of(&format!("{upstream}__progress"), "{}");
        assert_eq!(bench.deliver(&call, "user:1", CancelSignal::never()).await.progress.len(), 3);
    }
    // The server compares the headers with the body, the argument that it wants mirrored included.
    assert!(bench.call("web__mirrored", "{\"place\":\"Zürich \"}").await.is_ok());
    let ledger = web.ledger();
    let calls: Vec<_> = ledger.iter().filter(|line| line.starts_with("stateless ")).collect();
    assert!(!calls.is_empty() && calls.iter().all(|line| line.ends_with("session=None")), "{calls:?}");
}

#[tokio::test]
async fn what_would_have_to_go_on_is_told_apart_from_an_answer() {
    let (_web, bench) = both(&["era=2026"]).await;
    for upstream in ["mail", "web"] {
        let call = async |tool: &str| bench.call(&format!("{upstream}__{tool}"), "{}").await;
        let unheard = bench.call_unheard(&format!("{upstream}__input_required")).await;
        assert_eq!(unheard, Err(Failure::InputRequired));
        assert_eq!(call("task").await, Err(Failure::TaskMade), "nobody said that they take one");
        assert!(matches!(call("odd_type").await, Err(Failure::Invalid(_))));
    }
}

#[tokio::test]
async fn giving_up_is_told_by_a_message_over_stdio_and_by_hanging_up_over_http() {
    let (web, bench) = both(&["era=2026"]).await;
    for upstream in ["mail", "web"] {
        let (canceller, cancel) = cancel();
        let call = bench.call_of(&format!("{upstream}__hang"), "{}");
        let executed = || match upstream {
            "mail" => bench.ledger("mail"),
            _ => web.ledger(),
        };
        let seen = async |wanted: &str| {
            while !executed().iter().any(|line| line == wanted) {
                tokio::task::yield_now().await;
            }
        };
        let cancelling = async {
            seen("hang").await;
            canceller.cancel();
        };
        let (told, ()) = tokio::join!(bench.deliver(&call, "user:1", cancel), cancelling);
        assert_eq!(told.outcome, Err(Failure::Cancelled(Executed::Unknown)));
        seen(if upstream == "mail" { "cancelled" } else { "hung up" }).await;
    }
}

#[tokio::test]
async fn changes_are_heard_over_a_subscription_that_is_opened_again_when_it_ends() {
    let (web, mut bench) = both(&["era=2026"]).await;
    while ![bench.ledger("mail"), web.ledger()].iter().all(|told| told.iter().any(|line| line == "listening"))
    {
        tokio::task::yield_now().await;
    }
    let mut changed = Vec::new();
    for upstream in ["mail", "web"] {
        assert!(bench.call(&format!("{upstream}__change"), "{}").await.is_ok());
        let tool = bench.notice(|notice| moved(notice, &[PinChange::Changed]));
        changed.push(tool.await.to_string());
    }
    assert_eq!(changed, ["mail.changing", "web.changing"]);
    // A server may take its own subscription back, and no call of ours.
    assert!(bench.call("mail__foreign_cancel", "{}").await.is_ok());
    assert!(bench.call("mail__tear_down", "{}").await.is_ok());
    while bench.ledger("mail").iter().filter(|line| *line == "listening").count() < 2 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_server_without_subscriptions_works_too() {
    let (_web, bench) = both(&["era=2026", "no_listen"]).await;
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    assert!(bench.call("web__echo", "{}").await.is_ok());
    let web = Web::serve(&["era=2026", "refuse_listen"]).await;
    let bench = Bench::listed(vec![web.upstream("web")]).await;
    assert!(bench.call("web__echo", "{}").await.is_ok());
}

#[tokio::test]
async fn an_older_server_is_not_lost_to_the_question_what_it_is() {
    for behaviours in
        [&["probe_error=-32602"][..], &["probe_error=-32000"], &["dies_of_probe"], &["revision=2024-11-05"]]
    {
        let bench = Bench::listed(vec![child("mail", behaviours)]).await;
        assert!(bench.call("mail__echo", "{}").await.is_ok(), "{behaviours:?}");
    }
    let mut deaf = child("mail", &["deaf"]);
    deaf.start_timeout = Duration::from_secs(8);
    let mut bench = Bench::listed(vec![deaf]).await;
    assert_eq!(started(&mut bench).await.1, "2025-11-25");
    let web = Web::serve(&["probe_session"]).await;
    let bench = Bench::listed(vec![web.upstream("web")]).await;
    assert!(bench.call("web__echo", "{}").await.is_ok());
    let stray = web.ledger().into_iter().filter(|line| line.ends_with("session=stray")).count();
    assert_eq!(stray, 0, "a session that was not begun is nobody's");
}

#[tokio::test]
async fn what_an_upstream_turned_out_to_be_is_remembered() {
    let mut bench = Bench::listed(vec![child("mail", &["tell_probes"])]).await;
    assert!(bench.call("mail__die", "{}").await.is_err());
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    assert_eq!(bench.figures("mail").starts, 2);
    assert_eq!(bench.ledger("mail").iter().filter(|line| *line == "probe").count(), 1);
}

#[tokio::test]
async fn a_revision_that_is_configured_is_the_only_one_spoken() {
    let only = |behaviours: &[&str], revision| {
        let mut settings = child("mail", behaviours);
        settings.revision = Speaks::Only(revision);
        settings
    };
    let bench = Bench::listed(vec![only(&["tell_probes"], Revision::V2025_06_18)]).await;
    assert!(bench.call("mail__echo", "{}").await.is_ok());
    assert!(!bench.ledger("mail").contains(&"probe".to_owned()), "nothing has to be found out");
    let why = start_failed(only(&["revision=2025-11-25"], Revision::V2025_06_18)).await;
    assert!(why.contains("2025-11-25"), "{why}");
    let why = start_failed(only(&[], Revision::V2026_07_28)).await;
    assert!(why.contains("2026-07-28"), "{why}");
    let why = start_failed(child("mail", &["era=2026", "supported=2027-01-01"])).await;
    assert!(why.contains("2027-01-01"), "{why}");
}
