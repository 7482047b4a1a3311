//! Metrics, probes and log lines as an operator would see them.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::log::{Escapes, OneLine};
use super::*;
use crate::model::decision::Answer;
use crate::model::reason::Reason;
use crate::socket::{ConnectionLimits, Place, Server, bind_tcp};

#[derive(Default)]
struct Gateway(Mutex<Readiness>);

impl Observed for Gateway {
    fn figures(&self) -> Figures {
        let upstream = UpstreamFigures {
            name: "mail".into(),
            instances: 2,
            tools: 7,
            breaker: Breaker::Open,
            pins_changed: 1,
            pins_waiting: 4,
            pins_suspicious: 3,
        };
        let journal = JournalFigures { records: 11, seq: 41, sync_failures: 2, ..JournalFigures::default() };
        Figures { calls_in_flight: 5, journal, upstreams: vec![upstream], ..Figures::default() }
    }

    fn readiness(&self) -> Readiness {
        self.0.lock().unwrap().clone()
    }
}

struct Stage {
    server: Server,
    metrics: Arc<Metrics>,
    gateway: Arc<Gateway>,
}

impl Stage {
    async fn start() -> Self {
        let listener = bind_tcp("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let (metrics, gateway) = (Arc::new(Metrics::new()), Arc::new(Gateway::default()));
        let responder = AdminResponder::new(listener.place(), Arc::clone(&metrics), Arc::clone(&gateway));
        let limits = ConnectionLimits { connections_max: 8, head_timeout: Duration::from_secs(10) };
        let server = Server::start(listener, limits, Arc::new(responder));
        Self { server, metrics, gateway }
    }

    async fn ask(&self, request: &str, host: Option<&str>) -> String {
        let Place::Tcp(address) = self.server.place() else { panic!("not TCP") };
        let mut stream = TcpStream::connect(address).await.unwrap();
        let own = address.to_string();
        let host = host.unwrap_or(&own);
        let head = format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

#[tokio::test]
async fn probes_tell_alive_unready_and_halted_apart() {
    let stage = Stage::start().await;
    assert!(stage.ask("GET /healthz", None).await.starts_with("HTTP/1.1 200 "));
    let ready = stage.ask("GET /readyz", None).await;
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("\"ready\":true"), "{ready}");

    let finding = |code: &str| Finding { code: code.into(), message: "because".into() };
    *stage.gateway.0.lock().unwrap() =
        Readiness { findings: vec![finding("insecure_local")], ..Readiness::default() };
    let ready = stage.ask("GET /readyz", None).await;
    assert!(ready.starts_with("HTTP/1.1 200 ") && ready.contains("insecure_local"), "{ready}");

    stage.gateway.0.lock().unwrap().unready.push(finding("draining"));
    let unready = stage.ask("GET /readyz", None).await;
    assert!(unready.starts_with("HTTP/1.1 503 "), "{unready}");
    assert!(unready.contains("\"code\":\"draining\"") && unready.contains("\"halted\":null"), "{unready}");

    let halt = Halt { reason: Reason::JournalHalted, message: "the disk is full".into() };
    stage.gateway.0.lock().unwrap().halted = Some(halt);
    let halted = stage.ask("GET /readyz", None).await;
    assert!(
        halted.starts_with("HTTP/1.1 503 ") && halted.contains("\"reason\":\"journal_halted\""),
        "{halted}"
    );
    assert!(stage.ask("GET /healthz", None).await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a48_a49_a_page_that_rebinds_its_name_gets_nothing_and_is_counted() {
    let stage = Stage::start().await;
    for path in ["/metrics", "/readyz", "/healthz", "/"] {
        let answer = stage.ask(&format!("GET {path}"), Some("evil.example")).await;
        assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("host_forbidden"), "{answer}");
    }
    assert!(stage.ask("GET /mcp", None).await.starts_with("HTTP/1.1 404 "));
    let refused = stage.ask("POST /metrics", None).await;
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: GET"), "{refused}");
    let text = stage.metrics.text(&Figures::default(), &Readiness::default());
    let counted = "sluicegate_refusals_total{listener=\"admin\",reason=\"host_forbidden\"} 4";
    assert!(text.contains(counted), "{text}");
}

#[tokio::test]
async fn metrics_tell_calls_times_and_figures() {
    let stage = Stage::start().await;
    let upstream = Some(("mail", Duration::from_millis(3)));
    let times = CallTimes { gateway: Duration::from_micros(80), upstream };
    stage.metrics.call(Some(Answer::Allow), Reason::Answered, times);
    let refused = CallTimes { gateway: Duration::from_micros(60), upstream: None };
    stage.metrics.call(Some(Answer::Deny), Reason::SourceDenies, refused);
    stage.metrics.call(None, Reason::JsonInvalid, refused);
    stage.metrics.journal_sync(Duration::from_millis(1));
    stage.metrics.journal_group(3, Duration::from_millis(2));
    let text = stage.ask("GET /metrics", None).await;
    for line in [
        "sluicegate_calls_total{verdict=\"allow\",reason=\"answered\"} 1",
        "sluicegate_calls_total{verdict=\"deny\",reason=\"source_denies\"} 1",
        "sluicegate_calls_total{verdict=\"none\",reason=\"json_invalid\"} 1",
        "sluicegate_call_gateway_seconds_count 3",
        "sluicegate_call_upstream_seconds_count{upstream=\"mail\"} 1",
        "sluicegate_journal_sync_seconds_count 1",
        "sluicegate_journal_wait_seconds_count 1",
        "sluicegate_journal_group_records_sum 3.0",
        "sluicegate_journal_sync_failures_total 2",
        "sluicegate_calls_in_flight 5",
        "sluicegate_journal_records_total 11",
        "sluicegate_journal_seq 41",
        "sluicegate_upstream_instances{upstream=\"mail\"} 2",
        "sluicegate_upstream_breaker_open{upstream=\"mail\"} 1",
        "sluicegate_ready 1",
        "sluicegate_halted 0",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is missing in {text}");
    }
}

#[test]
fn every_metric_is_documented() {
    let text = Metrics::new().text(&Figures::default(), &Readiness::default());
    let documented = include_str!("../../docs/OPERATIONS.md");
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let name = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
        assert!(documented.contains(&format!("`{name}")), "{name} is not in docs/OPERATIONS.md");
    }
}

#[test]
fn a61_a69_a_log_event_is_one_line_and_obeys_nobody() {
    let hostile = b"refused `a\nERROR forged\r\x1b[2J\xe2\x80\xa8`\n";
    let mut line = OneLine { out: Vec::new(), escapes: Escapes::Write };
    line.write_all(hostile).unwrap();
    let written = String::from_utf8(line.out).unwrap();
    assert_eq!(written, "refused `a\\u{a}ERROR forged\\u{d}\\u{1b}[2J\\u{2028}`\n");

    let mut line = OneLine { out: Vec::new(), escapes: Escapes::Pass };
    line.write_all(b"\x1b[32mINFO\x1b[0m a\nb\n").unwrap();
    assert_eq!(String::from_utf8(line.out).unwrap(), "\u{1b}[32mINFO\u{1b}[0m a\\u{a}b\n");
}
