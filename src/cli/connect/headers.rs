//! The headers that Streamable HTTP adds to a message, taken from the message and the session it is in.
//!
//! A client on stdio sends none of them, and the gateway checks each against the body. Must never be more
//! than the body says.

use std::collections::HashMap;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::wire::list::split;
use crate::wire::tool::{ParamHeader, param_headers};
use crate::wire::{ListKind, Message, Method, Object, Params, headers as repeated};

const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The header that names a session of a 2025 revision.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");

/// Most tools whose headers are remembered.
const TOOLS_MAX: usize = 10_000;

/// Which family of revisions a message belongs to, by what it says itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Era {
    /// 2024-11-05 to 2025-11-25: sessions.
    Handshake,
    /// 2026-07-28: each request says its revision.
    Modern,
}

/// What has to be remembered between messages.
#[derive(Debug, Default)]
pub(super) struct Memory {
    session: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    tools: HashMap<String, Vec<ParamHeader>>,
}

/// The era of a message.
pub(super) fn era(params: Option<&Params>) -> Era {
    if repeated::claimed_revision(params).is_some() { Era::Modern } else { Era::Handshake }
}

impl Memory {
    /// The headers of `message`; of one that cannot be read where it is `None`.
    pub(super) fn headers(&self, message: Option<&Message>) -> HeaderMap {
        let (method, params) = match message {
            Some(Message::Request(request)) => (Some(&request.method), request.params.as_ref()),
            Some(Message::Notification(note)) => (Some(&note.method), note.params.as_ref()),
            Some(Message::Response(_)) | None => (None, None),
        };
        let claimed = repeated::claimed_revision(params).and_then(Result::ok);
        match (method, params, claimed) {
            (Some(method), Some(params), Some(revision)) => self.modern(method, params, &revision),
            (Some(Method::Initialize), ..) => HeaderMap::new(),
            _ => self.of_session(),
        }
    }

    /// The headers of the session.
    pub(super) fn of_session(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in [(SESSION_ID, &self.session), (PROTOCOL_VERSION, &self.revision)] {
            if let Some(value) = value {
                headers.insert(name, value.clone());
            }
        }
        headers
    }

    /// Whether a session is open.
    pub(super) fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Takes in the answer to `initialize`.
    pub(super) fn initialized(&mut self, session: Option<HeaderValue>, result: &Bytes) {
        let revision = Object::of(result).ok().and_then(|result| result.text("protocolVersion")?.ok());
        self.revision = revision.and_then(|revision| HeaderValue::from_str(&revision).ok());
        self.session = session;
    }

    /// Takes in the answer to `tools/list` of 2026-07-28: which arguments have to be repeated in headers.
    pub(super) fn listed(&mut self, result: &Bytes) {
        let Ok(page) = split(result, ListKind::Tools) else { return };
        for tool in page.entries {
            // A tool whose declaration is not valid is dropped by the client, which then never calls it.
            let declared = param_headers(&tool.raw).unwrap_or_default();
            if declared.is_empty() {
                self.tools.remove(&tool.name);
            } else if self.tools.len() < TOOLS_MAX {
                self.tools.insert(tool.name, declared);
            }
        }
    }

    /// 2026-07-28, "Streamable HTTP", "Request Headers".
    fn modern(&self, method: &Method, params: &Params, revision: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let mut add = |name: HeaderName, text: &str| {
            // What cannot stand in a header is left out, and the gateway says that it is missing.
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        };
        add(PROTOCOL_VERSION, revision);
        add(METHOD, method.name());
        let named = repeated::name_key(method).and_then(|key| params.text(key));
        let Some(Ok(named)) = named else { return headers };
        add(NAME, &repeated::encode(&named));
        let declared = self.tools.get(&named).filter(|_| *method == Method::ToolsCall);
        for param in declared.into_iter().flatten() {
            let name = HeaderName::from_bytes(format!("mcp-param-{}", param.header).as_bytes());
            let value = params.get("arguments").and_then(|arguments| argument(arguments, &param.path));
            if let (Ok(name), Some(value)) = (name, value) {
                add(name, &value);
            }
        }
        headers
    }
}

/// The argument at `path` as a header repeats it; `None` where it is absent, null, or has no text.
fn argument(arguments: Bytes, path: &[String]) -> Option<String> {
    let mut raw = arguments;
    for key in path.split_last()?.1 {
        raw = Object::of(&raw).ok()?.get(key)?;
    }
    let last = Object::of(&raw).ok()?;
    let key = path.last()?;
    let value = last.get(key)?;
    match value.first()? {
        b'"' => Some(repeated::encode(&last.text(key)?.ok()?)),
        b'n' | b'{' | b'[' => None,
        _ => String::from_utf8(value.to_vec()).ok(),
    }
}
