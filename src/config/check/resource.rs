//! `gateway.url`: the URL under which agents know the gateway.
//!
//! Must never guess between several listeners: tokens are made for one URL.

use crate::config::code::Code;
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
