//! One request to a gateway, without a client: in 2026-07-28, whose requests stand alone.
//!
//! Must never call a tool server's tool, nor send a credential to another address than a client would.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use serde_json::{Value, json};

use super::endpoint::Endpoint;
use super::trouble::Trouble;
use crate::socket::{BodyLimits, read_body};

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Which revision is spoken.
const REVISION: &str = "2026-07-28";

/// What the gateway answers to `method`, whose parameters are `params`, raw members of an object, and which names
/// `name`, where its headers repeat one.
///
/// # Errors
/// [`Trouble`] where it does not, or refuses before it takes the request up.
pub(in crate::cli) async fn ask(
    endpoint: &Endpoint,
    method: &'static str,
    name: Option<&'static str>,
    params: &[(&str, &[u8])],
) -> Result<Value, Trouble> {
    let mut headers = HeaderMap::new();
    let told = [("mcp-protocol-version", Some(REVISION)), ("mcp-method", Some(method)), ("mcp-name", name)];
    for (header, value) in told.into_iter().filter_map(|(header, value)| Some((header, value?))) {
        headers.insert(HeaderName::from_static(header), HeaderValue::from_static(value));
    }
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let mut body =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"{method}\",\"params\":{{\"_meta\":{meta}");
    if let Some(name) = name {
        body.push_str(&format!(",\"name\":\"{name}\""));
    }
    let mut body = body.into_bytes();
    for (key, raw) in params {
        body.extend_from_slice(format!(",\"{key}\":").as_bytes());
        body.extend_from_slice(raw);
    }
    body.extend_from_slice(b"}}");
    let accept = "application/json, text/event-stream";
    let answer = endpoint.send(Method::POST, accept, headers, Bytes::from(body)).await?;
    let status = answer.response.status();
    let limits = BodyLimits { bytes_max: ANSWER_BYTES_MAX, timeout: ANSWER_TIMEOUT };
    let body = read_body(answer.response.into_body(), limits).await.map_err(|_| Trouble::Lost)?;
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    match told.get("jsonrpc") {
        Some(_) => Ok(told),
        None if status.is_success() => Err(Trouble::Invalid),
        None => Err(Trouble::of_refusal(&body)),
    }
}
