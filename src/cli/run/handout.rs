//! How a command gets its token, now and after each renewal.
//!
//! Must never put the token into the environment unless that was asked for, nor hand it to another uid.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use rustix::fs::{MemfdFlags, Mode};
use rustix::io::FdFlags;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{UnixListener, UnixStream};

use super::place::PrivateDir;
use super::user::User;
use crate::cli::credential::{TOKEN_FD_VARIABLE, TOKEN_FILE_VARIABLE, TOKEN_SOCKET_VARIABLE, TOKEN_VARIABLE};
use crate::model::mint::TokenText;

const FILE: &str = "token";
const SOCKET: &str = "token.sock";
const ROOT: u32 = 0;

/// The ways to hand a token over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Via {
    /// A file that is replaced when the token is renewed (`SLUICEGATE_TOKEN_FILE`)
    File,
    /// An inherited descriptor that is read from its beginning (`SLUICEGATE_TOKEN_FD`)
    Fd,
    /// A unix socket that hands the token to the command's user (`SLUICEGATE_TOKEN_SOCKET`)
    Socket,
    /// The environment (`SLUICEGATE_TOKEN`): not renewed, and open to whoever may look at the process
    Env,
}

/// A token, handed out.
#[derive(Debug)]
pub(super) struct Handout<'d> {
    dir: &'d PrivateDir,
    way: Way,
}

#[derive(Debug)]
enum Way {
    File,
    Descriptor { ours: OwnedFd, theirs: OwnedFd },
    Socket { listener: UnixListener, current: Mutex<TokenText>, uid: u32 },
    Environment(TokenText),
}

impl<'d> Handout<'d> {
    /// Hands `token` out. Only before the folder is given away.
    pub(super) fn open(
        via: Via,
        dir: &'d PrivateDir,
        user: Option<&User>,
        token: &TokenText,
    ) -> anyhow::Result<Self> {
        let way = match via {
            Via::File => Way::File,
            Via::Fd => descriptor(user)?,
            Via::Socket => {
                let listener =
                    UnixListener::bind(dir.file(SOCKET)).context("cannot bind the token's socket")?;
                dir.hand_over_socket(SOCKET)?;
                let uid = user.map_or_else(|| rustix::process::geteuid().as_raw(), |user| user.uid);
                Way::Socket { listener, current: Mutex::new(token.clone()), uid }
            }
            Via::Env => {
                tracing::warn!(
                    "the token is in the environment of the command: whoever may look at the process or at \
                     what it starts sees it, and it cannot be renewed there"
                );
                Way::Environment(token.clone())
            }
        };
        let handout = Self { dir, way };
        handout.publish(token)?;
        Ok(handout)
    }

    /// Whether the command would see another token.
    pub(super) fn is_renewable(&self) -> bool {
        !matches!(self.way, Way::Environment(_))
    }

    /// Replaces the token.
    pub(super) fn publish(&self, token: &TokenText) -> anyhow::Result<()> {
        let line = format!("{}\n", token.reveal());
        match &self.way {
            Way::File => self.dir.write(FILE, line.as_bytes()),
            Way::Descriptor { ours, .. } => {
                // One write from the beginning: readers take the first line, whatever stood behind it.
                let written =
                    rustix::io::pwrite(ours, line.as_bytes(), 0).context("cannot write the token")?;
                anyhow::ensure!(written == line.len(), "the token was not written whole");
                Ok(())
            }
            Way::Socket { current, .. } => {
                *current.lock().unwrap_or_else(PoisonError::into_inner) = token.clone();
                Ok(())
            }
            Way::Environment(_) => Ok(()),
        }
    }

    /// What the command is told in its environment.
    pub(super) fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![match &self.way {
            Way::File => (TOKEN_FILE_VARIABLE, self.dir.file(FILE).into()),
            Way::Socket { .. } => (TOKEN_SOCKET_VARIABLE, self.dir.file(SOCKET).into()),
            Way::Descriptor { theirs, .. } => (TOKEN_FD_VARIABLE, theirs.as_raw_fd().to_string().into()),
            Way::Environment(token) => (TOKEN_VARIABLE, token.reveal().into()),
        }]
    }

    /// The arguments by which `connect` and `token --json-headers` find the token.
    pub(super) fn arguments(&self) -> Vec<String> {
        let path = |name| self.dir.file(name).display().to_string();
        match &self.way {
            Way::File => vec!["--token-file".to_owned(), path(FILE)],
            Way::Socket { .. } => vec!["--token-socket".to_owned(), path(SOCKET)],
            Way::Descriptor { theirs, .. } => vec!["--token-fd".to_owned(), theirs.as_raw_fd().to_string()],
            Way::Environment(_) => vec!["--key-env".to_owned(), TOKEN_VARIABLE.to_owned()],
        }
    }

    /// Starts something that inherits the descriptor, and nothing else does.
    pub(super) fn lend<T>(&self, start: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let Way::Descriptor { theirs, .. } = &self.way else { return start() };
        let cannot = "cannot pass the token's descriptor on";
        rustix::io::fcntl_setfd(theirs, FdFlags::empty()).context(cannot)?;
        let started = start();
        rustix::io::fcntl_setfd(theirs, FdFlags::CLOEXEC).context(cannot)?;
        started
    }

    /// Hands the token out to who asks, for as long as this is polled.
    pub(super) async fn serve(&self) {
        let Way::Socket { listener, current, uid } = &self.way else { return std::future::pending().await };
        loop {
            let stream = match listener.accept().await {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::error!(%error, "the token's socket does not accept any more");
                    return;
                }
            };
            let token = current.lock().unwrap_or_else(PoisonError::into_inner).clone();
            answer(stream, *uid, &token).await;
        }
    }
}

/// One answer fits the socket's buffer, so nobody can hold it up.
async fn answer(mut stream: UnixStream, uid: u32, token: &TokenText) {
    let peer = stream.peer_cred().map(|peer| peer.uid());
    match peer {
        Ok(peer) if peer == uid || peer == ROOT => {
            let line = format!("{}\n", token.reveal());
            // Who hangs up does not want it.
            let _ = stream.write_all(line.as_bytes()).await;
        }
        _ => tracing::warn!(peer = peer.ok(), "another user asked for the token, and got nothing"),
    }
}

/// A file in memory: ours to write, the command's to read.
fn descriptor(user: Option<&User>) -> anyhow::Result<Way> {
    let cannot = "cannot make a file in memory";
    let ours = rustix::fs::memfd_create("sluicegate-token", MemfdFlags::CLOEXEC).context(cannot)?;
    rustix::fs::fchmod(&ours, Mode::RUSR | Mode::WUSR).context(cannot)?;
    if let Some((uid, gid)) = user.map(User::ids) {
        rustix::fs::fchown(&ours, Some(uid), Some(gid)).context(cannot)?;
    }
    let theirs = File::open(format!("/proc/self/fd/{}", ours.as_raw_fd())).context(cannot)?;
    Ok(Way::Descriptor { ours, theirs: theirs.into() })
}
