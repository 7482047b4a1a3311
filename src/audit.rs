//! The journal. (Being written.)
mod settings;
pub use settings::*;
