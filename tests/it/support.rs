//! The gateway as its users run it: a process of its own, a socket, a disk, and an oracle behind it.

pub mod audit;
pub mod certificate;
pub mod client;
pub mod gateway;
pub mod issuer;
pub mod namespace;
pub mod postfix;
pub mod shaped;
pub mod tls;
pub mod tokens;

pub use audit::check_audit;
pub use client::{Client, Exchange};
pub use gateway::Site;
