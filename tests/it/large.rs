//! Answers that are too large for memory: they come whole, their records say what they were, and the gateway does
//! not grow by them.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use sluicegate::model::digest::Digesting;

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Site, check_audit};

/// How much the gateway may grow, in KiB (issue 4).
const GROWTH_MAX_KIB: u64 = 4 * 1024;
/// Pieces of 5 bytes in the text: 100 MB.
const PIECES: u64 = 20_000_000;
const PIECE: &[u8] = "x\\né".as_bytes();

struct Server(Child, String);

impl Server {
    fn start(kind: &str) -> Self {
        let mut child = Command::new("python3")
            .args([fixture(), kind])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self(child, url.trim().to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}

fn fixture() -> &'static str {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/large_server.py")
}

/// One server in three ways: over stdio, and over HTTP with one body or with events.
fn site(json: &Server, events: &Server) -> Site {
    let common =
        "returns = \"trusted\"\nlist_wait = \"20s\"\nresult_max = \"128MiB\"\ncall_timeout = \"60s\"\n";
    Site::with_oracle(&format!(
        "[upstreams.stdio]\ncommand = [\"python3\", {:?}, \"stdio\"]\n{common}\
         [upstreams.json]\nurl = {:?}\n{common}[upstreams.events]\nurl = {:?}\n{common}",
        fixture(),
        json.1,
        events.1
    ))
}

fn call(upstream: &str, tool: &str, pieces: u64) -> String {
    let params = json!({ "name": format!("{upstream}__{tool}"), "arguments": { "pieces": pieces } });
    message(3, "tools/call", &params)
}

/// What the result of `large` is, byte for byte: its digest and its size.
fn expected() -> (String, u64) {
    let mut digesting = Digesting::default();
    let begin = br#"{"content":[{"type":"text","text":""#;
    let end = br#""},{"type":"text","text":"the end"}],"isError":false,"x-unknown":1.50}"#;
    digesting.update(begin);
    let thousand = PIECE.repeat(1000);
    for _ in 0..PIECES / 1000 {
        digesting.update(&thousand);
    }
    digesting.update(end);
    let bytes = begin.len() + end.len();
    (digesting.finish().to_string(), u64::try_from(bytes).unwrap() + PIECES * PIECE.len() as u64)
}

/// The figure `name` of the gateway's process, in KiB.
fn memory_kib(gateway: &Gateway, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", gateway.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_pass_and_the_gateway_does_not_grow() {
    let (json, events) = (Server::start("json"), Server::start("events"));
    let site = site(&json, &events);
    let gateway = site.start();
    let (sha256, bytes) = expected();
    for upstream in ["stdio", "json", "events"] {
        for (revision, accept) in
            [("2025-11-25", "application/json, text/event-stream"), ("2025-06-18", "text/event-stream")]
        {
            let client =
                Client::new(&gateway.url, CHAT_KEY).initialize(revision).await.with("accept", accept);
            // Once small, so that everything that a call needs is there.
            assert_eq!(
                client
                    .request(
                        2,
                        "tools/call",
                        &json!({ "name": format!("{upstream}__large"), "arguments": { "pieces": 1000 } })
                    )
                    .await
                    .reason(),
                "ok"
            );
            let before = memory_kib(&gateway, "VmHWM");
            let mut digesting = Digesting::default();
            let (mut count, mut head, mut tail) = (0_u64, Vec::new(), Vec::new());
            let (status, _) = client
                .pour(call(upstream, "large", PIECES), |piece| {
                    count += piece.len() as u64;
                    head.extend_from_slice(&piece[..piece.len().min(200_usize.saturating_sub(head.len()))]);
                    digesting.update(piece);
                    tail.extend_from_slice(piece);
                    tail.drain(..tail.len().saturating_sub(200));
                })
                .await;
            assert_eq!(status, 200);
            let (head, tail) =
                (String::from_utf8_lossy(&head).into_owned(), String::from_utf8_lossy(&tail).into_owned());
            assert!(count > bytes && count < bytes + 300, "{upstream} {accept}: {count} of {bytes}");
            assert!(head.contains(r#""id":3,"result":{"content":[{"type":"text","text":"x\né"#), "{head}");
            assert!(tail.trim_end().ends_with(r#""the end"}],"isError":false,"x-unknown":1.50}}"#), "{tail}");
            let grown = memory_kib(&gateway, "VmHWM") - before;
            assert!(grown <= GROWTH_MAX_KIB, "{upstream} {accept}: grew by {grown} KiB");
        }
    }
    assert!(gateway.stop().success());
    let outcomes = of_kind(&site, "outcome");
    let large: Vec<_> = outcomes.iter().filter(|outcome| outcome["result"]["bytes"] == bytes).collect();
    assert_eq!(large.len(), 6, "{outcomes:?}");
    assert!(large.iter().all(|outcome| outcome["result"]["sha256"] == sha256.as_str()));
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_that_is_broken_or_too_large_is_withheld_and_said_so() {
    let (json, events) = (Server::start("json"), Server::start("events"));
    let site = site(&json, &events);
    site.edit(|config| config.replace("128MiB", "6MiB"));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for upstream in ["stdio", "json", "events"] {
        let answer = async |tool: &str, pieces: u64| client.post(call(upstream, tool, pieces)).await;
        assert_eq!(answer("broken", 1_000_000).await.reason(), "upstream_invalid", "{upstream}");
        assert_eq!(answer("large", 2_000_000).await.reason(), "result_too_large", "{upstream}");
        // What is no long string stays in memory, and passes as well.
        let rows = answer("rows", 200_000).await;
        assert_eq!(rows.reason(), "ok", "{upstream}");
        assert!(rows.body.ends_with(br#"{"n":199999},0]}}}"#) && rows.body.len() > 1024 * 1024);
        assert_eq!(answer("large", 1_000_000).await.reason(), "ok", "{upstream}: the next one works");
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}
