//! Endpoints that break their framing, redirect, drip, forget and lie.

use std::time::Duration;

use super::bench::{Bench, Web, moved, text_of};
use crate::model::pin::PinChange;
use crate::model::secret::Secret;
use crate::upstream::*;

async fn bench(behaviours: &[&str]) -> (Web, Bench) {
    let web = Web::serve(behaviours).await;
    let mut settings = web.upstream("web");
    settings.call_timeout = Duration::from_secs(5);
    let bench = Bench::listed(vec![settings]).await;
    (web, bench)
}

fn executions(web: &Web, tool: &str) -> usize {
    web.ledger().iter().filter(|line| line.split(' ').next() == Some(tool)).count()
}

#[tokio::test]
async fn f08_f09_f10_answers_come_whole_however_they_are_cut() {
    let (web, bench) = bench(&[]).await;
    assert_eq!(text_of(&bench.call("web__echo", "{\"a\":1}").await.unwrap()), "{\"a\": 1}");
    assert_eq!(text_of(&bench.call("web__split", "{}").await.unwrap()), "\u{e4}\u{20ac}");
    assert_eq!(text_of(&bench.call("web__lines", "{\"a\":1}").await.unwrap()), "{\"a\": 1}");
    assert_eq!(text_of(&bench.call("web__sse_garbage", "{}").await.unwrap()), "{}");
    let call = bench.call_of("web__progress", "{}");
    let told = bench.deliver(&call, "user:1", CancelSignal::never()).await;
    assert!(told.outcome.is_ok());
    assert_eq!(told.progress.len(), 3);
    let headers: Vec<_> = web.ledger().into_iter().filter(|line| line.starts_with("header ")).collect();
    assert!(headers[0].contains("version=None session=None"), "{headers:?}");
    assert!(headers[1..].iter().all(|line| line.starts_with("header version=2025-11-25 session=session-")));
}

#[tokio::test]
async fn f05_f12_f13_f20_a53_what_is_no_answer_is_withheld_and_never_sent_again() {
    let (web, bench) = bench(&[]).await;
    let invalid = [
        "status_500",
        "redirect",
        "gzip",
        "two_lengths",
        "accepted",
        "text",
        "other_id",
        "sse_null",
        "json_null",
        "broken",
    ];
    for tool in invalid {
        let failure = bench.call(&format!("web__{tool}"), "{}").await.unwrap_err();
        assert!(matches!(failure, Failure::Invalid(_)), "{tool}: {failure}");
    }
    for tool in ["cut", "short", "no_answer", "reset"] {
        let failure = bench.call(&format!("web__{tool}"), "{}").await.unwrap_err();
        assert!(matches!(failure, Failure::Closed(_)), "{tool}: {failure}");
        assert_eq!(failure.executed(), Executed::Unknown);
    }
    for tool in invalid.iter().chain(&["cut", "short", "no_answer", "reset"]) {
        assert_eq!(executions(&web, tool), 1, "{tool}");
    }
    assert!(bench.call("web__echo", "{}").await.is_ok());
    assert_eq!(bench.figures("web").starts, 1, "the session still stands");
}

#[tokio::test]
async fn f13_an_error_under_a_status_of_500_is_the_answer() {
    let (web, bench) = bench(&[]).await;
    let answer = bench.call("web__error_500", "{}").await.unwrap();
    assert_eq!(answer.kind, AnswerKind::Error);
    assert_eq!(executions(&web, "error_500"), 1);
}

#[tokio::test]
async fn f01_f02_silence_and_a_slow_drip_end_by_the_same_deadline() {
    let web = Web::serve(&[]).await;
    let mut settings = web.upstream("web");
    settings.call_timeout = Duration::from_millis(400);
    let bench = Bench::listed(vec![settings]).await;
    let (hang, drip, echo) = tokio::join!(
        bench.call("web__hang", "{}"),
        bench.call("web__drip", "{}"),
        bench.call("web__echo", "{}")
    );
    assert_eq!(hang, Err(Failure::Timeout(Executed::Unknown)));
    assert_eq!(drip, Err(Failure::Timeout(Executed::Unknown)));
    assert!(echo.is_ok());
}

#[tokio::test]
async fn f11_a67_bodies_and_events_are_cut_during_the_read() {
    let (_web, bench) = bench(&[]).await;
    assert!(bench.call("web__big", "{\"bytes\":500000}").await.is_ok());
    assert_eq!(bench.call("web__big", "{\"bytes\":2000000}").await, Err(Failure::TooLarge));
    assert_eq!(bench.call("web__sse_big", "{}").await, Err(Failure::TooLarge));
    assert!(bench.call("web__echo", "{}").await.is_ok());
}

#[tokio::test]
async fn a43_nothing_is_sent_but_what_is_configured_and_what_the_protocol_needs() {
    let web = Web::serve(&[]).await;
    let mut settings = web.upstream("web");
    if let Launch::Http { headers, .. } = &mut settings.launch {
        headers.push((::http::header::AUTHORIZATION, Secret::new("Bearer static".to_owned())));
    }
    let mut bench = Bench::listed(vec![settings]).await;
    let sent = text_of(&bench.call("web__headers", "{}").await.unwrap());
    let sent: std::collections::BTreeMap<String, String> = serde_json::from_str(&sent).unwrap();
    let mut expected =
        ["accept", "accept-encoding", "authorization", "content-length", "content-type"].to_vec();
    expected.extend(["host", "mcp-protocol-version", "mcp-session-id", "user-agent"]);
    assert_eq!(sent.keys().map(String::as_str).collect::<Vec<_>>(), expected);
    assert_eq!(sent["authorization"], "Bearer static");
    assert_eq!(sent["accept-encoding"], "identity");
    let (told, shown) = (bench.told(), format!("{:?}", bench.upstreams));
    assert!(!format!("{told:?} {shown}").contains("static\""));
}

#[tokio::test]
async fn requests_on_a_call_s_stream_are_answered_in_posts_of_their_own() {
    let (web, mut bench) = bench(&[]).await;
    assert!(bench.call("web__sse_ask", "{}").await.is_ok());
    bench.notice(|notice| matches!(notice, Notice::RequestRefused { .. }).then_some(())).await;
    bench.upstreams.stop().await;
    let ledger = web.ledger();
    let session_ended = ledger.iter().any(|line| line.starts_with("delete session-"));
    assert!(session_ended, "{ledger:?}");
}

#[tokio::test]
async fn f03_announcements_come_over_the_stream_and_answers_do_not() {
    let (web, mut bench) = bench(&["stream"]).await;
    // The stream is opened beside the first calls; the server says when it is there.
    while !web.ledger().iter().any(|line| line == "listening") {
        tokio::task::yield_now().await;
    }
    assert!(bench.call("web__change", "{}").await.is_ok());
    let tool = bench.notice(|notice| moved(notice, &[PinChange::Changed]));
    assert_eq!(tool.await.to_string(), "web.changing");
    assert_eq!(bench.figures("web").unmatched_responses, 1);
}

#[tokio::test]
async fn servers_without_sessions_work_too() {
    let (web, bench) = bench(&["stateless"]).await;
    assert!(bench.call("web__echo", "{}").await.is_ok());
    bench.upstreams.stop().await;
    assert!(!web.ledger().iter().any(|line| line.starts_with("delete")));
}

#[tokio::test]
async fn a_server_that_is_gone_is_not_reached_and_got_nothing() {
    let (mut web, mut bench) = bench(&[]).await;
    web.process.kill().await.unwrap();
    let failure = bench.call("web__echo", "{}").await.unwrap_err();
    // The pooled connection may be found broken only when it is used.
    assert!(matches!(failure, Failure::Unavailable(_) | Failure::Closed(_)), "{failure}");
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    let failure = bench.call("web__echo", "{}").await.unwrap_err();
    assert!(matches!(failure, Failure::Unavailable(_)), "{failure}");
    assert_eq!(failure.executed(), Executed::No);
    bench.notice(|notice| matches!(notice, Notice::StartFailed { .. }).then_some(())).await;
}
