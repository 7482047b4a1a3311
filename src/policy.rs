//! The decision: pure, synchronous, total. (Being written.)
mod rules;
pub use rules::{Lists, Permission, Rules};
