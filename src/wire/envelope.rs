//! The JSON-RPC 2.0 envelope: which kind of message it is, what it asks, and its parts, raw.
//!
//! Must never accept a member that JSON-RPC does not have, nor an array. It trusts the scanner's outline
//! and nothing else.

use bytes::Bytes;

use crate::model::reason::Reason;

use super::fault::Fault;
use super::id::Id;
use super::method::{Kind, Method};
use super::object::{Entry, Object, value_text};
use super::outline::{Outline, Part};
use super::params::{Params, check_key};
use super::result::{self, ResultFacts};
use super::scan::{self, Container, Flaw, ScanLimits};

/// The members that a JSON-RPC 2.0 message may have.
const MEMBERS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// One message.
#[derive(Debug, Clone)]
pub enum Message {
    /// It wants an answer.
    Request(Request),
    /// It wants none.
    Notification(Notification),
    /// It is one.
    Response(Response),
}

/// A message that wants an answer.
#[derive(Debug, Clone)]
pub struct Request {
    /// What its sender calls it.
    pub id: Id,
    /// What it asks. A notification's method is [`Method::Unknown`] here.
    pub method: Method,
    /// With what.
    pub params: Option<Params>,
}

/// A message that wants no answer.
#[derive(Debug, Clone)]
pub struct Notification {
    /// What it says. A request's method is [`Method::Unknown`] here: without an id nothing is executed.
    pub method: Method,
    /// With what.
    pub params: Option<Params>,
}

/// An answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The request that is answered; `None` in an error about what could not be read (JSON-RPC 2.0 §5).
    pub id: Option<Id>,
    /// The answer.
    pub outcome: Outcome,
    /// The members of `result`, noted in the same pass; `None` where it is no object.
    result: Option<Object>,
}

impl Response {
    /// What the result of a method says about itself, without another look at its bytes.
    ///
    /// # Errors
    /// [`Fault::Result`] where `result` is not what MCP calls a result, or the response is an error.
    pub fn facts(&self) -> Result<ResultFacts, Fault> {
        result::facts(self.result.as_ref().ok_or(Fault::Result("it is not an object"))?)
    }
}

/// The answer in a response.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The value of `result`, raw.
    Result(Bytes),
    /// The value of `error`, raw; an object.
    Error(Bytes),
}

/// A message that is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault} (at byte {at})")]
pub struct Malformed {
    /// The reason code it is refused under.
    pub reason: Reason,
    /// The request's id where it could be read, for the reply.
    pub id: Option<Id>,
    /// What is wrong.
    pub fault: Fault,
    /// Where it was found: the byte counted from the first, or the end for what concerns the whole.
    pub at: usize,
}

impl Malformed {
    /// The JSON-RPC error code of the reply.
    #[must_use]
    pub const fn code(&self) -> i64 {
        self.fault.code()
    }

    /// What is wrong with more than one message.
    pub(super) fn whole(fault: Fault, at: usize) -> Self {
        Self::new(fault, at, None)
    }

    fn new(fault: Fault, at: usize, id: Option<Id>) -> Self {
        Self { reason: fault.reason(), id, fault, at }
    }
}

/// Reads one message: strict, in one pass, within `limits`.
///
/// # Errors
/// [`Malformed`] says what is wrong and where, and the id that a reply has to name.
pub fn parse(body: Bytes, limits: &ScanLimits) -> Result<Message, Malformed> {
    let document = match std::str::from_utf8(&body) {
        Ok(document) => document,
        Err(error) => return Err(Malformed::new(Fault::Utf8, error.valid_up_to(), None)),
    };
    let mut outline = Outline::default();
    if let Err(Flaw { fault, at }) = scan::scan(document, limits, &mut outline) {
        // Of what is no JSON at all nothing is believed, not even an id (JSON-RPC 2.0 §5.1).
        let readable = fault.reason() != Reason::JsonInvalid;
        let id = readable.then(|| early_id(&body, outline.envelope)).flatten();
        return Err(Malformed::new(fault, at, id));
    }
    match outline.root {
        Some(Container::Object) => {}
        Some(Container::Array) => return Err(Malformed::new(Fault::Batch, 0, None)),
        None => return Err(Malformed::new(Fault::Envelope("not an object"), 0, None)),
    }
    let parts = Parts {
        envelope: Object { source: body.clone(), span: 0..body.len(), entries: outline.envelope },
        params: outline.params.map(|part| object(&body, part)),
        meta: outline.meta.map(|part| object(&body, part)),
        result: outline.result.map(|part| object(&body, part)),
    };
    let id = parts.id();
    let for_reply = id.as_ref().ok().cloned().flatten();
    message(parts, id).map_err(|fault| Malformed::new(fault, body.len(), for_reply))
}

/// The id of a message whose scan was broken off, if it had been read by then.
fn early_id(body: &Bytes, entries: Vec<Entry>) -> Option<Id> {
    let seen = Object { source: body.clone(), span: 0..body.len(), entries };
    // With two ids neither is the request's.
    if seen.keys().filter(|key| *key == "id").count() != 1 {
        return None;
    }
    let raw = seen.get("id")?;
    Id::parse(std::str::from_utf8(&raw).ok()?).ok()
}

fn object(body: &Bytes, part: Part) -> Object {
    Object { source: body.clone(), span: part.span, entries: part.entries }
}

struct Parts {
    envelope: Object,
    params: Option<Object>,
    meta: Option<Object>,
    result: Option<Object>,
}

impl Parts {
    /// The id; `None` where there is none or it is null.
    fn id(&self) -> Result<Option<Id>, Fault> {
        let Some(raw) = self.envelope.get("id") else { return Ok(None) };
        if raw.as_ref() == b"null" {
            return Ok(None);
        }
        Id::parse(std::str::from_utf8(&raw).map_err(|_| Fault::Utf8)?).map(Some)
    }

    fn params(self, method: &Method) -> Result<Option<Params>, Fault> {
        match self.params {
            Some(members) => Params::new(members, self.meta, method).map(Some),
            None if self.envelope.entry("params").is_some() => {
                Err(Fault::Envelope("`params` is not an object"))
            }
            None => Ok(None),
        }
    }
}

fn message(parts: Parts, id: Result<Option<Id>, Fault>) -> Result<Message, Fault> {
    for key in parts.envelope.keys() {
        check_key(key, MEMBERS)?;
        if !MEMBERS.contains(&key) {
            return Err(Fault::Envelope("a member that JSON-RPC does not have"));
        }
    }
    if parts.envelope.text("jsonrpc") != Some(Ok("2.0".to_owned())) {
        return Err(Fault::Envelope("`jsonrpc` is not \"2.0\""));
    }
    let id = id?;
    let Some(method) = parts.envelope.get("method") else { return response(parts, id) };
    if parts.envelope.entry("result").is_some() || parts.envelope.entry("error").is_some() {
        return Err(Fault::Envelope("request and response at once"));
    }
    let method = value_text(&method).map_err(|_| Fault::Envelope("`method` is not a string"))?;
    match id {
        Some(id) => {
            let method = Method::of(&method, Kind::Request);
            let params = parts.params(&method)?;
            Ok(Message::Request(Request { id, method, params }))
        }
        // An id that is there and null is not the same as none (MCP, every revision, "Requests").
        None if parts.envelope.entry("id").is_some() => Err(Fault::Id),
        None => {
            let method = Method::of(&method, Kind::Notification);
            let params = parts.params(&method)?;
            Ok(Message::Notification(Notification { method, params }))
        }
    }
}

fn response(parts: Parts, id: Option<Id>) -> Result<Message, Fault> {
    if parts.envelope.entry("params").is_some() {
        return Err(Fault::Envelope("`params` without `method`"));
    }
    let outcome = match (parts.envelope.get("result"), parts.envelope.get("error")) {
        (Some(result), None) if id.is_some() => Outcome::Result(result),
        (Some(_), None) => return Err(Fault::Id),
        (None, Some(error)) if error.first() == Some(&b'{') => Outcome::Error(error),
        (None, Some(_)) => return Err(Fault::Envelope("`error` is not an object")),
        (Some(_), Some(_)) => return Err(Fault::Envelope("`result` and `error` at once")),
        (None, None) => return Err(Fault::Envelope("neither `method`, `result` nor `error`")),
    };
    Ok(Message::Response(Response { id, outcome, result: parts.result }))
}
