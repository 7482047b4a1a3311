//! An instance that is kept although no call uses it: it works on a task.
//!
//! Must never send it a word of a run: only that what it asked is declined, or that the task is given up.

use super::pool::Lease;
use crate::wire::Method;

/// Keeps an instance until it is dropped.
#[derive(Debug)]
pub struct Hold(Lease);

impl Hold {
    pub(super) fn new(lease: Lease) -> Self {
        Self(lease)
    }

    /// The same instance, kept once more.
    #[must_use]
    pub fn again(&self) -> Self {
        Self(self.0.again())
    }

    /// Tells the instance something about its task by a request of the gateway's own. Whether it heeds it shows
    /// in the task.
    pub async fn tell(&self, method: &Method, params: &[u8]) {
        self.0.tell(method, params).await;
    }
}
