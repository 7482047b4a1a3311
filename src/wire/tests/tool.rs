//! Lists, and tool definitions: names, one spelling, declared headers.

use bytes::Bytes;

use crate::wire::list::split;
use crate::wire::tool::{self, ParamHeader};
use crate::wire::{Fault, ListKind};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn a_list_is_taken_apart_without_changing_a_definition() {
    let page = split(
        &bytes(
        r#"{"nextCursor":"c\u0031","tools":[ {"name":"a", "x":1e400} ,{"inputSchema":{"name":"no"},"\u006eame":"b\u002f"}]}"#,
    ), ListKind::Tools)
    .unwrap();
    let listed: Vec<(&str, &[u8])> =
        page.entries.iter().map(|tool| (tool.name.as_str(), tool.raw.as_ref())).collect();
    let expected: [(&str, &[u8]); 2] = [
        ("a", br#"{"name":"a", "x":1e400}"#),
        ("b/", br#"{"inputSchema":{"name":"no"},"\u006eame":"b\u002f"}"#),
    ];
    assert_eq!(listed, expected);
    assert_eq!(page.next_cursor.as_deref(), Some("c1"));
}

#[test]
fn f38_an_empty_cursor_is_the_end() {
    for cursor in [r#","nextCursor":"""#, r#","nextCursor":null"#, ""] {
        let page = split(&bytes(&format!(r#"{{"tools":[]{cursor}}}"#)), ListKind::Tools).unwrap();
        assert_eq!(page.next_cursor, None, "{cursor}");
    }
}

#[test]
fn f17_a_list_that_is_wrong_in_part_is_wrong() {
    for raw in [
        "{}",
        "[]",
        "null",
        r#"{"tools":{}}"#,
        r#"{"tools":[1]}"#,
        r#"{"tools":[{}]}"#,
        r#"{"tools":[{"name":1}]}"#,
        r#"{"tools":[],"nextCursor":1}"#,
    ] {
        assert!(matches!(split(&bytes(raw), ListKind::Tools), Err(Fault::Result(_))), "{raw}");
    }
}

#[test]
fn i7_renaming_touches_the_name_alone() {
    let raw = bytes(r#"{ "inputSchema":{"name":"x"} , "name" : "send" ,"n":1e400 }"#);
    let renamed = tool::rename(&raw, "mail__send").unwrap();
    assert_eq!(renamed, r#"{ "inputSchema":{"name":"x"} , "name" : "mail__send" ,"n":1e400 }"#);
    assert!(tool::rename(&bytes("{}"), "x").is_err());
    assert!(tool::rename(&bytes("[]"), "x").is_err());
}

#[test]
fn an_output_schema_is_seen_only_where_it_counts() {
    assert!(tool::has_output_schema(&bytes(r#"{"name":"a","outputSchema":{}}"#)));
    assert!(!tool::has_output_schema(&bytes(r#"{"name":"a","inputSchema":{"outputSchema":{}}}"#)));
}

#[test]
fn a56_one_definition_has_one_spelling() {
    let one = bytes(r#"{"b":[1, 2.50,-0 ],"a":{"\u0079":"\u00e9\/\n\ud83d\ude00","x":null}, "c":[]}"#);
    let other = bytes("{\"c\":[ ],\n\"a\":{\"x\":null,\"y\":\"é/\\u000a😀\"},\"b\":[1,2.50,-0]}");
    let expected = "{\"a\":{\"x\":null,\"y\":\"é/\\n😀\"},\"b\":[1,2.50,-0],\"c\":[]}";
    assert_eq!(tool::canonical(&one).unwrap(), expected.as_bytes());
    assert_eq!(tool::canonical(&other).unwrap(), expected.as_bytes());
    // What means something else is spelled differently: order of elements, digits, every character.
    for changed in
        [r#"{"a":[1,2]}"#, r#"{"a":[2,1]}"#, r#"{"a":[1,2.0]}"#, r#"{"a":["1",2]}"#, r#"{"a":[1,2],"":0}"#]
    {
        let equal = tool::canonical(&bytes(changed)) == tool::canonical(&bytes(r#"{"a":[1,2]}"#));
        assert_eq!(equal, changed == r#"{"a":[1,2]}"#, "{changed}");
    }
    assert_eq!(tool::canonical(&bytes("{")), Err(Fault::End));
}

#[test]
fn declared_headers_are_found_on_chains_of_properties() {
    let raw = bytes(
        r#"{"name":"a","inputSchema":{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "disk":{"type":"object","properties":{"size":{"type":"integer","x-mcp-header":"disk-Size"},"y":true}},
            "x-mcp-header":{"type":"string"},
            "example":{"type":"string","default":{"x-mcp-header":"no"},"enum":[{"x-mcp-header":1}]}
        }}}"#,
    );
    let expected = [("disk-size", vec!["disk", "size"]), ("region", vec!["region"])].map(|(header, path)| {
        ParamHeader { header: header.to_owned(), path: path.into_iter().map(str::to_owned).collect() }
    });
    assert_eq!(tool::param_headers(&raw).unwrap(), expected);
    assert_eq!(tool::param_headers(&bytes(r#"{"name":"a"}"#)), Ok(Vec::new()));
}

#[test]
fn declared_headers_that_clients_refuse_are_refused() {
    let with =
        |properties: &str| bytes(&format!(r#"{{"name":"a","inputSchema":{{"properties":{properties}}}}}"#));
    for properties in [
        r#"{"p":{"type":"number","x-mcp-header":"P"}}"#,
        r#"{"p":{"x-mcp-header":"P"}}"#,
        r#"{"p":{"type":["string"],"x-mcp-header":"P"}}"#,
        r#"{"p":{"type":"string","x-mcp-header":""}}"#,
        r#"{"p":{"type":"string","x-mcp-header":"P:"}}"#,
        r#"{"p":{"type":"string","x-mcp-header":"P\r\nX"}}"#,
        r#"{"p":{"type":"string","x-mcp-header":1}}"#,
        r#"{"p":{"type":"string","x-mcp-header":"P"},"q":{"type":"string","x-mcp-header":"p"}}"#,
        r#"{"p":{"items":{"type":"string","x-mcp-header":"P"}}}"#,
        r#"{"p":{"patternProperties":{"q":{"type":"string","x-mcp-header":"P"}}}}"#,
        r#"{"p":{"$defs":{"q":{"type":"string","x-mcp-header":"P"}}}}"#,
        r#"{"p":{"anyOf":[{"properties":{"q":{"type":"string","x-mcp-header":"P"}}}]}}"#,
    ] {
        assert!(matches!(tool::param_headers(&with(properties)), Err(Fault::Tool(_))), "{properties}");
    }
    let many: Vec<String> =
        (0..100).map(|n| format!(r#""p{n}":{{"type":"string","x-mcp-header":"P{n}"}}"#)).collect();
    assert!(tool::param_headers(&with(&format!("{{{}}}", many.join(",")))).is_err());
    let at_root = bytes(r#"{"name":"a","inputSchema":{"type":"string","x-mcp-header":"P"}}"#);
    assert!(tool::param_headers(&at_root).is_err());
}
