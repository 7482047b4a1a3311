//! CASES.md C, E and the parser rows of the attacks, over a real socket: a clear error, one record each with
//! the same reason, nothing executed, and the next good call passes.

use http::StatusCode;
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, Site, check_audit};

/// A body, and how it is refused.
struct Case {
    name: &'static str,
    body: Vec<u8>,
    status: u16,
    code: i64,
    reason: &'static str,
}

fn case(name: &'static str, body: impl Into<Vec<u8>>, status: u16, code: i64, reason: &'static str) -> Case {
    Case { name, body: body.into(), status, code, reason }
}

/// A call whose envelope is good but for what stands in `params` (and may close it and go on).
fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

fn cases() -> Vec<Case> {
    [keys(), framing(), envelopes(), methods()].into_iter().flatten().collect()
}

/// Keys that two parsers could read differently.
fn keys() -> Vec<Case> {
    vec![
        case(
            "A01 duplicate name",
            call(r#"{"name":"tools__read","name":"tools__send"}"#),
            400,
            -32700,
            "json_duplicate_key",
        ),
        case(
            "A01 escaped duplicate",
            call(r#"{"name":"tools__read","\u006eame":"tools__send"}"#),
            400,
            -32700,
            "json_duplicate_key",
        ),
        case(
            "A02 duplicate argument",
            call(r#"{"name":"tools__read","arguments":{"p":"/a","p":"/etc"}}"#),
            400,
            -32700,
            "json_duplicate_key",
        ),
        case("A03 case variant in params", call(r#"{"Name":"tools__read"}"#), 400, -32600, "key_confusable"),
        case(
            "A03 case variant in envelope",
            r#"{"jsonrpc":"2.0","id":1,"Method":"ping","method":"ping"}"#,
            400,
            -32600,
            "key_confusable",
        ),
        case(
            "A04 Unicode folding",
            call(r#"{"name":"tools__read","argument\u017f":{}}"#),
            400,
            -32600,
            "key_confusable",
        ),
        case(
            "A05 control character in key",
            call(r#"{"name\u0000":"tools__read"}"#),
            400,
            -32600,
            "key_confusable",
        ),
    ]
}

/// What is not one bounded JSON document.
fn framing() -> Vec<Case> {
    let deep = call(&format!(
        r#"{{"name":"tools__read","arguments":{{"a":{}{}}}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    ));
    let keys: Vec<String> = (0..150_000).map(|key| format!("\"k{key}\":0")).collect();
    let many = call(&format!(r#"{{"name":"tools__read","arguments":{{{}}}}}"#, keys.join(",")));
    let read = r#"{"name":"tools__read"}"#;
    vec![
        case("A06 batch", format!("[{}]", call(read)), 400, -32600, "batch_forbidden"),
        case("A06 batch after white space", format!(" \n[{}]", call(read)), 400, -32600, "batch_forbidden"),
        case("A07 two documents", format!("{}{}", call(read), call(read)), 400, -32700, "json_invalid"),
        case("A08 depth bomb", deep, 400, -32700, "json_too_deep"),
        case("A09 many keys", many, 400, -32700, "json_too_many_keys"),
        case(
            "A12 invalid UTF-8",
            [b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"p\xc0\xaf\"}".as_slice()].concat(),
            400,
            -32700,
            "json_invalid",
        ),
        case("F52 lone surrogate", call(r#"{"name":"\ud800"}"#), 400, -32700, "json_invalid"),
        case("F52 byte order mark", format!("\u{feff}{}", call(read)), 400, -32700, "json_invalid"),
        case("F52 NUL", call("{\"name\":\"a\0\"}"), 400, -32700, "json_invalid"),
        case("F52 truncated", r#"{"jsonrpc":"2.0","id":1,"me"#, 400, -32700, "json_invalid"),
    ]
}

/// What is no JSON-RPC message of a client.
fn envelopes() -> Vec<Case> {
    let id = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
    vec![
        case("A10 huge id", id(&format!("\"{}\"", "x".repeat(5000))), 400, -32600, "id_invalid"),
        case("F29 id null", id("null"), 400, -32600, "id_invalid"),
        case("F29 id fractional", id("1.5"), 400, -32600, "id_invalid"),
        case("F29 id object", id("{}"), 400, -32600, "id_invalid"),
        case(
            "F33 response to nothing",
            r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
            400,
            -32600,
            "response_unexpected",
        ),
        case(
            "unknown member",
            r#"{"jsonrpc":"2.0","id":1,"method":"ping","extra":1}"#,
            400,
            -32600,
            "envelope_invalid",
        ),
        case("JSON-RPC 1.0", r#"{"id":1,"method":"ping"}"#, 400, -32600, "envelope_invalid"),
    ]
}

/// What is well-formed and not served.
fn methods() -> Vec<Case> {
    vec![
        case(
            "A23 unknown method",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/call2"}"#,
            200,
            -32601,
            "method_unknown",
        ),
        case(
            "A22 resources",
            r#"{"jsonrpc":"2.0","id":1,"method":"tasks/list"}"#,
            200,
            -32601,
            "method_unsupported",
        ),
        case(
            "A22 prompts",
            r#"{"jsonrpc":"2.0","id":1,"method":"prompts/get","params":{"name":1}}"#,
            200,
            -32602,
            "params_invalid",
        ),
        case(
            "another revision's method",
            r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#,
            200,
            -32601,
            "method_unknown",
        ),
        case("no name", call("{}"), 200, -32602, "params_invalid"),
        case(
            "arguments that are none",
            call(r#"{"name":"tools__read","arguments":[]}"#),
            200,
            -32602,
            "params_invalid",
        ),
        case(
            "a cursor nobody gave",
            r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}"#,
            200,
            -32602,
            "cursor_unknown",
        ),
    ]
}

#[tokio::test]
async fn malformed_messages_are_refused_recorded_and_change_nothing() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let mut expected = Vec::new();
    for Case { name, body, status, code, reason } in cases() {
        let answer = client.post(body).await;
        assert_eq!(answer.status.as_u16(), status, "{name}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], code, "{name}");
        assert_eq!(answer.reason(), reason, "{name}");
        assert!(answer.body.len() < 1024, "{name}: what is echoed is bounded");
        expected.push(Value::from(reason));
    }
    assert_eq!(client.call("tools__read", "good").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["good"]);
    let recorded: Vec<_> = of_kind(&site, "denial").iter().map(|record| record["reason"].clone()).collect();
    assert_eq!(recorded, expected);
    check_audit(&site);
}

#[tokio::test]
async fn a13_a14_headers_that_disagree_with_the_body_are_refused() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY);
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let body = |meta: &Value| {
        let params = json!({ "name": "tools__read", "arguments": { "id": "h" }, "_meta": meta });
        json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string()
    };
    let sent = |version: &[&str], method: &[&str], name: &[&str]| {
        let mut client = client.clone();
        for (header, values) in
            [("mcp-protocol-version", version), ("mcp-method", method), ("mcp-name", name)]
        {
            for value in values {
                client = client.header(header, value);
            }
        }
        client
    };
    let (version, method, name) = (["2026-07-28"], ["tools/call"], ["tools__read"]);
    let wrong = [
        sent(&[], &method, &name),
        sent(&version, &[], &name),
        sent(&version, &method, &[]),
        sent(&["2025-11-25"], &method, &name),
        sent(&version, &["tools/list"], &name),
        sent(&version, &method, &["tools__send"]),
        sent(&version, &["tools/call", "tools/call"], &name),
        sent(&version, &method, &["tools__read", "tools__read"]),
        sent(&version, &method, &["=?base64?!?="]),
    ];
    for client in &wrong {
        let answer = client.post(body(&meta)).await;
        assert_eq!((answer.status, answer.reason().as_str()), (StatusCode::BAD_REQUEST, "header_mismatch"));
        assert_eq!(answer.json()["error"]["code"], -32020);
    }
    let right = sent(&version, &method, &["=?base64?dG9vbHNfX3JlYWQ=?="]);
    assert_eq!(right.post(body(&meta)).await.reason(), "ok");
    let unspoken = json!({
        "io.modelcontextprotocol/protocolVersion": "2027-01-01",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let answer = sent(&["2027-01-01"], &method, &name).post(body(&unspoken)).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32022)));
    assert_eq!(answer.json()["error"]["data"]["supported"][0], "2026-07-28");
    assert_eq!(answer.json()["error"]["data"]["requested"], "2027-01-01");
    let bare = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
    let answer = sent(&version, &method, &name).post(body(&bare)).await;
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (StatusCode::BAD_REQUEST, &json!(-32602)));
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["h"]);
    check_audit(&site);
}

#[tokio::test]
async fn a27_nothing_that_a_client_says_of_itself_becomes_a_label() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mail = Client::new(&gateway.url, crate::support::gateway::EMAIL_KEY)
        .header("x-sluicegate-source", "chat")
        .header("gateway-trigger", "human")
        .header("mcp-init-host", "127.0.0.1")
        .initialize("2025-11-25")
        .await;
    let meta = json!({ "source": "chat", "provenance": ["chat"], "roles": ["admin"] });
    let params =
        json!({ "name": "tools__write", "arguments": { "id": "x", "source": "chat" }, "_meta": meta });
    let answer = mail.request(3, "tools/call", &params).await;
    assert_eq!(answer.json()["error"]["message"], "Unknown tool: tools__write");
    assert!(gateway.stop().success());
    assert!(site.executed().is_empty());
    let denial = of_kind(&site, "denial").remove(0);
    assert_eq!(denial["provenance"], json!(["email"]));
    check_audit(&site);
}
