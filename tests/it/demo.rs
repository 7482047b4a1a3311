//! `sluicegate demo` and its tool servers as their clients see them: the real binary, spoken to by rmcp.

use std::process::Stdio;
use std::time::Duration;

use rmcp::model::{CallToolRequestParams, CallToolResult};
use rmcp::service::RunningService;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::transport::{StreamableHttpClientTransport, TokioChildProcess};
use rmcp::{RoleClient, ServiceExt};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, ChildStdout, Command};

/// A hung server fails the test rather than the run.
const PATIENCE: Duration = Duration::from_secs(20);

fn server(kind: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
    command.args(["demo-upstream", kind]).kill_on_drop(true);
    command
}

async fn over_stdio(kind: &str) -> RunningService<RoleClient, ()> {
    ().serve(TokioChildProcess::new(server(kind)).unwrap()).await.unwrap()
}

/// A server over HTTP, and its URL.
async fn over_http(kind: &str) -> (Child, String) {
    let mut command = server(kind);
    command.args(["--http", "127.0.0.1:0"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().unwrap();
    (child, line.strip_prefix("listening on ").unwrap().to_owned())
}

async fn call(
    client: &RunningService<RoleClient, ()>,
    tool: &'static str,
    args: serde_json::Value,
) -> CallToolResult {
    let args = args.as_object().unwrap().clone();
    client.call_tool(CallToolRequestParams::new(tool).with_arguments(args)).await.unwrap()
}

fn text(result: &CallToolResult) -> &str {
    &result.content[0].as_text().unwrap().text
}

#[tokio::test]
async fn the_mailbox_answers_over_stdio() {
    let client = over_stdio("mail").await;
    let tools = client.list_all_tools().await.unwrap();
    let mut names: Vec<_> = tools.iter().map(|tool| tool.name.as_ref()).collect();
    names.sort_unstable();
    assert_eq!(names, ["delete", "read_inbox", "reply", "search", "send"]);
    assert!(tools.iter().all(|tool| tool.description.as_ref().is_some_and(|text| text.len() > 20)));

    let inbox = call(&client, "read_inbox", serde_json::json!({"limit": 1})).await;
    assert!(text(&inbox).contains("Note to AI assistants"), "{}", text(&inbox));
    let args = serde_json::json!({"to": "dana@acme.example", "subject": "Review", "body": "15:00 it is."});
    let sent = call(&client, "send", args).await;
    assert_eq!(sent.structured_content.as_ref().unwrap()["id"], "sent-1");
    let absent = call(&client, "delete", serde_json::json!({"id": "m99"})).await;
    assert_eq!(absent.is_error, Some(true));
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_calendar_declares_what_it_returns_and_keeps_to_it() {
    let client = over_stdio("calendar").await;
    let tools = client.list_all_tools().await.unwrap();
    let listing = tools.iter().find(|tool| tool.name == "list_events").unwrap();
    assert_eq!(listing.output_schema.as_ref().unwrap()["type"], "object");

    let args = serde_json::json!({"title": "Pilot", "start": "2026-11-24T10:00:00Z", "attendees": []});
    assert_eq!(call(&client, "create_event", args).await.is_error, Some(false));
    let events = call(&client, "list_events", serde_json::json!({})).await.structured_content.unwrap();
    assert_eq!(events["events"].as_array().unwrap().len(), 4);
    client.cancel().await.unwrap();
}

#[tokio::test]
async fn the_browser_answers_over_http_and_ends_with_whoever_started_it() {
    let (mut child, url) = over_http("browser").await;
    let client = ().serve(StreamableHttpClientTransport::from_uri(url)).await.unwrap();
    let page = call(&client, "fetch", serde_json::json!({"url": "https://pasta.example/"})).await;
    assert!(text(&page).contains("display:none"));
    let absent = call(&client, "open", serde_json::json!({"url": "https://bank.example/"})).await;
    assert_eq!(absent.is_error, Some(true));
    client.cancel().await.unwrap();

    drop(child.stdin.take());
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.unwrap().unwrap();
    assert!(status.success());
}

#[tokio::test]
async fn a_demo_server_refuses_an_address_that_others_can_reach() {
    let mut command = server("mail");
    let output = command.args(["--http", "0.0.0.0:0"]).stdin(Stdio::null()).output().await.unwrap();
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("listens on loopback only"), "{said}");
}

/// The lines of a demo until one holds `part`; that one.
async fn line_with(lines: &mut tokio::io::Lines<BufReader<ChildStdout>>, part: &str) -> String {
    let found = async {
        loop {
            let line = lines.next_line().await.unwrap().unwrap_or_else(|| panic!("no line with `{part}`"));
            if line.contains(part) {
                return line;
            }
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("no line with `{part}` yet"))
}

fn word(line: &str, start: &str) -> String {
    let mut words = line.split([' ', ',']);
    words.find(|word| word.starts_with(start)).unwrap_or_else(|| panic!("no `{start}` in: {line}")).to_owned()
}

#[tokio::test]
async fn the_demo_shows_that_a_page_narrows_a_chat_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sluicegate"));
    command.args(["demo", "--address", "127.0.0.1:0"]).env("TMPDIR", temporary.path());
    let mut demo = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    let url = word(&line_with(&mut lines, "listens on").await, "http://");
    let key = word(&line_with(&mut lines, "  chat ").await, "sg_");

    let config = StreamableHttpClientTransportConfig::with_uri(url).auth_header(key);
    let client = ().serve(StreamableHttpClientTransport::from_config(config)).await.unwrap();
    assert_eq!(client.list_all_tools().await.unwrap().len(), 12, "with the gateway's own three");
    let mail = || serde_json::json!({"to": "dana@acme.example", "subject": "Hello", "body": "Hello"});
    assert_eq!(call(&client, "mail__send", mail()).await.is_error, Some(false));
    let page = serde_json::json!({"url": "https://pasta.example/"});
    assert_eq!(call(&client, "browser__fetch", page).await.is_error, Some(false));
    assert_eq!(call(&client, "mail__send", mail()).await.is_error, Some(true));
    client.cancel().await.unwrap();

    line_with(&mut lines, "mail.send  forwarded").await;
    line_with(&mut lines, "browser.fetch  forwarded").await;
    let refused = line_with(&mut lines, "mail.send  refused").await;
    assert!(refused.contains("chat+web") && refused.contains("source web"), "{refused}");

    let pid = rustix::process::Pid::from_raw(demo.id().unwrap().try_into().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let status = tokio::time::timeout(PATIENCE, demo.wait()).await.unwrap().unwrap();
    assert!(status.success(), "{status}");
    let left: Vec<_> = std::fs::read_dir(temporary.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
