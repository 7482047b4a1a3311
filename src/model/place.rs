//! A place in a configuration file, so that every decision and every error can point at a line.
//!
//! Must never be used to read the file: it is only a label.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// File, line and column of something that was written. Lines and columns count from 1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Place {
    /// The file as it was named when it was loaded.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}:{}", self.file, self.line, self.column)
    }
}
