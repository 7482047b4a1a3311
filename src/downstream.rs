//! Sockets toward agents. (Being written.)
mod settings;
pub use settings::*;
