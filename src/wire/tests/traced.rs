//! What is forwarded where the gateway traces: `_meta` says its own span, and every other byte stays (I7).

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::params;
use crate::model::trace::{Sampling, Trace, Traceparent, Tracestate};
use crate::wire::{Method, OwnName, StripMeta, encode};

const OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn trace(state: Option<&str>) -> Arc<Trace> {
    let own = Traceparent::parse(OWN).unwrap();
    Arc::new(Trace {
        id: own.trace,
        span: own.span,
        exchange: own.span,
        parent: None,
        state: state.map(|state| Tracestate::parse(state).unwrap()),
        sampling: Sampling::Recorded,
        began: (Timestamp::UNIX_EPOCH, Duration::ZERO),
    })
}

fn sent(raw: &str, strip: StripMeta, state: Option<&str>) -> String {
    let payload = params(raw).payload(&Method::ToolsCall, OwnName::Name("send"), strip, Some(&trace(state)));
    assert!(payload.trace.is_some());
    String::from_utf8(payload.bytes.to_vec()).unwrap()
}

#[test]
fn i7_only_what_says_the_trace_changes() {
    const P: &str = "io.modelcontextprotocol/";
    let own = format!("\"traceparent\":\"{OWN}\"");
    let both = format!("{own},\"tracestate\":\"a=1\"");
    for (meta, without, with) in [
        // What is there is replaced in its place, however its key is written.
        (
            r#"{ "traceparent" : "x" , "n":1e400 }"#.to_owned(),
            format!("{{ \"traceparent\" : \"{OWN}\" , \"n\":1e400 }}"),
            None,
        ),
        (
            r#"{"n":1,"tracestate":"a=1","traceparent":"x"}"#.to_owned(),
            format!("{{\"n\":1,{own}}}"),
            Some(format!("{{\"n\":1,\"tracestate\":\"a=1\",{own}}}")),
        ),
        (
            r#"{"traceparent":"x", "tracestate":"b=2"}"#.to_owned(),
            format!("{{{own}}}"),
            Some(format!("{{{own}, \"tracestate\":\"a=1\"}}")),
        ),
        (
            r#"{"tracestate":7}"#.to_owned(),
            format!("{{{own}}}"),
            Some(format!("{{{own},\"tracestate\":\"a=1\"}}")),
        ),
        // What is not there comes first.
        ("{ }".to_owned(), format!("{{{own} }}"), Some(format!("{{{both} }}"))),
        (r#"{ "n":1}"#.to_owned(), format!("{{{own}, \"n\":1}}"), Some(format!("{{{both}, \"n\":1}}"))),
        // Between what is of the hop.
        (
            format!(r#"{{"{P}logLevel":"v","traceparent":7,"{P}clientInfo":{{}},"tracestate":"a=1"}}"#),
            format!("{{{own}}}"),
            Some(format!("{{{own},\"tracestate\":\"a=1\"}}")),
        ),
        (format!(r#"{{"{P}logLevel":"v"}}"#), format!("{{{own}}}"), Some(format!("{{{both}}}"))),
        (
            format!(r#"{{"{P}logLevel":"v","n":1}}"#),
            format!("{{{own},\"n\":1}}"),
            Some(format!("{{{both},\"n\":1}}")),
        ),
    ] {
        let raw = format!(r#"{{"_meta":{meta},"name":"a"}}"#);
        let expected = |meta: &str| format!(r#"{{"_meta":{meta},"name":"send"}}"#);
        assert_eq!(sent(&raw, StripMeta::Modern, None), expected(&without), "{meta}");
        if let Some(with) = with {
            assert_eq!(sent(&raw, StripMeta::Modern, Some("a=1")), expected(&with), "{meta}");
        }
    }
}

#[test]
fn i7_a_message_without_meta_gets_one_and_keeps_the_rest() {
    let meta = format!("\"_meta\":{{\"traceparent\":\"{OWN}\"}}");
    let cases = [
        (
            r#"{ "name":"a", "arguments":{"_meta":{}} }"#,
            format!("{{{meta}, \"name\":\"send\", \"arguments\":{{\"_meta\":{{}}}} }}"),
        ),
        (r#"{"inputResponses":{},"name":"a"}"#, format!("{{{meta},\"name\":\"send\"}}")),
        (r#"{"requestState":"x"}"#, format!("{{{meta}}}")),
        ("{}", format!("{{{meta}}}")),
    ];
    for (raw, expected) in cases {
        assert_eq!(sent(raw, StripMeta::Modern, None), expected, "{raw}");
    }
}

#[test]
fn i9_the_progress_token_is_found_behind_what_is_put_in() {
    for raw in [
        r#"{"name":"a","_meta":{"progressToken":"t"}}"#,
        r#"{"_meta":{"traceparent":"x","progressToken":"t","tracestate":"b=1"},"name":"a"}"#,
    ] {
        let payload = params(raw).payload(
            &Method::ToolsCall,
            OwnName::Name("send"),
            StripMeta::Modern,
            Some(&trace(None)),
        );
        assert_eq!(payload.bytes.slice(payload.progress_token.clone().unwrap()), "\"t\"", "{raw}");
        let sent = encode::forward(42, &payload);
        let sent: serde_json::Value = serde_json::from_slice(&sent).unwrap();
        assert_eq!(sent["params"]["_meta"], serde_json::json!({ "progressToken": 42, "traceparent": OWN }));
    }
}
