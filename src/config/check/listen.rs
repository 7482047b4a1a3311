//! Listeners: where each listens and what it vouches for by itself.
//!
//! Must never let a TCP listener vouch without `insecure_local = true`. What lets one stand beyond loopback
//! is in `reach`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::code::Code;
use crate::config::file::Loaded;
use crate::config::node::Located;
use crate::config::problem::Sink;
use crate::config::raw::{self, EntryPoint, Listen};
use crate::downstream::{Bind, ListenSettings};
use crate::identity::ListenerVouches;
use crate::model::place::Place;
use crate::model::principal::Principal;

use super::entry_point::Labels;
use super::{Scope, reach};

/// The places that listeners have taken, and who took them.
pub(super) struct Taken(Vec<(Spot, String, Place)>);

#[derive(Debug, PartialEq, Eq)]
enum Spot {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Checks the listeners; `credentials` says how many kinds of them are known beside what they vouch for.
pub(super) fn check(
    written: &[Listen],
    mut taken: Taken,
    credentials: usize,
    labels: &mut Labels<'_>,
    loaded: &Loaded,
) -> Vec<ListenSettings> {
    if written.is_empty() && labels.scope.found.lacks(&loaded.start, &["listen"]) {
        let help = "add `[listen.main]` with `address = \"127.0.0.1:7400\"`";
        labels.scope.found.error(Code::NoListener, &loaded.start, "no listener is configured", help);
    }
    let mut listeners = Vec::new();
    for listen in written {
        labels.check_name(&listen.name, "listener");
        let bind = bind(listen, labels.scope);
        let reach = reach::check(listen, bind.as_ref(), labels.scope);
        let vouches = vouches(listen, labels);
        if let Some(bind) = &bind {
            taken.take(Spot::of(bind), &listen.name, labels.scope.found);
        }
        let explains_itself = listen.insecure_local.is_some() || listen.entry_point.vouches.is_some();
        let is_whole = bind.is_some() && !explains_itself;
        let asks_for_known = listen.reach.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some())
            && labels.made.iter().any(|(made, _)| made.entry_point.as_str().starts_with("clients."));
        let has_credentials = credentials > 0 || asks_for_known;
        if vouches == Some(ListenerVouches::Nothing) && !has_credentials && is_whole {
            refuse_unreachable(listen, labels.scope.found);
        }
        let origins = listen.origins.iter().filter_map(|origin| checked_origin(origin, labels.scope.found));
        let (origins, name) = (origins.collect(), listen.name.value.clone());
        let systemd = listen.systemd.as_ref().and_then(|name| descriptor_name(name, labels.scope.found));
        if let (Some(bind), Some(vouches)) = (bind, vouches) {
            let place = listen.name.place.clone();
            listeners.push(ListenSettings { name, place, bind, systemd, vouches, origins, reach });
        }
    }
    listeners
}

/// The address that `written` is, if it is one on loopback.
pub(super) fn tcp_address(written: &Located<String>, found: &Sink) -> Option<SocketAddr> {
    let address = any_address(written, found)?;
    if !address.ip().is_loopback() {
        let message = format!("`{}` is beyond loopback, and probes and metrics have no TLS", written.value);
        found.error(Code::NotLoopback, &written.place, message, "listen on 127.0.0.1 or [::1]");
        return None;
    }
    Some(address)
}

/// The address that `written` is.
fn any_address(written: &Located<String>, found: &Sink) -> Option<SocketAddr> {
    let Located { value, place } = written;
    let Ok(address) = value.parse::<SocketAddr>() else {
        let message = format!("`{value}` is not an address and a port");
        let help = "write an IP address and a port: \"127.0.0.1:7400\" or \"[::1]:7400\"";
        found.error(Code::BadValue, place, message, help);
        return None;
    };
    Some(address)
}

/// The absolute path of a socket.
pub(super) fn socket_path(written: &Located<String>, scope: Scope<'_>) -> PathBuf {
    let path = scope.path(&written.value);
    if written.value.is_empty() || written.value.contains('\0') {
        let help = "name a path; a relative one begins at the configuration";
        scope.found.error(Code::BadValue, &written.place, "`socket` is not a path", help);
    }
    check_length(&path, &written.place, scope.found);
    path
}

/// Reports a path that the system does not take for a socket.
pub(super) fn check_length(path: &Path, place: &Place, found: &Sink) {
    if path.as_os_str().len() > SOCKET_PATH_BYTES_MAX {
        let message = "the absolute path of the socket is too long";
        let help = format!("the system takes at most {SOCKET_PATH_BYTES_MAX} bytes: choose a shorter one");
        found.error(Code::OutOfRange, place, message, help);
    }
}

fn bind(listen: &Listen, scope: Scope<'_>) -> Option<Bind> {
    let (found, name) = (scope.found, &listen.name);
    match (&listen.address, &listen.socket) {
        (Some(address), None) => {
            if let Some(mode) = &listen.mode {
                let help = "remove `mode`, or listen on a `socket`";
                found.error(
                    Code::Conflict,
                    &mode.place,
                    "`mode` is for sockets, and this is an address",
                    help,
                );
            }
            any_address(address, found).map(Bind::Tcp)
        }
        (None, Some(socket)) => {
            let path = socket_path(socket, scope);
            let mode =
                listen.mode.as_ref().map_or(Some(SOCKET_MODE_DEFAULT), |mode| socket_mode(mode, found))?;
            Some(Bind::Unix { path, mode })
        }
        (Some(_), Some(socket)) => {
            let message = format!("`[listen.{}]` has both `address` and `socket`", name.value);
            found.error(Code::Conflict, &socket.place, message, "make two listeners of them");
            None
        }
        (None, None) if !found.lacks(&name.place, &["address", "socket"]) => None,
        (None, None) => {
            let message = format!("`[listen.{}]` has neither `address` nor `socket`", name.value);
            let help = "write `address = \"127.0.0.1:7400\"` or `socket = \"state/agents.sock\"`";
            found.error(Code::MissingKey, &name.place, message, help);
            None
        }
    }
}

fn socket_mode(written: &Located<String>, found: &Sink) -> Option<u32> {
    let mode = u32::from_str_radix(&written.value, 8).ok().filter(|mode| mode & !0o777 == 0);
    let owner_may = mode.filter(|mode| mode & 0o600 == 0o600);
    if owner_may.is_none() {
        let message = format!("`mode` cannot be `{}`", written.value);
        let help = "write an octal mode in quotes that lets the owner read and write: \"0600\", \"0660\"";
        found.error(Code::BadValue, &written.place, message, help);
    }
    owner_may
}

/// A name as `FileDescriptorName=` of systemd.socket(5) takes it.
fn descriptor_name(written: &Located<String>, found: &Sink) -> Option<String> {
    let Located { value, place } = written;
    let fits = (1..=DESCRIPTOR_NAME_BYTES_MAX).contains(&value.len());
    if !fits || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b':') {
        let message = "`systemd` is not the name of a descriptor";
        let help = format!(
            "write what `FileDescriptorName=` of the socket unit says: at most \
             {DESCRIPTOR_NAME_BYTES_MAX} characters of ASCII without `:`"
        );
        found.error(Code::BadValue, place, message, help);
        return None;
    }
    Some(value.clone())
}

/// What the listener vouches for by itself.
fn vouches(listen: &Listen, labels: &mut Labels<'_>) -> Option<ListenerVouches> {
    let found = labels.scope.found;
    let name = &listen.name.value;
    let EntryPoint { vouches, run, run_idle, run_max } = &listen.entry_point;
    let is_insecure = listen.insecure_local.as_ref().is_some_and(|insecure| insecure.value);
    if is_insecure && listen.socket.is_some() {
        let message = format!("`[listen.{name}]` is a socket and does not need `insecure_local`");
        let help = format!("say who may use it, uid by uid: `[listen.{name}.peers.1000]`");
        found.error(Code::Conflict, &listen.name.place, message, help);
        return None;
    }
    if !listen.peers.is_empty() {
        return peers(listen, labels);
    }
    if is_insecure {
        let everyone = labels.principal(&format!("listen.{name}"), &listen.entry_point, &listen.name.place);
        let message =
            format!("every local process that reaches `[listen.{name}]` acts as what it vouches for");
        let help = "also an agent's shell and an upstream; use keys or a unix socket where that matters";
        let place = listen.insecure_local.as_ref().map_or(&listen.name.place, |insecure| &insecure.place);
        found.warn(Code::InsecureLocal, place, message, help);
        return everyone.map(ListenerVouches::Everyone);
    }
    let run_words = [run_idle, run_max].into_iter().flatten().map(|node| &node.place);
    let stray = vouches.as_ref().map(|vouches| &vouches.place).or(run.as_ref().map(|run| &run.place));
    if let Some(place) = stray.or(run_words.into_iter().next()) {
        let message = format!("`[listen.{name}]` vouches for nobody: its callers bring their own credential");
        let help = if listen.socket.is_some() {
            format!("say who may use it, uid by uid: `[listen.{name}.peers.1000]`")
        } else {
            "move this to `[auth.keys.NAME]`; or, to trust every local process, add `insecure_local = true`"
                .to_owned()
        };
        found.error(Code::Conflict, place, message, help);
    }
    Some(ListenerVouches::Nothing)
}

fn peers(listen: &Listen, labels: &mut Labels<'_>) -> Option<ListenerVouches> {
    let name = &listen.name.value;
    if listen.socket.is_none() {
        let message = format!("`[listen.{name}]` has `peers`, and a TCP peer has no uid");
        let help = "listen on a `socket`, or give each caller a key";
        labels.scope.found.error(Code::Conflict, &listen.name.place, message, help);
        return None;
    }
    let mut table: Vec<(u32, Arc<Principal>)> = Vec::new();
    for (written, entry_point) in &listen.peers {
        let uid = match written.value.as_str() {
            "self" => Ok(labels.scope.machine.uid),
            text => text.parse::<u32>(),
        };
        let Ok(uid) = uid else {
            let message = format!("`{}` is not a uid", written.value);
            let help = "write a number, or `self` for the uid of the gateway";
            labels.scope.found.error(Code::BadName, &written.place, message, help);
            continue;
        };
        if table.iter().any(|(known, _)| *known == uid) {
            let message = format!("the uid {uid} is already in the table of `[listen.{name}]`");
            let help = "keep one of the two; `self` is the uid of the gateway";
            labels.scope.found.error(Code::Duplicate, &written.place, message, help);
            continue;
        }
        let principal = labels.principal(&format!("listen.{name}/{uid}"), entry_point, &written.place);
        table.extend(principal.map(|principal| (uid, principal)));
    }
    Some(ListenerVouches::Peers(table))
}

fn refuse_unreachable(listen: &Listen, found: &Sink) {
    let name = &listen.name.value;
    let message =
        format!("no credential could pass `[listen.{name}]`: there are no keys and it knows no peers");
    let help = if listen.socket.is_some() {
        format!("add `[listen.{name}.peers.UID]`, or a key (`sluicegate key new`)")
    } else {
        "add a key (`sluicegate key new`), or `insecure_local = true` with `vouches`".to_owned()
    };
    found.error(Code::NoCredential, &listen.name.place, message, help);
}

/// An origin as browsers send it (RFC 6454 §6.2): scheme, host and port, and nothing after.
fn checked_origin(written: &Located<String>, found: &Sink) -> Option<String> {
    let Located { value, place } = written;
    let uri = value.parse::<http::Uri>().ok();
    let is_origin = uri.is_some_and(|uri| {
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let host = uri.authority().is_some_and(|host| !host.as_str().contains(['@', '*']));
        is_web && host && !value.ends_with('/') && uri.path() == "/" && uri.query().is_none()
    });
    if !is_origin || value.contains('#') {
        let message = format!("`{value}` is not an origin");
        let help = "write scheme, host and port: \"http://localhost:6274\"; there is no wildcard";
        found.error(Code::BadValue, place, message, help);
        return None;
    }
    Some(value.clone())
}

impl Taken {
    /// What the admin listener and the admin socket take.
    pub(super) fn by_admin(
        written: &raw::Admin,
        admin: Option<SocketAddr>,
        socket: &Path,
        loaded: &Loaded,
    ) -> Self {
        let place = |written: &Option<Located<String>>| {
            written.as_ref().map_or_else(|| loaded.start.clone(), |written| written.place.clone())
        };
        let socket = (Spot::Unix(socket.to_owned()), "the admin socket".to_owned(), place(&written.socket));
        let admin =
            admin.map(|address| (Spot::Tcp(address), "`[admin]`".to_owned(), place(&written.address)));
        Self(std::iter::once(socket).chain(admin).collect())
    }

    fn take(&mut self, spot: Spot, name: &Located<String>, found: &Sink) {
        // Port 0 is a free port of the system's choice: two of them never meet.
        let is_any_port = matches!(spot, Spot::Tcp(address) if address.port() == 0);
        let other = self.0.iter().find(|(taken, _, _)| *taken == spot && !is_any_port);
        if let Some((_, who, place)) = other {
            let message =
                format!("{who} (at {place}) listens at the same place as `[listen.{}]`", name.value);
            found.error(Code::ListenerCollision, &name.place, message, "choose another port or path");
        }
        self.0.push((spot, format!("`[listen.{}]`", name.value), name.place.clone()));
    }
}

impl Spot {
    fn of(bind: &Bind) -> Self {
        match bind {
            Bind::Tcp(address) => Self::Tcp(*address),
            Bind::Unix { path, .. } => Self::Unix(path.clone()),
        }
    }
}

const SOCKET_MODE_DEFAULT: u32 = 0o600;
/// `sun_path` of Linux (unix(7)) without its closing NUL.
const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Longest `FileDescriptorName=` that systemd takes (systemd.socket(5)), in bytes.
const DESCRIPTOR_NAME_BYTES_MAX: usize = 255;
