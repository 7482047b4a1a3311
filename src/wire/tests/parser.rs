//! The strict parse: what is no JSON, what costs too much, which keys are refused (DESIGN §6).

use bytes::Bytes;

use super::{call, params, reason, refused, request, with_arguments};
use crate::model::reason::Reason;
use crate::wire::{Fault, ScanLimits, parse};

#[test]
fn a01_a_duplicate_key_is_refused_in_every_spelling() {
    for keys in [r#""name":"a","name":"b""#, r#""name":"a","\u006eame":"b""#, r#""\u006eame":"a","name":"b""#]
    {
        assert_eq!(reason(call(&format!("{{{keys}}}"))), Reason::JsonDuplicateKey, "{keys}");
    }
    assert_eq!(reason(r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#), Reason::JsonDuplicateKey);
    assert_eq!(reason(r#"{"jsonrpc":"2.0","method":"ping","meth\u006fd":"x"}"#), Reason::JsonDuplicateKey);
}

#[test]
fn a02_a_duplicate_key_inside_arguments_is_refused_at_every_depth() {
    for arguments in [
        r#"{"path":"/a","path":"/etc"}"#,
        r#"{"x":[[{"y":{"path":"/a","\u0070ath":"/etc"}}]]}"#,
        r#"[{"a":1,"b":{"a":1},"a":2}]"#,
        r#"{"":1,"":2}"#,
        r#"{"\ud83d\ude00":1,"😀":2}"#,
        r#"{"\/":1,"/":2}"#,
    ] {
        assert_eq!(reason(with_arguments(arguments)), Reason::JsonDuplicateKey, "{arguments}");
    }
    // The same key in different objects is no duplicate, nor is another Unicode spelling of it.
    for arguments in
        [r#"{"a":{"b":{"a":1},"a":1},"b":[{"a":1,"b":2},{"a":2}]}"#, "{\"\u{e9}\":1,\"e\u{301}\":2}"]
    {
        request(with_arguments(arguments));
    }
}

#[test]
fn a02_a_duplicate_is_found_among_few_and_among_many() {
    for count in [1, 2, 15, 16, 17, 18, 40, 1000] {
        let keys: Vec<String> = (0..count).map(|n| format!("\"k{n}\":{{}}")).collect();
        request(with_arguments(&format!("{{{}}}", keys.join(","))));
        for repeated in [0, count / 2, count - 1] {
            let doubled = format!("{{{},\"k{repeated}\":0}}", keys.join(","));
            assert_eq!(reason(with_arguments(&doubled)), Reason::JsonDuplicateKey, "{repeated} of {count}");
        }
    }
}

#[test]
fn a08_f50_a_hundred_thousand_levels_are_refused_at_the_first_too_many() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        let bomb = format!("{}1{}", open.repeat(100_000), close.repeat(100_000));
        let body = with_arguments(&bomb);
        let malformed = refused(&body);
        assert_eq!((malformed.reason, malformed.code()), (Reason::JsonTooDeep, -32_700));
        // It stopped there: nothing was kept of what follows, and nothing recursed.
        assert!(malformed.at < 64 * open.len() + 100, "{}", malformed.at);
    }
    // The message and `params` are two of the 64 levels.
    request(with_arguments(&format!("{}{}", "[".repeat(62), "]".repeat(62))));
    assert_eq!(reason(with_arguments(&format!("{}{}", "[".repeat(63), "]".repeat(63)))), Reason::JsonTooDeep);
    // Unclosed ones cost no more.
    assert_eq!(reason("[".repeat(1 << 20)), Reason::JsonTooDeep);
}

#[test]
fn a09_a_million_keys_are_refused_at_the_first_too_many() {
    let keys: Vec<String> = (0..1_000_000).map(|n| format!("\"{n}\":0")).collect();
    let malformed = refused(with_arguments(&format!("{{{}}}", keys.join(","))));
    assert_eq!((malformed.reason, malformed.code()), (Reason::JsonTooManyKeys, -32_700));
    assert!(malformed.at < 1_200_000, "{}", malformed.at);
    let elements = format!("[{}]", vec!["0"; 1_000_000].join(","));
    assert!(refused(with_arguments(&elements)).at < 210_000);
    // Many small objects are as many keys: the tables of closed objects are given back.
    let objects = format!("[{}]", vec![r#"{"a":0}"#; 500_000].join(","));
    assert_eq!(reason(with_arguments(&objects)), Reason::JsonTooManyKeys);
}

#[test]
fn a09_the_limit_counts_keys_and_elements_together() {
    let limits = ScanLimits { depth_max: 64, members_max: 8 };
    let count = |arguments: &str| parse(Bytes::from(with_arguments(arguments)), &limits);
    // Four members of the message, two of `params`: two are left.
    assert!(count("[1,2]").is_ok());
    assert!(count(r#"{"a":[1]}"#).is_ok());
    assert_eq!(count(r#"{"a":[1,2]}"#).unwrap_err().fault, Fault::TooMany);
}

#[test]
fn a12_f52_what_is_no_text_is_refused() {
    let bodies: &[&[u8]] = &[
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xc0\xaf\"}", // overlong
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xed\xa0\x80\"}", // a surrogate as UTF-8
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xf5\x80\x80\x80\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"\xe4\xb8",
        br#"{"jsonrpc":"2.0","method":"\ud800"}"#,
        br#"{"jsonrpc":"2.0","method":"\udc00"}"#,
        br#"{"jsonrpc":"2.0","method":"\ud800\ud800"}"#,
        br#"{"jsonrpc":"2.0","method":"\udc00\udc00"}"#,
        br#"{"jsonrpc":"2.0","method":"\ud800\u0041"}"#,
        br#"{"jsonrpc":"2.0","method":"\ud800x"}"#,
        br#"{"jsonrpc":"2.0","method":"\ud83d\ude0"}"#,
        br#"{"jsonrpc":"2.0","\udfff":1}"#,
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\0b\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"a\nb\"}",
        b"{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}\0",
        b"\0{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}",
        b"\xef\xbb\xbf{\"jsonrpc\":\"2.0\",\"method\":\"ping\"}",
        b"\xff\xfe{\0}\0",
        b"",
        b" \n",
    ];
    for body in bodies {
        let malformed = refused(body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!((malformed.reason, malformed.code()), (Reason::JsonInvalid, -32_700), "{shown}");
        assert_eq!(malformed.id, None);
        assert!(malformed.at <= body.len());
    }
    // A pair of surrogates is one character, and an escaped NUL in a value is data.
    request(r#"{"jsonrpc":"2.0","id":1,"method":"\ud83d\ude00","params":{"x":"\u0000"}}"#);
}

#[test]
fn a07_f52_one_document_and_no_more() {
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    for body in [
        format!("{ping}{ping}"),
        format!("{ping}\n{ping}"),
        format!("{ping},"),
        format!("{ping} x"),
        format!("{ping}]"),
    ] {
        let malformed = refused(&body);
        assert_eq!((malformed.fault, malformed.id), (Fault::Trailing, None), "{body}");
    }
    request(format!(" \t\r\n{ping}\n "));
}

#[test]
fn every_break_of_the_grammar_is_refused_where_it_is() {
    let cases: &[(&str, Fault, usize)] = &[
        ("{", Fault::End, 1),
        ("{\"a\"", Fault::End, 4),
        ("{\"a\":", Fault::End, 5),
        ("{\"a\":1", Fault::End, 6),
        ("{\"a\":1,", Fault::End, 7),
        ("{\"a\":1,}", Fault::Key, 7),
        ("{,}", Fault::Key, 1),
        ("{a:1}", Fault::Key, 1),
        ("{'a':1}", Fault::Key, 1),
        ("{1:1}", Fault::Key, 1),
        ("{\"a\" 1}", Fault::Colon, 5),
        ("{\"a\":1 \"b\":2}", Fault::Comma, 7),
        ("{\"a\":1]", Fault::Comma, 6),
        ("[1}", Fault::Comma, 2),
        ("[1,]", Fault::Value, 3),
        ("[,1]", Fault::Value, 1),
        ("[1 2]", Fault::Comma, 3),
        ("[", Fault::End, 1),
        ("]", Fault::Value, 0),
        ("/**/{}", Fault::Value, 0),
        ("[tru]", Fault::Value, 1),
        ("[True]", Fault::Value, 1),
        ("[nul", Fault::Value, 1),
        ("[truex]", Fault::Comma, 5),
        ("[NaN]", Fault::Value, 1),
        ("[Infinity]", Fault::Value, 1),
        ("[\"", Fault::End, 2),
        ("[\"\\", Fault::End, 2),
        ("[\"\\x\"]", Fault::Escape, 2),
        ("[\"\\u00g0\"]", Fault::Escape, 2),
        ("[\"\\u+041\"]", Fault::Escape, 2),
        ("[\"\\U0041\"]", Fault::Escape, 2),
        ("[\"\t\"]", Fault::Control, 2),
        ("[\"\u{1f}\"]", Fault::Control, 2),
        ("[\u{a0}1]", Fault::Value, 1),
        ("[\u{b}1]", Fault::Value, 1),
    ];
    for (body, fault, at) in cases {
        let malformed = refused(body);
        assert_eq!((&malformed.fault, malformed.at), (fault, *at), "{body}");
    }
}

#[test]
fn f51_a11_numbers_keep_every_digit() {
    for number in
        ["9007199254740993", "123456789012345678901", "1e400", "-0", "-0.0", "0.10", "1E+2", "1e-999999"]
    {
        let params = params(&format!(r#"{{"name":"a","arguments":{{"n":{number}}}}}"#));
        assert_eq!(params.get("arguments").unwrap(), format!(r#"{{"n":{number}}}"#));
    }
    for number in ["01", "-", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "1_000", "--1", "-a", "00"] {
        let reason = reason(with_arguments(&format!("[{number}]")));
        assert_eq!(reason, Reason::JsonInvalid, "{number}");
    }
}

#[test]
fn a03_a04_keys_that_differ_in_case_only_are_refused() {
    for key in ["Method", "METHOD", "methoD", "JSONRPC", "Id", "ID", "PARAMS", "paramſ", "Result", "erroR"] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","{key}":{{}}}}"#);
        assert_eq!(reason(body), Reason::KeyConfusable, "{key}");
    }
    for key in [
        "Name",
        "NAME",
        "Arguments",
        "argument\u{17f}",
        "_Meta",
        "_META",
        "\\u004eame",
        "RequestState",
        "taſk",
    ] {
        let body = call(&format!(r#"{{"name":"a","{key}":{{}}}}"#));
        assert_eq!(reason(body), Reason::KeyConfusable, "{key}");
    }
    // The Kelvin sign, in a method that defines a key with a k.
    let kelvin = r#"{"jsonrpc":"2.0","method":"notifications/tasks","params":{"tas\u212aId":1}}"#;
    assert_eq!(reason(kelvin), Reason::KeyConfusable);
    for key in [
        "progresstoken",
        "io.ModelContextProtocol/protocolVersion",
        "IO.MODELCONTEXTPROTOCOL/x",
        "TraceParent",
    ] {
        let body = call(&format!(r#"{{"name":"a","_meta":{{"{key}":"x"}}}}"#));
        assert_eq!(reason(body), Reason::KeyConfusable, "{key}");
    }
}

#[test]
fn a03_what_the_protocol_does_not_define_passes_as_it_came() {
    let raw = r#"{"name":"a","x-Name":1,"URI":2,"arguments":{"Name":1,"name":2,"NAME\u0000":3},"_meta":{"acme.example/ProgressToken":1,"Custom":2}}"#;
    // `uri` belongs to other methods: a tool call defines none.
    assert_eq!(params(raw).raw(), raw);
}

#[test]
fn a05_a_control_character_in_a_key_of_the_protocol_is_refused() {
    for control in ["\\u0000", "\\u001b", "\\n", "\\u007f", "\\u0085"] {
        let at_envelope = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","x{control}":1}}"#);
        let at_params = call(&format!(r#"{{"name":"a","name{control}":"b"}}"#));
        let at_meta = call(&format!(r#"{{"name":"a","_meta":{{"x{control}":1}}}}"#));
        for body in [at_envelope, at_params, at_meta] {
            assert_eq!(reason(&body), Reason::KeyConfusable, "{body}");
        }
        // In arguments it is data.
        request(with_arguments(&format!(r#"{{"name{control}":"b"}}"#)));
    }
}

#[test]
fn a60_invisible_characters_make_a_key_another_key_and_are_not_interpreted() {
    for invisible in ['\u{200b}', '\u{200d}', '\u{fe0f}', '\u{e0061}', '\u{202e}'] {
        let raw = format!("{{\"name\":\"a\",\"name{invisible}\":\"b\"}}");
        let params = params(&raw);
        assert_eq!(params.text("name"), Some(Ok("a".to_owned())));
        assert_eq!(params.raw(), raw);
    }
}

#[test]
fn strings_are_read_in_words_of_eight_and_end_where_they_end() {
    // A quote, a backslash or a control character at every offset of a word, and bytes beside them that
    // differ from them in one bit.
    for length in 0..40 {
        let plain = "~".repeat(length);
        request(with_arguments(&format!("[\"{plain}\",\"{plain}\\\\\",\"{plain}\u{20}!#[]\u{7f}é\"]")));
        let tab = with_arguments(&format!("[\"{plain}\tx\"]"));
        assert_eq!(refused(&tab).fault, Fault::Control, "{length}");
        let high = "\u{10ffff}".repeat(length);
        let params = params(&format!(r#"{{"name":"{plain}{high}\"{plain}"}}"#));
        assert_eq!(params.text("name"), Some(Ok(format!("{plain}{high}\"{plain}"))));
    }
}
