//! Results: what they say, and what revisions differ in.

use bytes::Bytes;

use super::read;
use crate::wire::result::{ResultFacts, ResultType, error_code, for_revision, inspect, texts_differ};
use crate::wire::{Fault, Message, Revision};

fn facts(raw: &'static str) -> Result<ResultFacts, Fault> {
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{raw}}}"#);
    let Ok(Message::Response(response)) = read(body) else { panic!("a response") };
    let inspected = inspect(&Bytes::from_static(raw.as_bytes()));
    assert_eq!(inspected, response.facts(), "both ways of looking see the same");
    inspected
}

#[test]
fn a_result_says_what_it_is() {
    let plain = facts(r#"{"content":[]}"#).unwrap();
    assert!(!plain.is_error && plain.has_content && !plain.has_structured_content);
    assert_eq!(plain.result_type, ResultType::Complete);
    assert!(facts(r#"{"content":[],"isError":true}"#).unwrap().is_error);
    assert!(facts(r#"{"\u0069sError":true}"#).unwrap().is_error);
    assert!(!facts(r#"{"content":[{"isError":true}],"_meta":{"isError":true}}"#).unwrap().is_error);
    assert!(facts(r#"{"structuredContent":null}"#).unwrap().has_structured_content);
    assert_eq!(facts(r#"{"resultType":"input_required"}"#).unwrap().result_type, ResultType::InputRequired);
    assert!(matches!(facts(r#"{"resultType":"task"}"#).unwrap().result_type, ResultType::Other(_)));
}

#[test]
fn f14_an_empty_result_is_seen_to_be_empty() {
    assert!(!facts("{}").unwrap().has_content);
}

#[test]
fn a_result_that_is_none_is_refused() {
    for raw in
        ["null", "[]", "1", "\"x\"", r#"{"isError":"true"}"#, r#"{"isError":null}"#, r#"{"resultType":1}"#]
    {
        assert!(matches!(facts(raw), Err(Fault::Result(_))), "{raw}");
    }
}

#[test]
fn revisions_differ_in_result_type_alone() {
    let cases = [
        ("{}", r#"{"resultType":"complete"}"#, "{}"),
        ("{ }", r#"{"resultType":"complete" }"#, "{ }"),
        (r#"{ "a" : 1e400 }"#, r#"{"resultType":"complete", "a" : 1e400 }"#, r#"{ "a" : 1e400 }"#),
        (r#"{"resultType":"complete"}"#, r#"{"resultType":"complete"}"#, "{}"),
        (r#"{"resultType":"complete","a":1}"#, r#"{"resultType":"complete","a":1}"#, r#"{"a":1}"#),
        (r#"{"a":1, "resultType":"x" }"#, r#"{"a":1, "resultType":"x" }"#, r#"{"a":1 }"#),
        (
            r#"{"a":{"resultType":1},"b":[]}"#,
            r#"{"resultType":"complete","a":{"resultType":1},"b":[]}"#,
            r#"{"a":{"resultType":1},"b":[]}"#,
        ),
        ("[1]", "[1]", "[1]"),
    ];
    for (raw, modern, legacy) in cases {
        let raw = Bytes::from_static(raw.as_bytes());
        assert_eq!(for_revision(&raw, "tools/call", Revision::V2026_07_28), modern);
        assert_eq!(for_revision(&raw, "tools/call", Revision::V2025_11_25), legacy);
        assert_eq!(for_revision(&raw, "tools/call", Revision::V2024_11_05), legacy);
    }
}

#[test]
fn what_may_be_cached_is_for_one_caller_alone() {
    let read = |raw: &'static str| for_revision(&raw.into(), "resources/read", Revision::V2026_07_28);
    assert_eq!(
        read(r#"{"contents":[]}"#),
        r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private","contents":[]}"#
    );
    assert_eq!(
        read(r#"{"resultType":"complete","ttlMs":7,"cacheScope":"public","contents":[]}"#),
        r#"{"cacheScope":"private","resultType":"complete","ttlMs":7,"contents":[]}"#
    );
    assert_eq!(
        read(r#"{"cacheScope":"public"}"#),
        r#"{"resultType":"complete","ttlMs":0,"cacheScope":"private"}"#
    );
}

#[test]
fn an_error_says_its_code_where_it_has_one() {
    let code = |raw: &'static str| error_code(&Bytes::from_static(raw.as_bytes()));
    assert_eq!(code(r#"{"code":-32602,"message":"x","data":{"code":1}}"#), Some(-32_602));
    for raw in ["{}", r#"{"code":"1"}"#, r#"{"code":1.5}"#, r#"{"code":99999999999999999999}"#, "[]"] {
        assert_eq!(code(raw), None, "{raw}");
    }
}

#[test]
fn a68_text_that_is_another_value_than_the_structured_content_is_seen() {
    let differs = |raw: &'static str| texts_differ(&Bytes::from_static(raw.as_bytes()));
    let same =
        r#"{"content":[{"type":"text","text":"{ \"b\": 2, \"a\": 1 }"}],"structuredContent":{"a":1,"b":2}}"#;
    assert!(!differs(same));
    assert!(differs(r#"{"content":[{"type":"text","text":"{\"a\":2}"}],"structuredContent":{"a":1}}"#));
    // One of several that is the same is enough, and what is for people is no value.
    let several = r#"{"content":[{"type":"text","text":"[1]"},{"type":"text","text":"{\"a\":1}"}],"structuredContent":{"a":1}}"#;
    assert!(!differs(several));
    assert!(!differs(r#"{"content":[{"type":"text","text":"Done."}],"structuredContent":{"a":1}}"#));
    assert!(!differs(r#"{"content":[{"type":"text","text":"{\"a\":2}"}]}"#));
}
