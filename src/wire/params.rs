//! The parameters of a request or notification: members by name, each raw, and what is forwarded of them.
//!
//! Must never change a byte that the gateway does not own (I7), nor interpret a member that the method
//! does not define. Keys that a careless parser could take for others are refused (CASES A03 to A05).

mod traced;

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::model::call::Payload;
use crate::model::name::TOOL_NAME_BYTES_MAX;
use crate::model::trace::Trace;

use super::encode;
use super::fault::Fault;
use super::id::Id;
use super::input::GOING_ON;
use super::method::Method;
use super::object::Object;
use super::text;

/// Longest `_meta.progressToken`, as JSON text, in bytes: it is repeated in every progress notification.
pub const PROGRESS_TOKEN_BYTES_MAX: usize = 256;

/// The prefix of `_meta` keys that the specification keeps to itself.
const RESERVED_PREFIX: &str = "io.modelcontextprotocol/";

/// The keys of `_meta` that the specification defines.
const RESERVED: &[&str] = &[
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
    "io.modelcontextprotocol/serverInfo",
    "io.modelcontextprotocol/subscriptionId",
    "io.modelcontextprotocol/related-task",
];

/// The keys of `_meta` that speak of the hop between client and gateway (2026-07-28, "Request `_meta`").
pub(super) const OF_THE_HOP: &[&str] = &[
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

/// What is taken out of `_meta` before a request is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StripMeta {
    /// Nothing: the downstream revision puts nothing of the hop into `_meta`.
    Nothing,
    /// What a client of 2026-07-28 says about itself and this hop.
    Modern,
}

/// What becomes of the name in a request that is forwarded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnName<'n> {
    /// Nothing: it names what it names by something else.
    Kept,
    /// The value of `name` becomes the upstream's own.
    Name(&'n str),
    /// The same of a tool whose arguments an operator settled in part: `arguments` becomes `arguments`.
    Settled {
        /// The upstream's own name.
        own: &'n str,
        /// One JSON object.
        arguments: &'n Bytes,
    },
    /// The value of `name` in `ref` does (server/utilities/completion).
    InRef(&'n str),
    /// The value of `taskId` becomes what the upstream calls the task, and of `inputResponses` only those answers
    /// stay that it asked for.
    Task {
        /// What the upstream calls it.
        own: &'n str,
        /// The keys of what it asked.
        asked: &'n [&'n str],
    },
}

/// `params`, an object.
#[derive(Debug, Clone)]
pub struct Params {
    members: Object,
    meta: Option<Object>,
}

impl Params {
    /// Checks the keys that the gateway interprets.
    pub(super) fn new(members: Object, meta: Option<Object>, method: &Method) -> Result<Self, Fault> {
        for key in members.keys() {
            check_key(key, method.param_keys().iter().chain(&["_meta"]))?;
        }
        if meta.is_none() && members.entry("_meta").is_some() {
            return Err(Fault::Params("`_meta` is not an object"));
        }
        let params = Self { members, meta };
        if let Some(meta) = &params.meta {
            for key in meta.keys() {
                check_key(key, RESERVED)?;
                check_prefix(key)?;
            }
            check_progress_token(meta)?;
        }
        Ok(params)
    }

    /// `params` as they were written.
    #[must_use]
    pub fn raw(&self) -> Bytes {
        self.members.raw()
    }

    /// The value of the member `key`, as it was written.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.members.get(key)
    }

    /// The text of the member `key`.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<Result<String, Fault>> {
        self.members.text(key)
    }

    /// The request id that the member `key` is, for instance `requestId` of `notifications/cancelled`.
    #[must_use]
    pub fn id(&self, key: &str) -> Option<Result<Id, Fault>> {
        let raw = self.get(key)?;
        Some(std::str::from_utf8(&raw).map_err(|_| Fault::Utf8).and_then(Id::parse))
    }

    /// All members.
    #[must_use]
    pub fn members(&self) -> &Object {
        &self.members
    }

    /// `_meta`.
    #[must_use]
    pub fn meta(&self) -> Option<&Object> {
        self.meta.as_ref()
    }

    /// What is sent to the upstream: these bytes, with the name in them replaced by the upstream's own and,
    /// by `strip`, without what belongs to the downstream hop. Where the gateway traces, `_meta` says where the
    /// call stands in `trace`.
    #[must_use]
    pub fn payload(
        &self,
        method: &Method,
        name: OwnName<'_>,
        strip: StripMeta,
        trace: Option<&Arc<Trace>>,
    ) -> Payload {
        let mut edits = self.renamed(name);
        // Only an answer that was asked for and decided on reaches an upstream: those to a task go by a
        // request of their own.
        let is_modern = strip == StripMeta::Modern;
        let goes_on = is_modern && *method != Method::TasksUpdate;
        let is_left_out = |key: &str| goes_on && GOING_ON.contains(&key);
        let of_the_hop = |key: &str| is_modern && OF_THE_HOP.contains(&key);
        let mut token = None;
        match (&self.meta, trace) {
            (Some(meta), None) => edits.extend(cut(meta, of_the_hop)),
            (Some(meta), Some(trace)) => edits.extend(traced::edits(meta, trace, of_the_hop)),
            (None, Some(trace)) => edits.push(traced::member(&self.members, trace, is_left_out)),
            (None, None) => {}
        }
        // After what is put in at the same place.
        edits.extend(cut(&self.members, is_left_out));
        if let Some(meta) = &self.meta {
            token = meta.entry("progressToken").map(|entry| entry.value.clone());
        }
        // `name` and `_meta` come in any order; the cuts inside `_meta` are in order already.
        edits.sort_by_key(|(range, _)| range.start);
        Payload { trace: trace.cloned(), ..self.edited(method.code(), &edits, token) }
    }

    fn renamed(&self, name: OwnName<'_>) -> Vec<(Range<usize>, Bytes)> {
        let value = |key| self.members.entry(key).map(|entry| entry.value.clone());
        // The object that is the value at `range`, and where in the message its own ranges begin.
        let inner =
            |range: Range<usize>| Some((range.start, Object::of(&self.members.source.slice(range)).ok()?));
        let mut edits = Vec::new();
        match name {
            OwnName::Kept => {}
            OwnName::Name(own) => edits.extend(value("name").map(|range| (range, quoted(own)))),
            OwnName::Settled { own, arguments } => {
                edits.push(match value("arguments") {
                    Some(range) => (range, arguments.clone()),
                    // Before the first member; there is one, which is the name.
                    None => {
                        let first = self.members.span.start + 1;
                        let member = [b"\"arguments\":".as_slice(), arguments, b","].concat();
                        (first..first, member.into())
                    }
                });
                edits.extend(value("name").map(|range| (range, quoted(own))));
            }
            OwnName::InRef(own) => {
                let named = value("ref").and_then(inner).and_then(|(start, reference)| {
                    let range = &reference.entry("name")?.value;
                    Some((start + range.start..start + range.end, quoted(own)))
                });
                edits.extend(named);
            }
            OwnName::Task { own, asked } => {
                edits.extend(value("taskId").map(|range| (range, quoted(own))));
                if let Some((start, answers)) = value("inputResponses").and_then(inner) {
                    let cuts = answers.cuts(|key| !asked.contains(&key)).into_iter();
                    edits.extend(cuts.map(|cut| (start + cut.start..start + cut.end, Bytes::new())));
                }
            }
        }
        edits
    }

    /// Copies `params`, each range of `edits` replaced, and says where `token` came to stand.
    fn edited(
        &self,
        method: &'static str,
        edits: &[(Range<usize>, Bytes)],
        token: Option<Range<usize>>,
    ) -> Payload {
        let span = self.members.span.clone();
        let mut out = BytesMut::with_capacity(span.len() + TOOL_NAME_BYTES_MAX);
        let mut copied = span.start;
        let mut token_at = None;
        for (range, replacement) in edits {
            note_token(&mut token_at, token.as_ref(), copied..range.start, out.len());
            out.extend_from_slice(self.members.bytes(copied..range.start));
            out.extend_from_slice(replacement);
            copied = range.end;
        }
        note_token(&mut token_at, token.as_ref(), copied..span.end, out.len());
        out.extend_from_slice(self.members.bytes(copied..span.end));
        Payload { method, bytes: out.freeze(), progress_token: token_at, trace: None }
    }
}

/// What is cut out of `object`.
fn cut(object: &Object, unwanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (Range<usize>, Bytes)> {
    object.cuts(unwanted).into_iter().map(|range| (range, Bytes::new()))
}

fn quoted(name: &str) -> Bytes {
    encode::quoted(name).into()
}

/// Notes the token's new place if it lies in `copied`, which is about to be written at `written`.
fn note_token(
    found: &mut Option<Range<usize>>,
    token: Option<&Range<usize>>,
    copied: Range<usize>,
    written: usize,
) {
    if let Some(token) = token.filter(|token| copied.contains(&token.start)) {
        let start = token.start - copied.start + written;
        *found = Some(start..start + token.len());
    }
}

/// Refuses `key` where it holds a control character, or differs from a defined one only in case.
pub(super) fn check_key<'d>(
    key: &str,
    defined: impl IntoIterator<Item = &'d &'d str> + Clone,
) -> Result<(), Fault> {
    // Two defined keys never fold to the same.
    if defined.clone().into_iter().any(|defined| *defined == key) {
        return Ok(());
    }
    if key.chars().any(char::is_control) {
        return Err(Fault::Confusable);
    }
    let mistakable = defined.into_iter().any(|defined| text::folds_to(key, defined));
    if mistakable { Err(Fault::Confusable) } else { Ok(()) }
}

/// Refuses `key` where its prefix is the reserved one in another case.
fn check_prefix(key: &str) -> Result<(), Fault> {
    let Some(slash) = key.find('/') else { return Ok(()) };
    let prefix = key.get(..=slash).unwrap_or_default();
    if prefix != RESERVED_PREFIX && text::folds_to(prefix, RESERVED_PREFIX) {
        return Err(Fault::Confusable);
    }
    Ok(())
}

/// A progress token is a string or a number (every revision), and short.
fn check_progress_token(meta: &Object) -> Result<(), Fault> {
    let Some(token) = meta.get("progressToken") else { return Ok(()) };
    let scalar = matches!(token.first(), Some(b'"' | b'-' | b'0'..=b'9'));
    if scalar && token.len() <= PROGRESS_TOKEN_BYTES_MAX {
        return Ok(());
    }
    Err(Fault::Params("`_meta.progressToken` is neither a short string nor a number"))
}
