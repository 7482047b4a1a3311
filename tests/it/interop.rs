//! Official clients through the gateway, in front of official servers: each lists exactly what the key's
//! source and roles allow, and calls it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rmcp::ServiceExt;
use rmcp::model::CallToolRequestParams;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::{Value, json};

use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway};
use crate::support::{Client, Site, check_audit, tls};

/// The drivers of tests/interop.
const CLIENTS: [&str; 20] = [
    "ts1",
    "ts2-legacy",
    "ts2-auto",
    "ts2-modern",
    "py1",
    "py2-auto",
    "py2-legacy",
    "py2-modern",
    "inspector",
    "inspector-modern",
    "claude",
    "fastmcp",
    "openai-agents",
    "langchain",
    "mcp-remote",
    "supergateway",
    "mcp-proxy",
    "codex",
    "gemini",
    "opencode",
];

/// Those that show what they were answered, and not what an assistant makes of it.
fn plain_clients() -> impl Iterator<Item = &'static str> {
    let assistants = ["inspector", "inspector-modern", "claude", "gemini", "opencode"];
    CLIENTS.into_iter().filter(move |client| !assistants.contains(client))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_official_client_lists_exactly_what_its_key_allows_and_calls_it() {
    let site = Site::new("");
    let web = EverythingOverHttp::start();
    site.configure(&config(&site, &web.url));
    let gateway = site.start();
    let chat = lists(&gateway, CHAT_KEY).await;
    for upstream in ["everything__", "remote__", "files__", "git__", "time__"] {
        assert!(chat.iter().any(|name| name.starts_with(upstream)), "{upstream} is missing: {chat:?}");
    }
    let email = ["everything__echo", "sluicegate__resume", "time__convert_time", "time__get_current_time"];
    let email: BTreeSet<_> = email.map(str::to_owned).into();
    for client in CLIENTS {
        assert_eq!(names(&drive(client, &gateway.url, CHAT_KEY, &["list"])), chat, "{client}, chat");
        assert_eq!(names(&drive(client, &gateway.url, EMAIL_KEY, &["list"])), email, "{client}, email");
        let hi = json!({ "message": "hi" }).to_string();
        let echo = drive(client, &gateway.url, EMAIL_KEY, &["call", "everything__echo", &hi]);
        assert!(echo["text"].as_str().is_some_and(|text| text.contains("hi")), "{client}: {echo}");
        let hidden = drive(client, &gateway.url, EMAIL_KEY, &["call", "remote__echo", &hi]);
        // mcp-proxy makes a result of the error.
        let is_unknown = hidden["isError"] == true && hidden["text"] == "Unknown tool: remote__echo";
        assert!(hidden.get("error").is_some() || is_unknown, "{client}: {hidden}");
        let zone = json!({ "timezone": "UTC" }).to_string();
        let time = drive(client, &gateway.url, CHAT_KEY, &["call", "time__get_current_time", &zone]);
        assert!(time["text"].as_str().is_some_and(|text| text.contains("UTC")), "{client}: {time}");
        let refused = run(client, &gateway.url, "sg_wrong", &["list"]);
        let said = String::from_utf8_lossy(&refused.stdout);
        let is_told = said.trim_start().starts_with("{\"error\"");
        assert!(is_told || !refused.status.success() && said.is_empty(), "{client}: {said}");
    }
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rmcp_lists_and_calls_what_its_key_allows_and_is_refused_with_another() {
    let site = Site::new("");
    let web = EverythingOverHttp::start();
    site.configure(&config(&site, &web.url));
    let gateway = site.start();
    let connect = async |key: &str| {
        let config = StreamableHttpClientTransportConfig::with_uri(gateway.url.clone()).auth_header(key);
        ().serve(StreamableHttpClientTransport::from_config(config)).await
    };
    let client = connect(EMAIL_KEY).await.unwrap();
    let listed: BTreeSet<_> =
        client.list_all_tools().await.unwrap().into_iter().map(|tool| tool.name.to_string()).collect();
    assert_eq!(listed, lists(&gateway, EMAIL_KEY).await);
    for (tool, arguments, expected) in [
        ("everything__echo", json!({ "message": "hi" }), "hi"),
        ("time__get_current_time", json!({ "timezone": "UTC" }), "UTC"),
    ] {
        let arguments = arguments.as_object().unwrap().clone();
        let call = CallToolRequestParams::new(tool).with_arguments(arguments);
        let answer = serde_json::to_string(&client.call_tool(call).await.unwrap()).unwrap();
        assert!(answer.contains(expected), "{answer}");
    }
    assert!(client.call_tool(CallToolRequestParams::new("remote__echo")).await.is_err());
    client.cancel().await.unwrap();
    assert!(connect("sg_wrong").await.is_err());
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn official_clients_take_refusals_of_tools_with_an_output_schema() {
    let site = Site::new("");
    let web = EverythingOverHttp::start();
    site.configure(&config(&site, &web.url));
    let gateway = site.start();
    // The list first: only then do clients know the schema that they validate against.
    let arguments = json!({ "location": "Chicago" });
    let steps = json!([["list"], ["call", "everything__get-structured-content", arguments]]).to_string();
    for client in plain_clients() {
        let lines = drive_lines(client, &gateway.url, CHAT_KEY, &["session", &steps]);
        let refused = &lines[1];
        assert_eq!(refused["isError"], true, "{client}: {refused}");
        assert!(
            refused["text"].as_str().is_some_and(|text| text.contains("approval")),
            "{client}: {refused}"
        );
    }
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claude_code_connects_with_a_key_and_not_without() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let listed = output("claude", &gateway.url, CHAT_KEY, &["mcp-list"]);
    assert!(listed.contains("Connected"), "{listed}");
    let refused = run("claude", &gateway.url, "sg_wrong", &["mcp-list"]);
    let said = String::from_utf8_lossy(&refused.stdout);
    assert!(!said.contains("Connected"), "{said}");
    assert!(gateway.stop().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn official_clients_connect_over_tls_and_only_where_they_trust_the_authority() {
    let site = Site::with_oracle_at(tls::TLS, "");
    tls::set_up(&site);
    let gateway = site.start();
    assert!(gateway.url.starts_with("https://"));
    let trusted = site.path(tls::SERVER_CA);
    for (client, variable) in [
        ("ts1", "NODE_EXTRA_CA_CERTS"),
        ("ts2-modern", "NODE_EXTRA_CA_CERTS"),
        ("py1", "SSL_CERT_FILE"),
        ("py2-modern", "SSL_CERT_FILE"),
    ] {
        let id = json!({ "id": client }).to_string();
        let ask = |trusted: Option<&Path>| {
            let mut command = command(client, &gateway.url, CHAT_KEY, &["call", "tools__read", &id]);
            command.envs(trusted.map(|authority| (variable, authority)));
            command.output().unwrap()
        };
        let answered = ask(Some(&trusted));
        let said = String::from_utf8_lossy(&answered.stdout);
        assert!(
            said.contains(&format!("ok {client}")),
            "{client}: {said}{}",
            String::from_utf8_lossy(&answered.stderr)
        );
        assert!(!ask(None).status.success(), "{client} trusts anybody");
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["ts1", "ts2-modern", "py1", "py2-modern"]);
    check_audit(&site);
}

fn config(site: &Site, remote: &str) -> String {
    let serve = interop("serve");
    let repository = site.path("repository");
    let made = Command::new("git").args(["init", "--quiet"]).arg(&repository).status().unwrap();
    assert!(made.success());
    let files = site.path("files");
    std::fs::create_dir_all(&files).unwrap();
    let hash = |key: &str| sluicegate::model::digest::Sha256::of(key.as_bytes());
    format!(
        r#"
[gateway]
state_dir = "./state"
[listen.main]
address = "127.0.0.1:0"
[auth.keys.person]
hash = "sha256:{chat}"
vouches = {{ source = "chat", subject = "user:1", roles = ["assistant"] }}
[auth.keys.mail]
hash = "sha256:{email}"
vouches = {{ source = "email", subject = "user:1", roles = ["assistant"] }}
[upstreams.everything]
command = [{serve:?}, "everything"]
returns = "trusted"
list_wait = "60s"
[upstreams.remote]
url = "{remote}"
returns = "trusted"
list_wait = "60s"
[upstreams.files]
command = [{serve:?}, "filesystem", {files:?}]
returns = "trusted"
list_wait = "60s"
[upstreams.git]
command = [{serve:?}, "git", {repository:?}]
returns = "trusted"
list_wait = "60s"
[upstreams.time]
command = [{serve:?}, "time"]
returns = "trusted"
list_wait = "60s"
[sources.chat]
allow = ["*"]
ask = ["everything.get-structured-content"]
[sources.email]
allow = ["everything.echo", "time.*"]
[roles.assistant]
allow = ["*"]
"#,
        chat = hash(CHAT_KEY),
        email = hash(EMAIL_KEY),
    )
}

/// What a client that sends bytes alone is shown.
async fn lists(gateway: &Gateway, key: &str) -> BTreeSet<String> {
    let client = Client::new(&gateway.url, key).initialize("2025-11-25").await;
    client.list().await.into_iter().collect()
}

fn names(listed: &Value) -> BTreeSet<String> {
    let listed = listed.as_array().unwrap_or_else(|| panic!("no list: {listed}"));
    listed.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

fn drive(client: &str, url: &str, key: &str, step: &[&str]) -> Value {
    drive_lines(client, url, key, step).remove(0)
}

fn drive_lines(client: &str, url: &str, key: &str, step: &[&str]) -> Vec<Value> {
    let said = output(client, url, key, step);
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn output(client: &str, url: &str, key: &str, step: &[&str]) -> String {
    let output = run(client, url, key, step);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{client} {step:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn run(client: &str, url: &str, key: &str, step: &[&str]) -> std::process::Output {
    command(client, url, key, step).output().unwrap()
}

fn command(client: &str, url: &str, key: &str, step: &[&str]) -> Command {
    let mut command = Command::new(interop("drive"));
    command.args([client, "--url", url, "--token", key]).args(step).stdin(Stdio::null());
    command
}

fn interop(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(name)
}

/// Longest start of the reference server.
const START_MAX: std::time::Duration = std::time::Duration::from_secs(60);

/// The reference server over Streamable HTTP, on a port that was free a moment ago.
struct EverythingOverHttp {
    child: std::process::Child,
    url: String,
}

impl EverythingOverHttp {
    fn start() -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = Command::new(interop("serve"))
            .args(["everything-http", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // It says nothing that could be waited for, so the port is tried until it answers.
        let clock = sluicegate::clock::Clock::system();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(clock.monotonic() < START_MAX, "server-everything does not listen");
            std::thread::yield_now();
        }
        Self { child, url: format!("http://127.0.0.1:{port}/mcp") }
    }
}

impl Drop for EverythingOverHttp {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _status = self.child.wait();
    }
}
