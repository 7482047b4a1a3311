//! Headers of 2026-07-28 against the body.

use bytes::Bytes;

use super::request;
use crate::wire::headers::{self, Presented};
use crate::wire::tool::ParamHeader;
use crate::wire::{Fault, HeaderFlaw, Request};

const META: &str = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn modern(method: &str, params: &str) -> Request {
    request(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{"_meta":{META}{params}}}}}"#))
}

fn values(texts: &[&str]) -> Vec<Bytes> {
    texts.iter().map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
}

/// Checks `request` with these values of `MCP-Protocol-Version`, `Mcp-Method` and `Mcp-Name`.
fn check(request: &Request, version: &[&str], method: &[&str], name: &[&str]) -> Result<(), Fault> {
    let (version, method, name) = (values(version), values(method), values(name));
    headers::check(request, &Presented { version: &version, method: &method, name: &name })
}

#[track_caller]
fn assert_mismatch(outcome: Result<(), Fault>, expected: HeaderFlaw) {
    match outcome {
        Err(Fault::Header { flaw, .. }) => assert_eq!(flaw, expected),
        other => panic!("{other:?}"),
    }
    assert_eq!(outcome.unwrap_err().code(), -32_020);
}

#[test]
fn a13_headers_that_repeat_the_body_pass() {
    let call = modern("tools/call", r#","name":"mail__send""#);
    assert_eq!(check(&call, &["2026-07-28"], &["tools/call"], &["mail__send"]), Ok(()));
    assert_eq!(check(&modern("tools/list", ""), &["2026-07-28"], &["tools/list"], &[]), Ok(()));
    let read = modern("resources/read", r#","uri":"file:///Hello, 世界""#);
    let name = headers::encode("file:///Hello, 世界");
    assert_eq!(check(&read, &["2026-07-28"], &["resources/read"], &[&name]), Ok(()));
    let task = modern("tasks/get", r#","taskId":"t1""#);
    assert_eq!(check(&task, &["2026-07-28"], &["tasks/get"], &["t1"]), Ok(()));
    let unknown = modern("acme/x", r#","name":"y""#);
    assert_eq!(check(&unknown, &["2026-07-28"], &["acme/x"], &[]), Ok(()), "refused later, as unknown");
}

#[test]
fn a13_each_header_that_is_missing_doubled_or_different_is_refused() {
    use HeaderFlaw::{Differs, Duplicated, Missing, Orphan, Undecodable};
    let call = modern("tools/call", r#","name":"mail__send""#);
    let (v, m, n): (&[&str], &[&str], &[&str]) = (&["2026-07-28"], &["tools/call"], &["mail__send"]);
    assert_mismatch(check(&call, &[], m, n), Missing);
    assert_mismatch(check(&call, v, &[], n), Missing);
    assert_mismatch(check(&call, v, m, &[]), Missing);
    assert_mismatch(check(&call, &["2026-07-28", "2026-07-28"], m, n), Duplicated);
    assert_mismatch(check(&call, v, &["tools/call", "tools/list"], n), Duplicated);
    assert_mismatch(check(&call, v, m, &["mail__send", "mail__read"]), Duplicated);
    assert_mismatch(check(&call, v, &["tools/list"], n), Differs);
    assert_mismatch(check(&call, v, &["Tools/Call"], n), Differs);
    for name in ["mail__read", "Mail__send", "mail__send ", "", "mail__send,x"] {
        assert_mismatch(check(&call, v, m, &[name]), Differs);
    }
    for name in ["=?base64?!!?=", "=?base64?bWFpbA?=", "=?base64?//8=?=", "m\u{e9}"] {
        assert_mismatch(check(&call, v, m, &[name]), Undecodable);
    }
    // A name where the body has none (an orphan that an intermediary may have routed by).
    assert_mismatch(check(&modern("tools/call", ""), v, m, n), Orphan);
    assert_mismatch(check(&modern("tools/list", ""), v, &["tools/list"], n), Orphan);
}

#[test]
fn a14_f54_the_version_of_header_and_meta_is_one() {
    let list = modern("tools/list", "");
    assert_mismatch(check(&list, &["2025-11-25"], &["tools/list"], &[]), HeaderFlaw::Differs);
    assert_mismatch(check(&list, &["2026-07-28 "], &["tools/list"], &[]), HeaderFlaw::Differs);
    let other = request(format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{}}}}}"#,
        META.replace("2026-07-28", "2099-01-01")
    ));
    assert_eq!(
        check(&other, &["2099-01-01"], &["tools/list"], &[]),
        Ok(()),
        "agrees with itself; refused later"
    );
    assert_eq!(headers::claimed_revision(other.params.as_ref()), Some(Ok("2099-01-01".to_owned())));
}

#[test]
fn f54_meta_has_to_be_whole_before_headers_count() {
    for meta in [
        "{}",
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#,
        r#"{"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":{}}"#,
        r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#,
    ] {
        let list = request(format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"_meta":{meta}}}}}"#
        ));
        let fault = check(&list, &[], &[], &[]).unwrap_err();
        assert_eq!(fault.code(), -32_602, "{meta}");
    }
    let bare = request(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#);
    assert_eq!(check(&bare, &[], &[], &[]).unwrap_err().code(), -32_602);
    assert_eq!(headers::claimed_revision(bare.params.as_ref()), None);
}

#[test]
fn header_values_come_back_as_they_went() {
    let long = "x".repeat(1000);
    for text in
        ["", "a", "a b", " a", "a\t", "世界", "=?base64?YQ==?=", "\u{0}", "a\r\nX: y", "=?base64?", &long]
    {
        let value = headers::encode(text);
        assert!(value.bytes().all(|byte| (0x20..=0x7e).contains(&byte)), "{value:?}");
        assert_eq!(headers::decode(value.as_bytes()).as_deref(), Some(text));
    }
    assert_eq!(headers::encode("Hello, 世界"), "=?base64?SGVsbG8sIOS4lueVjA==?=");
    assert_eq!(
        headers::decode(b"=?BASE64?YQ==?="),
        Some("=?BASE64?YQ==?=".to_owned()),
        "the marker has one case"
    );
    assert_eq!(headers::decode(b"=?base64?YR==?="), None, "base64 has one spelling");
    assert_eq!(headers::decode(b"a\x7f"), None);
}

fn check_params(arguments: &str, presented: &[(&str, &str)]) -> Result<(), Fault> {
    let declared = [
        ParamHeader { header: "region".to_owned(), path: vec!["region".to_owned()] },
        ParamHeader { header: "size".to_owned(), path: vec!["disk".to_owned(), "size".to_owned()] },
    ];
    let presented: Vec<(String, Bytes)> = presented
        .iter()
        .map(|(header, value)| ((*header).to_owned(), Bytes::copy_from_slice(value.as_bytes())))
        .collect();
    headers::check_params(Some(&Bytes::copy_from_slice(arguments.as_bytes())), &declared, &presented)
}

#[test]
fn a13_param_headers_repeat_their_arguments() {
    let arguments = r#"{"region":"eu \u4e16","disk":{"size":42},"x":1}"#;
    let region = headers::encode("eu 世");
    assert_eq!(check_params(arguments, &[("region", &region), ("size", "42")]), Ok(()));
    assert_eq!(check_params(arguments, &[("size", "42"), ("region", &region), ("other", "x")]), Ok(()));
    assert_eq!(check_params("{}", &[]), Ok(()));
    assert_eq!(check_params(r#"{"region":null,"disk":7}"#, &[]), Ok(()), "null and unreachable are absent");
    assert_eq!(check_params(r#"{"region":["eu"]}"#, &[]), Ok(()), "a container has no text");
    assert_eq!(check_params(r#"{"region":true}"#, &[("region", "true")]), Ok(()));
    for (number, header) in [
        ("42.0", "42"),
        ("42", "42.0"),
        ("4.2e1", "42"),
        ("-0", "0"),
        ("9007199254740993", "9007199254740993"),
        ("1e21", "1e+21"),
    ] {
        let arguments = format!(r#"{{"disk":{{"size":{number}}}}}"#);
        assert_eq!(check_params(&arguments, &[("size", header)]), Ok(()), "{number} {header}");
    }
}

#[test]
fn a13_each_param_header_that_is_missing_doubled_different_or_orphan_is_refused() {
    use HeaderFlaw::{Differs, Duplicated, Missing, Orphan, Undecodable};
    let arguments = r#"{"region":"eu"}"#;
    assert_mismatch(check_params(arguments, &[]), Missing);
    assert_mismatch(check_params(arguments, &[("region", "us")]), Differs);
    assert_mismatch(check_params(arguments, &[("region", "EU")]), Differs);
    assert_mismatch(check_params(arguments, &[("region", "eu"), ("region", "eu")]), Duplicated);
    assert_mismatch(check_params(arguments, &[("region", "=?base64??")]), Differs);
    assert_mismatch(check_params(arguments, &[("region", "=?base64?x?=")]), Undecodable);
    assert_mismatch(check_params(arguments, &[("region", "eu"), ("size", "1")]), Orphan);
    assert_mismatch(check_params("{}", &[("region", "eu")]), Orphan);
    assert_mismatch(check_params(r#"{"region":null}"#, &[("region", "null")]), Orphan);
    assert_mismatch(check_params(r#"{"region":{}}"#, &[("region", "{}")]), Orphan);
    for (number, header) in [
        ("9007199254740993", "9007199254740992"),
        ("1", "-1"),
        ("1", "01x"),
        ("1", ""),
        ("10", "1"),
        ("1e400", "Infinity"),
        ("0", ""),
    ] {
        let arguments = format!(r#"{{"disk":{{"size":{number}}}}}"#);
        assert_mismatch(check_params(&arguments, &[("size", header)]), Differs);
    }
}
