//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions): one stream for every change that a client
//! wants to hear of.
//!
//! Must never acknowledge what it does not honour, nor say why: a resource that is hidden and one that does not
//! exist are left out alike (I5).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::{Granted, SUBSCRIPTIONS_MAX, To, Watcher, subscription};
use crate::gateway::Gateway;
use crate::gateway::exchange::Exchange;
use crate::gateway::port::{Accepts, Listening, Reply, STREAM_EVENTS_MAX};
use crate::gateway::refusal::Refusal;
use crate::gateway::streams::Target;
use crate::model::reason::Reason;
use crate::task::Task;
use crate::wire::stateless::SUBSCRIPTION_ID;
use crate::wire::{ListKind, Method, encode};

/// What the client asks for.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wanted {
    #[serde(default)]
    tools_list_changed: bool,
    #[serde(default)]
    prompts_list_changed: bool,
    #[serde(default)]
    resources_list_changed: bool,
    #[serde(default)]
    resource_subscriptions: Vec<String>,
}

/// A resource that is watched for the stream to be.
struct Watched {
    uri: String,
    granted: Granted,
    again: Exchange,
    place: OwnedSemaphorePermit,
}

impl Gateway {
    /// First the acknowledgement, then what was asked for and changes.
    pub(in crate::gateway) async fn listen(
        self: &Arc<Self>,
        exchange: Exchange,
    ) -> Result<Reply, Box<Refusal>> {
        let refuse = |reason| Refusal::error(exchange.facts(), reason, exchange.id());
        if exchange.caller.accepts == Accepts::Json {
            return Err(refuse(Reason::NotAcceptable));
        }
        let wanted = wanted(&exchange).ok_or_else(|| refuse(Reason::ParamsInvalid))?;
        if wanted.resource_subscriptions.len() > SUBSCRIPTIONS_MAX {
            return Err(refuse(Reason::SubscriptionsFull));
        }
        let id: serde_json::Value =
            serde_json::from_str(exchange.request.id.raw()).map_err(|_| refuse(Reason::Fault))?;
        let meta = json!({ SUBSCRIPTION_ID: id });
        let watched = self.watch_all(&exchange, &wanted.resource_subscriptions).await;
        let acknowledged = wanted.acknowledged(&watched, &meta);
        let (sender, events) = mpsc::channel(STREAM_EVENTS_MAX);
        // The channel is new and has room, so the acknowledgement is the first message, as it must be.
        let first = encode::notification(&Method::SubscriptionsAcknowledged, Some(&acknowledged));
        sender.try_send(first).map_err(|_| refuse(Reason::Fault))?;
        let mut tellers = Vec::new();
        for Watched { granted: Granted { watch, run }, again, place, .. } in watched {
            let to = To::Listen { sender: sender.downgrade(), meta: meta.to_string().into() };
            let principal = Arc::clone(&exchange.caller.principal);
            let watcher = Watcher { principal, run, to, _place: place };
            tellers.push(Task::spawn(Arc::clone(self).follow(watch, again, watcher)));
        }
        let meta: Bytes = json!({ "_meta": meta }).to_string().into();
        let to = Target::Listen { sender, meta, wanted: wanted.lists().map(|(kind, _)| kind).collect() };
        self.open(to, &exchange.caller).map_err(refuse)?;
        Ok(Reply::Stream(Listening::new(events, tellers)))
    }

    /// Watches each of `uris` that may be watched.
    async fn watch_all(self: &Arc<Self>, exchange: &Exchange, uris: &[String]) -> Vec<Watched> {
        let watch = |uri: &String| {
            let id = exchange.request.id.raw().as_bytes();
            let again = subscription(id, uri, exchange.caller.clone(), exchange.revision, None);
            let uri = uri.clone();
            async move {
                let (again, place) = (again?, self.watches.take().ok()?);
                let granted = self.begin_watch(&again).await.ok()?;
                Some(Watched { uri, granted, again, place })
            }
        };
        join_all(uris.iter().map(watch)).await.into_iter().flatten().collect()
    }
}

fn wanted(exchange: &Exchange) -> Option<Wanted> {
    let filter = exchange.request.params.as_ref()?.get("notifications")?;
    serde_json::from_slice(&filter).ok()
}

impl Wanted {
    /// The lists whose changes it wants, with the members that say so.
    fn lists(&self) -> impl Iterator<Item = (ListKind, &'static str)> {
        let all = [
            (self.tools_list_changed, ListKind::Tools, "toolsListChanged"),
            (self.prompts_list_changed, ListKind::Prompts, "promptsListChanged"),
            (self.resources_list_changed, ListKind::Resources, "resourcesListChanged"),
        ];
        all.into_iter().filter(|(is_wanted, ..)| *is_wanted).map(|(_, kind, member)| (kind, member))
    }

    /// What of it is honoured, where `watched` is told of.
    fn acknowledged(&self, watched: &[Watched], meta: &serde_json::Value) -> Vec<u8> {
        let mut honoured: serde_json::Map<_, _> =
            self.lists().map(|(_, member)| (member.to_owned(), json!(true))).collect();
        let uris: Vec<_> = watched.iter().map(|watched| &watched.uri).collect();
        if !uris.is_empty() {
            honoured.insert("resourceSubscriptions".to_owned(), json!(uris));
        }
        json!({ "_meta": meta, "notifications": honoured }).to_string().into_bytes()
    }
}
