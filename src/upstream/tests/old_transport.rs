//! The HTTP+SSE transport of 2024-11-05: one stream that brings everything.

use std::time::Duration;

use super::bench::{Bench, Web, moved, text_of};
use crate::model::pin::PinChange;
use crate::upstream::*;

#[tokio::test]
async fn an_old_server_is_found_and_called() {
    let web = Web::serve(&["old", "revision=2024-11-05"]).await;
    let mut bench = Bench::listed(vec![web.upstream("web")]).await;
    let revision = bench.notice(|notice| match notice {
        Notice::Started { revision, .. } => Some(*revision),
        _ => None,
    });
    assert_eq!(revision.await, "2024-11-05");
    assert_eq!(text_of(&bench.call("web__echo", "{\"a\":1}").await.unwrap()), "{\"a\": 1}");
    let posted: Vec<_> = web.ledger().into_iter().filter(|line| line.starts_with("posted ")).collect();
    assert!(posted.iter().all(|line| line.ends_with("to /messages?session=1")), "{posted:?}");
    // A change is announced on the same stream.
    assert!(bench.call("web__change", "{}").await.is_ok());
    let tool = bench.notice(|notice| moved(notice, &[PinChange::Changed]));
    assert_eq!(tool.await.to_string(), "web.changing");
}

#[tokio::test]
async fn every_status_that_says_there_is_no_streamable_http_leads_to_the_old_transport() {
    for status in ["400 Bad Request", "404 Not Found", "405 Method Not Allowed"] {
        let web = Web::serve(&["old", &format!("declines={status}")]).await;
        let bench = Bench::listed(vec![web.upstream("web")]).await;
        assert!(bench.call("web__echo", "{}").await.is_ok(), "{status}");
    }
    // One that says something else is not asked in another way.
    let web = Web::serve(&["old", "declines=401 Unauthorized"]).await;
    let bench = Bench::listed(vec![web.upstream("web")]).await;
    assert!(bench.upstreams.catalogue().tools().is_empty());
    assert!(!web.ledger().contains(&"stream".to_owned()));
}

#[tokio::test]
async fn f01_f07_calls_end_by_their_deadline_or_with_the_stream() {
    let web = Web::serve(&["old"]).await;
    let mut settings = web.upstream("web");
    settings.call_timeout = Duration::from_secs(2);
    let mut bench = Bench::listed(vec![settings]).await;
    assert_eq!(bench.call("web__hang", "{}").await, Err(Failure::Timeout(Executed::Unknown)));
    let failure = bench.call("web__cut", "{}").await.unwrap_err();
    assert!(matches!(failure, Failure::Closed(_)), "{failure}");
    bench.notice(|notice| matches!(notice, Notice::Exited { .. }).then_some(())).await;
    assert!(bench.call("web__echo", "{}").await.is_ok(), "a new stream is opened");
    assert_eq!(bench.figures("web").starts, 2);
}

#[tokio::test]
async fn a53_a_stream_that_names_no_address_or_a_foreign_one_is_refused() {
    for (behaviour, said) in [("no_endpoint", "`endpoint`"), ("elsewhere", "origin")] {
        let web = Web::serve(&["old", behaviour]).await;
        let mut settings = web.upstream("web");
        if let Launch::Http { transport, .. } = &mut settings.launch {
            *transport = Transport::EventStream;
        }
        let mut bench = Bench::listed(vec![settings]).await;
        let why = bench.notice(|notice| match notice {
            Notice::StartFailed { why, .. } => Some(why.as_str().to_owned()),
            _ => None,
        });
        let why = why.await;
        assert!(why.contains(said), "{why}");
        assert!(!web.ledger().iter().any(|line| line.starts_with("posted ")), "nothing was posted");
    }
}
