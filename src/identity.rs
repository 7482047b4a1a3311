//! Credential to principal. (Being written.)
mod settings;
pub use settings::*;
