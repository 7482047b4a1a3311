//! Sinks to Splunk before a collector that acknowledges late or never, refuses, is busy, hangs, or names what is wrong.

use std::collections::BTreeSet;
use std::time::Duration;

use http::Response;
use http_body_util::Full;
use serde_json::Value;
use sluicegate::model::digest::Sha256;

use crate::support::collector::{ACK_PATH, Collector, EVENT_PATH, Rules, TOKEN};
use crate::support::gateway::Gateway;
use crate::support::sink::{
    assert_denial_set_aside, assert_whole, call, call_around_a_denial, letters, seqs, sink_site,
    until_ready_shows,
};
use crate::support::tls::write;
use crate::support::{Site, check_audit};

fn site(collector: &Collector, more: &str) -> Site {
    let site =
        sink_site("splunk_hec", &collector.receiver.url, &format!("token = {{ file = \"token\" }}\n{more}"));
    write(&site, "token", TOKEN);
    site
}

/// How often each record came.
fn times(collector: &Collector, seq: u64) -> usize {
    seqs(&collector.records()).into_iter().filter(|came| *came == seq).count()
}

async fn delivered(gateway: &Gateway) -> u64 {
    let metrics = gateway.shows("/metrics").await;
    let line = metrics.lines().find(|line| line.starts_with("sluicegate_sink_records_total{sink=\"siem\"}"));
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn splunk_gets_everything_once_as_events_and_nobody_else_sees_the_token() {
    let collector = Collector::start(Rules::default()).await;
    let site = site(
        &collector,
        "compress = \"gzip\"\nindex = \"agents\"\nsource = \"s\"\nsourcetype = \"t\"\nhost = \"h\"",
    );
    for _ in 0..2 {
        let gateway = site.start();
        call(&gateway, &["one", "two", "three"]).await;
        assert!(!gateway.shows("/readyz").await.contains(TOKEN));
        assert!(gateway.stop().success());
    }
    let records = collector.records();
    assert_whole(&site, &records, &[]);
    assert_eq!(seqs(&records).len(), seqs(&records).into_iter().collect::<BTreeSet<_>>().len(), "once");
    let mut channels = BTreeSet::new();
    for event in collector.events() {
        channels.insert(event.channel);
        let record: Value = serde_json::from_str(&event.record).unwrap();
        // As the journal has it, byte by byte (docs/AUDIT.md, 2.6).
        let digested = event.record.rsplit_once(",\"digest\"").unwrap().0;
        assert_eq!(record["digest"], Sha256::of(digested.as_bytes()).to_string());
        let said = |key: &str| event.envelope[key].clone();
        assert_eq!((said("host"), said("source")), ("h".into(), "s".into()));
        assert_eq!((said("sourcetype"), said("index")), ("t".into(), "agents".into()));
        let fields = said("fields");
        assert_eq!(
            (&fields["seq"], &fields["digest"]),
            (&record["seq"].to_string().into(), &record["digest"])
        );
        let time: jiff::Timestamp = record["t"].as_str().unwrap().parse().unwrap();
        let millis = Duration::from_secs_f64(said("time").as_f64().unwrap()).as_micros().div_ceil(1000);
        assert!(millis.abs_diff(u128::try_from(time.as_millisecond()).unwrap()) <= 1);
    }
    assert_eq!(channels.len(), 2, "one a start");
    for (batch, _) in collector.receiver.came() {
        assert_eq!(
            (batch.header("authorization"), batch.header("content-type")),
            (&*format!("Splunk {TOKEN}"), "application/json")
        );
        assert!(batch.uri.path() != EVENT_PATH || batch.header("content-encoding") == "gzip");
    }
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_delivered_before_it_is_acknowledged() {
    let collector = Collector::start(Rules { indexes: |_, _| false, ..Rules::default() }).await;
    let site = site(&collector, "required = true\nbehind_max = 1");
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    collector.receiver.until(|| collector.asked() >= 3).await;
    assert_eq!(delivered(&gateway).await, 0);
    // Nothing failed, and it is said all the same.
    until_ready_shows(&gateway, "sink_behind").await;
    let before = std::fs::read(site.path("state/sinks/siem.json")).unwrap();
    collector.set(Rules::default());
    while delivered(&gateway).await == 0 {}
    collector.has("outcome", 2).await;
    assert!(gateway.stop().success());
    assert_ne!(std::fs::read(site.path("state/sinks/siem.json")).unwrap(), before);
    assert_whole(&site, &collector.records(), &[]);
    let first = seqs(&collector.records())[0];
    assert_eq!(times(&collector, first), 1, "who waits does not send again");
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_never_acknowledged_comes_again_on_another_channel() {
    let collector = Collector::start(Rules { indexes: |channel, _| channel > 0, ..Rules::default() }).await;
    let site = site(&collector, "ack_timeout = \"1s\"");
    let gateway = site.start();
    call(&gateway, &["one", "two"]).await;
    collector.has("outcome", 2).await;
    while delivered(&gateway).await == 0 {}
    assert!(gateway.stop().success());
    let log = std::fs::read_to_string(site.path("log")).unwrap();
    assert!(log.contains("1 of 1 requests were not acknowledged within 1 s"), "{log}");
    let records = collector.records();
    assert_whole(&site, &records, &[]);
    assert_eq!(times(&collector, seqs(&records)[0]), 2);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_token_is_no_fault_of_a_record() {
    let collector = Collector::start(Rules { token: "another", ..Rules::default() }).await;
    let site = site(&collector, "");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    until_ready_shows(&gateway, "Invalid token (4); write the token").await;
    collector.set(Rules::default());
    collector.has("outcome", 1).await;
    assert!(gateway.stop().success());
    assert_eq!(letters(&site).len(), 0);
    assert_whole(&site, &collector.records(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_without_acknowledgement_is_said_and_not_flooded() {
    let collector = Collector::start(Rules { is_acknowledged: false, ..Rules::default() }).await;
    let site = site(&collector, "");
    let gateway = site.start();
    call(&gateway, &["one"]).await;
    until_ready_shows(&gateway, "enable indexer acknowledgment for the token, or write").await;
    assert_eq!((delivered(&gateway).await, collector.posts()), (0, 1));
    assert!(gateway.stop().success());
    // Whoever does not want it says so.
    site.edit(|config| config.replace("[[audit.sinks]]", "[[audit.sinks]]\nack = \"off\""));
    let gateway = site.start();
    collector.has("outcome", 1).await;
    assert!(gateway.stop().success());
    assert_eq!(collector.asked(), 0);
    assert_whole(&site, &collector.records(), &[]);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_event_is_set_aside_whether_it_is_named_rightly_wrongly_or_not() {
    let ways: [fn(usize) -> Option<usize>; 4] = [Some, |_| None, |_| Some(0), |_| Some(usize::MAX)];
    for names in ways {
        let is_poison = |record: &str| record.contains("\"kind\":\"denial\"");
        let collector = Collector::start(Rules { is_poison, names, ..Rules::default() }).await;
        let site = site(&collector, "");
        let gateway = site.start();
        call_around_a_denial(&gateway).await;
        collector.has("outcome", 2).await;
        until_ready_shows(&gateway, "sink_dead_letters").await;
        assert!(gateway.stop().success());
        let denial = assert_denial_set_aside(&site);
        assert_eq!(letters(&site)[0]["why"], "400 Bad Request: Invalid data format (6)");
        assert_whole(&site, &collector.records(), &[denial]);
        check_audit(&site);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_splunk_is_left_alone_and_gets_nothing_twice() {
    let fails = |number: usize, path: &str| {
        let busy = |text: &str| {
            let answer = Response::builder().status(503).header("retry-after", "1");
            answer.body(Full::from(text.to_owned())).unwrap()
        };
        match (number, path) {
            (0, EVENT_PATH) => Some(busy(r#"{"text":"Server is busy","code":9}"#)),
            (2, ACK_PATH) => Some(busy(r#"{"text":"HEC is unhealthy, ack service unavailable","code":19}"#)),
            _ => None,
        }
    };
    let collector = Collector::start(Rules { fails, ..Rules::default() }).await;
    let site = site(&collector, "");
    let gateway = site.start();
    collector.has("start", 1).await;
    while delivered(&gateway).await == 0 {}
    assert!(gateway.stop().success());
    let came = collector.receiver.came();
    for before in [0, 2] {
        assert_eq!(came[before].1, 503);
        assert!(came[before + 1].0.at - came[before].0.at >= Duration::from_secs(1));
    }
    let records = collector.records();
    assert_whole(&site, &records, &[]);
    assert_eq!(times(&collector, seqs(&records)[0]), 1);
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_splunk_that_says_nothing_holds_no_call_up_and_gets_it_all_after_a_restart() {
    for path in [EVENT_PATH, ACK_PATH] {
        let collector = Collector::start(Rules::default()).await;
        let site = site(&collector, "");
        collector.receiver.silent_at.send_replace(path);
        let gateway = site.start();
        collector.receiver.until(|| collector.posts() > 0).await;
        call(&gateway, &["one", "two"]).await;
        gateway.kill();
        collector.receiver.silent_at.send_replace("");
        let gateway = site.start();
        collector.has("outcome", 2).await;
        assert!(gateway.stop().success());
        let records = collector.records();
        assert_whole(&site, &records, &[]);
        assert_eq!(times(&collector, seqs(&records)[0]), 2, "what nobody acknowledged comes again");
        check_audit(&site);
    }
}
