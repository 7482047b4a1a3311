//! Properties over generated documents, against `serde_json` as a second reading.

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;

use crate::model::reason::Reason;
use crate::wire::{
    Message, Method, Object, Outcome, OwnName, Params, ScanLimits, StripMeta, encode, parse, tool,
};

/// A JSON text, written in one of many ways: whitespace, escapes, spellings of numbers.
fn document() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
        string(),
    ];
    scalar.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            (prop::collection::vec((inner.clone(), space()), 0..5)).prop_map(|elements| {
                let elements: Vec<String> =
                    elements.into_iter().map(|(value, space)| space + &value).collect();
                format!("[{}]", elements.join(","))
            }),
            object(inner),
        ]
    })
}

fn object(inner: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    prop::collection::vec((key(), inner, space()), 0..5).prop_map(|members| {
        let members: Vec<String> =
            members.into_iter().map(|(key, value, space)| format!("{space}{key}{space}:{value}")).collect();
        format!("{{{}}}", members.join(","))
    })
}

/// Few keys, so that objects often hold one twice; some are the protocol's.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec![
            "\"a\"", "\"\\u0061\"", "\"b\"", "\"c\"", "\"d\"", "\"name\"", "\"arguments\"", "\"_meta\"", "\"\"",
        ]).prop_map(str::to_owned),
        1 => string(),
    ]
}

fn string() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        "[ -!#-\\[\\]-~]{0,9}",
        "\\PC{0,3}".prop_map(|text| text.replace(['"', '\\'], "")),
        prop::sample::select(vec![
            "\\n",
            "\\\"",
            "\\\\",
            "\\/",
            "\\u0041",
            "\\ud83d\\ude00",
            "\\u0000",
            "\\u00E9"
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(part, 0..4).prop_map(|parts| format!("\"{}\"", parts.concat()))
}

fn space() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "", "", " ", "\n\t ", "\r\n"]).prop_map(str::to_owned)
}

/// `params` of a call: anything beside what the gateway owns.
fn call_params() -> impl Strategy<Value = String> {
    let reserved = prop::sample::subsequence(
        vec![
            r#""io.modelcontextprotocol/protocolVersion" : "2026-07-28""#,
            r#""io.modelcontextprotocol/clientInfo":{"name":"c"}"#,
            r#""io.modelcontextprotocol/clientCapabilities":{}"#,
            r#""io.modelcontextprotocol\/logLevel":"debug""#,
            r#""progressToken": "t,}""#,
            r#""progress\u0054oken":0"#,
            r#""acme.example/x":[{"progressToken":1}]"#,
            r#""traceparent":"00-0-0-01""#,
        ],
        0..8,
    );
    let meta = (reserved.prop_shuffle(), space()).prop_map(|(members, space)| {
        format!("\"_meta\"{space}:{{{space}{}{space}}}", members.join(&format!("{space},")))
    });
    let members = (
        prop::option::of(document().prop_map(|value| format!("\"arguments\":{value}"))),
        prop::option::of(meta),
        prop::option::of(document().prop_map(|value| format!("\"x-other\" : {value}"))),
        prop::sample::select(vec![
            r#""name":"mail__send""#,
            r#""n\u0061me" : "x""#,
            "\"name\":\n7",
            r#""y":0"#,
        ]),
    );
    (members, space()).prop_flat_map(|((arguments, meta, other, name), space)| {
        let members: Vec<String> =
            [arguments, meta, other, Some(name.to_owned())].into_iter().flatten().collect();
        Just(members)
            .prop_shuffle()
            .prop_map(move |members| format!("{{{space}{}{space}}}", members.join(",")))
    })
}

fn wrapped(params: &str) -> Bytes {
    Bytes::from(super::call(params))
}

fn params_of(message: Message) -> Params {
    match message {
        Message::Request(request) => request.params.expect("params"),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is accepted, `serde_json` accepts, and every raw part has the value it has in the whole.
    #[test]
    fn what_is_accepted_has_one_reading(arguments in document()) {
        let body = Bytes::from(super::with_arguments(&arguments));
        let whole: Result<Value, _> = serde_json::from_slice(&body);
        match parse(body, &ScanLimits::default()) {
            Ok(message) => {
                let params = params_of(message);
                let whole = whole.expect("serde_json accepts what we accept");
                let raw = params.get("arguments").expect("arguments");
                prop_assert_eq!(&raw, &arguments);
                prop_assert_eq!(&serde_json::from_slice::<Value>(&raw).expect("a part of JSON"), &whole["params"]["arguments"]);
            }
            // Only duplicate keys can be wrong with what is generated, and there is one indeed.
            Err(malformed) => {
                prop_assert_eq!(malformed.reason, Reason::JsonDuplicateKey);
                let whole = whole.expect("serde_json keeps the last of two");
                prop_assert!(keys_kept(&whole["params"]["arguments"]) < keys_written(&arguments.into()));
            }
        }
    }

    /// One byte changed, one inserted, one gone: what we call invalid JSON is invalid, and what we accept is
    /// valid.
    #[test]
    fn damage_is_judged_as_serde_json_judges_it(arguments in document(), at in any::<prop::sample::Index>(), byte in any::<u8>(), kind in 0..3) {
        let mut body = super::with_arguments(&arguments).into_bytes();
        let at = at.index(body.len());
        match kind {
            0 => body[at] = byte,
            1 => body.insert(at, byte),
            _ => drop(body.remove(at)),
        }
        let judged: Result<Value, _> = serde_json::from_slice(&body);
        let range = judged.as_ref().err().is_some_and(|error| error.to_string().contains("out of range"));
        match parse(body.into(), &ScanLimits::default()) {
            Ok(_) => prop_assert!(judged.is_ok() || range),
            Err(malformed) if malformed.reason == Reason::JsonInvalid => prop_assert!(judged.is_err()),
            Err(_) => {}
        }
    }

    /// I7: what is forwarded is what came in, except for the name and what belongs to the hop.
    #[test]
    fn i7_the_payload_is_the_input_except_for_what_the_gateway_owns(raw in call_params(), modern in any::<bool>()) {
        let Ok(message) = parse(wrapped(&raw), &ScanLimits::default()) else { return Ok(()) };
        let came_in = params_of(message);
        let strip = if modern { StripMeta::Modern } else { StripMeta::Nothing };
        let payload = came_in.payload(&Method::ToolsCall, OwnName::Name("send"), strip, None);
        prop_assert_eq!(String::from_utf8_lossy(&payload.bytes), expected(&came_in, strip));
        let token = came_in.meta().and_then(|meta| meta.get("progressToken"));
        prop_assert_eq!(payload.progress_token.clone().map(|at| payload.bytes.slice(at)), token);
        let sent = encode::forward(9, &payload);
        let sent = params_of(parse(sent, &ScanLimits::default()).expect("a valid message"));
        prop_assert!(sent.members().keys().eq(came_in.members().keys()));
        prop_assert_eq!(sent.get("arguments"), came_in.get("arguments"));
    }

    /// A definition and its canonical spelling mean the same, and the spelling is one.
    #[test]
    fn the_canonical_spelling_means_the_same(raw in document()) {
        let body = Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{raw}}}"#));
        let Ok(Message::Response(response)) = parse(body, &ScanLimits::default()) else { return Ok(()) };
        let Outcome::Result(raw) = response.outcome else { panic!("a result") };
        let canonical = tool::canonical(&raw).expect("JSON");
        let value = |raw: &[u8]| serde_json::from_slice::<Value>(raw).expect("JSON");
        prop_assert_eq!(value(&canonical), value(&raw));
        prop_assert_eq!(tool::canonical(&canonical.clone().into()).expect("JSON"), canonical);
    }

    /// Any bytes at all: an answer, never a panic, and a place within the bytes.
    #[test]
    fn any_bytes_are_answered(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let length = body.len();
        if let Err(malformed) = parse(body.into(), &ScanLimits::default()) {
            prop_assert!(malformed.at <= length);
        }
    }
}

/// How many keys are written in `raw`, at every depth.
fn keys_written(raw: &Bytes) -> usize {
    if let Some(elements) = crate::wire::object::elements(raw) {
        return elements.iter().map(keys_written).sum();
    }
    let Ok(object) = Object::of(raw) else { return 0 };
    object.entries.iter().map(|entry| 1 + keys_written(&raw.slice(entry.value.clone()))).sum()
}

/// How many are left where of two equal ones only the last is kept.
fn keys_kept(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(keys_kept).sum(),
        Value::Object(members) => members.values().map(|value| 1 + keys_kept(value)).sum(),
        _ => 0,
    }
}

/// The same by another way: text replaced by position, from the back, on a copy.
fn expected(came_in: &Params, strip: StripMeta) -> String {
    const HOP: [&str; 4] = ["protocolVersion", "clientInfo", "clientCapabilities", "logLevel"];
    let mut text = String::from_utf8(came_in.raw().to_vec()).expect("UTF-8");
    if came_in.get("name").is_some() {
        text = spliced(&text, "name", "\"send\"");
    }
    if let Some(meta) = came_in.meta().filter(|_| strip == StripMeta::Modern) {
        let mut left = String::from_utf8(meta.raw().to_vec()).expect("UTF-8");
        for member in HOP {
            left = without(&left, &format!("io.modelcontextprotocol/{member}"));
        }
        text = spliced(&text, "_meta", &left);
    }
    text
}

fn spliced(text: &str, key: &str, value: &str) -> String {
    let object = Object::of(&Bytes::copy_from_slice(text.as_bytes())).expect("an object");
    let replaced = object.replace(key, value.as_bytes()).expect("a member");
    String::from_utf8(replaced.to_vec()).expect("UTF-8")
}

/// `text` without the member `key` and the comma after it, or else the one before it.
fn without(text: &str, key: &str) -> String {
    let object = Object::of(&Bytes::copy_from_slice(text.as_bytes())).expect("an object");
    let Some(position) = object.keys().position(|other| other == key) else { return text.to_owned() };
    let entries = &object.entries;
    let (start, end) =
        match (position.checked_sub(1).map(|before| &entries[before]), entries.get(position + 1)) {
            (_, Some(after)) => (entries[position].key.start, after.key.start),
            (Some(before), None) => (before.value.end, entries[position].value.end),
            (None, None) => (entries[position].key.start, entries[position].value.end),
        };
    let mut text = text.to_owned();
    text.replace_range(start..end, "");
    text
}
