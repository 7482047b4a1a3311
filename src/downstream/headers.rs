//! The headers that MCP gives a meaning, taken out of all those that a request has.
//!
//! Must never take a header that is not named here: what is not taken does not exist behind this point,
//! so no router's, proxy's or other gateway's header can claim anything (CASES A26 to A28).

use bytes::Bytes;
use http::header::{AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::gateway::port::ProtocolHeaders;

const PARAM_PREFIX: &str = "mcp-param-";

/// The protocol's headers, every occurrence of each.
pub(super) fn protocol(headers: &HeaderMap) -> ProtocolHeaders {
    let all = |name: &str| headers.get_all(name).iter().map(raw).collect::<Vec<Bytes>>();
    let params = headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().strip_prefix(PARAM_PREFIX)?.to_owned(), raw(value))))
        .collect();
    ProtocolHeaders {
        protocol_version: all("mcp-protocol-version"),
        session_id: all("mcp-session-id"),
        method: all("mcp-method"),
        name: all("mcp-name"),
        params,
        last_event_id: all("last-event-id"),
        traceparent: all("traceparent"),
        tracestate: all("tracestate"),
        user_agent: headers.get(USER_AGENT).map(raw),
    }
}

/// Every value of each header that carries a credential or a proof. They go to `identity` and no further.
pub(super) struct Credentials<'a> {
    pub(super) authorization: Vec<&'a [u8]>,
    pub(super) txn_token: Vec<&'a [u8]>,
    pub(super) dpop: Vec<&'a [u8]>,
}

pub(super) fn credentials(headers: &HeaderMap) -> Credentials<'_> {
    let all = |name: HeaderName| headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    Credentials {
        authorization: all(AUTHORIZATION),
        txn_token: all(HeaderName::from_static("txn-token")),
        dpop: all(HeaderName::from_static("dpop")),
    }
}

fn raw(value: &HeaderValue) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a26_a27_a28_nothing_but_the_protocols_own_headers_is_taken() {
        let mut headers = HeaderMap::new();
        let sent = [
            ("mcp-protocol-version", "2026-07-28"),
            ("mcp-name", "a"),
            ("mcp-name", "b"),
            ("mcp-param-region", "eu"),
            ("user-agent", "client/1"),
            ("authorization", "Bearer sg_secret"),
            ("cookie", "sg_secret"),
            ("mcp-init-host", "evil"),
            ("router-key", "evil"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-sluicegate-source", "chat"),
            ("txn-token", "evil"),
            ("dpop", "evil"),
        ];
        for (name, value) in sent {
            headers.append(name, HeaderValue::from_static(value));
        }
        let taken = protocol(&headers);
        assert_eq!(taken.protocol_version, ["2026-07-28"]);
        assert_eq!(taken.name, ["a", "b"]);
        assert_eq!(taken.params, [("region".to_owned(), Bytes::from_static(b"eu"))]);
        let shown = format!("{taken:?}");
        assert!(!shown.contains("sg_secret") && !shown.contains("evil") && !shown.contains("10.0.0.1"));
    }
}
