//! What is forwarded and what the gateway writes itself (I7, I9).

use bytes::Bytes;

use super::params;
use crate::model::call::Payload;
use crate::wire::{Fault, Id, Method, Object, OwnName, StripMeta, encode};

fn sent(raw: &str, strip: StripMeta) -> String {
    let payload = params(raw).payload(&Method::ToolsCall, OwnName::Name("send"), strip, None);
    String::from_utf8(payload.bytes.to_vec()).unwrap()
}

#[test]
fn i7_only_the_name_changes() {
    let raw = "{ \"x\" : 1e400 ,\"arguments\":{\"n\":9007199254740993, \"s\":\"\\u0061\\/\"},\t\"name\" : \"mail__send\" , \"extra\":[ ]}";
    let expected = raw.replace("\"mail__send\"", "\"send\"");
    assert_eq!(sent(raw, StripMeta::Nothing), expected);
    assert_eq!(sent(raw, StripMeta::Modern), expected);
    // However the key is written, and whatever the arguments hold.
    assert_eq!(
        sent(r#"{"\u006eame":"a","arguments":{"name":"a"}}"#, StripMeta::Nothing),
        r#"{"\u006eame":"send","arguments":{"name":"a"}}"#
    );
}

#[test]
fn i7_what_belongs_to_the_hop_goes_and_everything_else_of_meta_stays() {
    const P: &str = "io.modelcontextprotocol/";
    let cases = [
        (format!(r#"{{"{P}protocolVersion":"v"}}"#), "{}"),
        (format!(r#"{{ "{P}protocolVersion" : "v" , "{P}clientInfo" : {{}} }}"#), "{  }"),
        (format!(r#"{{"{P}protocolVersion":"v","a":1}}"#), r#"{"a":1}"#),
        (format!(r#"{{"a":1,"{P}protocolVersion":"v"}}"#), r#"{"a":1}"#),
        (format!(r#"{{"a":1, "{P}logLevel":"v" , "{P}clientCapabilities":{{"x":[]}} }}"#), r#"{"a":1 }"#),
        (
            format!(r#"{{"a":1,"{P}logLevel":"v","b":2,"{P}clientInfo":{{}},"c":3}}"#),
            r#"{"a":1,"b":2,"c":3}"#,
        ),
        (format!(r#"{{"{P}logLevel":"v","{P}clientInfo":{{}}, "b":2}}"#), r#"{"b":2}"#),
        (r#"{"io.modelcontextprotocol\/logLevel":"v","b":2}"#.to_owned(), r#"{"b":2}"#),
        (
            format!(r#"{{"{P}serverInfo":{{}},"{P}related-task":{{}}}}"#),
            r#"{"io.modelcontextprotocol/serverInfo":{},"io.modelcontextprotocol/related-task":{}}"#,
        ),
        (r#"{"traceparent":"00-1-2-01"}"#.to_owned(), r#"{"traceparent":"00-1-2-01"}"#),
        ("{ }".to_owned(), "{ }"),
    ];
    for (meta, stays) in cases {
        let raw = format!(r#"{{"_meta":{meta},"name":"a"}}"#);
        assert_eq!(sent(&raw, StripMeta::Modern), format!(r#"{{"_meta":{stays},"name":"send"}}"#), "{meta}");
        assert_eq!(sent(&raw, StripMeta::Nothing), format!(r#"{{"_meta":{meta},"name":"send"}}"#), "{meta}");
    }
}

#[test]
fn i9_the_progress_token_is_found_and_replaced() {
    for raw in [
        r#"{"name":"a-long-name-before","_meta":{"progressToken":"t"},"x":0}"#,
        r#"{"_meta":{"io.modelcontextprotocol/logLevel":"x","progressToken":"t"},"name":"after"}"#,
        r#"{"_meta":{"progressToken":"t","io.modelcontextprotocol/logLevel":"x"},"name":"after"}"#,
    ] {
        let payload = params(raw).payload(&Method::ToolsCall, OwnName::Name("send"), StripMeta::Modern, None);
        let at = payload.progress_token.clone().unwrap();
        assert_eq!(payload.bytes.slice(at), "\"t\"", "{raw}");
        let sent = encode::forward(42, &payload);
        let sent = String::from_utf8(sent.to_vec()).unwrap();
        assert!(sent.contains(r#""progressToken":42"#), "{sent}");
        assert!(!sent.contains("\"t\""), "{sent}");
        assert!(sent.starts_with(r#"{"jsonrpc":"2.0","id":42,"method":"tools/call","params":{"#), "{sent}");
    }
    let without = params(r#"{"name":"a","arguments":{"_meta":{"progressToken":"t"}}}"#);
    assert_eq!(
        without.payload(&Method::ToolsCall, OwnName::Name("b"), StripMeta::Nothing, None).progress_token,
        None
    );
}

#[test]
fn a_payload_without_a_token_is_sent_as_it_is() {
    let payload = Payload {
        method: "tools/call",
        bytes: Bytes::from_static(br#"{"name":"x"}"#),
        progress_token: None,
        trace: None,
    };
    let sent = encode::forward(1, &payload);
    assert_eq!(sent, r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x"}}"#);
}

#[test]
fn messages_of_the_gateway_are_what_they_say() {
    let listed = encode::request(3, &Method::ToolsList, None);
    assert_eq!(listed, r#"{"jsonrpc":"2.0","id":3,"method":"tools/list"}"#);
    let asked = encode::request(3, &Method::ToolsList, Some(b"{\"cursor\":\"c\"}"));
    assert_eq!(asked, r#"{"jsonrpc":"2.0","id":3,"method":"tools/list","params":{"cursor":"c"}}"#);
    let told = encode::notification(&Method::Initialized, None);
    assert_eq!(told, r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let id = Id::parse("\"\\u0061\"").unwrap();
    let error = encode::error(Some(&id), -32_602, "Unknown tool: a\"\n\u{1b}", Some(b"{}"));
    assert_eq!(
        error,
        r#"{"jsonrpc":"2.0","id":"\u0061","error":{"code":-32602,"message":"Unknown tool: a\"\n\u001b","data":{}}}"#
    );
    assert_eq!(
        encode::error(None, -32_700, "x", None),
        r#"{"jsonrpc":"2.0","error":{"code":-32700,"message":"x"}}"#
    );
    assert_eq!(
        encode::raw_error(&id, b"{\"code\":1}"),
        r#"{"jsonrpc":"2.0","id":"\u0061","error":{"code":1}}"#
    );
}

#[test]
fn parts_are_slices_of_what_came_in() {
    let body = Bytes::from(super::with_arguments(r#"{"x":[1, 2]}"#));
    let within = body.as_ptr_range();
    let request = super::request(&body);
    // `request` copies in these tests: parse the very bytes here.
    drop(request);
    let Ok(crate::wire::Message::Request(request)) = crate::wire::parse(body, &Default::default()) else {
        panic!("a request")
    };
    let arguments = request.params.unwrap().get("arguments").unwrap();
    assert!(within.contains(&arguments.as_ptr()), "no copy was made");
}

#[test]
fn members_are_read_and_replaced_by_their_meaning() {
    let raw = Bytes::from_static(b" {\"progress\\u0054oken\" : 7 , \"message\":\"h\\u00e9\", \"n\":null} ");
    let object = Object::of(&raw).unwrap();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["progressToken", "message", "n"]);
    assert_eq!(object.text("message"), Some(Ok("hé".to_owned())));
    assert_eq!(object.text("n"), Some(Err(Fault::NotText)));
    assert_eq!(object.text("x"), None);
    let back = object.replace("progressToken", b"\"client\"").unwrap();
    assert_eq!(back, "{\"progress\\u0054oken\" : \"client\" , \"message\":\"h\\u00e9\", \"n\":null}");
    assert_eq!(object.replace("x", b"1"), None);
    let of = |raw: &'static str| Object::of(&Bytes::from_static(raw.as_bytes())).unwrap();
    assert_eq!(of(r#"{"a":1, "m":2 ,"b":3e5}"#).with("m", b"9"), r#"{"m":9,"a":1, "b":3e5}"#);
    assert_eq!(of(r#" {"m":2} "#).with("m", b"9"), r#"{"m":9}"#);
    assert_eq!(of("{ }").with("m", b"9"), r#"{"m":9 }"#);
    assert_eq!(of(r#"{"m":2,"a":1}"#).without(&["m"]), r#"{"a":1}"#);
    assert_eq!(Object::of(&Bytes::from_static(b"[1]")).unwrap_err(), Fault::NotObject);
    assert_eq!(Object::of(&Bytes::from_static(b"7")).unwrap_err(), Fault::NotObject);
}
