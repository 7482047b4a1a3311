//! Every revision of clients in front of every revision of tool servers, over both transports: each feature is
//! carried, or refused as it is written.
//!
//! The table in docs/CONFORMANCE.md is what this run says. `UPDATE_DOCS=1` writes it; without, it has to stand
//! there already.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use http::Method;
use serde_json::{Value, json};

use crate::support::client::{Events, message};
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Exchange, Site, check_audit, document};

const CLIENTS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
const SERVERS: [&str; 5] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
const FEATURES: [&str; 14] = [
    "tools",
    "progress",
    "cancel",
    "log",
    "prompts",
    "resources",
    "completion",
    "subscribe",
    "sampling",
    "form",
    "url",
    "roots",
    "changes",
    "tasks",
];
const MODERN: &str = "2026-07-28";
const LAST_SESSION: &str = "2025-11-25";
const CAPABILITIES: &str = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;

/// What becomes of a feature.
type Cell = String;

/// It is carried, unless there is something else to show.
fn carried_or(other: Option<Value>) -> Cell {
    other.map_or_else(|| "carried".to_owned(), |other| format!("? {other}"))
}

fn carried() -> Cell {
    carried_or(None)
}

/// A server of one revision over HTTP.
struct Server(Child, String);

impl Server {
    fn start(revision: &str) -> Self {
        let mut child = Command::new("python3")
            .args([fixture(), revision.to_owned(), "http".to_owned()])
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

fn fixture() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/era_server.py").to_owned()
}

fn upstream(transport: &str, revision: &str) -> String {
    format!("{transport}{}", revision.replace('-', ""))
}

/// A client of one revision in front of one upstream.
struct Pair<'a> {
    client: Client,
    events: Option<Events>,
    revision: &'a str,
    upstream: String,
    /// The resource that the upstream has.
    uri: String,
}

impl Pair<'_> {
    fn is_modern(&self) -> bool {
        self.revision == MODERN
    }

    fn params(&self, mut params: Value) -> Value {
        if self.is_modern() {
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/clientCapabilities"] = serde_json::from_str(CAPABILITIES).unwrap();
            meta["io.modelcontextprotocol/logLevel"] = json!("debug");
        }
        params
    }

    async fn request(&self, method: &str, params: Value) -> Exchange {
        let params = self.params(params);
        if self.is_modern() {
            self.client.modern(1, method, params).await
        } else {
            self.client.request(1, method, &params).await
        }
    }

    fn tool(&self, name: &str, arguments: Value) -> Value {
        json!({ "name": format!("{}__{name}", self.upstream), "arguments": arguments })
    }

    async fn call(&self, name: &str, arguments: Value) -> Exchange {
        self.request("tools/call", self.tool(name, arguments)).await
    }

    /// The next notification of `method` on the stream of what belongs to no call.
    async fn hears(&mut self, method: &str) {
        let events = self.events.as_mut().unwrap();
        while events.next().await["method"] != method {}
    }

    async fn cell(&mut self, feature: &str) -> Cell {
        match feature {
            "tools" => self.tools().await,
            "progress" => {
                let mut params = self.tool("progress", json!({}));
                params["_meta"]["progressToken"] = json!("mine");
                let answer = self.request("tools/call", params).await;
                let told = answer.events_or_one();
                let heard = told.iter().filter(|event| event["params"]["progressToken"] == "mine");
                carried_or((heard.count() != 2).then(|| json!(told)))
            }
            "cancel" => self.cancel().await,
            "log" => {
                if !self.is_modern() {
                    self.request("logging/setLevel", json!({ "level": "debug" })).await;
                }
                let told = self.call("log", json!({})).await.events_or_one();
                carried_or(
                    (!(told.iter().any(|event| event["params"]["data"] == "logged"))).then(|| json!(told)),
                )
            }
            "prompts" => {
                let name = format!("{}__greet", self.upstream);
                let listed = self.request("prompts/list", json!({})).await.json().to_string();
                let got = self.request("prompts/get", json!({ "name": name })).await.json().to_string();
                carried_or((!(listed.contains(&name) && got.contains("hello"))).then(|| json!([listed, got])))
            }
            "resources" => self.resources().await,
            "completion" => {
                let reference = json!({ "type": "ref/prompt", "name": format!("{}__greet", self.upstream) });
                let params = json!({ "ref": reference, "argument": { "name": "a", "value": "b" } });
                let answer = self.request("completion/complete", params).await;
                match answer.reason().as_str() {
                    "ok" => carried_or(
                        (!(answer.json().to_string().contains("completed"))).then(|| answer.json()),
                    ),
                    refused => refused.to_owned(),
                }
            }
            "subscribe" => self.subscribe().await,
            "sampling" => self.ask("sampling/createMessage", json!({ "messages": [], "maxTokens": 1 })).await,
            "form" => self.ask("elicitation/create", json!({ "message": "m", "requestedSchema": {} })).await,
            "url" => {
                let params = json!({ "mode": "url", "message": "m", "url": "https://a.example/", "elicitationId": "e" });
                self.ask("elicitation/create", params).await
            }
            "roots" => self.ask("roots/list", json!({})).await,
            "changes" => {
                self.call("grow", json!({})).await;
                self.hears("notifications/tools/list_changed").await;
                carried()
            }
            "tasks" => self.tasks().await,
            other => panic!("no feature {other}"),
        }
    }

    async fn tools(&self) -> Cell {
        let listed = self.request("tools/list", json!({})).await.json().to_string();
        let answer = self.call("echo", json!({ "a": [] })).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let is_whole = text.contains(r#""n": 12345678901234567890"#)
            && text.contains(r#""x-unknown": [1.0, {"a": []}]"#);
        carried_or((!(listed.contains(&format!("{}__echo", self.upstream)) && is_whole)).then(|| json!(text)))
    }

    async fn resources(&self) -> Cell {
        let listed = self.request("resources/list", json!({})).await.json().to_string();
        let templates = self.request("resources/templates/list", json!({})).await.json().to_string();
        let read = self.request("resources/read", json!({ "uri": self.uri })).await.json().to_string();
        let all = listed.contains(&self.uri)
            && templates.contains(&format!("{}:{{id}}", self.uri))
            && read.contains("AAEC");
        carried_or((!all).then(|| json!([listed, templates, read])))
    }

    /// What the gateway tells the server when its client gives up.
    async fn cancel(&self) -> Cell {
        let mut params = self.params(self.tool("hang", json!({})));
        params["_meta"]["progressToken"] = json!("mine");
        let before = self.heard().await;
        if self.is_modern() {
            let mut stream = self.client.hold(7, "tools/call", params).await;
            assert_eq!(stream.next().await["method"], "notifications/progress");
        } else {
            let streaming = self.client.clone().with("accept", "text/event-stream");
            let mut stream = streaming.open(Method::POST, message(7, "tools/call", &params)).await;
            assert_eq!(stream.next().await["method"], "notifications/progress");
            let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 7 } });
            self.client.post(cancelled.to_string()).await;
            drop(stream);
        }
        while self.heard().await == before {
            tokio::task::yield_now().await;
        }
        carried()
    }

    async fn heard(&self) -> String {
        let answer = self.call("heard", json!({})).await.json();
        answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
    }

    async fn subscribe(&mut self) -> Cell {
        let mut own = None;
        if self.is_modern() {
            let wants = json!({ "resourceSubscriptions": [self.uri] });
            let mut stream = self.client.listen_to(9, wants).await;
            let first = stream.next().await;
            if first["params"]["notifications"]["resourceSubscriptions"] != json!([self.uri]) {
                return format!("? {first}");
            }
            own = Some(stream);
        } else {
            let answer = self.request("resources/subscribe", json!({ "uri": self.uri })).await;
            if answer.reason() != "ok" {
                return answer.reason();
            }
        }
        self.call("touch", json!({})).await;
        let events = own.as_mut().or(self.events.as_mut()).unwrap();
        while events.next().await["method"] != "notifications/resources/updated" {}
        carried()
    }

    /// Has the server ask, answers where it is asked, and says what the server heard.
    async fn ask(&self, method: &str, params: Value) -> Cell {
        let arguments = json!({ "method": method, "params": params });
        let given = json!({ "action": "accept", "of": method });
        let last = if self.is_modern() {
            let first = self.call("ask", arguments.clone()).await.json();
            if first["result"]["resultType"] == "input_required" {
                let mut again = self.tool("ask", arguments);
                let keys =
                    first["result"]["inputRequests"].as_object().unwrap().keys().next().unwrap().clone();
                again["inputResponses"] = json!({ keys: given });
                again["requestState"] = first["result"]["requestState"].clone();
                self.request("tools/call", again).await.json()
            } else {
                first
            }
        } else {
            let streaming = self.client.clone().with("accept", "text/event-stream");
            let call = message(3, "tools/call", &self.tool("ask", arguments));
            let mut events = streaming.open(Method::POST, call).await;
            let mut event = events.next().await;
            if event["method"] == method {
                let answer = json!({ "jsonrpc": "2.0", "id": event["id"], "result": given });
                assert_eq!(self.client.post(answer.to_string()).await.status, 202);
                event = events.next().await;
            }
            event
        };
        said(&last, &given)
    }

    async fn tasks(&self) -> Cell {
        let mut params = self.tool("work", json!({}));
        if self.revision == LAST_SESSION {
            params["task"] = json!({});
        }
        let made = self.request("tools/call", params).await.json();
        let result = &made["result"];
        let handle = if self.is_modern() { &result["taskId"] } else { &result["task"]["taskId"] };
        if handle.is_null() {
            let at_once = result["content"][0]["text"] == "work";
            return if at_once { "at once".to_owned() } else { format!("? {made}") };
        }
        let method = if self.is_modern() { "tasks/get" } else { "tasks/result" };
        let fetched = self.request(method, json!({ "taskId": handle })).await.json();
        carried_or((!(fetched.to_string().contains("worked"))).then(|| json!(fetched)))
    }
}

/// What the server heard where `given` was answered.
fn said(last: &Value, given: &Value) -> Cell {
    let reason = last.pointer("/result/_meta/dev.sluicegate~1decision/reason").and_then(Value::as_str);
    if let Some(reason) = reason {
        return reason.to_owned();
    }
    let text = last["result"]["content"][0]["text"].as_str().unwrap_or_default();
    let heard: Value = serde_json::from_str(text).unwrap_or_default();
    match &heard {
        heard if heard == given => carried(),
        heard if heard["action"] == "decline" || heard["code"].is_i64() => "declined".to_owned(),
        _ => format!("? {last}"),
    }
}

async fn pair<'a>(url: &str, revision: &'a str, transport: &str, server: &str) -> Pair<'a> {
    let client = Client::new(url, CHAT_KEY);
    let (upstream, uri) = (upstream(transport, server), format!("era:{server}:{transport}"));
    if revision == MODERN {
        let events = client.listen(8).await;
        return Pair { client, events: Some(events), revision, upstream, uri };
    }
    let capabilities: Value = serde_json::from_str(CAPABILITIES).unwrap();
    let params = json!({
        "protocolVersion": revision, "capabilities": capabilities, "clientInfo": { "name": "t", "version": "1" }
    });
    let answer = client.request(0, "initialize", &params).await;
    assert_eq!(answer.json()["result"]["protocolVersion"], revision);
    let client = client.in_session(answer.headers["mcp-session-id"].to_str().unwrap());
    let events = client.open(Method::GET, "").await;
    Pair { client, events: Some(events), revision, upstream, uri }
}

fn site(servers: &[Server]) -> Site {
    let site = Site::with_oracle("");
    let open = "prompts = { allow = [\"*\"] }\nresources = { allow = [\"*\"] }\ncompletion = { allow = [\"*\"] }\n\
                sampling = { allow = [\"*\"] }\nelicitation = { allow = [\"*\"] }\nroots = { allow = [\"*\"] }\n";
    let mut upstreams = String::new();
    for (revision, Server(_, url)) in SERVERS.iter().zip(servers) {
        let common = "returns = \"trusted\"\nlist_wait = \"20s\"\n";
        let (stdio, http) = (upstream("stdio", revision), upstream("http", revision));
        let command = json!(["python3", fixture(), revision]);
        let _ = write!(upstreams, "[upstreams.{stdio}]\ncommand = {command}\n{common}");
        let _ = write!(upstreams, "[upstreams.{http}]\nurl = {url:?}\n{common}");
    }
    site.edit(|config| {
        let config = config.replace("[sources.chat]\n", &format!("[sources.chat]\n{open}"));
        let config = config.replace("[roles.assistant]\n", &format!("[roles.assistant]\n{open}"));
        format!("{config}\n{upstreams}")
    });
    site
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_feature_is_carried_between_every_pair_of_revisions_or_refused_as_written() {
    let servers: Vec<_> = SERVERS.iter().map(|revision| Server::start(revision)).collect();
    let site = site(&servers);
    let gateway = site.start();
    let mut table = format!(
        "| client | server | {} |\n|---|---|{}\n",
        FEATURES.join(" | "),
        "---|".repeat(FEATURES.len())
    );
    for client in CLIENTS {
        for server in SERVERS {
            let mut cells = Vec::new();
            let mut pairs = Vec::new();
            for transport in ["stdio", "http"] {
                pairs.push(pair(&gateway.url, client, transport, server).await);
            }
            for feature in FEATURES {
                let (stdio, http) = (pairs[0].cell(feature).await, pairs[1].cell(feature).await);
                assert!(
                    !stdio.starts_with('?') && !http.starts_with('?'),
                    "{client} {server} {feature}: {stdio} {http}"
                );
                cells.push(if stdio == http { stdio } else { format!("{stdio} (stdio), {http} (HTTP)") });
            }
            let _ = writeln!(table, "| {client} | {server} | {} |", cells.join(" | "));
        }
    }
    assert!(gateway.stop().success());
    check_audit(&site);
    document::holds("docs/CONFORMANCE.md", &[("bridging", table)]);
}
