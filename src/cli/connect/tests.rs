//! The bridge between a client on pipes and an HTTP server that is told what to answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, ReadHalf, WriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::*;
use crate::cli::credential::{Credential, CredentialSource};
use crate::model::reason::Reason;
use crate::socket::{BodyLimits, ConnectionLimits, Peer, Respond, Server, bind_unix, read_body};

/// A request as the server saw it, and where it is answered.
struct Seen {
    verb: String,
    headers: http::HeaderMap,
    body: String,
    reply: oneshot::Sender<Response<Parts>>,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn json(self, status: u16, body: &'static str) {
        self.with(status, &[("content-type", "application/json")], body);
    }

    fn with(self, status: u16, headers: &[(&str, &str)], body: &'static str) {
        let mut response = Response::builder().status(status);
        for (name, value) in headers {
            response = response.header(*name, *value);
        }
        let _ = self.reply.send(response.body(Parts::from(Bytes::from_static(body.as_bytes()))).unwrap());
    }

    /// Begins a stream; what is sent goes out, dropping the sender ends it.
    fn stream(self) -> mpsc::Sender<Bytes> {
        let (sender, receiver) = mpsc::channel(8);
        let response = Response::builder().header("content-type", "text/event-stream");
        let _ = self.reply.send(response.body(Parts(receiver)).unwrap());
        sender
    }
}

struct Parts(mpsc::Receiver<Bytes>);

impl From<Bytes> for Parts {
    fn from(whole: Bytes) -> Self {
        let (sender, receiver) = mpsc::channel(1);
        if !whole.is_empty() {
            sender.try_send(whole).unwrap();
        }
        Self(receiver)
    }
}

impl Body for Parts {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|part| part.map(|part| Ok(Frame::data(part))))
    }
}

struct Script(mpsc::Sender<Seen>);

impl Respond for Script {
    type Body = Parts;

    async fn respond(&self, request: Request<Incoming>, _peer: Peer) -> Response<Parts> {
        let (head, body) = request.into_parts();
        let limits = BodyLimits { bytes_max: 1 << 20, timeout: Duration::from_secs(10) };
        let body = String::from_utf8(read_body(body, limits).await.unwrap().to_vec()).unwrap();
        let (reply, answered) = oneshot::channel();
        let seen = Seen { verb: head.method.to_string(), headers: head.headers, body, reply };
        self.0.send(seen).await.unwrap();
        match answered.await {
            Ok(response) => response,
            Err(_) => std::future::pending().await,
        }
    }

    fn refused(&self, reason: Reason) {
        panic!("{reason}");
    }
}

struct Stage {
    input: WriteHalf<DuplexStream>,
    output: BufReader<ReadHalf<DuplexStream>>,
    seen: mpsc::Receiver<Seen>,
    bridge: JoinHandle<()>,
    _stop: oneshot::Sender<()>,
    server: Option<Server>,
    _directory: tempfile::TempDir,
}

impl Stage {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let (sender, seen) = mpsc::channel(64);
        let limits = ConnectionLimits { connections_max: 128, head_timeout: Duration::from_secs(10) };
        let server = Server::start(bind_unix(&path, 0o600).unwrap(), limits, Arc::new(Script(sender)));
        let value = http::HeaderValue::from_static("Bearer sg_test");
        let key = CredentialSource::Known(Credential { name: http::header::AUTHORIZATION, value });
        let bridge = Bridge::new(Endpoint::new(Place::Unix(path), key));
        let (client, ours) = tokio::io::duplex(1 << 16);
        let (reader, writer) = tokio::io::split(ours);
        let (output, input) = tokio::io::split(client);
        let (stop, stopped) = oneshot::channel::<()>();
        let bridge = tokio::spawn(bridge.run(reader, writer, async {
            let _ = stopped.await;
        }));
        let output = BufReader::new(output);
        Self { input, output, seen, bridge, _stop: stop, server: Some(server), _directory: directory }
    }

    async fn say(&mut self, line: &str) {
        self.input.write_all(format!("{line}\n").as_bytes()).await.unwrap();
    }

    async fn seen(&mut self) -> Seen {
        self.seen.recv().await.unwrap()
    }

    async fn hear(&mut self) -> String {
        let mut line = String::new();
        assert!(self.output.read_line(&mut line).await.unwrap() > 0, "the bridge closed its output");
        line.trim_end().to_owned()
    }

    /// A session of 2025-11-25, and the request that opens its stream.
    async fn initialize(&mut self) -> Seen {
        self.say(r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{}}"#).await;
        let seen = self.seen().await;
        assert_eq!((seen.header("mcp-session-id"), seen.header("mcp-protocol-version")), (None, None));
        let headers = [("content-type", "application/json"), ("mcp-session-id", "s1")];
        seen.with(200, &headers, r#"{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25"}}"#);
        assert!(self.hear().await.contains("2025-11-25"));
        self.say(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).await;
        self.seen().await.with(202, &[], "");
        let stream = self.seen().await;
        assert_eq!((stream.verb.as_str(), stream.header("accept")), ("GET", Some("text/event-stream")));
        stream
    }

    /// Ends the client's input and waits until the bridge has ended. Answers its DELETE.
    async fn finish(mut self) {
        self.input.shutdown().await.unwrap();
        let answering = async {
            while let Some(seen) = self.seen.recv().await {
                assert_eq!(seen.verb, "DELETE");
                assert_eq!(seen.header("mcp-session-id"), Some("s1"));
                seen.with(204, &[], "");
            }
        };
        tokio::select! {
            ended = &mut self.bridge => ended.unwrap(),
            () = answering => {}
        }
    }
}

fn modern(id: &str, method: &str, params: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{"_meta":{{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{{}}}}{params}}}}}"#
    )
}

#[tokio::test]
async fn a_session_is_tracked_and_ended_and_bytes_pass_unchanged() {
    let mut stage = Stage::start();
    stage.initialize().await.with(405, &[("allow", "POST")], "");
    let call = r#"{"jsonrpc":"2.0", "id":"a\u0062", "method":"tools/call", "params":{"name":"x","arguments":{"n":1.0e5,"big":123456789012345678901}}}"#;
    stage.say(call).await;
    let seen = stage.seen().await;
    assert_eq!(seen.body, call);
    assert_eq!(seen.header("mcp-session-id"), Some("s1"));
    assert_eq!(seen.header("mcp-protocol-version"), Some("2025-11-25"));
    assert_eq!(seen.header("authorization"), Some("Bearer sg_test"));
    assert_eq!(seen.header("mcp-method"), None);
    seen.json(200, "{\"jsonrpc\":\"2.0\",\n \"id\":\"ab\",\r\n \"result\":{\"n\":1.0e5}}\n");
    assert_eq!(stage.hear().await, "{\"jsonrpc\":\"2.0\",  \"id\":\"ab\",   \"result\":{\"n\":1.0e5}}");
    stage.finish().await;
}

#[tokio::test]
async fn f03_f04_events_pass_at_once_and_requests_go_side_by_side() {
    let mut stage = Stage::start();
    let notices = stage.initialize().await.stream();
    let event = "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\"}\n\n";
    notices.send(event.into()).await.unwrap();
    assert!(stage.hear().await.contains("list_changed"));

    stage.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#).await;
    let slow = stage.seen().await.stream();
    slow.send(": \n\ndata: {\"jsonrpc\":\"2.0\",\"method\":\"notif".into()).await.unwrap();
    slow.send("ications/progress\",\"params\":{\"n\":1}}\n\n".into()).await.unwrap();
    assert!(stage.hear().await.contains("notifications/progress"));

    stage.say(r#"{"jsonrpc":"2.0","id":2,"method":"ping"}"#).await;
    stage.seen().await.json(200, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    assert_eq!(stage.hear().await, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    slow.send("data: {\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n\n".into()).await.unwrap();
    assert_eq!(stage.hear().await, r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    stage.finish().await;
}

#[tokio::test]
async fn a_modern_request_repeats_in_headers_what_its_body_says() {
    let mut stage = Stage::start();
    stage.say(&modern("1", "tools/list", "")).await;
    let seen = stage.seen().await;
    assert_eq!(seen.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!((seen.header("mcp-method"), seen.header("mcp-name")), (Some("tools/list"), None));
    assert_eq!(seen.header("mcp-session-id"), None);
    seen.json(
        200,
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"t","inputSchema":{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"},"n":{"type":"integer","x-mcp-header":"N"},"where":{"type":"object","properties":{"deep":{"type":"boolean","x-mcp-header":"Deep"}}},"none":{"type":"string","x-mcp-header":"None"}}}}]}}"#,
    );
    stage.hear().await;
    let arguments =
        r#","name":"t","arguments":{"region":"Hello, 世界","n":7,"where":{"deep":true},"none":null}"#;
    stage.say(&modern("2", "tools/call", arguments)).await;
    let seen = stage.seen().await;
    assert_eq!((seen.header("mcp-method"), seen.header("mcp-name")), (Some("tools/call"), Some("t")));
    assert_eq!(seen.header("mcp-param-region"), Some("=?base64?SGVsbG8sIOS4lueVjA==?="));
    assert_eq!((seen.header("mcp-param-n"), seen.header("mcp-param-deep")), (Some("7"), Some("true")));
    assert_eq!(seen.header("mcp-param-none"), None);
    seen.json(200, r#"{"jsonrpc":"2.0","id":2,"result":{}}"#);
    stage.hear().await;
    stage.say(&modern("3", "resources/read", r#","uri":"file:///ä""#)).await;
    let seen = stage.seen().await;
    assert_eq!(seen.header("mcp-name"), Some("=?base64?ZmlsZTovLy/DpA==?="));
    seen.json(404, r#"{"jsonrpc":"2.0","id":3,"error":{"code":-32601,"message":"no"}}"#);
    assert!(stage.hear().await.contains("-32601"));
    stage.finish().await;
}

#[tokio::test]
async fn f35_cancelling_a_modern_request_closes_its_stream_and_nothing_more_is_said() {
    let mut stage = Stage::start();
    stage.say(&modern("\"x\"", "tools/call", r#","name":"slow""#)).await;
    let slow = stage.seen().await.stream();
    slow.send("data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\"}\n\n".into()).await.unwrap();
    stage.hear().await;
    stage
        .say(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"\u0078"}}"#)
        .await;
    slow.closed().await;
    stage.say(&modern("\"x\"", "tools/list", "")).await;
    stage.seen().await.json(200, r#"{"jsonrpc":"2.0","id":"x","result":{"tools":[]}}"#);
    assert!(stage.hear().await.contains("tools"));
    stage.finish().await;
}

#[tokio::test]
async fn cancelling_a_request_of_a_session_is_passed_on() {
    let mut stage = Stage::start();
    let _notices = stage.initialize().await.stream();
    stage.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow"}}"#).await;
    let _slow = stage.seen().await.stream();
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#;
    stage.say(cancel).await;
    let seen = stage.seen().await;
    assert_eq!((seen.body.as_str(), seen.header("mcp-session-id")), (cancel, Some("s1")));
    seen.with(202, &[], "");
}

#[tokio::test]
async fn every_failure_becomes_an_error_for_its_request() {
    let mut stage = Stage::start();
    let call =
        |id: u32| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#);
    let says = |line: &str, id: &str, what: &str| {
        assert!(line.contains(&format!("\"id\":{id}")) && line.contains(what), "{line}");
    };

    stage.say(&call(1)).await;
    stage.seen().await.json(401, r#"{"reason":"credential_unknown","message":"…"}"#);
    says(&stage.hear().await, "1", "\"reason\":\"credential_unknown\"");

    stage.say(&call(2)).await;
    stage.seen().await.with(502, &[("content-type", "text/html")], "<html>");
    says(&stage.hear().await, "2", "\"reason\":\"gateway_invalid\"");

    stage.say(&call(3)).await;
    let cut = stage.seen().await.stream();
    cut.send("data: {\"jsonrpc\":\"2.0\",\"id\":3,\"res".into()).await.unwrap();
    drop(cut);
    says(&stage.hear().await, "3", "\"reason\":\"gateway_lost\"");

    stage.say(&call(4)).await;
    stage.seen().await.json(400, r#"{"jsonrpc":"2.0","error":{"code":-32600,"message":"bad"}}"#);
    says(&stage.hear().await, "4", "-32600");

    stage.say(&call(5)).await;
    stage.seen().await.json(200, r#"{"jsonrpc":"2.0","id":6,"result":{}}"#);
    says(&stage.hear().await, "5", "\"reason\":\"gateway_invalid\"");

    stage.say("not json").await;
    let seen = stage.seen().await;
    assert_eq!(seen.body, "not json");
    seen.json(400, r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"bad"}}"#);
    assert!(stage.hear().await.contains("-32700"));

    drop(stage.server.take());
    stage.say(&call(7)).await;
    says(&stage.hear().await, "7", "\"reason\":\"gateway_unreachable\"");
}

#[tokio::test]
async fn f27_f46_what_is_too_much_is_refused_here() {
    let mut stage = Stage::start();
    let call =
        |id: usize| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"x"}}}}"#);
    stage.say(&call(0)).await;
    let _first = stage.seen().await;
    stage.say(&call(0)).await;
    assert!(stage.hear().await.contains("\"reason\":\"id_in_use\""));
    let mut held = Vec::new();
    for id in 1..bridge::IN_FLIGHT_MAX {
        stage.say(&call(id)).await;
        held.push(stage.seen().await);
    }
    stage.say(&call(1000)).await;
    assert!(stage.hear().await.contains("\"reason\":\"principal_busy\""));

    let long = vec![b'a'; bridge::LINE_BYTES_MAX + 1];
    let (input, output) = (&mut stage.input, &mut stage.output);
    let mut line = String::new();
    let (written, heard) = tokio::join!(input.write_all(&long), output.read_line(&mut line));
    written.unwrap();
    heard.unwrap();
    assert!(line.contains("\"reason\":\"body_too_large\"") && !line.contains("\"id\""), "{line}");
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_falls_silent_is_given_up() {
    let mut stage = Stage::start();
    stage.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#).await;
    let _silent = stage.seen().await.stream();
    assert!(stage.hear().await.contains("\"reason\":\"gateway_lost\""));
}

#[tokio::test(start_paused = true)]
async fn at_the_end_what_is_in_flight_is_waited_for_but_not_for_ever() {
    let mut stage = Stage::start();
    stage.say(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#).await;
    let slow = stage.seen().await.stream();
    stage.say(&modern("2", "subscriptions/listen", r#","notifications":{}"#)).await;
    let listen = stage.seen().await.stream();
    let started = tokio::time::Instant::now();
    stage.input.shutdown().await.unwrap();
    listen.closed().await;
    slow.send(": alive\n\n".into()).await.unwrap();
    stage.bridge.await.unwrap();
    assert!(started.elapsed() >= bridge::FINISH_MAX && started.elapsed() < 2 * bridge::FINISH_MAX);
    slow.closed().await;
}

#[test]
fn a_key_never_travels_off_this_machine_without_tls() {
    for good in ["http://127.0.0.1:7400/mcp", "http://localhost/mcp", "http://[::1]:7400/mcp"] {
        assert!(matches!(Place::of_url(good), Ok(Place::Tcp { .. })), "{good}");
    }
    for good in ["https://mcp.acme.example/mcp", "https://10.0.0.1:7443/mcp", "https://[2001:db8::1]/mcp"] {
        assert!(matches!(Place::of_url(good), Ok(Place::Tls { .. })), "{good}");
    }
    let bad = [
        "https://sg_key@mcp.acme.example/mcp",
        "https://mcp.acme.example/mcp?key=sg_key",
        "https:///mcp",
        "ftp://127.0.0.1/mcp",
        "http://10.0.0.1:7400/mcp",
        "http://gateway.example/mcp",
        "http://127.0.0.1.evil.example/mcp",
        "http://sg_key@127.0.0.1:7400/mcp",
        "http://127.0.0.1:7400/mcp?key=sg_key",
        "/mcp",
    ];
    for url in bad {
        assert!(Place::of_url(url).is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_key_file_that_others_can_read_is_refused_and_never_shown() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, "sg_secret\n").unwrap();
    let mode = |mode| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let refused = format!("{:#}", CredentialSource::File(path.clone()).read().await.unwrap_err());
    assert!(refused.contains("chmod 600") && !refused.contains("sg_secret"), "{refused}");
    mode(0o600);
    let value = CredentialSource::File(path.clone()).read().await.unwrap().unwrap().value;
    assert_eq!(value, "Bearer sg_secret");
    assert!(!format!("{value:?}").contains("sg_secret"));
    std::fs::write(&path, "sg_secret two").unwrap();
    let refused = format!("{:#}", CredentialSource::File(path).read().await.unwrap_err());
    assert!(!refused.contains("sg_secret"), "{refused}");
}
