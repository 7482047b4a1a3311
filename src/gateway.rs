//! The path of a call, one function per direction. (Being written.)
pub mod port;
