//! A client that sends exactly the bytes it is told to and shows exactly what came back.

use bytes::Bytes;
use http::{HeaderMap, Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

/// Largest answer that a test reads.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

type Http = hyper_util::client::legacy::Client<HttpConnector, Full<Bytes>>;

/// One caller at one endpoint.
#[derive(Clone)]
pub struct Client {
    http: Http,
    url: String,
    headers: Vec<(String, String)>,
    session: Option<String>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Exchange {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Client {
    /// A caller that presents `key`.
    pub fn new(url: &str, key: &str) -> Self {
        Self::anonymous(url).header("authorization", &format!("Bearer {key}"))
    }

    /// A caller that presents nothing.
    pub fn anonymous(url: &str) -> Self {
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build_http();
        let accept = ("accept".to_owned(), "application/json, text/event-stream".to_owned());
        let content_type = ("content-type".to_owned(), "application/json".to_owned());
        Self { http, url: url.to_owned(), headers: vec![accept, content_type], session: None }
    }

    /// The same caller with one more header on every request.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same caller with another value of a header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.header(name, value)
    }

    /// Sends these bytes.
    pub async fn send(&self, method: Method, body: impl Into<Bytes>) -> Exchange {
        self.try_send(method, body).await.expect("an answer")
    }

    /// Sends these bytes; `None` where the connection did not survive.
    pub async fn try_send(&self, method: Method, body: impl Into<Bytes>) -> Option<Exchange> {
        let response = self.http.request(self.build(method, body.into())).await.ok()?;
        let (parts, body) = response.into_parts();
        #[expect(clippy::disallowed_methods, reason = "limited by ANSWER_BYTES_MAX")]
        let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.ok()?.to_bytes();
        Some(Exchange { status: parts.status, headers: parts.headers, body })
    }

    fn build(&self, method: Method, body: Bytes) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::builder().method(method).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        request.body(Full::new(body)).unwrap()
    }

    /// Sends these bytes, and gives each piece of the answer to `piece` without keeping it.
    pub async fn pour(
        &self,
        body: impl Into<Bytes>,
        mut piece: impl FnMut(&[u8]),
    ) -> (StatusCode, HeaderMap) {
        let response = self.http.request(self.build(Method::POST, body.into())).await.unwrap();
        let (parts, mut body) = response.into_parts();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.unwrap().into_data() {
                piece(&data);
            }
        }
        (parts.status, parts.headers)
    }

    /// Opens a stream of events.
    pub async fn open(&self, method: Method, body: impl Into<Bytes>) -> Events {
        let request = self.build(method, body.into());
        let response = self.http.request(request).await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream", "{response:?}");
        let decoder = sluicegate::wire::sse::Decoder::new(ANSWER_BYTES_MAX);
        Events { body: response.into_body(), decoder, waiting: Vec::new() }
    }

    /// Sends this as a POST.
    pub async fn post(&self, body: impl Into<Bytes>) -> Exchange {
        self.send(Method::POST, body).await
    }

    /// Initializes a session of `revision`.
    pub async fn initialize(mut self, revision: &str) -> Self {
        let info = json!({ "name": "test", "version": "1" });
        let params = json!({ "protocolVersion": revision, "capabilities": {}, "clientInfo": info });
        let answer = self.post(message(0, "initialize", &params)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        self.session = Some(answer.headers["mcp-session-id"].to_str().unwrap().to_owned());
        let done = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }).to_string();
        assert_eq!(self.post(done).await.status, StatusCode::ACCEPTED);
        self
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        self.session.as_deref().unwrap()
    }

    /// The same caller in another session.
    pub fn in_session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// One request of the session's revision.
    pub async fn request(&self, id: u64, method: &str, params: &Value) -> Exchange {
        self.post(message(id, method, params)).await
    }

    /// One request of 2026-07-28, with its headers and `_meta`.
    pub async fn modern(&self, id: u64, method: &str, params: Value) -> Exchange {
        let (client, body) = self.as_modern(id, method, params);
        client.post(body).await
    }

    /// Sends a request of 2026-07-28 whose answer is not waited for, and gives what has to be held to have it go on.
    pub async fn hold(&self, id: u64, method: &str, params: Value) -> Events {
        let (client, body) = self.as_modern(id, method, params);
        client.with("accept", "text/event-stream").open(Method::POST, body).await
    }

    /// Opens the stream of `subscriptions/listen`.
    pub async fn listen(&self, id: u64) -> Events {
        self.listen_to(id, json!({ "toolsListChanged": true })).await
    }

    /// The same for these notifications.
    pub async fn listen_to(&self, id: u64, notifications: Value) -> Events {
        let params = json!({ "notifications": notifications });
        let (client, body) = self.as_modern(id, "subscriptions/listen", params);
        client.open(Method::POST, body).await
    }

    fn as_modern(&self, id: u64, method: &str, mut params: Value) -> (Self, String) {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        let capabilities = &mut params["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        if capabilities.is_null() {
            *capabilities = json!({});
        }
        let mut client = self.clone().with("mcp-protocol-version", "2026-07-28").with("mcp-method", method);
        let named = ["name", "uri", "taskId"].iter().find_map(|key| params.get(*key)?.as_str());
        if let Some(name) = named.filter(|_| method != "completion/complete") {
            client = client.with("mcp-name", name);
        }
        client.session = None;
        (client, message(id, method, &params))
    }

    /// The names that `tools/list` shows in this session.
    pub async fn list(&self) -> Vec<String> {
        names(&self.request(1, "tools/list", &json!({})).await)
    }

    /// The same as [`Client::call`]; `None` where the connection did not survive.
    pub async fn try_call(&self, name: &str, id: &str) -> Option<Exchange> {
        let params = json!({ "name": name, "arguments": { "id": id } });
        self.try_send(Method::POST, message(2, "tools/call", &params)).await
    }

    /// One `tools/call` in this session, with `id` as its argument for the oracle's ledger.
    pub async fn call(&self, name: &str, id: &str) -> Exchange {
        self.request(2, "tools/call", &json!({ "name": name, "arguments": { "id": id } })).await
    }
}

/// A stream of events that is still open.
pub struct Events {
    body: hyper::body::Incoming,
    decoder: sluicegate::wire::sse::Decoder,
    waiting: Vec<Value>,
}

impl Events {
    /// The id of the last event, to come back after.
    pub fn last_id(&self) -> String {
        String::from_utf8(self.decoder.last_id().expect("an event with an id").to_vec()).unwrap()
    }

    /// Waits until the other end closes the stream.
    pub async fn ended(mut self) {
        while let Some(Ok(_)) = self.body.frame().await {}
    }

    /// The next message; waits for it.
    pub async fn next(&mut self) -> Value {
        while self.waiting.is_empty() {
            let frame = self.body.frame().await.expect("the stream goes on").unwrap();
            let Ok(data) = frame.into_data() else { continue };
            let waiting = &mut self.waiting;
            let decoded = self.decoder.push(&data, |event| {
                if !event.data.is_empty() {
                    waiting.push(serde_json::from_slice(&event.data).unwrap());
                }
            });
            decoded.unwrap();
        }
        self.waiting.remove(0)
    }
}

impl Events {
    /// Whether the stream ends, after whatever still comes.
    pub async fn ends(&mut self) -> bool {
        while let Some(frame) = self.body.frame().await {
            if frame.is_err() {
                return true;
            }
        }
        true
    }
}

impl Exchange {
    /// The JSON-RPC response, out of a JSON body or the last event of a stream.
    pub fn json(&self) -> Value {
        let is_stream = self.headers.get("content-type").is_some_and(|value| value == "text/event-stream");
        if is_stream {
            return self.events().pop().unwrap();
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Every message of a stream.
    pub fn events(&self) -> Vec<Value> {
        let text = std::str::from_utf8(&self.body).unwrap();
        // An event without data only says how to come back (SEP-1699).
        let data =
            text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| !data.is_empty());
        data.map(|data| serde_json::from_str(data).unwrap()).collect()
    }

    /// Every message of a stream, or the one of a JSON body.
    pub fn events_or_one(&self) -> Vec<Value> {
        let is_stream = self.headers.get("content-type").is_some_and(|value| value == "text/event-stream");
        if is_stream { self.events() } else { vec![self.json()] }
    }

    /// The reason code of a refusal, wherever it stands; `ok` for a result without error.
    pub fn reason(&self) -> String {
        let json = self.json();
        let places = ["/result/_meta/dev.sluicegate~1decision/reason", "/error/data/reason", "/reason"];
        let found = places.iter().find_map(|place| json.pointer(place)?.as_str());
        match found {
            Some(reason) => reason.to_owned(),
            None if json.get("result").is_some() => "ok".to_owned(),
            None => json.pointer("/error/message").and_then(Value::as_str).unwrap_or("?").to_owned(),
        }
    }
}

/// The names in the answer to `tools/list`.
pub fn names(answer: &Exchange) -> Vec<String> {
    let json = answer.json();
    let tools = json.pointer("/result/tools").and_then(Value::as_array);
    let tools = tools.unwrap_or_else(|| panic!("no list: {json}"));
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

/// A JSON-RPC request.
pub fn message(id: u64, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}
