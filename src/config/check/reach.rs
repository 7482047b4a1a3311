//! Who can reach a listener: TLS, the proxies before it, and the names by which it is called.
//!
//! Must never let a listener stand beyond loopback where others on the way could read or change what
//! passes, nor where nothing says by which names it is meant (CASES A48).

use std::net::SocketAddr;
use std::path::Path;

use jiff::SignedDuration;

use crate::config::code::Code;
use crate::config::node::Located;
use crate::config::raw::{Listen, Tls as Written};
use crate::downstream::{Bind, Reach};
use crate::model::place::Place;
use crate::socket::{Network, Tls, TlsError, TlsFiles};

use super::Scope;

/// What protects `listen`, which is bound to `bind`.
pub(super) fn check(listen: &Listen, bind: Option<&Bind>, scope: Scope<'_>) -> Reach {
    let tls = listen.reach.tls.as_ref().and_then(|tls| files(tls, &listen.name.value, scope));
    let hosts = listen.reach.hosts.iter().filter_map(|host| checked_host(host, scope)).collect();
    let proxies = listen.reach.behind_proxy.as_ref().map(|proxies| networks(proxies, scope));
    match bind {
        Some(Bind::Unix { .. }) => refuse_on_socket(listen, scope),
        Some(Bind::Tcp(address)) if !address.ip().is_loopback() => beyond(listen, *address, scope),
        Some(Bind::Tcp(_)) | None => {}
    }
    Reach { tls, hosts, proxies: proxies.unwrap_or_default() }
}

fn refuse_on_socket(listen: &Listen, scope: Scope<'_>) {
    let reach = &listen.reach;
    let tls = reach.tls.iter().map(|tls| (&tls.place, "tls"));
    let hosts = reach.hosts.first().into_iter().map(|host| (&host.place, "hosts"));
    let proxies = reach.behind_proxy.iter().map(|proxies| (&proxies.place, "behind_proxy"));
    for (place, key) in tls.chain(hosts).chain(proxies) {
        let message =
            format!("`{key}` is for an `address`, and `[listen.{}]` is a socket", listen.name.value);
        scope.found.error(
            Code::Conflict,
            place,
            message,
            "remove it: a socket is reached from this machine alone",
        );
    }
}

/// What has to be said of a listener that other machines can reach.
fn beyond(listen: &Listen, address: SocketAddr, scope: Scope<'_>) {
    let (found, name, reach) = (scope.found, &listen.name, &listen.reach);
    let place = listen.address.as_ref().map_or(&name.place, |address| &address.place);
    if reach.tls.is_none()
        && reach.behind_proxy.is_none()
        && found.lacks(&name.place, &["tls", "behind_proxy"])
    {
        let message = format!("`{address}` is beyond loopback, and `[listen.{}]` has no TLS", name.value);
        let help = "add `tls = { cert = \"cert.pem\", key = \"key.pem\" }`; or `behind_proxy = [\"10.1.2.3\"]`, \
                    where a proxy ends TLS; or listen on 127.0.0.1 or [::1]";
        found.error(Code::NotLoopback, place, message, help);
    }
    if reach.hosts.is_empty() && found.lacks(&name.place, &["hosts"]) {
        let message = format!("`[listen.{}]` does not say by which names it is called", name.value);
        let help = "add `hosts = [\"mcp.acme.example\"]`: what `Host` says in requests that are meant for it";
        found.error(Code::HostsMissing, place, message, help);
    }
    if let Some(insecure) = listen.insecure_local.as_ref().filter(|insecure| insecure.value) {
        let message = format!("`[listen.{}]` would vouch for every machine that reaches it", name.value);
        let help = "remove `insecure_local`, and give each caller a key or a certificate";
        found.error(Code::Conflict, &insecure.place, message, help);
    }
    if let Some(proxies) = reach.behind_proxy.as_ref().filter(|_| reach.tls.is_none()) {
        let message =
            format!("between its proxy and `[listen.{}]` requests and keys travel unencrypted", name.value);
        let help = "right where nobody else can listen on that way; else add `tls` here too";
        found.warn(Code::PlainHttp, &proxies.place, message, help);
    }
}

/// The files of `tls`, once they were found to serve.
fn files(written: &Written, name: &str, scope: Scope<'_>) -> Option<TlsFiles> {
    let Written { place, cert, key, client_ca } = written;
    for key in ["cert", "key"].into_iter().filter(|key| scope.found.lacks(place, &[*key])) {
        let message = format!("`tls` of `[listen.{name}]` names no `{key}`");
        let help = "write `tls = { cert = \"cert.pem\", key = \"key.pem\" }`, two files in PEM";
        scope.found.error(Code::MissingKey, place, message, help);
    }
    let path = |written: &Located<String>| scope.path(&written.value);
    let (cert, key) = (cert.as_ref()?, key.as_ref()?);
    let files = TlsFiles { cert: path(cert), key: path(key), client_ca: client_ca.as_ref().map(path) };
    let clock = scope.machine.system.clock.clone();
    match Tls::load(files.clone(), scope.machine.uid, clock.clone()) {
        Ok(tls) => {
            let until = tls.until();
            if until.duration_since(clock.wall()) < EXPIRES_SOON {
                let message = format!("the certificate of `[listen.{name}]` ends at {until}");
                let help = "put a new one in its place; it is taken up without a restart";
                scope.found.warn(Code::CertificateExpires, &cert.place, message, help);
            }
        }
        Err(error) => {
            let places = [(&files.cert, Some(cert)), (&files.key, Some(key))];
            let ca = files.client_ca.as_ref().map(|path| (path, client_ca.as_ref()));
            let at = |path: &Path| {
                let known = places.iter().copied().chain(ca).find(|(known, _)| known.as_path() == path);
                known.and_then(|(_, written)| written).map_or(place, |written| &written.place)
            };
            say(&error, at, scope);
        }
    }
    Some(files)
}

fn say<'a>(error: &TlsError, at: impl Fn(&Path) -> &'a Place, scope: Scope<'_>) {
    let (code, help) = match error {
        TlsError::KeyOpen(_) | TlsError::KeyOwner { .. } => (
            Code::KeyFileOpen,
            "give it to the gateway's user, with mode 0600: who has the key is the gateway",
        ),
        TlsError::Unreadable { .. } => (
            Code::BadCertificate,
            "name a file that the gateway's user may read; a relative path begins at the configuration",
        ),
        TlsError::Empty { .. } | TlsError::Unusable { .. } | TlsError::Authorities { .. } => (
            Code::BadCertificate,
            "name the chain, the server's own certificate first, and the key of that one, in PEM",
        ),
        TlsError::Expired { .. } | TlsError::NotYet { .. } => {
            (Code::BadCertificate, "clients would refuse it: name one that is valid now")
        }
    };
    scope.found.error(code, at(error.path()), error.to_string(), help);
}

/// A name as `Host` says it, with or without a port, in lower case.
fn checked_host(written: &Located<String>, scope: Scope<'_>) -> Option<String> {
    let text = &written.value;
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text.as_str(), None),
    };
    let is_label = |label: &str| {
        let in_label = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        !label.is_empty() && label.bytes().all(in_label)
    };
    let v6 = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match v6 {
        Some(address) => {
            address.parse::<std::net::Ipv6Addr>().is_ok_and(|parsed| parsed.to_string() == address)
        }
        None => name.len() <= HOST_BYTES_MAX && name.split('.').all(is_label),
    };
    let is_port = port
        .is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port));
    if !is_name || !is_port {
        let message = format!("`{text}` is not a name that `Host` could say");
        let help =
            "write a name in lower case, with or without a port: \"mcp.acme.example\"; there is no wildcard";
        scope.found.error(Code::BadValue, &written.place, message, help);
        return None;
    }
    Some(text.clone())
}

fn networks(written: &Located<Vec<Located<String>>>, scope: Scope<'_>) -> Vec<Network> {
    let help = "write addresses, or networks in CIDR form: \"10.1.2.3\", \"10.0.0.0/8\"";
    if written.value.is_empty() {
        let message = "`behind_proxy` names no proxy, so nobody could connect";
        scope.found.error(Code::BadValue, &written.place, message, help);
    }
    let one = |text: &Located<String>| match text.value.parse::<Network>() {
        Ok(network) if network.is_everything() => {
            let message = format!("`{}` declares every machine as a proxy", text.value);
            scope.found.error(Code::BadValue, &text.place, message, help);
            None
        }
        Ok(network) => Some(network),
        Err(error) => {
            scope.found.error(
                Code::BadValue,
                &text.place,
                format!("`{}` names no proxy: {error}", text.value),
                help,
            );
            None
        }
    };
    written.value.iter().filter_map(one).collect()
}

/// A certificate that ends within this time is said to end soon.
const EXPIRES_SOON: SignedDuration = SignedDuration::from_hours(crate::socket::EXPIRES_SOON_HOURS);
/// Longest name in the DNS, in bytes (RFC 1035, 2.3.4).
const HOST_BYTES_MAX: usize = 253;
