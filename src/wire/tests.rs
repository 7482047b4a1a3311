//! Tests of the whole room, named after the cases of faults and attacks that they hold.

mod envelope;
mod forwarding;
mod framing;
mod headers;
mod method;
mod parser;
mod properties;
mod result;
mod tool;
mod traced;

use bytes::Bytes;

use super::{Malformed, Message, Params, Request, ScanLimits, parse};
use crate::model::reason::Reason;

fn read(body: impl AsRef<[u8]>) -> Result<Message, Malformed> {
    parse(Bytes::copy_from_slice(body.as_ref()), &ScanLimits::default())
}

#[track_caller]
fn refused(body: impl AsRef<[u8]>) -> Malformed {
    read(body).expect_err("this has to be refused")
}

#[track_caller]
fn reason(body: impl AsRef<[u8]>) -> Reason {
    refused(body).reason
}

#[track_caller]
fn request(body: impl AsRef<[u8]>) -> Request {
    match read(body) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

/// A call with these `params`.
fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#)
}

/// A call with these `arguments`.
fn with_arguments(arguments: &str) -> String {
    call(&format!(r#"{{"name":"a","arguments":{arguments}}}"#))
}

#[track_caller]
fn params(params: &str) -> Params {
    request(call(params)).params.expect("params")
}
