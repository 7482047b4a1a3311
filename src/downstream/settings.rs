//! The settings of listeners, checked.
//!
//! Must never hold a TCP address beyond loopback without TLS or a declared proxy.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::identity::ListenerVouches;
use crate::model::place::Place;
use crate::socket::ConnectionLimits;
use crate::socket::{Network, Scheme, TlsFiles};

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenSettings {
    /// `[listen.NAME]`.
    pub name: String,
    /// Where it is written.
    pub place: Place,
    /// Where it listens.
    pub bind: Bind,
    /// The name under which the service manager passes the socket, already bound to that place.
    pub systemd: Option<String>,
    /// What it vouches for by itself.
    pub vouches: ListenerVouches,
    /// `Origin` values beside the listener's own that may use it (`origins`).
    pub origins: Vec<String>,
    /// What protects it, and who may reach it.
    pub reach: Reach,
}

/// What protects a listener, and who may reach it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// Its certificate (`tls`).
    pub tls: Option<TlsFiles>,
    /// The names by which it is called beside loopback's (`hosts`).
    pub hosts: Vec<String>,
    /// The only peers that may connect; empty where everybody may (`behind_proxy`).
    pub proxies: Vec<Network>,
}

impl Reach {
    /// How the outside reaches it. A declared proxy is one that ends TLS.
    #[must_use]
    pub fn scheme(&self) -> Scheme {
        if self.tls.is_some() || !self.proxies.is_empty() { Scheme::Https } else { Scheme::Http }
    }
}

/// Where a listener listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bind {
    /// An address; beyond loopback only under cover.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix {
        /// Its path.
        path: PathBuf,
        /// Its mode, `0o600` by default.
        mode: u32,
    },
}

/// The limits at the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections per listener (`limits.connections_max`).
    pub connections_max: usize,
    /// Largest body in bytes (`limits.body_max`).
    pub body_max: usize,
    /// Longest time for a whole body (`limits.body_timeout`).
    pub body_timeout: Duration,
    /// Longest time for the head of a request (`limits.head_timeout`).
    pub head_timeout: Duration,
    /// Sessions of the 2025 revisions at once (`limits.sessions_max`).
    pub sessions_max: usize,
    /// A session that was not used for this long is closed (`limits.session_idle`).
    pub session_idle: Duration,
    /// How long a call that waits for a person is held (`limits.ask_hold`).
    pub ask_hold: Duration,
    /// Open streams (GET, `subscriptions/listen`) at once (`limits.streams_max`).
    pub streams_max: usize,
    /// A connection of a stream that its client can come back to is closed after this long
    /// (`limits.stream_age_max`).
    pub stream_age_max: Duration,
    /// How long a stream is kept for a client that lost its connection (`limits.resume_window`).
    pub resume_window: Duration,
}

impl Limits {
    /// What one listener grants its connections.
    pub(super) fn of_connections(&self) -> ConnectionLimits {
        ConnectionLimits { connections_max: self.connections_max, head_timeout: self.head_timeout }
    }
}

/// `limits.connections_max` where the configuration is silent.
pub const CONNECTIONS_MAX_DEFAULT: usize = 1024;
/// `limits.body_max` where the configuration is silent.
pub const BODY_MAX_DEFAULT: usize = 4 * 1024 * 1024;
/// `limits.body_timeout` where the configuration is silent.
pub const BODY_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// `limits.head_timeout` where the configuration is silent.
pub const HEAD_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// `limits.sessions_max` where the configuration is silent.
pub const SESSIONS_MAX_DEFAULT: usize = 4096;
/// `limits.ask_hold` where the configuration is silent: official clients give a request up after 60 seconds.
pub const ASK_HOLD_DEFAULT: Duration = Duration::from_secs(45);
/// `limits.session_idle` where the configuration is silent.
pub const SESSION_IDLE_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// `limits.streams_max` where the configuration is silent.
pub const STREAMS_MAX_DEFAULT: usize = 1024;
/// `limits.stream_age_max` where the configuration is silent.
pub const STREAM_AGE_MAX_DEFAULT: Duration = Duration::from_secs(10 * 60);
/// `limits.resume_window` where the configuration is silent.
pub const RESUME_WINDOW_DEFAULT: Duration = Duration::from_secs(2 * 60);
