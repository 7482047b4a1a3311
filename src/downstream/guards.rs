//! What is refused by the head of a request alone.
//!
//! Must never repair what it looks at: a path, a host or a type that is not exactly as it has to be is
//! refused. The order of the checks stands in `entrance`.

use http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};

use super::MCP_PATH;
use crate::gateway::port::Accepts;
use crate::model::reason::Reason;

/// The HTTP methods that are served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

const EVENT_STREAM: &str = "text/event-stream";

/// `Allow` where the method is none of these.
pub(super) const VERBS: &str = "GET, POST, DELETE";

/// The method, if there is something at the path.
///
/// The path is compared as it was sent: nothing is decoded, no segment is resolved (CASES A17). There are
/// no parameters to put in a query, and a credential in one would stand in logs (CASES A47), so a query is
/// a path that does not exist.
pub(super) fn verb(head: &Parts) -> Result<Verb, Reason> {
    if head.uri.path() != MCP_PATH || head.uri.query().is_some() {
        return Err(Reason::PathUnknown);
    }
    match head.method {
        Method::POST => Ok(Verb::Post),
        Method::GET => Ok(Verb::Get),
        Method::DELETE => Ok(Verb::Delete),
        _ => Err(Reason::HttpMethodForbidden),
    }
}

/// The status of a refusal before authentication.
pub(super) fn status_of(reason: Reason) -> StatusCode {
    match reason {
        Reason::HostForbidden | Reason::OriginForbidden => StatusCode::FORBIDDEN,
        Reason::PathUnknown => StatusCode::NOT_FOUND,
        Reason::HttpMethodForbidden => StatusCode::METHOD_NOT_ALLOWED,
        Reason::KeysUnavailable => StatusCode::SERVICE_UNAVAILABLE,
        Reason::AuthenticationsExceeded => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::UNAUTHORIZED,
    }
}

/// Whether the body is declared as plain JSON, once (CASES A16: a form or text needs no preflight).
pub(super) fn content_type(headers: &HeaderMap) -> Result<(), Reason> {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(declared), None) = (types.next(), types.next()) else {
        return Err(Reason::ContentTypeForbidden);
    };
    let is_encoded = headers.get_all(CONTENT_ENCODING).iter().any(|coding| coding != "identity");
    let text = declared.to_str().map_err(|_| Reason::ContentTypeForbidden)?;
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    if is_json && !is_encoded && parts.all(is_utf8) { Ok(()) } else { Err(Reason::ContentTypeForbidden) }
}

fn is_utf8(parameter: &str) -> bool {
    let Some((name, value)) = parameter.split_once('=') else {
        return false;
    };
    name.eq_ignore_ascii_case("charset") && value.trim_matches('"').eq_ignore_ascii_case("utf-8")
}

/// What the client takes as the answer to a POST.
///
/// 2025-11-25, basic/transports: "The client MUST include an Accept header, listing both application/json
/// and text/event-stream as supported content types." Nothing says what becomes of one that lists one of
/// them; it is answered with what it takes (RFC 9110, 12.5.1).
pub(super) fn accepts(headers: &HeaderMap) -> Result<Accepts, Reason> {
    match (takes(headers, "application/json"), takes(headers, EVENT_STREAM)) {
        (true, true) => Ok(Accepts::Both),
        (true, false) => Ok(Accepts::Json),
        (false, true) => Ok(Accepts::Events),
        (false, false) => Err(Reason::NotAcceptable),
    }
}

/// The same for a GET, which has to list `text/event-stream`.
pub(super) fn accepts_events(headers: &HeaderMap) -> Result<Accepts, Reason> {
    if takes(headers, EVENT_STREAM) { Ok(Accepts::Events) } else { Err(Reason::NotAcceptable) }
}

fn takes(headers: &HeaderMap, kind: &str) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|range| covers(range, kind))
}

fn covers(range: &str, kind: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let Some(range) = parts.next() else {
        return false;
    };
    let is_refused = parts.any(|parameter| {
        let weight = parameter.strip_prefix("q=").or_else(|| parameter.strip_prefix("Q="));
        weight.is_some_and(|weight| weight.trim_matches(['0', '.']).is_empty())
    });
    let top = kind.split('/').next().unwrap_or_default();
    let is_wildcard =
        range.strip_suffix("/*").is_some_and(|range| range == "*" || range.eq_ignore_ascii_case(top));
    !is_refused && (is_wildcard || range.eq_ignore_ascii_case(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(method: &str, target: &str) -> Parts {
        http::Request::builder().method(method).uri(target).body(()).unwrap().into_parts().0
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in list {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a17_nothing_but_the_exact_path_is_there() {
        assert_eq!(verb(&head("POST", "/mcp")), Ok(Verb::Post));
        let tricks = [
            "/",
            "/mcp/",
            "//mcp",
            "/MCP",
            "/mcp/..;/admin",
            "/mcp/..",
            "/./mcp",
            "/x/../mcp",
            "/mcp%2f",
            "/%6dcp",
            "/%256dcp",
            "/mcp%00",
            "/mcp;a=b",
            "/mcp/sse",
            "/mcp?",
            "/mcp?token=sg_secret",
            "/metrics",
            "/.well-known/oauth-protected-resource",
            "/healthz",
            "*",
        ];
        for target in tricks {
            assert_eq!(verb(&head("POST", target)), Err(Reason::PathUnknown), "{target}");
        }
    }

    #[test]
    fn other_methods_are_not_served() {
        for method in ["HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "post", "CONNECT"] {
            assert_eq!(verb(&head(method, "/mcp")), Err(Reason::HttpMethodForbidden), "{method}");
        }
    }

    #[test]
    fn a16_only_json_declared_once_is_taken() {
        let check = |list: &[(&'static str, &str)]| content_type(&headers(list));
        let good = [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
        ];
        for kind in good {
            assert_eq!(check(&[("content-type", kind)]), Ok(()), "{kind}");
        }
        let bad = [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/jsonp",
            "application/json;",
            "application/json-rpc",
            "application/json; boundary=x",
            "",
        ];
        for kind in bad {
            assert!(check(&[("content-type", kind)]).is_err(), "{kind}");
        }
        assert!(check(&[]).is_err());
        assert!(check(&[("content-type", "application/json"), ("content-type", "text/plain")]).is_err());
        assert!(check(&[("content-type", "application/json"), ("content-encoding", "gzip")]).is_err());
    }

    #[test]
    fn a_client_is_answered_with_what_it_takes() {
        let check = |list: &[(&'static str, &str)]| accepts(&headers(list));
        let both = [
            "application/json, text/event-stream",
            "text/event-stream,application/json;q=0.5",
            "*/*",
            "application/*, text/*",
            "Application/Json, TEXT/event-stream, image/png",
        ];
        for accept in both {
            assert_eq!(check(&[("accept", accept)]), Ok(Accepts::Both), "{accept}");
        }
        let split = [("accept", "application/json"), ("accept", "text/event-stream")];
        assert_eq!(check(&split), Ok(Accepts::Both));
        let json = ["application/json", "application/json, text/event-stream;q=0", "application/*;q=0.1"];
        for accept in json {
            assert_eq!(check(&[("accept", accept)]), Ok(Accepts::Json), "{accept}");
            assert!(accepts_events(&headers(&[("accept", accept)])).is_err(), "{accept}");
        }
        for accept in ["text/event-stream", "text/*", "text/event-stream, application/json; q=0.000"] {
            assert_eq!(check(&[("accept", accept)]), Ok(Accepts::Events), "{accept}");
            assert!(accepts_events(&headers(&[("accept", accept)])).is_ok(), "{accept}");
        }
        for accept in ["text/html, image/*", "", "application/json;q=0, text/event-stream; q=0.000"] {
            assert_eq!(check(&[("accept", accept)]), Err(Reason::NotAcceptable), "{accept}");
        }
        assert_eq!(check(&[]), Err(Reason::NotAcceptable));
    }
}
