//! The least that is an MCP server over Streamable HTTP: one tool, one fixed result.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::serve::whole;

/// What stands in every result, so that the load generator can tell a result from a refusal.
pub(crate) const MARK: &str = "the-upstream-answered";

const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: &'a str,
}

/// Serves results with a text of `bytes` bytes.
#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(bytes: usize) -> anyhow::Result<()> {
    let text = format!("{MARK}{}", "x".repeat(bytes.saturating_sub(MARK.len())));
    let call = format!(r#"{{"content":[{{"type":"text","text":"{text}"}}],"isError":false}}"#);
    let call: &'static str = call.leak();
    crate::serve::serve(move |request| answer(request, call)).await
}

const INITIALIZE: &str = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"bench","version":"1"}}"#;
const TOOLS: &str = r#"{"tools":[{"name":"echo","description":"Returns a fixed text.","inputSchema":{"type":"object","properties":{"text":{"type":"string"}}}}]}"#;

async fn answer(request: Request<Incoming>, call: &'static str) -> Response<Full<Bytes>> {
    if request.method() != Method::POST {
        return empty(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Ok(body) = whole(request.into_body(), BODY_BYTES_MAX).await else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let Ok(Message { id, method }) = serde_json::from_slice(&body) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let result = match method {
        "tools/call" => call,
        "tools/list" => TOOLS,
        "initialize" => INITIALIZE,
        _ => "{}",
    };
    let Some(id) = id else { return empty(StatusCode::ACCEPTED) };
    let mut response =
        Response::new(Full::new(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()));
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    response
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
