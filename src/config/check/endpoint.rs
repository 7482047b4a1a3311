//! HTTP servers that we call: their URLs, and the headers that go along.
//!
//! Must never reach one, nor repeat a value that may be a secret (I10).

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{Secret as Written, Secrets};
use crate::model::secret::Secret;

use super::{Scope, secret};

/// The headers that go along with each request. Those that `is_own` says belong to us are refused.
pub(super) fn headers(
    written: &Secrets,
    is_own: impl Fn(&str) -> bool,
    scope: Scope<'_>,
) -> Vec<(http::HeaderName, Secret)> {
    written.iter().filter_map(|(name, value)| header(name, value, &is_own, scope)).collect()
}

/// What each request says anyway.
pub(super) fn is_of_requests(header: &str) -> bool {
    [
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
    ]
    .contains(&header)
}

/// What each signed request says anyway (Standard Webhooks).
pub(super) fn is_of_signed_requests(header: &str) -> bool {
    header.starts_with("webhook-") || is_of_requests(header)
}

/// Where something is sent: the URL that stands under `key`, with the certificates that are trusted there. `what` is told
/// to travel unencrypted where it does, `help` says what to write.
pub(super) fn receiver(
    (key, url): (&str, &Located<String>),
    ca: Option<&Located<String>>,
    what: &str,
    help: &str,
    scope: Scope<'_>,
) -> Option<http::Uri> {
    let uri = uri_under(key, url, help, scope)?;
    if is_open(&uri) {
        let message = format!("{what} unencrypted");
        scope.found.warn(Code::PlainHttp, &url.place, message, "write an `https` URL");
    }
    if let Some(ca) = ca.filter(|_| uri.scheme_str() != Some("https")) {
        let help = "remove it, or write `https://`";
        scope.found.error(Code::Conflict, &ca.place, "`ca` is for `https://`", help);
    }
    Some(uri)
}

/// What of `uri`, which stands under `key`, stands before the path `own` that a protocol adds.
pub(super) fn before(
    (key, url): (&str, &Located<String>),
    uri: &http::Uri,
    own: &str,
    help: &str,
    scope: Scope<'_>,
) -> Option<String> {
    let path = uri.path().trim_end_matches('/');
    if uri.query().is_some() || path.contains(own) {
        let message = format!("`{key}` holds more than what stands before `{own}`");
        scope.found.error(Code::BadValue, &url.place, message, help);
        return None;
    }
    Some(format!("{}://{}{path}", uri.scheme_str()?, uri.authority()?))
}

/// Whether what is sent to `uri` can be read on the way: it is neither encrypted nor for this machine.
pub(super) fn is_open(uri: &http::Uri) -> bool {
    uri.scheme_str() == Some("http") && !is_local(uri.host().unwrap_or_default().trim_matches(['[', ']']))
}

/// Whether `host` is this machine.
pub(super) fn is_local(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// The URL of an HTTP server, which stands under `url`; `example` is what to write.
pub(super) fn uri(url: &Located<String>, example: &str, scope: Scope<'_>) -> Option<http::Uri> {
    uri_under("url", url, example, scope)
}

/// The URL of an HTTP server, which stands under `key`.
pub(super) fn uri_under(
    key: &str,
    url: &Located<String>,
    example: &str,
    scope: Scope<'_>,
) -> Option<http::Uri> {
    let bad = |message: &str, help: &str| {
        // The URL is not repeated: it may hold a password or a token (I10).
        scope.found.error(Code::BadValue, &url.place, format!("`{key}` {message}"), help);
        None
    };
    let Ok(uri) = url.value.parse::<http::Uri>() else { return bad("is not a URL", example) };
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none_or(str::is_empty) {
        return bad("is not an `http` or `https` URL", example);
    }
    if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return bad("holds a user or password", "put the credential into `headers`, from `env` or `file`");
    }
    if url.value.contains('#') {
        return bad("holds a fragment", "remove `#` and what follows");
    }
    Some(uri)
}

fn header(
    name: &Located<String>,
    value: &Located<Written>,
    is_own: impl Fn(&str) -> bool,
    scope: Scope<'_>,
) -> Option<(http::HeaderName, Secret)> {
    let found = scope.found;
    let Ok(header) = http::HeaderName::from_bytes(name.value.as_bytes()) else {
        let message = format!("`{}` is not the name of a header", name.value);
        found.error(Code::BadName, &name.place, message, "write a header name like `Authorization`");
        return None;
    };
    if is_own(header.as_str()) {
        let message = format!("the gateway sets `{}` itself", name.value);
        found.error(Code::Conflict, &name.place, message, "remove it");
        return None;
    }
    secret::warn_suspect(&name.value, value, scope);
    let resolved = secret::resolve(value, &name.value, scope)?;
    if http::HeaderValue::from_str(&resolved).is_err() {
        let message = format!("the value of `{}` cannot stand in a header", name.value);
        found.error(
            Code::BadValue,
            &value.place,
            message,
            "remove line breaks and control characters from it",
        );
        return None;
    }
    Some((header, Secret::new(resolved)))
}
