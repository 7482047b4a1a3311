//! Real processes and sockets, each misbehaving in its own way.

mod bench;
mod catalogue;
mod fleet;
mod http;
mod life;
mod stdio;
mod user;
