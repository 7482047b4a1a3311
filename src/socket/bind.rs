//! Binding: an address, or a unix socket that nobody can reach before it has its mode.
//!
//! Must never bind an address beyond loopback that nothing covers, nor replace a socket that someone
//! serves, nor anything that is not a socket.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket};

use super::stream::Stream;
use super::{Network, Peer, Tls, TlsError};
use crate::chance;

/// Connections that the kernel holds before they are accepted.
const BACKLOG: u32 = 1024;
/// Longest path of a unix socket that the kernel takes, in bytes (`sun_path`, unix(7)).
const UNIX_PATH_BYTES_MAX: usize = 107;

/// A bound, listening socket. Removes its path when it is dropped.
#[derive(Debug)]
pub struct Listener {
    pub(super) kind: Kind,
    pub(super) place: Place,
}

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener, Cover),
    Unix { listener: UnixListener, _path: Option<OwnedPath> },
}

/// What protects the connections of an address. Beyond loopback there has to be one of the two.
#[derive(Debug, Clone, Default)]
pub struct Cover {
    /// TLS on each connection.
    pub tls: Option<Tls>,
    /// The only peers that may connect: proxies that end TLS themselves. Empty where everybody may.
    pub proxies: Vec<Network>,
}

/// A connection that was accepted.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It can be served.
    Open(Stream, Peer),
    /// It has to shake hands first.
    Tls(TcpStream, Peer, Tls),
    /// It comes from none of the proxies, and is closed.
    Undeclared,
}

/// Where a listener really listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The address, with the port that the kernel chose where 0 was asked for.
    Tcp(SocketAddr),
    /// The path.
    Unix(PathBuf),
}

impl std::fmt::Display for Place {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => write!(out, "{address}"),
            Self::Unix(path) => write!(out, "{}", path.display()),
        }
    }
}

/// Why a socket was not bound. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address is not loopback, and nothing covers it.
    #[error("`{0}` is not a loopback address; use 127.0.0.1 or [::1], TLS, or a declared proxy")]
    NotLoopback(SocketAddr),
    /// Its certificate cannot serve.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Something else listens there.
    #[error("`{0}` is in use; stop what listens there or choose another port")]
    AddressInUse(SocketAddr),
    /// The address cannot be bound for another reason.
    #[error("cannot listen on `{0}`")]
    Tcp(SocketAddr, #[source] io::Error),
    /// A live process serves the path.
    #[error("`{}` is served by a running process; stop it or choose another path", .0.display())]
    Live(PathBuf),
    /// Something that is not a socket is at the path.
    #[error("`{}` exists and is not a socket; remove it or choose another path", .0.display())]
    NotASocket(PathBuf),
    /// The path is too long for a socket.
    #[error("`{}` is longer than the {UNIX_PATH_BYTES_MAX} bytes that a socket's path may have", .0.display())]
    PathTooLong(PathBuf),
    /// What was passed takes no connections.
    #[error("the socket that was passed for `{0}` does not listen; a socket unit needs `Accept=no`")]
    NotListening(Place),
    /// What was passed can be reached by others than was configured.
    #[error("`{}` has the mode {has:04o} and not {wanted:04o}; `SocketMode=` of its unit and `mode` say the same", .path.display())]
    OtherMode {
        /// Which socket.
        path: PathBuf,
        /// Its mode.
        has: u32,
        /// What the configuration says.
        wanted: u32,
    },
    /// The path cannot be bound for another reason.
    #[error("cannot {action} the socket `{}`", .path.display())]
    Unix {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: io::Error,
    },
}

/// Listens on a loopback address.
///
/// # Errors
/// [`BindError`] says why it cannot.
pub async fn bind_tcp(address: SocketAddr) -> Result<Listener, BindError> {
    bind_covered(address, Cover::default()).await
}

/// Listens on an address under `cover`.
///
/// # Errors
/// [`BindError`] says why it cannot.
pub async fn bind_covered(address: SocketAddr, cover: Cover) -> Result<Listener, BindError> {
    cover.check(address)?;
    let failed = |error: io::Error| match error.kind() {
        ErrorKind::AddrInUse => BindError::AddressInUse(address),
        _ => BindError::Tcp(address, error),
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let place = Place::Tcp(listener.local_addr().map_err(failed)?);
    Ok(Listener { kind: Kind::Tcp(listener, cover), place })
}

impl Cover {
    /// Refuses an address beyond loopback without any.
    pub(super) fn check(&self, address: SocketAddr) -> Result<(), BindError> {
        if !address.ip().is_loopback() && self.tls.is_none() && self.proxies.is_empty() {
            return Err(BindError::NotLoopback(address));
        }
        Ok(())
    }
}

/// Listens on a unix socket at `path` whose mode is `mode`. Has to be called within a tokio runtime.
///
/// The socket is bound under another name, gets its mode, listens, and only then takes its place: a peer
/// can connect to a socket only once it listens, so nobody reaches it with another mode. A stale socket
/// is replaced by the same rename.
///
/// # Errors
/// [`BindError`] says why it cannot.
pub fn bind_unix(path: &Path, mode: u32) -> Result<Listener, BindError> {
    if path.as_os_str().len() > UNIX_PATH_BYTES_MAX {
        return Err(BindError::PathTooLong(path.to_owned()));
    }
    refuse_occupied(path)?;
    let temporary = temporary_name(path)?;
    let failed = |action, error| {
        // Nothing is left behind under the temporary name; that it may never have existed is fine.
        let _ = std::fs::remove_file(&temporary);
        BindError::Unix { action, path: path.to_owned(), error }
    };
    let socket = UnixSocket::new_stream().map_err(|error| failed("create", error))?;
    socket.bind(&temporary).map_err(|error| failed("bind", error))?;
    std::fs::set_permissions(&temporary, std::fs::Permissions::from_mode(mode))
        .map_err(|error| failed("set the mode of", error))?;
    let listener = socket.listen(BACKLOG).map_err(|error| failed("listen on", error))?;
    let path_owned = OwnedPath::of(&temporary, path).map_err(|error| failed("inspect", error))?;
    std::fs::rename(&temporary, path).map_err(|error| failed("put in place", error))?;
    let place = Place::Unix(path.to_owned());
    Ok(Listener { kind: Kind::Unix { listener, _path: Some(path_owned) }, place })
}

impl Listener {
    /// Where it listens.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        match &self.kind {
            Kind::Tcp(listener, Cover { tls, proxies }) => {
                let (stream, from) = listener.accept().await?;
                if !proxies.is_empty() && !proxies.iter().any(|proxy| proxy.contains(from.ip())) {
                    return Ok(Accepted::Undeclared);
                }
                // Answers are small and written whole: waiting to fill a segment only adds latency.
                stream.set_nodelay(true)?;
                let peer = Peer { address: Some(from.ip()), ..Peer::default() };
                Ok(match tls {
                    Some(tls) => Accepted::Tls(stream, peer, tls.clone()),
                    None => Accepted::Open(Stream::Tcp(stream), peer),
                })
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok(Accepted::Open(Stream::Unix(stream), Peer { uid: Some(uid), ..Peer::default() }))
            }
        }
    }
}

fn refuse_occupied(path: &Path) -> Result<(), BindError> {
    let failed = |error| BindError::Unix { action: "inspect", path: path.to_owned(), error };
    // Not followed: a symbolic link is not a socket, wherever it points.
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(BindError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match StdUnixStream::connect(path) {
        // Nobody listens: a process died here. Or the socket went away in this moment.
        Err(error) if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound) => Ok(()),
        // It was accepted, or the backlog is full, or we may not connect: someone may be there.
        Ok(_) => Err(BindError::Live(path.to_owned())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(BindError::Live(path.to_owned())),
        Err(error) => Err(failed(error)),
    }
}

fn temporary_name(path: &Path) -> Result<PathBuf, BindError> {
    let failed = |error| BindError::Unix { action: "name", path: path.to_owned(), error };
    let random: [u8; 4] = chance::bytes().map_err(|error| failed(io::Error::other(error)))?;
    Ok(path.with_file_name(format!(".{}", HEXLOWER.encode(&random))))
}

/// The path of a bound socket, removed on drop if it is still the same socket.
#[derive(Debug)]
pub(super) struct OwnedPath {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl OwnedPath {
    fn of(now_at: &Path, path: &Path) -> io::Result<Self> {
        let found = std::fs::symlink_metadata(now_at)?;
        Ok(Self { path: path.to_owned(), device: found.dev(), inode: found.ino() })
    }
}

impl Drop for OwnedPath {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| found.dev() == self.device && found.ino() == self.inode);
        if ours {
            // A path that stays is replaced as stale by the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
