//! Requests of 2026-07-28 as the gateway sends them: each says in `_meta` which revision it speaks, who
//! sends it and what its sender can do (2026-07-28, "Request `_meta`").
//!
//! Must never let two speak of the hop in one request: what a client said of itself is cut out before the
//! gateway says its own. Every other byte is as it was (I7).

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::model::call::Payload;

use super::encode;
use super::fault::Fault;
use super::method::Method;
use super::object::{Object, elements, value_text};
use super::params::{OF_THE_HOP, Params};

/// The key of `_meta` that names the subscription of a notification (2026-07-28, "Subscriptions").
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// What `server/discover` was answered with.
#[derive(Debug, Clone)]
pub struct Discovered {
    /// The revisions that the server speaks, as it names them.
    pub supported: Vec<String>,
    /// What it can do.
    pub capabilities: Object,
    /// What it says of itself, as it was written.
    pub instructions: Option<Bytes>,
}

/// A request of the gateway's own. `own` are the members of `_meta`; `params` is one JSON object.
#[must_use]
pub fn request(id: u64, method: &Method, params: Option<&[u8]>, own: &str) -> Bytes {
    let params = Bytes::copy_from_slice(params.unwrap_or(b"{}"));
    let dressed = dressed(
        &Payload { method: method.code(), bytes: params, progress_token: None, trace: None },
        id,
        own,
    );
    encode::request(id, method, Some(&dressed))
}

/// A request that is forwarded: `payload` with `own` in its `_meta`, and its progress token replaced by
/// `id`, so that the tokens of two clients never meet at an upstream (I9).
#[must_use]
pub fn forward(id: u64, method: &Method, payload: &Payload, own: &str) -> Bytes {
    encode::request(id, method, Some(&dressed(payload, id, own)))
}

/// Takes apart the answer to `server/discover`.
///
/// # Errors
/// [`Fault::Result`] where it is none (2026-07-28, "DiscoverResult").
pub fn discovered(raw: &Bytes) -> Result<Discovered, Fault> {
    let result = Object::of(raw).map_err(|_| Fault::Result("it is not an object"))?;
    let supported = result.get("supportedVersions").and_then(|raw| texts(&raw));
    let supported = supported.ok_or(Fault::Result("`supportedVersions` is no list of texts"))?;
    let capabilities = result.get("capabilities").and_then(|raw| Object::of(&raw).ok());
    let capabilities = capabilities.ok_or(Fault::Result("`capabilities` is no object"))?;
    Ok(Discovered { supported, capabilities, instructions: result.get("instructions") })
}

/// The revisions that a server names in the `data` of the error `raw` (2026-07-28,
/// `UnsupportedProtocolVersionError`); `None` where it names none.
#[must_use]
pub fn supported_in_error(raw: &Bytes) -> Option<Vec<String>> {
    let data = Object::of(raw).ok()?.get("data")?;
    texts(&Object::of(&data).ok()?.get("supported")?)
}

/// The resources that an acknowledged subscription tells of (2026-07-28, basic/patterns/subscriptions).
#[must_use]
pub fn honoured(params: &Params) -> Vec<String> {
    let filter = params.get("notifications").and_then(|raw| Object::of(&raw).ok());
    filter.and_then(|filter| texts(&filter.get("resourceSubscriptions")?)).unwrap_or_default()
}

fn texts(raw: &Bytes) -> Option<Vec<String>> {
    elements(raw)?.iter().map(|text| value_text(text).ok()).collect()
}

fn dressed(payload: &Payload, id: u64, own: &str) -> Bytes {
    let Ok(params) = Object::of(&payload.bytes) else { return payload.bytes.clone() };
    let mut edits = edits(&params, own);
    if let Some(token) = payload.progress_token.clone() {
        edits.push((token, Bytes::from(id.to_string())));
    }
    // Stable, so that what is inserted where something is cut stands there.
    edits.sort_by_key(|(range, _)| range.start);
    let mut out = BytesMut::with_capacity(payload.bytes.len() + own.len());
    let mut copied = 0;
    for (range, replacement) in edits {
        out.put_slice(payload.bytes.get(copied..range.start).unwrap_or_default());
        out.put_slice(&replacement);
        copied = range.end;
    }
    out.put_slice(payload.bytes.get(copied..).unwrap_or_default());
    out.freeze()
}

/// What to replace in `params`, so that its `_meta` says `own` and nothing else of the hop.
fn edits(params: &Object, own: &str) -> Vec<(Range<usize>, Bytes)> {
    let after = |at: usize| at + 1..at + 1;
    let followed = |text: String, more: bool| Bytes::from(if more { text + "," } else { text });
    let meta = params.entry("_meta").and_then(|entry| {
        let range = entry.value.clone();
        Some((range.start, Object::of(&params.source.slice(range)).ok()?))
    });
    let Some((start, meta)) = meta else {
        let member = format!("\"_meta\":{{{own}}}");
        return vec![(after(params.span.start), followed(member, !params.entries.is_empty()))];
    };
    let of_the_hop = |key: &str| OF_THE_HOP.contains(&key);
    let stays = meta.keys().any(|key| !of_the_hop(key));
    let mut edits = vec![(after(start + meta.span.start), followed(own.to_owned(), stays))];
    let cuts = meta.cuts(of_the_hop).into_iter();
    edits.extend(cuts.map(|cut| (start + cut.start..start + cut.end, Bytes::new())));
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\"";

    fn sent(params: &str, token: Option<&str>) -> serde_json::Value {
        let progress_token = token.map(|token| {
            let start = params.find(token).unwrap();
            start..start + token.len()
        });
        let payload = Payload {
            method: "tools/call",
            bytes: Bytes::from(params.to_owned()),
            progress_token,
            trace: None,
        };
        let message = forward(7, &Method::ToolsCall, &payload, OWN);
        serde_json::from_slice::<serde_json::Value>(&message).unwrap()["params"].take()
    }

    #[test]
    fn the_gateway_says_its_own_of_the_hop_and_leaves_the_rest_of_meta_alone() {
        let own = serde_json::json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28" });
        for params in ["{}", " { } ", "{\"_meta\":{}}", "{ \"_meta\" : { } }"] {
            assert_eq!(sent(params, None), serde_json::json!({ "_meta": own }), "{params}");
        }
        let of_the_client = concat!(
            "{\"name\":\"t\",\"_meta\":{\"io.modelcontextprotocol/clientInfo\":{\"name\":\"c\"},\"x/y\":1e400,",
            "\"io.modelcontextprotocol/protocolVersion\":\"1\",\"progressToken\":\"tok\",",
            "\"io.modelcontextprotocol/logLevel\":\"debug\"},\"arguments\":{\"n\":1.0}}"
        );
        let payload = Payload {
            method: "tools/call",
            bytes: Bytes::from_static(of_the_client.as_bytes()),
            progress_token: None,
            trace: None,
        };
        let message = forward(7, &Method::ToolsCall, &payload, OWN);
        let text = std::str::from_utf8(&message).unwrap();
        assert!(text.contains("\"x/y\":1e400,"), "{text}");
        assert!(text.contains("\"arguments\":{\"n\":1.0}"), "{text}");
        let hop: Vec<_> = text.match_indices("io.modelcontextprotocol/").collect();
        assert_eq!(hop.len(), 1, "{text}");
        assert!(text.contains(OWN), "{text}");
        let told = sent("{\"_meta\":{\"a\":1,\"progressToken\":\"tok\"}}", Some("\"tok\""));
        assert_eq!(told["_meta"]["progressToken"], 7);
        assert_eq!(told["_meta"]["a"], 1);
    }

    #[test]
    fn only_whole_answers_to_discover_are_taken() {
        let whole =
            Bytes::from_static(br#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#);
        assert_eq!(discovered(&whole).unwrap().supported, ["2026-07-28"]);
        for raw in
            ["[]", "{}", r#"{"supportedVersions":[1],"capabilities":{}}"#, r#"{"supportedVersions":["x"]}"#]
        {
            assert!(discovered(&Bytes::from(raw)).is_err(), "{raw}");
        }
        let error = Bytes::from_static(br#"{"code":-32022,"data":{"supported":["a","b"]}}"#);
        assert_eq!(supported_in_error(&error).unwrap(), ["a", "b"]);
        assert_eq!(supported_in_error(&Bytes::from_static(br#"{"code":-32022}"#)), None);
    }
}
