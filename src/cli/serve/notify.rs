//! Tells a service manager how the gateway is: systemd's notification protocol (sd_notify(3)).
//!
//! One datagram a message, to the socket that `$NOTIFY_SOCKET` names: a path, or a name without one in the
//! abstract namespace, written with `@`. Must never wait for the manager, nor fail because of it: a gateway
//! that nobody supervises is a gateway all the same.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::clock;

/// Longest `STATUS=`, in bytes.
const STATUS_BYTES_MAX: usize = 256;

/// The other end, if there is one.
pub(super) struct Notifier(Option<(UnixDatagram, SocketAddr)>);

impl Notifier {
    /// What `$NOTIFY_SOCKET` names. What cannot be used is said once and left alone.
    pub(super) fn from_environment() -> Self {
        let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return Self(None) };
        Self::to(&name.into_vec()).unwrap_or_else(|error| {
            tracing::warn!(%error, "$NOTIFY_SOCKET cannot be used: the service manager hears nothing");
            Self(None)
        })
    }

    fn to(name: &[u8]) -> std::io::Result<Self> {
        let address = match name.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None if name.starts_with(b"/") => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(name))?,
            None => return Err(std::io::Error::other("it is neither a path nor an abstract name")),
        };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        Ok(Self(Some((socket, address))))
    }

    /// It serves.
    pub(super) fn ready(&self, status: &str) {
        self.tell(&format!("READY=1\n{}", line(status)));
    }

    /// It reads its configuration; [`Notifier::ready`] follows. `Type=notify-reload` needs the time on the
    /// clock that systemd reads, to tell this reload from one that it did not ask for.
    pub(super) fn reloading(&self) {
        let now = clock::since_boot();
        self.tell(&format!("RELOADING=1\nMONOTONIC_USEC={}\n{}", now.as_micros(), line("reloading")));
    }

    /// It ends.
    pub(super) fn stopping(&self) {
        self.tell(&format!("STOPPING=1\n{}", line("stopping: calls in flight end first")));
    }

    fn tell(&self, message: &str) {
        let Some((socket, address)) = &self.0 else { return };
        if let Err(error) = socket.send_to_addr(message.as_bytes(), address) {
            tracing::warn!(%error, "the service manager could not be told how the gateway is");
        }
    }
}

/// A line of `STATUS=`, of which there can be one only.
fn line(status: &str) -> String {
    let status = crate::model::text::printable(status);
    let end = status.floor_char_boundary(STATUS_BYTES_MAX);
    format!("STATUS={}", status.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(manager: &UnixDatagram) -> String {
        let mut buffer = [0; 1024];
        let length = manager.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn a_manager_hears_at_a_path_and_at_an_abstract_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let random: [u8; 8] = crate::chance::bytes().unwrap();
        let name = format!("sluicegate-test-{}", data_encoding::HEXLOWER.encode(&random));
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let ends = [
            (path.as_os_str().as_bytes().to_vec(), UnixDatagram::bind(&path).unwrap()),
            (format!("@{name}").into_bytes(), UnixDatagram::bind_addr(&address).unwrap()),
        ];
        for (name, manager) in ends {
            let notifier = Notifier::to(&name).unwrap();
            notifier.ready("two\nlines");
            assert_eq!(heard(&manager), "READY=1\nSTATUS=two\\u{a}lines");
            notifier.reloading();
            let said = heard(&manager);
            let time = said.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).unwrap();
            assert!(said.starts_with("RELOADING=1\n") && time.parse::<u64>().unwrap() > 0, "{said}");
            notifier.stopping();
            assert!(heard(&manager).starts_with("STOPPING=1\n"));
        }
    }

    #[test]
    fn a_manager_that_is_not_there_is_no_trouble() {
        let dir = tempfile::tempdir().unwrap();
        Notifier::to(dir.path().join("nobody").as_os_str().as_bytes()).unwrap().ready("alone");
        assert!(Notifier::to(b"vsock:2:1234").is_err());
        assert!(Notifier::to(b"").is_err());
        Notifier(None).stopping();
    }
}
