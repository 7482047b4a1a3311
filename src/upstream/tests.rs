//! Real processes and sockets, each misbehaving in its own way.

pub(super) mod bench;
mod catalogue;
mod fleet;
mod http;
mod life;
mod old_transport;
mod pins;
mod resumption;
mod stateless;
mod stdio;
mod user;
