//! Streams of answers that break: picked up after the last event that came whole, and never asked anew.

use std::time::Duration;

use super::bench::{Bench, Web, text_of};
use crate::upstream::*;

async fn bench() -> (Web, Bench) {
    let web = Web::serve(&[]).await;
    let mut settings = web.upstream("web");
    settings.call_timeout = Duration::from_secs(10);
    let bench = Bench::listed(vec![settings]).await;
    (web, bench)
}

fn resumes(web: &Web) -> Vec<String> {
    web.ledger().into_iter().filter(|line| line.starts_with("resume ")).collect()
}

#[tokio::test]
async fn f06_a_stream_is_picked_up_after_its_last_event_as_often_as_it_breaks() {
    let (web, bench) = bench().await;
    assert_eq!(text_of(&bench.call("web__resumed", "{\"a\":1}").await.unwrap()), "{\"a\": 1}");
    assert_eq!(resumes(&web), ["resume first"]);
    assert!(bench.call("web__resumed_twice", "{}").await.is_ok());
    assert_eq!(resumes(&web), ["resume first"; 3], "the id of the first connection is still the last");
}

#[tokio::test]
async fn sep_1699_a_server_that_is_polled_is_polled_for_as_long_as_it_gets_further() {
    let (web, bench) = bench().await;
    assert!(bench.call("web__polled", "{}").await.is_ok());
    let ids: Vec<_> = resumes(&web);
    assert_eq!(ids.len(), 8);
    assert_eq!((ids[0].as_str(), ids[7].as_str()), ("resume first", "resume p7"));
}

#[tokio::test]
async fn f05_f07_f12_what_cannot_be_picked_up_fails_and_is_not_sent_again() {
    let (web, bench) = bench().await;
    // An event that was cut off did not come: the stream goes on after the one before it.
    assert!(bench.call("web__half_event", "{}").await.is_ok());
    assert_eq!(resumes(&web), ["resume first"]);
    for tool in ["barren", "no_resume", "forgotten"] {
        let failure = bench.call(&format!("web__{tool}"), "{}").await.unwrap_err();
        assert!(matches!(failure, Failure::Closed(_)), "{tool}: {failure}");
        assert_eq!(failure.executed(), Executed::Unknown);
        let executed = web.ledger().into_iter().filter(|line| line == tool).count();
        assert_eq!(executed, 1, "{tool}");
    }
    assert!(bench.call("web__echo", "{}").await.is_ok(), "a new session was begun");
    assert_eq!(bench.figures("web").starts, 2);
}
