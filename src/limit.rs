//! How much may be in flight. (Being written.)
mod settings;
pub use settings::*;
