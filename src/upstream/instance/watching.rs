//! Telling an instance which resources somebody watches: `resources/subscribe` up to 2025-11-25, a
//! subscription of its own for each since.
//!
//! Must never end a subscription that somebody else still needs: an instance may be shared.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Instance;
use super::asking::stand;
use crate::model::call::Payload;
use crate::model::uri::Uri;
use crate::task::Task;
use crate::upstream::cancel::CancelSignal;
use crate::upstream::era::{Asker, Era};
use crate::upstream::exchange::Watched;
use crate::upstream::failure::{AnswerKind, Detail, Executed, Failure};
use crate::upstream::features::Feature;
use crate::wire::{Method, Object, result};

/// The resources that an instance was told to announce, each as it was named to it.
pub(super) type Told = tokio::sync::Mutex<BTreeMap<Uri, Bytes>>;

impl Instance {
    /// Begins to watch what `payload`, the parameters of `resources/subscribe`, names.
    pub(in crate::upstream) async fn watch(
        &self,
        payload: &Payload,
        deadline: Instant,
        cancel: &mut CancelSignal,
    ) -> Result<(Watched, Option<Task>), Failure> {
        if !self.features.has(Feature::Subscriptions) {
            return Err(Failure::NotWatched(Executed::No));
        }
        let params = Object::of(&payload.bytes).ok();
        let named = params.and_then(|params| Some((params.get("uri")?, params.text("uri")?.ok()?)));
        let named = named.and_then(|(raw, text)| Some((raw, Uri::new(&text).ok()?)));
        let (raw, uri) = named.ok_or_else(|| Failure::Unavailable(Detail::new("no resource is named")))?;
        match Era::of(self.revision) {
            Era::Handshake => Ok((self.tell_to_announce(payload, raw, uri, deadline, cancel).await?, None)),
            Era::Stateless => self.listen_to(&raw, uri, deadline, cancel).await,
        }
    }

    /// Nobody watches `uri` any more, unless somebody began to meanwhile.
    pub(in crate::upstream) async fn unwatch(&self, uri: &Uri) {
        let mut told = self.told.lock().await;
        if self.exchange.is_retired() || self.exchange.is_watched(uri) {
            return;
        }
        if let Some(raw) = told.remove(uri) {
            let params = [b"{\"uri\":".as_slice(), &raw, b"}"].concat();
            // What it tells of it all the same reaches nobody.
            self.tell(&Method::ResourcesUnsubscribe, &params).await;
        }
    }

    async fn tell_to_announce(
        &self,
        payload: &Payload,
        raw: Bytes,
        uri: Uri,
        deadline: Instant,
        cancel: &mut CancelSignal,
    ) -> Result<Watched, Failure> {
        let watched = self.exchange.watch(uri.clone(), None)?;
        let late = |_| Failure::Timeout(Executed::No);
        let mut told = timeout_at(deadline, self.told.lock()).await.map_err(late)?;
        if let Entry::Vacant(untold) = told.entry(uri) {
            // What it says or asks meanwhile belongs to nobody.
            let (relay, _) = tokio::sync::mpsc::channel(1);
            let answer = self.call(payload, &Asker::default(), relay, deadline, cancel).await?;
            match answer.kind {
                AnswerKind::Result => drop(untold.insert(raw)),
                AnswerKind::Error if result::is_not_found(&answer.raw) => return Err(Failure::Vanished),
                _ => return Err(Failure::NotWatched(Executed::Yes)),
            }
        }
        Ok(watched)
    }

    async fn listen_to(
        &self,
        raw: &[u8],
        uri: Uri,
        deadline: Instant,
        cancel: &mut CancelSignal,
    ) -> Result<(Watched, Option<Task>), Failure> {
        let waiting = self.exchange.expect_standing()?;
        let mut watched = self.exchange.watch(uri, Some(waiting.id()))?;
        let filter = [b"{\"notifications\":{\"resourceSubscriptions\":[".as_slice(), raw, b"]}}"].concat();
        let era = Era::Stateless;
        let request = era.request(waiting.id(), &Method::SubscriptionsListen, Some(&filter));
        let (link, giving_up) = (self.link.clone(), self.giving_up(era));
        let mut listener = Task::spawn(async move {
            // However it ends, whoever watches hears no more.
            let _ended = stand(&link, waiting, request, giving_up).await;
        });
        let honoured = tokio::select! {
            biased;
            honoured = watched.honoured() => honoured,
            () = listener.finished() => None,
            () = sleep_until(deadline) => return Err(Failure::Timeout(Executed::Unknown)),
            () = cancel.given_up() => return Err(Failure::Cancelled(Executed::Unknown)),
        };
        match honoured {
            Some(true) => Ok((watched, Some(listener))),
            Some(false) | None => Err(Failure::NotWatched(Executed::Yes)),
        }
    }
}
