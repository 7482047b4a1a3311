//! Results that ask for input first (2026-07-28, basic/patterns/mrtr): taken apart, made, and gone on from.
//!
//! Must never change what is asked or answered (I7): questions, answers and states are handed on as they were
//! written. It trusts no count: whoever reads says how many questions there may be.

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::call::Payload;
use crate::model::digest::Sha256;

use super::encode;
use super::fault::Fault;
use super::method::{Kind, Method};
use super::object::Object;
use super::params::Params;
use super::tool::canonical;

/// The member of `params` that holds the answers.
const RESPONSES: &str = "inputResponses";
/// The member of `params` and of a result that says where to go on.
const STATE: &str = "requestState";

/// The members of `params` that go on with an earlier request.
pub(super) const GOING_ON: &[&str] = &[RESPONSES, STATE];

/// What a result asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The questions, in the order they were written.
    pub questions: Vec<Asked>,
    /// The raw value of `requestState`: given back as it is.
    pub state: Option<Bytes>,
}

/// One question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What its answer is to be named by.
    pub key: String,
    /// What is asked: one of the methods that a server may ask.
    pub method: Method,
    /// With what.
    pub params: Option<Bytes>,
}

/// Takes the `input_required` result `raw` apart, which asks at most `questions_max`.
///
/// # Errors
/// [`Fault::Result`] where it is none, or asks what no server may ask.
pub fn wanted(raw: &Bytes, questions_max: usize) -> Result<Wanted, Fault> {
    let invalid = |what| Fault::Result(what);
    let result = Object::of(raw).map_err(|_| invalid("it is not an object"))?;
    let state = result.get(STATE);
    if state.as_ref().is_some_and(|state| state.first() != Some(&b'"')) {
        return Err(invalid("`requestState` is not a string"));
    }
    let questions = match result.get("inputRequests") {
        None => Vec::new(),
        Some(raw) => {
            let asked = Object::of(&raw).map_err(|_| invalid("`inputRequests` is not an object"))?;
            let keys: Vec<_> = asked.keys().map(str::to_owned).collect();
            if keys.len() > questions_max {
                return Err(invalid("it asks too many questions at once"));
            }
            keys.into_iter().map(|key| question(&asked, key)).collect::<Result<_, _>>()?
        }
    };
    Ok(Wanted { questions, state })
}

fn question(asked: &Object, key: String) -> Result<Asked, Fault> {
    let request = asked.get(&key).and_then(|raw| Object::of(&raw).ok());
    let request = request.ok_or(Fault::Result("a question is not an object"))?;
    let method = request.text("method").and_then(Result::ok);
    let method = Method::of(method.as_deref().unwrap_or_default(), Kind::Request);
    if !is_question(&method) {
        return Err(Fault::Result("it asks what no server may ask"));
    }
    Ok(Asked { key, method, params: request.get("params") })
}

/// Whether servers may ask `method` of clients.
#[must_use]
pub const fn is_question(method: &Method) -> bool {
    matches!(method, Method::SamplingCreateMessage | Method::ElicitationCreate | Method::RootsList)
}

/// The result that asks `questions` and names `state` to go on from.
#[must_use]
pub fn required(questions: &[Asked], state: &str) -> Bytes {
    let mut out = BytesMut::new();
    out.put_slice(b"{\"resultType\":\"input_required\",\"inputRequests\":{");
    for (at, asked) in questions.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        out.put_slice(&encode::quoted(&asked.key));
        out.put_slice(b":{\"method\":");
        out.put_slice(&encode::quoted(asked.method.name()));
        if let Some(params) = &asked.params {
            out.put_slice(b",\"params\":");
            out.put_slice(params);
        }
        out.put_u8(b'}');
    }
    out.put_slice(b"},\"requestState\":");
    out.put_slice(&encode::quoted(state));
    out.put_u8(b'}');
    out.freeze()
}

/// `payload`, gone on with: the same request with `answers` by their keys, and the state that was given.
#[must_use]
pub fn resumed(payload: &Payload, answers: &[(String, Bytes)], state: Option<&Bytes>) -> Payload {
    let Ok(params) = Object::of(&payload.bytes) else { return payload.clone() };
    let end = params.span.end.saturating_sub(1);
    let mut out = BytesMut::with_capacity(payload.bytes.len() + 256);
    out.put_slice(payload.bytes.get(..end).unwrap_or_default());
    if !params.entries.is_empty() {
        out.put_u8(b',');
    }
    out.put_slice(b"\"inputResponses\":{");
    for (at, (key, answer)) in answers.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        out.put_slice(&encode::quoted(key));
        out.put_u8(b':');
        out.put_slice(answer);
    }
    out.put_u8(b'}');
    if let Some(state) = state {
        out.put_slice(b",\"requestState\":");
        out.put_slice(state);
    }
    // What came before is where it was, so that the progress token still stands in its place.
    out.put_slice(payload.bytes.get(end..).unwrap_or_default());
    Payload {
        method: payload.method,
        bytes: out.freeze(),
        progress_token: payload.progress_token.clone(),
        trace: payload.trace.clone(),
    }
}

/// What a client says that goes on with a request.
#[derive(Debug, Clone)]
pub struct GoesOn {
    /// The state that it was given.
    pub state: String,
    /// Its answers, by key.
    pub answers: Option<Object>,
}

/// What of `params` goes on with an earlier request; `None` where it begins one.
///
/// # Errors
/// [`Fault::Params`] where what goes on is malformed.
pub fn goes_on(params: &Params) -> Result<Option<GoesOn>, Fault> {
    // Answers without a state are no way to go on with what waits here: see `offered`.
    let Some(state) = params.text(STATE) else { return Ok(None) };
    let state = state.map_err(|_| Fault::Params("`requestState` is not a string"))?;
    let answers = params.get(RESPONSES);
    let answers = answers.map(|raw| Object::of(&raw)).transpose();
    let answers = answers.map_err(|_| Fault::Params("`inputResponses` is not an object"))?;
    Ok(Some(GoesOn { state, answers }))
}

/// The answers that a request brings along without saying what it goes on with.
#[must_use]
pub fn offered(params: &Params) -> Option<Object> {
    Object::of(&params.get(RESPONSES)?).ok()
}

/// One word for what is asked, whatever goes on with it: the method and every member of `params` beside
/// `_meta` and what goes on, in one spelling.
#[must_use]
pub fn request_digest(method: &Method, params: &Params) -> Sha256 {
    let members = params.members();
    let mut keys: Vec<_> = members.keys().filter(|key| *key != "_meta" && !GOING_ON.contains(key)).collect();
    keys.sort_unstable();
    let mut whole = encode::quoted(method.name());
    for key in keys {
        whole.extend_from_slice(&encode::quoted(key));
        let value = members.get(key).unwrap_or_default();
        whole.extend_from_slice(&canonical(&value).unwrap_or_else(|_| value.to_vec()));
    }
    Sha256::of(&whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Message, ScanLimits, parse};

    fn params(raw: &str) -> Params {
        let text = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{raw}}}");
        let Ok(Message::Request(request)) = parse(text.into(), &ScanLimits::default()) else {
            panic!("{raw}")
        };
        request.params.unwrap()
    }

    #[test]
    fn i7_questions_and_states_are_handed_on_as_they_were_written() {
        let raw = br#"{"inputRequests":{"a":{"method":"elicitation/create","params":{"n":1e400}},
            "b":{"method":"roots/list"}},"requestState":"s\u0041","resultType":"input_required"}"#;
        let wanted = wanted(&Bytes::from_static(raw), 2).unwrap();
        assert_eq!(wanted.state.as_deref(), Some(&br#""s\u0041""#[..]));
        assert_eq!(
            required(&wanted.questions, "mine"),
            concat!(
                r#"{"resultType":"input_required","inputRequests":{"a":{"method":"elicitation/create","#,
                r#""params":{"n":1e400}},"b":{"method":"roots/list"}},"requestState":"mine"}"#
            )
        );
        let payload = Payload {
            method: "tools/call",
            bytes: Bytes::from_static(br#"{"_meta":{"progressToken":"t"},"name":"x" }"#),
            progress_token: Some(26..29),
            trace: None,
        };
        let resumed =
            resumed(&payload, &[("a".to_owned(), "{\"action\":\"decline\"}".into())], wanted.state.as_ref());
        assert_eq!(
            resumed.bytes,
            r#"{"_meta":{"progressToken":"t"},"name":"x" ,"inputResponses":{"a":{"action":"decline"}},"requestState":"s\u0041"}"#
        );
        assert_eq!(resumed.bytes.slice(resumed.progress_token.unwrap()), "\"t\"");
    }

    #[test]
    fn what_asks_too_much_or_what_nobody_may_ask_is_refused() {
        let refused = |raw: &'static str| wanted(&raw.into(), 1).is_err();
        for raw in [
            "[]",
            r#"{"requestState":1}"#,
            r#"{"inputRequests":[]}"#,
            r#"{"inputRequests":{"a":1}}"#,
            r#"{"inputRequests":{"a":{"method":"tools/call"}}}"#,
            r#"{"inputRequests":{"a":{}}}"#,
            r#"{"inputRequests":{"a":{"method":"roots/list"},"b":{"method":"roots/list"}}}"#,
        ] {
            assert!(refused(raw), "{raw}");
        }
        assert_eq!(wanted(&"{}".into(), 1).unwrap(), Wanted { questions: Vec::new(), state: None });
    }

    #[test]
    fn a_request_is_the_same_however_it_is_spelled_and_goes_on() {
        let of = |raw: &str| request_digest(&Method::ToolsCall, &params(raw));
        let one = of(r#"{"name":"a","arguments":{"x":1,"y":[2]}}"#);
        assert_eq!(one, of(r#"{ "arguments" : {"y":[2], "x":1}, "name":"\u0061", "_meta":{"a":1}}"#));
        assert_eq!(
            one,
            of(r#"{"name":"a","arguments":{"x":1,"y":[2]},"requestState":"s","inputResponses":{}}"#)
        );
        assert_ne!(one, of(r#"{"name":"a","arguments":{"x":2,"y":[2]}}"#));
        assert_ne!(
            one,
            request_digest(&Method::PromptsGet, &params(r#"{"name":"a","arguments":{"x":1,"y":[2]}}"#))
        );
        assert!(goes_on(&params("{}")).unwrap().is_none());
        assert!(goes_on(&params(r#"{"requestState":1}"#)).is_err());
        assert!(goes_on(&params(r#"{"inputResponses":[],"requestState":"s"}"#)).is_err());
        assert!(goes_on(&params(r#"{"inputResponses":{}}"#)).unwrap().is_none());
        assert_eq!(goes_on(&params(r#"{"requestState":"s"}"#)).unwrap().unwrap().state, "s");
    }
}
