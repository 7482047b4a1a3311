//! The URL under which agents know this gateway: the audience of tokens and the target of proofs.
//!
//! Must never come from a request: a `Host` or a forwarded header would let the sender say who it is
//! speaking to (CASES A28).

use std::fmt;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;

/// An absolute `http` or `https` URL without query, fragment and user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceUrl {
    text: Arc<str>,
    parts: Parts,
}

/// What of a URL tells it from another (RFC 9449 §4.3, RFC 3986 §6.2.2 and §6.2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    scheme: &'static str,
    host: String,
    port: u16,
    path: String,
}

impl ResourceUrl {
    /// The URL that `text` is. `None` where it is none that can be a resource (RFC 8707 §2).
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        // A fragment is not part of what `Uri` keeps.
        let is_bare = uri.query().is_none() && !text.contains(['#', '?']);
        let parts = Parts::of(&uri)?;
        is_bare.then(|| Self { text: text.into(), parts })
    }

    /// The URL as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is `https`, or on loopback by name.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        let host = self.parts.host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = match host.parse::<std::net::IpAddr>() {
            Ok(address) => address.is_loopback(),
            Err(_) => host == "localhost",
        };
        self.parts.scheme == "https" || is_loopback
    }

    /// Whether a proof whose `htu` is `target` is for this URL. Query and fragment do not count.
    pub(super) fn is_target(&self, target: &str) -> bool {
        let target = target.split('#').next().unwrap_or_default();
        target.parse().ok().and_then(|uri| Parts::of(&uri)).is_some_and(|parts| parts == self.parts)
    }
}

impl fmt::Display for ResourceUrl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.text)
    }
}

impl Parts {
    fn of(uri: &Uri) -> Option<Self> {
        let (scheme, default_port) = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => ("https", 443),
            Some(scheme) if *scheme == Scheme::HTTP => ("http", 80),
            _ => return None,
        };
        let authority = uri.authority().filter(|authority| !authority.as_str().contains('@'))?;
        let host = authority.host().to_ascii_lowercase();
        let port = match authority.port() {
            Some(_) => authority.port_u16()?,
            None => default_port,
        };
        (!host.is_empty()).then(|| Self { scheme, host, port, path: uri.path().to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a28_a_target_is_the_configured_url_and_no_other() {
        let url = ResourceUrl::new("https://mcp.acme.example/mcp").unwrap();
        let same = [
            "https://mcp.acme.example/mcp",
            "https://MCP.acme.example:443/mcp",
            "HTTPS://mcp.acme.example/mcp?x=1#y",
        ];
        for target in same {
            assert!(url.is_target(target), "{target}");
        }
        let others = [
            "http://mcp.acme.example/mcp",
            "https://mcp.acme.example:8443/mcp",
            "https://mcp.acme.example/mcp/",
            "https://mcp.acme.example/MCP",
            "https://mcp.acme.example",
            "https://user@mcp.acme.example/mcp",
            "https://mcp.acme.example.evil.example/mcp",
            "/mcp",
            "",
        ];
        for target in others {
            assert!(!url.is_target(target), "{target}");
        }
    }

    #[test]
    fn a_resource_has_no_query_no_fragment_and_no_user() {
        for text in ["", "mcp.acme.example", "/mcp", "ftp://a.example/mcp", "https://"] {
            assert_eq!(ResourceUrl::new(text), None, "{text}");
        }
        for text in ["https://a.example/mcp?x", "https://a.example/mcp#x", "https://u:p@a.example/mcp"] {
            assert_eq!(ResourceUrl::new(text), None, "{text}");
        }
        let is_confidential = |text| ResourceUrl::new(text).unwrap().is_confidential();
        assert!(is_confidential("https://a.example/mcp") && is_confidential("http://[::1]:7400/mcp"));
        assert!(is_confidential("http://127.0.0.1:7400/mcp") && is_confidential("http://localhost/mcp"));
        assert!(!is_confidential("http://a.example/mcp") && !is_confidential("http://10.0.0.1/mcp"));
    }
}
