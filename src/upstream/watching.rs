//! A resource that is watched for somebody: the instance is kept for it, and told when nobody watches it
//! any more.
//!
//! Must never go on beyond its instance: whoever watches begins anew, and is decided on again. It trusts
//! nothing of what it is told.

use bytes::Bytes;
use tokio::runtime::Handle;

use super::exchange::Watched;
use super::pool::Lease;
use crate::model::name::UpstreamName;
use crate::task::Task;

/// One watched resource. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Watch {
    upstream: UpstreamName,
    watched: Watched,
    lease: Lease,
    /// What holds the subscription open where it has a request of its own (2026-07-28).
    listener: Option<Task>,
}

impl Watch {
    pub(super) fn new(
        upstream: UpstreamName,
        lease: Lease,
        (watched, listener): (Watched, Option<Task>),
    ) -> Self {
        Self { upstream, watched, lease, listener }
    }

    /// Whose resource it is.
    #[must_use]
    pub fn upstream(&self) -> &UpstreamName {
        &self.upstream
    }

    /// The `params` of the next update, as the tool server wrote them; `None` once its instance or the
    /// subscription has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        match &mut self.listener {
            None => self.watched.next().await,
            Some(listener) => tokio::select! {
                biased;
                update = self.watched.next() => update,
                () = listener.finished() => None,
            },
        }
    }

    /// Says that an update was not handed on; it is counted.
    pub fn count_dropped(&self) {
        self.watched.count_dropped();
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.watched.forget();
        // Where it has a request of its own, that ends with the listener.
        if self.listener.is_none()
            && let Ok(runtime) = Handle::try_current()
        {
            let (lease, uri) = (self.lease.again(), self.watched.uri().clone());
            runtime.spawn(async move { lease.unwatch(&uri).await });
        }
    }
}
