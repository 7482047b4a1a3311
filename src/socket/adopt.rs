//! Sockets that somebody else bound and that this process serves, held to the rules of its own.
//!
//! Must never serve one that does not listen, that listens elsewhere than the configuration says, or
//! that more people can reach than the configuration says. Trusts the kernel's word on what a socket is,
//! and nothing that the one who passed it says of it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::net::sockopt;

use super::bind::{BindError, Cover, Kind, Listener, Place};

/// A socket that was passed to this process, and where it really is.
#[derive(Debug)]
pub struct Passed {
    socket: Socket,
    place: Place,
}

#[derive(Debug)]
enum Socket {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Passed {
    /// A TCP socket.
    ///
    /// # Errors
    /// Fails if the kernel does not say where it is.
    pub fn tcp(socket: std::net::TcpListener) -> io::Result<Self> {
        let place = Place::Tcp(socket.local_addr()?);
        Ok(Self { socket: Socket::Tcp(socket), place })
    }

    /// A unix stream socket.
    ///
    /// # Errors
    /// Fails if the kernel does not say where it is, or if it has no path: what stands in the abstract
    /// namespace has no mode, so whoever likes can reach it.
    pub fn unix(socket: std::os::unix::net::UnixListener) -> io::Result<Self> {
        let address = socket.local_addr()?;
        let nowhere = || io::Error::new(io::ErrorKind::InvalidInput, "it has no path");
        let place = Place::Unix(address.as_pathname().ok_or_else(nowhere)?.to_owned());
        Ok(Self { socket: Socket::Unix(socket), place })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Whether this is the socket for `address`; its port 0 means any.
    #[must_use]
    pub fn is_at_address(&self, address: SocketAddr) -> bool {
        let same_port = |place: &SocketAddr| address.port() == 0 || place.port() == address.port();
        matches!(&self.place, Place::Tcp(place) if place.ip() == address.ip() && same_port(place))
    }

    /// Whether this is the socket for `path`.
    #[must_use]
    pub fn is_at_path(&self, path: &Path) -> bool {
        matches!(&self.place, Place::Unix(place) if place == path)
    }

    /// Takes the socket over under `cover`, which it needs beyond loopback. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] says why it is not served.
    pub fn adopt_tcp(self, cover: Cover) -> Result<Listener, BindError> {
        let (Socket::Tcp(socket), Place::Tcp(address)) = (self.socket, &self.place) else {
            return Err(BindError::NotListening(self.place));
        };
        cover.check(*address)?;
        let failed = |error| BindError::Tcp(*address, error);
        check_listens(&socket, &self.place)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::TcpListener::from_std(socket).map_err(failed)?;
        Ok(Listener { kind: Kind::Tcp(listener, cover), place: self.place })
    }

    /// Takes the socket over, if it listens and if its path has exactly the mode `mode`. The path stays
    /// where it is when the listener is dropped: it is its maker's. Has to be called within a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`BindError`] says why it is not served.
    pub fn adopt_unix(self, mode: u32) -> Result<Listener, BindError> {
        let (Socket::Unix(socket), Place::Unix(path)) = (self.socket, &self.place) else {
            return Err(BindError::NotListening(self.place));
        };
        check_mode(path, mode)?;
        let failed = |error| BindError::Unix { action: "take over", path: path.clone(), error };
        check_listens(&socket, &self.place)?;
        socket.set_nonblocking(true).map_err(failed)?;
        let listener = tokio::net::UnixListener::from_std(socket).map_err(failed)?;
        Ok(Listener { kind: Kind::Unix { listener, _path: None }, place: self.place })
    }
}

fn check_listens(socket: impl AsFd, place: &Place) -> Result<(), BindError> {
    // One connection that was accepted already (`Accept=yes` of a socket unit) is not a listener, and a
    // loop that accepts on it would never end.
    match sockopt::socket_acceptconn(socket) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err(BindError::NotListening(place.clone())),
    }
}

fn check_mode(path: &Path, mode: u32) -> Result<(), BindError> {
    let failed = |error| BindError::Unix { action: "inspect", path: path.to_owned(), error };
    let found = std::fs::symlink_metadata(path).map_err(failed)?;
    if !found.file_type().is_socket() {
        return Err(BindError::NotASocket(path.to_owned()));
    }
    let has = found.mode() & 0o777;
    if has != mode {
        return Err(BindError::OtherMode { path: PathBuf::from(path), has, wanted: mode });
    }
    Ok(())
}
