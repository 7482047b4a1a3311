//! Messages that the gateway writes itself, around parts that it hands on as they came.
//!
//! Must never be given a part that was not scanned: raw parts are copied in unseen.

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::call::Payload;

use super::id::Id;
use super::method::Method;
use super::text;

/// What an envelope needs beside its parts, in bytes; only a hint for the allocation.
const ENVELOPE_BYTES: usize = 128;

/// A request of the gateway's own to an upstream. `params` is one JSON object.
#[must_use]
pub fn request(id: u64, method: &Method, params: Option<&[u8]>) -> Bytes {
    let mut out = begin(params.map_or(0, <[u8]>::len));
    put_number_member(&mut out, b"\"id\":", id);
    put_method(&mut out, method);
    put_params(&mut out, params);
    end(out)
}

/// A request under an id of somebody else. `params` is one JSON object.
#[must_use]
pub fn request_as(id: &Id, method: &Method, params: &[u8]) -> Bytes {
    let mut out = begin(id.raw().len() + params.len());
    out.put_slice(b",\"id\":");
    out.put_slice(id.raw().as_bytes());
    put_method(&mut out, method);
    put_params(&mut out, Some(params));
    end(out)
}

/// A request that is forwarded: `payload` as it is, its progress token replaced by `id`, so that the
/// tokens of two clients never meet at an upstream (I9).
#[must_use]
pub fn forward(id: u64, payload: &Payload) -> Bytes {
    let hole = payload.progress_token.clone().unwrap_or(0..0);
    let mut out = begin(payload.bytes.len());
    put_number_member(&mut out, b"\"id\":", id);
    put_method_name(&mut out, payload.method);
    out.put_slice(b",\"params\":");
    if hole.is_empty() {
        out.put_slice(&payload.bytes);
    } else {
        out.put_slice(payload.bytes.get(..hole.start).unwrap_or_default());
        put_number(&mut out, id);
        out.put_slice(payload.bytes.get(hole.end..).unwrap_or_default());
    }
    end(out)
}

/// A notification. `params` is one JSON object.
#[must_use]
pub fn notification(method: &Method, params: Option<&[u8]>) -> Bytes {
    let mut out = begin(params.map_or(0, <[u8]>::len));
    put_method(&mut out, method);
    put_params(&mut out, params);
    end(out)
}

/// The answer to the request `id`. `result` is one JSON value.
#[must_use]
pub fn result(id: &Id, result: &[u8]) -> Bytes {
    answer(id, b",\"result\":", result)
}

/// The answer of an upstream that was an error, handed on: `error` is its raw value.
#[must_use]
pub fn raw_error(id: &Id, error: &[u8]) -> Bytes {
    answer(id, b",\"error\":", error)
}

/// An error. Without an id the member is left out: JSON-RPC asks for null there, and the official
/// TypeScript client refuses the whole message if it finds it.
#[must_use]
pub fn error(id: Option<&Id>, code: i64, message: &str, data: Option<&[u8]>) -> Bytes {
    let mut out = begin(message.len() + data.map_or(0, <[u8]>::len));
    if let Some(id) = id {
        out.put_slice(b",\"id\":");
        out.put_slice(id.raw().as_bytes());
    }
    out.put_slice(b",\"error\":{\"code\":");
    out.put_slice(code.to_string().as_bytes());
    out.put_slice(b",\"message\":");
    out.put_slice(&quoted(message));
    if let Some(data) = data {
        out.put_slice(b",\"data\":");
        out.put_slice(data);
    }
    out.put_u8(b'}');
    end(out)
}

/// `text` as a JSON string.
#[must_use]
pub fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    text::push_quoted(&mut out, text);
    out
}

/// `elements`, each a JSON value, as an array.
#[must_use]
pub fn array(elements: &[Bytes]) -> Bytes {
    let mut out =
        BytesMut::with_capacity(elements.iter().map(|element| element.len() + 1).sum::<usize>() + 2);
    out.put_u8(b'[');
    for (at, element) in elements.iter().enumerate() {
        if at > 0 {
            out.put_u8(b',');
        }
        out.put_slice(element);
    }
    out.put_u8(b']');
    out.freeze()
}

fn answer(id: &Id, member: &[u8], value: &[u8]) -> Bytes {
    let mut out = begin(id.raw().len() + value.len());
    out.put_slice(b",\"id\":");
    out.put_slice(id.raw().as_bytes());
    out.put_slice(member);
    out.put_slice(value);
    end(out)
}

fn begin(parts_bytes: usize) -> BytesMut {
    let mut out = BytesMut::with_capacity(ENVELOPE_BYTES + parts_bytes);
    out.put_slice(b"{\"jsonrpc\":\"2.0\"");
    out
}

fn end(mut out: BytesMut) -> Bytes {
    out.put_u8(b'}');
    out.freeze()
}

fn put_method(out: &mut BytesMut, method: &Method) {
    out.put_slice(b",\"method\":");
    out.put_slice(&quoted(method.name()));
}

/// A method of MCP, whose name needs no escapes.
fn put_method_name(out: &mut BytesMut, name: &'static str) {
    out.put_slice(b",\"method\":\"");
    out.put_slice(name.as_bytes());
    out.put_u8(b'"');
}

fn put_params(out: &mut BytesMut, params: Option<&[u8]>) {
    if let Some(params) = params {
        out.put_slice(b",\"params\":");
        out.put_slice(params);
    }
}

fn put_number_member(out: &mut BytesMut, member: &[u8], number: u64) {
    out.put_u8(b',');
    out.put_slice(member);
    put_number(out, number);
}

fn put_number(out: &mut BytesMut, number: u64) {
    out.put_slice(number.to_string().as_bytes());
}
