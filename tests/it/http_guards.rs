//! The guards of a listener, over raw sockets: what is refused by the head, and what a body may cost.

use http::{Method, StatusCode};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

use crate::support::audit::of_kind;
use crate::support::client::message;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway};
use crate::support::{Client, Site, check_audit, tls};

/// `HOST:PORT` of the gateway.
fn authority(gateway: &Gateway) -> &str {
    tls::authority(&gateway.url)
}

/// A site for each kind of TCP listener: what one refuses, all refuse (CASES A24).
fn every_tcp_listener() -> [Site; 3] {
    let with_tls = Site::with_oracle_at(tls::TLS, "");
    tls::set_up(&with_tls);
    let proxied = "behind_proxy = [\"127.0.0.1\"]\nhosts = [\"mcp.acme.example\"]";
    [Site::with_oracle(""), with_tls, Site::with_oracle_at(proxied, "")]
}

/// What comes back for these bytes, until the gateway closes.
async fn raw(site: &Site, gateway: &Gateway, bytes: &[u8]) -> String {
    let mut stream = tls::connect(site, &gateway.url, None).await.unwrap();
    tls::exchange(&mut *stream, bytes).await.unwrap()
}

/// A call that the oracle would execute, with these lines as its head.
async fn call(site: &Site, gateway: &Gateway, request_line: &str, head: &str) -> String {
    let body = smuggled("guarded");
    let length = body.len();
    let request =
        format!("{request_line}\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}",);
    raw(site, gateway, request.as_bytes()).await
}

/// A whole call of 2026-07-28.
fn smuggled(id: &str) -> String {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    message(1, "tools/call", &json!({ "name": "tools__read", "arguments": { "id": id }, "_meta": meta }))
}

/// The head that makes [`call`] pass, as lines by name.
fn good_head(gateway: &Gateway) -> Vec<(&'static str, String)> {
    vec![
        ("Host", authority(gateway).to_owned()),
        ("Authorization", format!("Bearer {CHAT_KEY}")),
        ("Content-Type", "application/json".to_owned()),
        ("Accept", "application/json, text/event-stream".to_owned()),
        ("MCP-Protocol-Version", "2026-07-28".to_owned()),
        ("Mcp-Method", "tools/call".to_owned()),
        ("Mcp-Name", "tools__read".to_owned()),
    ]
}

fn lines(head: &[(&str, String)]) -> String {
    head.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

fn with(gateway: &Gateway, name: &'static str, value: &str) -> String {
    let mut head = good_head(gateway);
    head.retain(|(known, _)| *known != name);
    if !value.is_empty() {
        head.push((name, value.to_owned()));
    }
    lines(&head)
}

fn doubled(gateway: &Gateway, name: &'static str, value: &str) -> String {
    let mut head = good_head(gateway);
    head.push((name, value.to_owned()));
    lines(&head)
}

#[tokio::test]
async fn a24_a16_a17_a48_a50_what_the_guards_refuse_is_not_executed_on_any_tcp_listener() {
    for site in every_tcp_listener() {
        what_the_guards_refuse_is_not_executed(&site).await;
    }
}

async fn what_the_guards_refuse_is_not_executed(site: &Site) {
    let gateway = site.start();
    let own = authority(&gateway).to_owned();
    let post = "POST /mcp HTTP/1.1";
    let key = format!("Bearer {CHAT_KEY}");
    let cases = [
        (post, with(&gateway, "Host", ""), "403", "host_forbidden"),
        (post, with(&gateway, "Host", "evil.example"), "403", "host_forbidden"),
        (post, with(&gateway, "Host", "localhost"), "403", "host_forbidden"),
        (post, doubled(&gateway, "Host", &own), "403", "host_forbidden"),
        ("POST http://evil.example/mcp HTTP/1.1", lines(&good_head(&gateway)), "403", "host_forbidden"),
        (post, with(&gateway, "Origin", "http://evil.example"), "403", "origin_forbidden"),
        (post, with(&gateway, "Origin", "null"), "403", "origin_forbidden"),
        ("POST /mcp/ HTTP/1.1", lines(&good_head(&gateway)), "404", "path_unknown"),
        ("POST /x/../mcp HTTP/1.1", lines(&good_head(&gateway)), "404", "path_unknown"),
        ("POST /%6dcp HTTP/1.1", lines(&good_head(&gateway)), "404", "path_unknown"),
        ("PUT /mcp HTTP/1.1", lines(&good_head(&gateway)), "405", "http_method_forbidden"),
        ("OPTIONS /mcp HTTP/1.1", lines(&good_head(&gateway)), "405", "http_method_forbidden"),
        (post, with(&gateway, "Authorization", ""), "401", "credential_missing"),
        (post, with(&gateway, "Authorization", "Bearer sg_wrong"), "401", "credential_unknown"),
        (post, doubled(&gateway, "Authorization", &key), "401", "credential_ambiguous"),
        (post, with(&gateway, "Content-Type", "text/plain"), "415", "content_type_forbidden"),
        (post, with(&gateway, "Content-Type", ""), "415", "content_type_forbidden"),
        (post, doubled(&gateway, "Content-Type", "text/plain"), "415", "content_type_forbidden"),
        (post, with(&gateway, "Content-Encoding", "gzip"), "415", "content_type_forbidden"),
        (post, with(&gateway, "Accept", "text/html"), "406", "not_acceptable"),
        (post, with(&gateway, "Accept", ""), "406", "not_acceptable"),
        (post, doubled(&gateway, "Mcp-Name", "tools__write"), "400", "header_mismatch"),
    ];
    for (line, head, status, reason) in cases {
        let answer = call(site, &gateway, line, &head).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{line}\n{head}\n{answer}");
        assert!(answer.contains(reason), "{line}\n{head}\n{answer}");
    }
    let challenged = call(site, &gateway, post, &with(&gateway, "Authorization", "")).await;
    assert!(challenged.contains("\r\nwww-authenticate: Bearer\r\n"), "{challenged}");
    assert!(site.executed().is_empty());
    let passes = call(site, &gateway, post, &lines(&good_head(&gateway))).await;
    assert!(passes.starts_with("HTTP/1.1 200 ") && passes.contains("ok guarded"), "{passes}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["guarded"]);
    // After authentication each refusal has a record of its own.
    let denied: Vec<_> = of_kind(site, "denial").iter().map(|record| record["reason"].clone()).collect();
    let typed = ["content_type_forbidden"; 4];
    assert_eq!(denied, [&typed[..], &["not_acceptable", "not_acceptable", "header_mismatch"]].concat());
    check_audit(site);
}

#[tokio::test]
async fn a24_a15_what_is_smuggled_behind_a_request_is_not_executed_on_any_tcp_listener() {
    for site in every_tcp_listener() {
        what_is_smuggled_behind_a_request_is_not_executed(&site).await;
    }
}

async fn what_is_smuggled_behind_a_request_is_not_executed(site: &Site) {
    let gateway = site.start();
    let head = lines(&good_head(&gateway));
    let inner = {
        let body = smuggled("smuggled");
        format!("POST /mcp HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len())
    };
    let outer = |framing: &str, body: &str| format!("POST /mcp HTTP/1.1\r\n{head}{framing}\r\n\r\n{body}");
    let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
    let cases = [
        outer("Content-Length: 6\r\nTransfer-Encoding: chunked", &format!("0\r\n\r\n{inner}")),
        outer("Transfer-Encoding: chunked\r\nContent-Length: 4", &chunk),
        outer("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity", &format!("0\r\n\r\n{inner}")),
        outer("Transfer-Encoding:\r\n chunked", &format!("0\r\n\r\n{inner}")),
        outer("Transfer-Encoding : chunked", &format!("0\r\n\r\n{inner}")),
        outer("Content-Length: 0\r\nContent-Length: 9", &inner),
        outer("Content-Length: 0\r\nX: a\r\n b: c", &inner),
    ];
    for case in cases {
        let answer = raw(site, &gateway, case.as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{case}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{case}\n{answer}");
    }
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    check_audit(site);
}

#[tokio::test]
async fn a_credential_is_checked_before_a_byte_of_the_body_is_waited_for() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let head = with(&gateway, "Authorization", "Bearer sg_wrong");
    let request = format!("POST /mcp HTTP/1.1\r\n{head}Content-Length: 1000000\r\n\r\n");
    let answer = raw(&site, &gateway, request.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("connection: close"), "{answer}");
    assert!(!answer.contains("sg_wrong"), "{answer}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn f49_a_body_without_end_is_refused_at_the_limit_and_recorded() {
    let site = Site::with_oracle("[limits]\nbody_max = \"64KiB\"\n");
    let gateway = site.start();
    let head = lines(&good_head(&gateway));
    let declared = format!("POST /mcp HTTP/1.1\r\n{head}Content-Length: 1073741824\r\n\r\n");
    let answer = raw(&site, &gateway, declared.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413 ") && answer.contains("connection: close"), "{answer}");

    let mut endless = format!("POST /mcp HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for _ in 0..40 {
        endless.extend_from_slice(b"1000\r\n");
        endless.extend_from_slice(&[b' '; 0x1000]);
        endless.extend_from_slice(b"\r\n");
    }
    let answer = raw(&site, &gateway, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(gateway.stop().success());
    let denied: Vec<_> = of_kind(&site, "denial").iter().map(|record| record["reason"].clone()).collect();
    assert_eq!(denied, ["body_too_large", "body_too_large"]);
    check_audit(&site);
}

#[tokio::test]
async fn a26_a27_a28_no_header_and_no_meta_makes_mail_a_chat() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut mail = Client::new(&gateway.url, EMAIL_KEY);
    for name in [
        "x-sluicegate-source",
        "x-provenance",
        "gateway-trigger",
        "mcp-init-host",
        "router-key",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-user",
        "forwarded",
    ] {
        mail = mail.header(name, "chat");
    }
    let meta = json!({ "gateway.trigger": "human", "source": "chat", "dev.sluicegate/source": "chat" });
    let params = json!({ "name": "tools__write", "arguments": { "id": "forged" }, "_meta": meta });
    let answer = mail.modern(1, "tools/call", params.clone()).await;
    assert_eq!(answer.json()["error"]["code"], -32602, "{answer:?}");
    // This one is a credential: beside another it is never passed over.
    let both = mail.header("txn-token", "chat").modern(1, "tools/call", params).await;
    assert_eq!((both.status, both.reason().as_str()), (StatusCode::UNAUTHORIZED, "credential_ambiguous"));
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    for record in of_kind(&site, "denial") {
        assert_eq!(record["provenance"], json!(["email"]), "{record}");
    }
    check_audit(&site);
}

#[tokio::test]
async fn a47_a_key_in_the_query_opens_nothing_and_stands_nowhere() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let url = format!("{}?access_token={CHAT_KEY}&key={CHAT_KEY}", gateway.url);
    let answer = Client::anonymous(&url).post("{}").await;
    assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::NOT_FOUND, "path_unknown"));
    assert!(!String::from_utf8_lossy(&answer.body).contains(CHAT_KEY));
    let wrong = Client::new(&gateway.url, "sg_never_seen_again").post("{}").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(gateway.stop().success());
    let mut seen = std::fs::read_to_string(site.path("log")).unwrap();
    for record in crate::support::audit::records(&site) {
        seen.push_str(&record.to_string());
    }
    assert!(!seen.contains(CHAT_KEY) && !seen.contains("sg_never_seen_again"));
    check_audit(&site);
}

#[tokio::test]
async fn what_a_revision_does_not_have_is_405_and_says_what_is_there() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).with("mcp-protocol-version", "2026-07-28");
    for method in [Method::GET, Method::DELETE] {
        let answer = client.send(method, "").await;
        assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{answer:?}");
        assert_eq!(answer.headers["allow"], "POST");
    }
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a24_a_unix_socket_has_the_same_guards_and_knows_its_peer() {
    let site = Site::with_oracle(
        "[listen.agents]\nsocket = \"agents.sock\"\n\n[listen.agents.peers.self]\n\
         vouches = { source = \"email\", subject = \"user:1\", roles = [\"assistant\"] }\n",
    );
    let gateway = site.start();
    let path = site.path("agents.sock");
    let ask = async |request: String| {
        let mut stream = UnixStream::connect(&path).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let body = smuggled("by-socket");
    let end = format!("Connection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    let mut head = good_head(&gateway);
    head.retain(|(name, _)| *name != "Authorization");
    let good = lines(&head);
    let answer = ask(format!("POST /mcp HTTP/1.1\r\n{good}{end}")).await;
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("ok by-socket"), "{answer}");
    let origin = format!("Origin: http://evil.example\r\n{good}");
    let answer = ask(format!("POST /mcp HTTP/1.1\r\n{origin}{end}")).await;
    assert!(answer.starts_with("HTTP/1.1 403 ") && answer.contains("origin_forbidden"), "{answer}");
    let answer = ask(format!("POST /mcp/../mcp HTTP/1.1\r\n{good}{end}")).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let wrong = format!("Authorization: Bearer sg_wrong\r\n{good}");
    let answer = ask(format!("POST /mcp HTTP/1.1\r\n{wrong}{end}")).await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["by-socket"]);
    assert_eq!(of_kind(&site, "intent")[0]["provenance"], json!(["email"]));
    check_audit(&site);
}

#[tokio::test]
async fn f35_a_client_that_hangs_up_is_noticed_while_nothing_flows() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let body = smuggled("left").replace("tools__read", "tools__hang");
    let head = with(&gateway, "Mcp-Name", "tools__hang");
    let request = format!("POST /mcp HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(authority(&gateway)).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    site.wait_for_ledger(|entry| entry["id"] == "left").await;
    drop(stream);
    site.wait_for_ledger(|entry| entry["cancelled"] == true).await;
    assert!(gateway.stop().success());
    assert_eq!(of_kind(&site, "outcome")[0]["reason"], "cancelled");
    check_audit(&site);
}
