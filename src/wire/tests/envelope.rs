//! The JSON-RPC envelope: kinds of messages, ids, and what is none of them.

use std::collections::HashSet;

use super::{read, reason, refused, request};
use crate::model::reason::Reason;
use crate::wire::{Fault, ID_BYTES_MAX, Id, Message, Method, Outcome, encode};

#[test]
fn a06_f53_a_batch_is_refused_as_one() {
    for body in [
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
        " \n\t [{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{\"name\":\"a\"}}]",
        "[]",
        "[[]]",
    ] {
        let malformed = refused(body);
        assert_eq!((malformed.reason, malformed.code()), (Reason::BatchForbidden, -32_600), "{body}");
        assert_eq!(malformed.id, None, "a batch has no id");
    }
    assert_eq!(reason("\u{feff}[]"), Reason::JsonInvalid);
}

#[test]
fn messages_are_told_apart() {
    let Ok(Message::Request(request)) = read(r#"{"id":"a","method":"tools/list","jsonrpc":"2.0"}"#) else {
        panic!("a request")
    };
    assert_eq!((request.method, request.id.raw()), (Method::ToolsList, "\"a\""));
    let Ok(Message::Notification(notification)) =
        read(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#)
    else {
        panic!("a notification")
    };
    assert_eq!(notification.method, Method::Initialized);
    let Ok(Message::Response(response)) = read(r#"{"jsonrpc":"2.0","id":0,"result":{"a":1.0}}"#) else {
        panic!("a response")
    };
    assert_eq!(response.id.and_then(|id| id.number()), Some(0));
    assert!(matches!(response.outcome, Outcome::Result(raw) if raw == r#"{"a":1.0}"#));
}

#[test]
fn what_is_no_message_is_refused_with_the_id_it_has() {
    for body in [
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":7,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":7,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":1}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":"x"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","error":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{},"params":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":"no"}"#,
        r#"{"jsonrpc":"2.0","id":7,"error":null}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"ping","extra":1}"#,
    ] {
        let malformed = refused(body);
        assert_eq!((malformed.reason, malformed.code()), (Reason::EnvelopeInvalid, -32_600), "{body}");
        assert_eq!(malformed.id, Some(Id::from(7)), "{body}");
    }
    for body in ["1", "null", "\"x\"", "true", "{}"] {
        assert_eq!((reason(body), refused(body).id), (Reason::EnvelopeInvalid, None), "{body}");
    }
}

#[test]
fn f29_ids_are_strings_or_integers() {
    for id in ["null", "1.0", "1.5", "1e3", "{}", "[1]", "true", "{\"a\":1}", "-1.0"] {
        let malformed = refused(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call"}}"#));
        assert_eq!(
            (malformed.reason, &malformed.id, malformed.code()),
            (Reason::IdInvalid, &None, -32_600),
            "{id}"
        );
    }
    for id in ["0", "-1", "\"\"", "\"1\"", "9007199254740993", "123456789012345678901234567890"] {
        let request = request(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#));
        assert_eq!(request.id.raw(), id, "the echo is what came");
        let echo = encode::result(&request.id, b"{}");
        assert_eq!(echo, format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#));
    }
    let ids: HashSet<Id> =
        ["1", "\"1\"", "\"\\u0031\"", "-0", "0"].iter().map(|id| Id::parse(id).unwrap()).collect();
    assert_eq!(ids.len(), 3);
}

#[test]
fn a10_an_id_of_five_megabytes_is_not_echoed() {
    let id = "x".repeat(5 << 20);
    let malformed = refused(format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"tools/call"}}"#));
    assert_eq!((malformed.reason, &malformed.id), (Reason::IdInvalid, &None));
    assert!(malformed.to_string().len() < ID_BYTES_MAX);
}

#[test]
fn an_id_read_before_the_fault_is_kept_unless_it_is_in_doubt() {
    let doubled = r#"{"jsonrpc":"2.0","id":"q","method":"tools/call","params":{"name":1,"name":2}}"#;
    assert_eq!(refused(doubled).id, Some(Id::parse("\"q\"").unwrap()));
    let two_ids = r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#;
    assert_eq!(refused(two_ids).id, None);
    let no_json = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{]}"#;
    assert_eq!((reason(no_json), refused(no_json).id), (Reason::JsonInvalid, None));
}

#[test]
fn f32_an_error_may_answer_nobody_and_a_result_may_not() {
    for id in ["", r#""id":null,"#] {
        let Ok(Message::Response(response)) =
            read(format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":-32700}}}}"#))
        else {
            panic!("a response")
        };
        assert_eq!(response.id, None);
        assert_eq!(reason(format!(r#"{{"jsonrpc":"2.0",{id}"result":{{}}}}"#)), Reason::IdInvalid);
    }
}

#[test]
fn a23_a_method_that_mcp_does_not_define_is_unknown() {
    for name in [
        "tools/call2",
        "experimental/x",
        "Tools/call",
        "tools/call ",
        "tools/call\u{0}",
        "",
        "tools\u{2215}call",
    ] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":{}}}"#, serde_json::to_string(name).unwrap());
        let request = request(body);
        assert!(matches!(request.method, Method::Unknown(_)), "{name:?}");
        assert_eq!((request.method.code(), request.method.name()), ("unknown", name));
    }
    let long = request(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{}"}}"#, "m".repeat(1 << 20)));
    assert!(long.method.name().len() <= 128);
}

#[test]
fn a_request_sent_as_a_notification_executes_nothing() {
    let Ok(Message::Notification(sent)) =
        read(r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#)
    else {
        panic!("a notification")
    };
    assert!(matches!(sent.method, Method::Unknown(_)));
    let asked = request(r#"{"jsonrpc":"2.0","id":1,"method":"notifications/initialized"}"#);
    assert!(matches!(asked.method, Method::Unknown(_)));
}

#[test]
fn meta_is_an_object_and_its_progress_token_a_short_scalar() {
    let with_meta = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"_meta":{meta}}}}}"#)
    };
    for meta in ["1", "null", "[]", "\"x\""] {
        assert_eq!(refused(with_meta(meta)).fault, Fault::Params("`_meta` is not an object"), "{meta}");
    }
    let long = format!("\"{}\"", "x".repeat(300));
    for token in ["null", "{}", "[1]", "true", &long] {
        let malformed = refused(with_meta(&format!(r#"{{"progressToken":{token}}}"#)));
        assert_eq!((malformed.reason, malformed.code()), (Reason::ParamsInvalid, -32_602), "{token}");
    }
    for token in ["0", "\"\"", "1.5", "\"t\""] {
        request(with_meta(&format!(r#"{{"progressToken":{token}}}"#)));
    }
}

#[test]
fn members_named_like_parts_of_the_message_elsewhere_are_data() {
    // `params` and `_meta` are what they are only where they belong.
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"_meta":{"progressToken":{}}},"params":{"_meta":1},"result":{"_meta":2}}}"#;
    let params = request(body).params.unwrap();
    assert!(params.meta().is_none());
    assert_eq!(params.get("params").unwrap(), r#"{"_meta":1}"#);
    let Ok(Message::Response(response)) =
        read(r#"{"jsonrpc":"2.0","id":1,"result":{"_meta":{"Name":1},"x":[{"_meta":0}]}}"#)
    else {
        panic!("a response")
    };
    assert!(response.facts().is_ok());
}

#[test]
fn f31_the_id_that_is_cancelled_is_the_one_that_was_given() {
    for (raw, id) in [("7", Id::from(7)), ("\"7\"", Id::parse("\"7\"").unwrap())] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{raw}}}}}"#
        );
        let Ok(Message::Notification(cancelled)) = read(body) else { panic!("a notification") };
        let params = cancelled.params.unwrap();
        assert_eq!(params.id("requestId"), Some(Ok(id)));
        assert_eq!(params.id("reason"), None);
    }
    let null = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":null}}"#;
    let Ok(Message::Notification(cancelled)) = read(null) else { panic!("a notification") };
    assert_eq!(cancelled.params.unwrap().id("requestId"), Some(Err(Fault::Id)));
}
