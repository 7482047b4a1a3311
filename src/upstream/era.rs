//! What differs between the eras of the protocol in how one message to a tool server is dressed: with a
//! handshake a message says nothing of the hop; without one every request says all of it (2026-07-28,
//! "Request Metadata").
//!
//! Must never let what a client said of itself pass as the gateway's own word. It trusts that payloads
//! were parsed strictly.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::model::call::Payload;
use crate::model::trace::Trace;
use crate::wire::method::Kind;
use crate::wire::tool::ParamHeader;
use crate::wire::{LogLevel, Method, Revision, encode, headers, stateless, task};

/// What the gateway says of itself in every request of 2026-07-28, up to its capabilities.
const OWN_META: &str = concat!(
    "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",",
    "\"io.modelcontextprotocol/clientInfo\":{\"name\":\"sluicegate\",\"version\":\"",
    env!("CARGO_PKG_VERSION"),
    "\"},\"io.modelcontextprotocol/clientCapabilities\":"
);

/// No capabilities: an upstream may ask for nothing.
const NO_CAPABILITIES: &str = "{}";

/// What the client of one call wants and can, as far as its upstream may know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asker {
    /// The least severe log message that it wants; none where it did not say.
    pub level: Option<LogLevel>,
    /// The `capabilities` that the upstream may use in this call: one JSON object; none where there are none.
    pub capabilities: Option<Arc<str>>,
    /// Whether it takes a task for an answer.
    pub takes: Takes,
}

/// What a client takes for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Takes {
    /// The answer, however long it takes.
    #[default]
    Answers,
    /// A task as well, for which it asks in the form of 2025-11-25.
    TasksAsked,
    /// A task as well, where its server makes one (2026-07-28, the extension).
    TaskExtension,
}

/// `MCP-Protocol-Version`.
pub(super) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// How a session with a tool server goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// `initialize` first; up to 2025-11-25.
    Handshake,
    /// No session: each request stands for itself; from 2026-07-28 on.
    Stateless,
}

/// A request as it leaves: its body, and the headers that it needs over HTTP.
#[derive(Debug)]
pub(super) struct Dressed {
    pub(super) body: Bytes,
    pub(super) headers: HeaderMap,
}

impl Era {
    /// The era of `revision`.
    pub(super) fn of(revision: Revision) -> Self {
        if revision.is_modern() { Self::Stateless } else { Self::Handshake }
    }

    /// A request of the gateway's own.
    pub(super) fn request(self, id: u64, method: &Method, params: Option<&[u8]>) -> Dressed {
        match self {
            Self::Handshake => plain(encode::request(id, method, params)),
            Self::Stateless => Dressed {
                body: stateless::request(id, method, params, &own_meta(&own_asker(method))),
                headers: repeated(method, &Bytes::new(), &[]),
            },
        }
    }

    /// A request that is forwarded. `declared` are the arguments that its tool wants in headers too.
    /// In 2026-07-28 it says what `asker` wants and can.
    pub(super) fn forward(
        self,
        id: u64,
        payload: &Payload,
        declared: &[ParamHeader],
        asker: &Asker,
    ) -> Dressed {
        let mut dressed = match self {
            Self::Handshake => plain(encode::forward(id, payload)),
            Self::Stateless => {
                let method = Method::of(payload.method, Kind::Request);
                Dressed {
                    body: stateless::forward(id, &method, payload, &own_meta(asker)),
                    headers: repeated(&method, &payload.bytes, declared),
                }
            }
        };
        if let Some(trace) = &payload.trace {
            repeat_trace(&mut dressed.headers, trace);
        }
        dressed
    }
}

/// What `_meta` says of the trace, for those between here and there who read headers (W3C Trace Context, 3).
fn repeat_trace(headers: &mut HeaderMap, trace: &Trace) {
    let parent = trace.toward().to_string();
    let state = trace.state.as_ref().map(|state| state.as_str());
    for (name, value) in [(TRACEPARENT, Some(parent.as_str())), (TRACESTATE, state)] {
        // Both are plain text, so that this does not fail.
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
}

/// What the gateway says of itself where it asks by itself: what it says of a task needs the extension.
fn own_asker(method: &Method) -> Asker {
    let takes = match method {
        Method::TasksUpdate | Method::TasksCancel => Takes::TaskExtension,
        _ => Takes::Answers,
    };
    Asker { takes, ..Asker::default() }
}

fn own_meta(asker: &Asker) -> String {
    let questions = asker.capabilities.as_deref().unwrap_or(NO_CAPABILITIES);
    let capabilities = match asker.takes {
        // A task in one form is none in the other.
        Takes::Answers | Takes::TasksAsked => questions.to_owned(),
        Takes::TaskExtension => {
            let more = if questions == NO_CAPABILITIES { "" } else { "," };
            let rest = questions.get(1..).unwrap_or("}");
            format!("{{\"extensions\":{{\"{}\":{{}}}}{more}{rest}", task::EXTENSION)
        }
    };
    let level =
        asker.level.map(|level| format!(",\"io.modelcontextprotocol/logLevel\":\"{}\"", level.as_str()));
    format!("{OWN_META}{capabilities}{}", level.unwrap_or_default())
}

fn plain(body: Bytes) -> Dressed {
    Dressed { body, headers: HeaderMap::new() }
}

fn repeated(method: &Method, params: &Bytes, declared: &[ParamHeader]) -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert(PROTOCOL_VERSION, HeaderValue::from_static(Revision::V2026_07_28.as_str()));
    for (name, value) in headers::of_request(method, params, declared) {
        // Names are tokens and values are encoded, so that neither fails.
        let pair = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_str(&value).ok());
        if let Some((name, mut value)) = pair {
            // Arguments belong to the run, and to no log.
            value.set_sensitive(true);
            map.append(name, value);
        }
    }
    map
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::tool::param_headers;

    #[test]
    fn only_stateless_requests_say_what_the_hop_is() {
        let asked = Era::Handshake.request(1, &Method::ToolsList, None);
        assert_eq!(asked.body.as_ref(), br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
        assert!(asked.headers.is_empty());
        let asked = Era::Stateless.request(1, &Method::ToolsList, Some(b"{\"cursor\":\"c\"}"));
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        let meta = &body["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
        assert_eq!(meta["io.modelcontextprotocol/clientInfo"]["name"], "sluicegate");
        assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({}));
        assert_eq!(body["params"]["cursor"], "c");
        assert_eq!(asked.headers["mcp-method"], "tools/list");
        assert_eq!(asked.headers["mcp-protocol-version"], "2026-07-28");
        assert!(!asked.headers.contains_key("mcp-name"));
    }

    #[test]
    fn a_forwarded_call_repeats_its_name_and_the_arguments_that_the_tool_declares() {
        let tool = Bytes::from_static(
            br#"{"name":"t","inputSchema":{"properties":{
                "region":{"type":"string","x-mcp-header":"Region"},
                "n":{"type":"integer","x-mcp-header":"N"},
                "gone":{"type":"string","x-mcp-header":"Gone"},
                "null":{"type":"string","x-mcp-header":"Null"},
                "deep":{"type":"object","properties":{"yes":{"type":"boolean","x-mcp-header":"Yes"}}}}}}"#,
        );
        let declared = param_headers(&tool).unwrap();
        let params = r#"{"name":"t","arguments":{"region":"世 界","n":-7,"null":null,"deep":{"yes":true}}}"#;
        let payload =
            Payload { method: "tools/call", bytes: Bytes::from(params), progress_token: None, trace: None };
        let sent = Era::Stateless.forward(1, &payload, &declared, &Asker::default()).headers;
        assert_eq!(sent["mcp-name"], "t");
        assert_eq!(sent["mcp-param-region"], "=?base64?5LiWIOeVjA==?=");
        assert_eq!(sent["mcp-param-n"], "-7");
        assert_eq!(sent["mcp-param-yes"], "true");
        assert_eq!(sent.len(), 6, "{sent:?}");
    }
}
