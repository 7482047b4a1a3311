//! Asks a gateway once, for `sluicegate doctor`: what it lists for a credential, and whether an address answers as
//! something else would.
//!
//! Must never call a tool, nor send a credential to another address than a client would.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use serde_json::Value;

use super::endpoint::{Endpoint, Place};
use super::trouble::Trouble;
use crate::cli::credential::CredentialSource;
use crate::socket::{BodyLimits, read_body};

/// Largest answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Longest wait for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// Which revision is spoken: its requests stand alone.
const REVISION: &str = "2026-07-28";

/// What a gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Said {
    /// It lists so many tools, on the first page at least.
    Tools(usize),
    /// Nothing answers there.
    Nothing,
    /// It refuses, with this word.
    Refused(&'static str),
    /// What answers is no gateway.
    Strange,
}

/// What the gateway at `url` lists for `credential`.
pub(in crate::cli) async fn tools(url: &str, credential: CredentialSource) -> Said {
    match list(url, credential).await {
        Ok(said) => said,
        Err(Trouble::Unreachable) => Said::Nothing,
        Err(Trouble::Refused(reason)) => Said::Refused(reason.code()),
        Err(Trouble::Lost | Trouble::Invalid) => Said::Strange,
    }
}

async fn list(url: &str, credential: CredentialSource) -> Result<Said, Trouble> {
    // With TLS the certificate would have to be known; the client will say it.
    let place = Place::of_url(url).map_err(|_| Trouble::Unreachable)?;
    let endpoint = Endpoint::new(place, credential);
    let mut headers = HeaderMap::new();
    for (name, value) in [("mcp-protocol-version", REVISION), ("mcp-method", "tools/list")] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let meta = serde_json::json!({
        "io.modelcontextprotocol/protocolVersion": REVISION,
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request =
        serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
    let answer =
        endpoint.send(Method::POST, "application/json", headers, Bytes::from(request.to_string())).await?;
    let status = answer.response.status();
    let limits = BodyLimits { bytes_max: ANSWER_BYTES_MAX, timeout: ANSWER_TIMEOUT };
    let body = read_body(answer.response.into_body(), limits).await.map_err(|_| Trouble::Lost)?;
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    match told.pointer("/result/tools").and_then(Value::as_array) {
        Some(tools) => Ok(Said::Tools(tools.len())),
        None if status.is_success() => Err(Trouble::Invalid),
        None => Err(Trouble::of_refusal(&body)),
    }
}

/// How what listens at `url` answers to a bare GET; nothing where nothing does.
pub(in crate::cli) async fn status(url: &str) -> Option<StatusCode> {
    let endpoint = Endpoint::new(Place::of_url(url).ok()?, CredentialSource::None);
    let answer = endpoint.send(Method::GET, "application/json", HeaderMap::new(), Bytes::new()).await.ok()?;
    Some(answer.response.status())
}
