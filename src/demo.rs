//! Tool servers to try the gateway on: a mailbox, a calendar and a browser, as real MCP servers.
//!
//! They hold made-up content in memory, some of it written by an attacker, so that a person can watch what
//! the gateway does about it. Must never listen beyond loopback, touch a real mailbox or the network, nor be
//! named by any room but `cli`: this is the one room that speaks through `rmcp`, as foreign servers would.

mod browser;
mod calendar;
mod host;
mod mail;
mod setup;

use std::net::SocketAddr;

use rmcp::ServiceExt;

pub use host::Host;
pub use setup::{Key, Paste, Setup, snippets};

/// Which tool server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A mailbox; strangers write to it.
    Mail,
    /// A calendar; invitations are written by whoever sends them.
    Calendar,
    /// A browser; its pages are written by strangers.
    Browser,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Mail, Self::Calendar, Self::Browser];

    /// Its name on the command line and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mail => "mail",
            Self::Calendar => "calendar",
            Self::Browser => "browser",
        }
    }
}

/// Why a demo server could not serve.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another machine could reach the address.
    #[error("a demo server listens on loopback only, and {0} is not")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}")]
    Listen(SocketAddr, #[source] std::io::Error),
    /// The client on standard input did not begin as MCP asks.
    #[error("the client on standard input did not open an MCP session")]
    Handshake(#[source] Box<rmcp::service::ServerInitializeError>),
}

/// Serves `kind` on standard input and output until the input ends.
///
/// # Errors
/// [`Error::Handshake`] where the client does not speak MCP.
pub async fn serve_stdio(kind: Kind) -> Result<(), Error> {
    match kind {
        Kind::Mail => converse(mail::Mailbox::default()).await,
        Kind::Calendar => converse(calendar::Calendar::default()).await,
        Kind::Browser => converse(browser::Browser).await,
    }
}

/// Listens for `kind` on the loopback address `addr`, by Streamable HTTP at `/mcp`.
///
/// # Errors
/// [`Error::NotLoopback`] and [`Error::Listen`].
pub async fn serve_http(kind: Kind, addr: SocketAddr) -> Result<Host, Error> {
    match kind {
        Kind::Mail => Host::bind(addr, mail::Mailbox::default()).await,
        Kind::Calendar => Host::bind(addr, calendar::Calendar::default()).await,
        Kind::Browser => Host::bind(addr, browser::Browser).await,
    }
}

async fn converse(server: impl rmcp::ServerHandler) -> Result<(), Error> {
    let running = server.serve(rmcp::transport::stdio()).await;
    let running = running.map_err(|error| Error::Handshake(Box::new(error)))?;
    // However it ends, the conversation is over: the client went away.
    let _ended = running.waiting().await;
    Ok(())
}
