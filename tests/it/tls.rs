//! TLS toward agents: client certificates as entry points, new certificates, and listeners that other
//! machines could reach. The guards inside TLS are in `http_guards`.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

use crate::support::audit::{of_kind, records};
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::tls::{self, Authority, Pair, TLS, Wire};
use crate::support::{Site, check_audit};

/// Longest wait for something that the gateway does by itself.
const WAIT_MAX: Duration = Duration::from_secs(30);
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

const CLIENTS: &str = r#"
[auth.clients.buildbot]
san = "spiffe://acme/buildbot"
vouches = { source = "email", subject = "svc:build", roles = ["assistant"] }
"#;

/// A call of `tools__read` as 2026-07-28 has it.
fn call(host: &str, id: &str, key: Option<&str>, connection: &str) -> Vec<u8> {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "tools__read", "arguments": { "id": id }, "_meta": meta });
    let body = message(1, "tools/call", &params);
    let authorization = key.map(|key| format!("Authorization: Bearer {key}\r\n")).unwrap_or_default();
    let length = body.len();
    format!(
        "POST /mcp HTTP/1.1\r\nHost: {host}\r\n{authorization}Content-Type: application/json\r\n\
         Accept: application/json, text/event-stream\r\nMCP-Protocol-Version: 2026-07-28\r\n\
         Mcp-Method: tools/call\r\nMcp-Name: tools__read\r\nConnection: {connection}\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// What the gateway answers to one call on a connection that shows this certificate.
async fn ask(site: &Site, gateway: &Gateway, shown: Option<&Pair>, id: &str, key: Option<&str>) -> String {
    let mut stream = tls::connect(site, &gateway.url, shown).await.unwrap();
    let request = call(tls::authority(&gateway.url), id, key, "close");
    tls::exchange(&mut *stream, &request).await.unwrap()
}

/// How often the journal says that the listener refused for this reason.
fn refused(site: &Site, reason: &str) -> u64 {
    let counts = records(site).into_iter().filter(|record| record["reason"] == reason);
    counts.filter_map(|record| record["count"].as_u64()).sum()
}

/// The entry points of all calls, in order.
fn entry_points(site: &Site) -> Vec<Value> {
    of_kind(site, "intent").iter().map(|intent| intent["principal"]["entry_point"].clone()).collect()
}

#[tokio::test]
async fn a_client_certificate_is_an_entry_point_and_a_key_counts_before_it() {
    let site = Site::with_oracle_at(TLS, CLIENTS);
    let clients = tls::set_up(&site);
    let gateway = site.start();
    assert!(gateway.url.starts_with("https://"), "{}", gateway.url);
    let known = clients.signs(&["spiffe://acme/buildbot"]);
    let unknown = clients.signs(&["spiffe://acme/other", "buildbot"]);
    for (shown, id, key, status, reason) in [
        (Some(&known), "by-certificate", None, "200", "ok by-certificate"),
        (Some(&known), "by-key", Some(CHAT_KEY), "200", "ok by-key"),
        (Some(&unknown), "by-key-too", Some(CHAT_KEY), "200", "ok by-key-too"),
        (None, "by-key-alone", Some(CHAT_KEY), "200", "ok by-key-alone"),
        (Some(&unknown), "nobody", None, "401", "certificate_unknown"),
        (Some(&known), "wrong-key", Some("sg_wrong"), "401", "credential_unknown"),
        (None, "nothing", None, "401", "credential_missing"),
    ] {
        let answer = ask(&site, &gateway, shown, id, key).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(reason),
            "{id}: {answer}"
        );
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["by-certificate", "by-key", "by-key-too", "by-key-alone"]);
    assert_eq!(entry_points(&site), ["clients.buildbot", "keys.person", "keys.person", "keys.person"]);
    let first = &of_kind(&site, "intent")[0];
    assert_eq!(
        (&first["provenance"], &first["principal"]["subject"]),
        (&json!(["email"]), &json!("svc:build"))
    );
    assert_eq!(refused(&site, "certificate_unknown"), 1);
    check_audit(&site);
}

#[tokio::test]
async fn a_client_certificate_that_does_not_verify_reaches_nothing_and_is_counted() {
    let site = Site::with_oracle_at(TLS, CLIENTS);
    let _clients = tls::set_up(&site);
    let gateway = site.start();
    // The right name, under an authority of the right name that nobody configured.
    let forged = Authority::new("clients").signs(&["spiffe://acme/buildbot"]);
    let request = call(tls::authority(&gateway.url), "forged", Some(CHAT_KEY), "close");
    let answer = match tls::connect(&site, &gateway.url, Some(&forged)).await {
        Ok(mut stream) => tls::exchange(&mut *stream, &request).await,
        Err(error) => Err(error),
    };
    assert!(answer.is_err(), "{answer:?}");
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    assert_eq!(refused(&site, "tls_handshake_failed"), 1);
    check_audit(&site);
}

/// Sends a call on a connection that stays open and reads its answer.
async fn call_on(stream: &mut dyn Wire, host: &str, id: &str) -> String {
    stream.write_all(&call(host, id, Some(CHAT_KEY), "keep-alive")).await.unwrap();
    let mut answer = String::new();
    let done = format!("ok {id}");
    while !(answer.contains(&done) && answer.ends_with('}')) {
        answer.push(char::from(stream.read_u8().await.unwrap()));
    }
    answer
}

#[tokio::test]
async fn new_certificate_files_are_taken_up_under_live_connections_and_bad_ones_are_not() {
    let site = Site::with_oracle_at(TLS, "[admin]\naddress = \"127.0.0.1:0\"\n");
    tls::set_up(&site);
    let gateway = site.start();
    let host = tls::authority(&gateway.url).to_owned();
    let mut open = tls::connect(&site, &gateway.url, None).await.unwrap();
    call_on(&mut *open, &host, "before").await;

    // A certificate without its key: what serves goes on, and an operator can see it.
    let other = Authority::new("other");
    tls::write(&site, "cert.pem", &other.signs(&["localhost"]).cert);
    wait_until(async || gateway.shows("/readyz").await.contains("certificate_kept")).await;
    let kept = "sluicegate_certificate_reloads_total{listener=\"main\",result=\"kept\"} 1";
    assert!(gateway.shows("/metrics").await.contains(kept));
    assert!(ask(&site, &gateway, None, "still", Some(CHAT_KEY)).await.contains("ok still"));

    tls::serve_with(&site, &other);
    wait_until(async || tls::connect(&site, &gateway.url, None).await.is_ok()).await;
    assert!(ask(&site, &gateway, None, "after", Some(CHAT_KEY)).await.contains("ok after"));
    assert!(!gateway.shows("/readyz").await.contains("certificate_kept"));
    call_on(&mut *open, &host, "open-still").await;
    drop(open);
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["before", "still", "after", "open-still"]);
    check_audit(&site);
}

async fn wait_until(mut holds: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + WAIT_MAX;
    let mut looks = tokio::time::interval(LOOK_INTERVAL);
    while !holds().await {
        assert!(tokio::time::Instant::now() < deadline, "it never came");
        looks.tick().await;
    }
}

#[tokio::test]
async fn a48_beyond_loopback_only_the_declared_names_are_answered() {
    let listen = format!("{TLS}\nhosts = [\"mcp.acme.example\"]");
    let site = Site::with_oracle_at(&listen, "");
    site.edit(|config| config.replace("address = \"127.0.0.1:0\"", "address = \"0.0.0.0:0\""));
    tls::set_up(&site);
    let gateway = site.start();
    let port = tls::address(&gateway.url).port();
    for (host, status) in [
        ("mcp.acme.example".to_owned(), "200"),
        (format!("mcp.acme.example:{port}"), "200"),
        (format!("localhost:{port}"), "200"),
        (format!("0.0.0.0:{port}"), "403"),
        (format!("evil.example:{port}"), "403"),
        ("mcp.acme.example.evil.example".to_owned(), "403"),
    ] {
        let mut stream = tls::connect(&site, &gateway.url, None).await.unwrap();
        let answer =
            tls::exchange(&mut *stream, &call(&host, "named", Some(CHAT_KEY), "close")).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{host}: {answer}");
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a28_behind_a_declared_proxy_other_peers_are_cut_and_forwarded_headers_ignored() {
    let site = Site::with_oracle_at("behind_proxy = [\"127.0.0.2\"]\nhosts = [\"mcp.acme.example\"]", "");
    site.edit(|config| config.replace("address = \"127.0.0.1:0\"", "address = \"0.0.0.0:0\""));
    let gateway = site.start();
    let forwarded = |id| {
        let request = String::from_utf8(call("mcp.acme.example", id, Some(CHAT_KEY), "close")).unwrap();
        let with = "Host: mcp.acme.example\r\nX-Forwarded-For: 127.0.0.2\r\nForwarded: for=127.0.0.2\r\n";
        request.replace("Host: mcp.acme.example\r\n", with).into_bytes()
    };
    let mut proxy = tls::connect_from("127.0.0.2", &gateway.url).await;
    let answer = tls::exchange(&mut *proxy, &forwarded("by-proxy")).await.unwrap();
    assert!(answer.contains("ok by-proxy"), "{answer}");
    for other in ["127.0.0.1", "127.0.0.3"] {
        let mut stream = tls::connect_from(other, &gateway.url).await;
        let answer = tls::exchange(&mut *stream, &forwarded("past-it")).await.unwrap_or_default();
        assert_eq!(answer, "", "{other}");
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["by-proxy"]);
    assert_eq!(refused(&site, "proxy_undeclared"), 2);
    check_audit(&site);
}

/// What `connect` answers to one `tools/call` of 2026-07-28.
async fn bridged(site: &Site, args: &[&str], key: Option<&str>) -> Value {
    let mut command = tokio::process::Command::from(site.command(&[&["connect"], args].concat()));
    if let Some(key) = key {
        command.args(["--key-env", "TEST_KEY"]).env("TEST_KEY", key);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let params = json!({ "name": "tools__read", "arguments": { "id": "bridged" }, "_meta": meta });
    input.write_all(format!("{}\n", message(1, "tools/call", &params)).as_bytes()).await.unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next_line().await.unwrap().unwrap();
    drop(input);
    assert!(child.wait().await.unwrap().success());
    serde_json::from_str(&line).unwrap()
}

#[tokio::test]
async fn the_bridge_reaches_a_gateway_by_https_and_verifies_it() {
    let site = Site::with_oracle_at(TLS, CLIENTS);
    let clients = tls::set_up(&site);
    let gateway = site.start();
    let shown = clients.signs(&["spiffe://acme/buildbot"]);
    tls::write(&site, "client.pem", &shown.cert);
    tls::write(&site, "client.key", &shown.key);
    let url = ["--url", gateway.url.as_str()];
    let by_key = bridged(&site, &[&url[..], &["--ca-file", tls::SERVER_CA]].concat(), Some(CHAT_KEY)).await;
    assert!(by_key.to_string().contains("ok bridged"), "{by_key}");
    let certificate =
        ["--ca-file", tls::SERVER_CA, "--client-cert", "client.pem", "--client-key", "client.key"];
    let by_certificate = bridged(&site, &[&url[..], &certificate].concat(), None).await;
    assert!(by_certificate.to_string().contains("ok bridged"), "{by_certificate}");
    // Another authority than the gateway's: it is not the gateway, whatever it says.
    let other = bridged(&site, &[&url[..], &["--ca-file", "clients-ca.pem"]].concat(), Some(CHAT_KEY)).await;
    assert_eq!(other["error"]["data"]["reason"], "gateway_unreachable", "{other}");
    assert!(gateway.stop().success());
    assert_eq!(entry_points(&site), ["keys.person", "clients.buildbot"]);
    assert_eq!(refused(&site, "tls_handshake_failed"), 1);
    check_audit(&site);
}

#[test]
fn the_bridge_refuses_what_it_was_given_for_tls_and_says_why() {
    let site = Site::new("");
    let clients = tls::set_up(&site);
    let shown = clients.signs(&["a.example"]);
    tls::write(&site, "client.pem", &shown.cert);
    std::fs::write(site.path("open.key"), &shown.key).unwrap();
    std::fs::set_permissions(site.path("open.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .unwrap();
    let https = "https://mcp.acme.example/mcp";
    let http = "http://127.0.0.1:1/mcp";
    for (args, code, said) in [
        (vec!["--url", https, "--ca-file", "nowhere.pem"], 78, "cannot read `nowhere.pem`"),
        (vec!["--url", https, "--ca-file", "key.pem"], 78, "holds no certificate"),
        (vec!["--url", https, "--client-cert", "client.pem", "--client-key", "open.key"], 78, "chmod 600"),
        (vec!["--url", https, "--client-cert", "client.pem", "--client-key", "key.pem"], 78, "cannot show"),
        (vec!["--url", http, "--ca-file", "clients-ca.pem"], 78, "for an https:// URL"),
        (vec!["--url", https, "--client-cert", "client.pem"], 2, "--client-key"),
        (vec!["--socket", "s", "--ca-file", "clients-ca.pem"], 2, "--ca-file"),
        (vec!["--url", "http://mcp.acme.example/mcp"], 2, "must not travel without TLS"),
    ] {
        let (found, _, err) = site.run(&[&["connect"], &args[..]].concat());
        assert_eq!(found, code, "{args:?}: {err}");
        assert!(err.contains(said) && !err.contains("PRIVATE KEY"), "{args:?}: {err}");
    }
}
