//! Who watches which resource of an instance, and what the instance tells of it.
//!
//! Must never tell anybody of what they do not watch (I9), nor wait: whoever does not read loses what the next
//! update says again. It trusts nothing of an update but its URI, and that only within what is watched.

use std::collections::HashMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use super::{Exchange, Scope};
use crate::model::uri::Uri;
use crate::upstream::failure::{Detail, Failure};
use crate::wire::{Id, Notification, Params, stateless};

/// Updates of one watched resource that may wait for whoever watches it.
const UPDATES_MAX: usize = 16;

/// Everybody who watches.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    next: u64,
    all: HashMap<u64, Watcher>,
}

#[derive(Debug)]
struct Watcher {
    uri: Uri,
    /// The number of the subscription that is its own (2026-07-28).
    listen: Option<u64>,
    updates: mpsc::Sender<Bytes>,
    honoured: Option<oneshot::Sender<bool>>,
}

/// One resource that is watched. Forgotten when dropped.
#[derive(Debug)]
pub(in crate::upstream) struct Watched {
    exchange: Arc<Exchange>,
    number: u64,
    uri: Uri,
    updates: mpsc::Receiver<Bytes>,
    honoured: oneshot::Receiver<bool>,
}

impl Exchange {
    /// Begins to hear of `uri`, by the subscription `listen` where it has one of its own.
    pub(in crate::upstream) fn watch(
        self: &Arc<Self>,
        uri: Uri,
        listen: Option<u64>,
    ) -> Result<Watched, Failure> {
        let (sender, updates) = mpsc::channel(UPDATES_MAX);
        let (acknowledge, honoured) = oneshot::channel();
        let number = {
            let mut watchers = self.watchers();
            let number = watchers.next;
            watchers.next += 1;
            let watcher = Watcher { uri: uri.clone(), listen, updates: sender, honoured: Some(acknowledge) };
            watchers.all.insert(number, watcher);
            number
        };
        let watched = Watched { exchange: Arc::clone(self), number, uri, updates, honoured };
        // Looked at when it can be found: whoever retires the instance from now on forgets it.
        if self.is_retired() {
            return Err(Failure::Unavailable(Detail::new("its session ended")));
        }
        Ok(watched)
    }

    /// Whether anybody watches `uri`.
    pub(in crate::upstream) fn is_watched(&self, uri: &Uri) -> bool {
        self.watchers().all.values().any(|watcher| watcher.uri == *uri)
    }

    /// Nobody hears of anything any more.
    pub(super) fn forget_watchers(&self) {
        self.watchers().all.clear();
    }

    /// What a server honours of a subscription (2026-07-28, basic/patterns/subscriptions).
    pub(super) fn acknowledged(&self, notification: &Notification, scope: Scope) {
        let Some(params) = &notification.params else { return };
        let Some(listen) = subscription_of(params, scope) else { return };
        let uris = stateless::honoured(params);
        let mut watchers = self.watchers();
        for watcher in watchers.all.values_mut().filter(|watcher| watcher.listen == Some(listen)) {
            if let Some(honoured) = watcher.honoured.take() {
                let is_it = |uri: &String| Uri::new(uri).is_ok_and(|uri| uri == watcher.uri);
                // Whoever waited may have gone.
                let _ = honoured.send(uris.iter().any(is_it));
            }
        }
    }

    /// Tells those who watch it that a resource changed. What nobody watches, or has no room for, is dropped.
    pub(super) fn updated(&self, notification: &Notification, scope: Scope) {
        let uri = notification.params.as_ref().and_then(|params| params.text("uri")?.ok());
        let (Some(params), Some(Ok(uri))) = (&notification.params, uri.map(|uri| Uri::new(&uri))) else {
            return self.counters.notifications_dropped.count();
        };
        let listen = subscription_of(params, scope);
        let is_told = |watcher: &&Watcher| {
            uri.is_within(&watcher.uri) && (watcher.listen.is_none() || watcher.listen == listen)
        };
        let watchers = self.watchers();
        let mut told = watchers.all.values().filter(is_told).peekable();
        if told.peek().is_none() {
            self.counters.notifications_dropped.count();
        }
        for watcher in told {
            if watcher.updates.try_send(params.raw()).is_err() {
                self.counters.notifications_dropped.count();
            }
        }
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        self.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watched {
    /// What is watched.
    pub(in crate::upstream) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The `params` of the next update; `None` once there can be none. Cancel safe.
    pub(in crate::upstream) async fn next(&mut self) -> Option<Bytes> {
        self.updates.recv().await
    }

    /// Whether the server tells of it, once it said so; `None` where it will not say any more.
    pub(in crate::upstream) async fn honoured(&mut self) -> Option<bool> {
        (&mut self.honoured).await.ok()
    }

    /// Says that an update was not handed on.
    pub(in crate::upstream) fn count_dropped(&self) {
        self.exchange.counters.notifications_dropped.count();
    }

    /// Hears of nothing any more.
    pub(in crate::upstream) fn forget(&self) {
        self.exchange.watchers().all.remove(&self.number);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.forget();
    }
}

/// The subscription that a notification names, or on whose stream it came.
fn subscription_of(params: &Params, scope: Scope) -> Option<u64> {
    let named = params.meta().and_then(|meta| meta.get(stateless::SUBSCRIPTION_ID));
    let named = named.and_then(|raw| Id::parse(std::str::from_utf8(&raw).ok()?).ok()?.number());
    match scope {
        Scope::Of(id) => Some(id),
        Scope::Whole | Scope::Unasked => named.filter(|id| scope.admits(*id)),
    }
}
