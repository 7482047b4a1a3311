//! What the writer tells whoever measures it, at the moment when it happens.
//!
//! Must never wait for whoever is told, nor tell what a record says.

use std::fmt;
use std::time::Duration;

/// One thing that the writer did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// It made what was written durable.
    Sync {
        /// What the disk took.
        took: Duration,
    },
    /// A group of records became what each of them was waited for: written, or durable.
    Group {
        /// How many.
        records: usize,
        /// What the one that came first waited, from the moment it was handed to the journal.
        waited: Duration,
    },
}

/// Is told of each. It runs on the writing thread: it counts, and returns.
pub struct Measure(Box<dyn Fn(Measured) + Send + Sync>);

impl Measure {
    /// Tells `tell`.
    pub fn new(tell: impl Fn(Measured) + Send + Sync + 'static) -> Self {
        Self(Box::new(tell))
    }

    pub(super) fn tell(&self, measured: Measured) {
        (self.0)(measured);
    }
}

impl fmt::Debug for Measure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Measure")
    }
}
