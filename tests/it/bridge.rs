//! `sluicegate connect` before a real gateway, and the commands of the admin socket.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout};

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Site, check_audit};

/// A client that only starts processes, with the bridge that it started.
struct Bridged {
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Bridged {
    fn start(site: &Site, gateway: &Gateway) -> Self {
        let mut command = tokio::process::Command::from(site.command(&[
            "connect",
            "--url",
            &gateway.url,
            "--key-env",
            "TEST_KEY",
        ]));
        command.env("TEST_KEY", CHAT_KEY).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, input, output }
    }

    async fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
        self.input.flush().await.unwrap();
    }

    /// The next message. Whatever else stood on standard output would not be one.
    async fn hear(&mut self) -> Value {
        let line = self.output.next_line().await.unwrap().expect("the bridge ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.say(&message(id, method, &params)).await;
        loop {
            let heard = self.hear().await;
            if heard["id"] == id {
                return heard;
            }
        }
    }

    async fn initialize(&mut self) {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let answer = self.ask(0, "initialize", params).await;
        assert_eq!(answer["result"]["protocolVersion"], "2025-11-25");
        self.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await;
    }

    async fn end(mut self) {
        drop(self.input);
        assert_eq!(self.output.next_line().await.unwrap(), None);
        assert!(self.child.wait().await.unwrap().success());
    }
}

fn modern(params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
    params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
    params
}

#[tokio::test]
async fn a_client_on_stdio_lists_and_calls_in_either_era() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut old = Bridged::start(&site, &gateway);
    old.initialize().await;
    let listed = old.ask(1, "tools/list", json!({})).await;
    assert!(listed["result"]["tools"].as_array().unwrap().len() > 5);
    let call = json!({ "name": "tools__read", "arguments": { "id": "old" } });
    let answer = old.ask(2, "tools/call", call).await;
    assert_eq!(answer["result"]["content"][0]["text"], "ok old");
    let progress =
        json!({ "name": "tools__progress", "arguments": { "id": "p" }, "_meta": { "progressToken": "t" } });
    old.say(&message(3, "tools/call", &progress)).await;
    for done in 1..=3 {
        let heard = old.hear().await;
        assert_eq!(
            (&heard["method"], &heard["params"]["progress"]),
            (&json!("notifications/progress"), &json!(done))
        );
    }
    assert_eq!(old.hear().await["id"], 3);
    old.end().await;

    let mut new = Bridged::start(&site, &gateway);
    let discovered = new.ask(1, "server/discover", modern(&json!({}))).await;
    assert_eq!(discovered["result"]["resultType"], "complete", "{discovered}");
    let call = modern(&json!({ "name": "tools__read", "arguments": { "id": "new" } }));
    let answer = new.ask(2, "tools/call", call).await;
    assert_eq!(answer["result"]["content"][0]["text"], "ok new", "{answer}");
    new.end().await;

    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["old", "p", "new"]);
    check_audit(&site);
}

#[tokio::test]
async fn a_client_of_2024_11_05_is_served_on_stdio() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut client = Bridged::start(&site, &gateway);
    let info = json!({ "name": "test", "version": "1" });
    let params = json!({ "protocolVersion": "2024-11-05", "capabilities": {}, "clientInfo": info });
    let answer = client.ask(0, "initialize", params).await;
    assert_eq!(answer["result"]["protocolVersion"], "2024-11-05");
    client.say(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string()).await;
    let listed = client.ask(1, "tools/list", json!({})).await;
    assert!(listed["result"]["tools"].as_array().unwrap().len() > 5);
    let call = json!({ "name": "tools__read", "arguments": { "id": "oldest" } });
    assert_eq!(client.ask(2, "tools/call", call).await["result"]["content"][0]["text"], "ok oldest");
    client.end().await;
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["oldest"]);
    check_audit(&site);
}

#[tokio::test]
async fn f35_a_modern_cancellation_reaches_the_tool_server() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut client = Bridged::start(&site, &gateway);
    let call = modern(&json!({ "name": "tools__hang", "arguments": { "id": "h" } }));
    client.say(&message(7, "tools/call", &call)).await;
    site.wait_for_ledger(|entry| entry["id"] == "h").await;
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
    client.say(&cancel.to_string()).await;
    site.wait_for_ledger(|entry| entry["cancelled"] == true).await;
    client.end().await;
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "outcome")[0]["reason"], "cancelled");
    check_audit(&site);
}

#[tokio::test]
async fn a_gateway_that_is_gone_is_an_error_for_each_request_and_not_a_hang() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut client = Bridged::start(&site, &gateway);
    client.initialize().await;
    gateway.kill();
    let answer = client.ask(1, "tools/list", json!({})).await;
    assert_eq!(answer["error"]["data"]["reason"], "gateway_unreachable");
    client.end().await;
}

#[test]
fn a_key_that_cannot_be_used_is_said_at_once() {
    let site = Site::new("");
    let url = "http://127.0.0.1:9/mcp";
    let (code, out, err) = site.run(&["connect", "--url", url, "--key-file", "missing"]);
    assert_eq!((code, out.as_str()), (78, ""));
    assert!(err.contains("missing"), "{err}");
    std::fs::write(site.path("key"), CHAT_KEY).unwrap();
    let (code, _, err) = site.run(&["connect", "--url", url, "--key-file", "key"]);
    assert!(code == 78 && err.contains("chmod 600") && !err.contains(CHAT_KEY), "{code}: {err}");
    assert_eq!(site.run(&["connect"]).0, 2);
    assert_eq!(site.run(&["connect", "--url", "http://gateway.example/mcp"]).0, 2);
    assert_eq!(site.run(&["connect", "--url", url, "--socket", "s"]).0, 2);
}

#[tokio::test]
async fn people_list_show_and_end_runs() {
    let site = Site::with_oracle("");
    assert_eq!(site.run(&["runs", "list"]).0, 69);
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "tainted").await.reason(), "source_denies");

    let (code, out, err) = site.run(&["runs", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    let runs: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(runs[0]["provenance"], json!(["chat", "web"]), "{runs}");
    let id = runs[0]["run"].as_str().unwrap();
    let (code, out, _) = site.run(&["runs", "show", id]);
    assert!(code == 0 && out.contains("chat,web") && out.contains("user:1"), "{out}");
    let (code, out, _) = site.run(&["runs", "list"]);
    assert!(code == 0 && out.contains(id), "{out}");

    assert_eq!(site.run(&["runs", "end", id]).0, 0);
    assert_eq!(client.call("tools__send", "fresh").await.reason(), "ok");
    let (code, _, err) = site.run(&["runs", "end", id]);
    assert!(code == 1 && err.contains(id), "{code}: {err}");
    assert_eq!(site.run(&["runs", "show", "nonsense"]).0, 2);
    assert!(gateway.stop().success());
    let ended = of_kind(&site, "run_end");
    assert_eq!(ended[0]["run"], json!(id), "{ended:?}");
    check_audit(&site);
}

#[tokio::test]
async fn a56_a_changed_definition_is_shown_and_accepted_by_a_person() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    client.list().await;
    assert!(gateway.stop().success());

    let config = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    let ledger = format!("{:?}]\nreturns = \"trusted\"", site.path("ledger"));
    let changed = ledger.replace(']', ", \"--definitions\", \" Send\\u001b[2J it\"]");
    site.configure(&config.replace(&ledger, &changed));
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    // The first call finds the server up, and what it offers now.
    client.call("tools__write", "x").await;
    client.list().await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "pin_changed");

    let (code, out, err) = site.run(&["pins", "list"]);
    assert!(code == 0 && out.contains("tools.read"), "{out}{err}");
    assert_eq!(site.run(&["pins", "accept"]).0, 2);
    assert_eq!(site.run(&["pins", "accept", "tools.nothing"]).0, 1);
    let (code, out, err) = site.run(&["pins", "accept", "tools.read"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("+ ") && out.contains("Send") && !out.contains('\u{1b}'), "{out}");
    assert_eq!(client.call("tools__read", "after").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["after"]);
    check_audit(&site);
}
