//! Any bytes as the `params` of a call: what is forwarded is what came in, except for what the gateway owns.
//!
//! Run by the fuzz target of the same name and, over the kept corpus, by the test suite.

use bytes::Bytes;
use sluicegate::wire::{self, Message, Method, Object, OwnName, Params, ScanLimits, StripMeta, encode};

const HOP: &[&str] = &[
    "io.modelcontextprotocol/protocolVersion",
    "io.modelcontextprotocol/clientInfo",
    "io.modelcontextprotocol/clientCapabilities",
    "io.modelcontextprotocol/logLevel",
];

pub fn run(data: &[u8]) {
    let mut body = br#"{"jsonrpc":"2.0","id":"x","method":"tools/call","params":"#.to_vec();
    body.extend_from_slice(data);
    body.push(b'}');
    let Ok(Message::Request(request)) = wire::parse(body.into(), &ScanLimits::default()) else { return };
    let Some(params) = request.params else { return };
    for strip in [StripMeta::Nothing, StripMeta::Modern] {
        forwarded(&params, strip);
    }
}

fn forwarded(came_in: &Params, strip: StripMeta) {
    let payload = came_in.payload(&Method::ToolsCall, OwnName::Name("echo"), strip, None);
    let token = came_in.meta().and_then(|meta| meta.get("progressToken"));
    let found = payload.progress_token.clone().map(|range| payload.bytes.slice(range));
    assert_eq!(found, token, "the hole is where the client's token was");

    let sent = encode::forward(7, &payload);
    let message = wire::parse(sent, &ScanLimits::default()).expect("what is forwarded is a valid message");
    let Message::Request(sent) = message else { panic!("a request stays a request") };
    assert_eq!(sent.id.number(), Some(7));
    let sent = sent.params.expect("params stay");
    let stays = |key: &&str| strip == StripMeta::Nothing || !["inputResponses", "requestState"].contains(key);
    let kept: Vec<_> = came_in.members().keys().filter(stays).collect();
    assert!(sent.members().keys().eq(kept.iter().copied()), "no other member comes or goes");
    for key in kept.iter().copied() {
        match key {
            "name" => assert_eq!(sent.get(key).as_deref(), Some(&b"\"echo\""[..])),
            "_meta" => meta(came_in.meta(), sent.meta(), strip),
            _ => assert_eq!(sent.get(key), came_in.get(key), "{key}"),
        }
    }
    let owned = came_in.get("name").is_some()
        || came_in.meta().is_some()
        || kept.len() < came_in.members().keys().count();
    if !owned {
        assert_eq!(sent.raw(), came_in.raw(), "not a byte is touched without need");
    }
}

fn meta(came_in: Option<&Object>, sent: Option<&Object>, strip: StripMeta) {
    let (Some(came_in), Some(sent)) = (came_in, sent) else { panic!("`_meta` stays") };
    let stays = |key: &&str| strip == StripMeta::Nothing || !HOP.contains(key);
    assert!(sent.keys().eq(came_in.keys().filter(stays)), "only what belongs to the hop goes");
    for key in sent.keys() {
        let expected = if key == "progressToken" { Some(Bytes::from_static(b"7")) } else { came_in.get(key) };
        assert_eq!(sent.get(key), expected, "{key}");
    }
}
