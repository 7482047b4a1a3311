//! `gateway.url`: the URL under which agents know the gateway; `admin.url`: the one under which people know its page.
//!
//! Must never guess between several listeners: tokens are made for one URL. Must never let people sign in over a way on
//! which somebody else could listen.

use crate::config::code::Code;
use crate::config::problem::Sink;
use crate::config::raw;
use crate::downstream::{Bind, ListenSettings, MCP_PATH};
use crate::identity::ResourceUrl;

use super::Scope;

/// The URL that was written, or that of the only TCP listener, if its port is fixed.
pub(super) fn url(
    written: &raw::Gateway,
    listeners: &[ListenSettings],
    scope: Scope<'_>,
) -> Option<ResourceUrl> {
    let Some(written) = &written.url else { return of_only_listener(listeners) };
    let url = ResourceUrl::new(&written.value);
    match &url {
        None => {
            let message = "`url` is not the URL of a resource";
            let help = "write an absolute `https` URL without user, query and fragment: \
                        \"https://mcp.acme.example/mcp\"";
            scope.found.error(Code::BadValue, &written.place, message, help);
        }
        Some(url) if !url.is_confidential() => {
            let message = "tokens for this `url` would travel unencrypted";
            scope.found.warn(Code::PlainHttp, &written.place, message, "write an `https` URL");
        }
        Some(_) => {}
    }
    url
}

/// Where people reach the page beside its address, without a path.
pub(super) fn page_url(written: &raw::Admin, found: &Sink) -> Option<String> {
    let url = written.url.as_ref()?;
    if written.address.is_none() && found.lacks(&url.place, &["address"]) {
        let help = "write `address = \"127.0.0.1:7401\"` in `[admin]`, where the page listens";
        found.error(Code::MissingKey, &url.place, "`url` names a page, and none is served", help);
    }
    let origin = url.value.strip_suffix('/').unwrap_or(&url.value);
    let read = ResourceUrl::new(origin).filter(|_| origin.matches('/').count() == ORIGIN_SLASHES);
    let (message, help) = match read {
        None => (
            "`url` is not where a page could be",
            "write scheme and host alone: \"https://ask.acme.example\"",
        ),
        Some(read) if !read.is_confidential() => (
            "people would sign in to this `url` unencrypted",
            "write an `https` URL, and let a proxy on this machine end TLS in front of `address`",
        ),
        Some(_) => return Some(origin.to_ascii_lowercase()),
    };
    found.error(Code::BadValue, &url.place, message, help);
    None
}

/// Of a URL without a path.
const ORIGIN_SLASHES: usize = 2;

fn of_only_listener(listeners: &[ListenSettings]) -> Option<ResourceUrl> {
    let mut addresses = listeners.iter().filter_map(|listener| match listener.bind {
        Bind::Tcp(address) => Some((listener.reach.scheme().word(), address)),
        Bind::Unix { .. } => None,
    });
    let ((scheme, only), None) = (addresses.next()?, addresses.next()) else { return None };
    // `0.0.0.0` is where it listens, and no name that anybody could use.
    if only.port() == 0 || only.ip().is_unspecified() {
        return None;
    }
    ResourceUrl::new(&format!("{scheme}://{only}{MCP_PATH}"))
}
