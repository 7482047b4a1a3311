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
