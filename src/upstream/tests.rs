//! Real processes and sockets, each misbehaving in its own way.
