//! The gateway as its users run it: a process of its own, a socket, a disk, and an oracle behind it.

pub mod audit;
#[cfg(feature = "kafka")]
pub mod broker;
pub mod browser;
pub mod certificate;
pub mod client;
pub mod collector;
pub mod document;
pub mod gateway;
pub mod issuer;
pub mod load;
pub mod namespace;
#[cfg(feature = "nats")]
pub mod nats;
pub mod postfix;
pub mod receiver;
pub mod served;
pub mod shaped;
pub mod sink;
pub mod tls;
pub mod tokens;
pub mod tracer;

pub use audit::check_audit;
pub use client::{Client, Exchange};
pub use gateway::Site;

/// What `tests/interop/install` put there.
pub fn interop(path: &str) -> std::path::PathBuf {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = std::env::var_os("INTEROP_DIR").map_or_else(|| root.join("target/interop"), Into::into);
    dir.join(path)
}
