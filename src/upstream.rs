//! Tool servers. (Being written.)
mod settings;
pub use settings::*;
