//! Resources that a client watches: subscribed to on the path of a call, told of for as long as its run may
//! hear of them.
//!
//! Must never tell a run of what its policy hides, nor in the words of an upstream whose sources it has not (I5,
//! DESIGN §5); nor go on watching at a new instance without deciding again.

mod listen;

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep};

use super::Gateway;
use super::call::Then;
use super::exchange::{Caller, Exchange};
use super::named;
use super::port::Reply;
use super::refusal::Refusal;
use super::relay::Leg;
use super::session::Session;
use crate::model::name::UpstreamName;
use crate::model::principal::Principal;
use crate::model::reason::{Reason, Retry};
use crate::model::target::{ResourceId, Target};
use crate::model::uri::Uri;
use crate::run::Run;
use crate::task::Task;
use crate::upstream::Watch;
use crate::wire::{self, Id, Message, Method, Object, Revision, ScanLimits, encode};

/// Resources that one session, or one stream of 2026-07-28, may watch.
pub(super) const SUBSCRIPTIONS_MAX: usize = 64;
/// Resources that all of them together may watch.
const ALL_SUBSCRIPTIONS_MAX: usize = 4096;
/// Pause before a resource is watched again whose instance has ended; it doubles while that happens soon.
const RENEW_FIRST: Duration = Duration::from_secs(1);
/// The longest pause. A watch that lasted as long makes the next pause short.
const RENEW_MAX: Duration = Duration::from_secs(60);

/// The room for what is watched.
#[derive(Debug)]
pub(super) struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(ALL_SUBSCRIPTIONS_MAX)))
    }
}

impl Places {
    fn take(&self) -> Result<OwnedSemaphorePermit, Reason> {
        Arc::clone(&self.0).try_acquire_owned().map_err(|_| Reason::SubscriptionsFull)
    }
}

/// Whom an update goes to. Keeps neither alive.
#[derive(Debug)]
enum To {
    Session(Weak<Session>),
    /// The stream of `subscriptions/listen`, and the `_meta` of what is told on it.
    Listen {
        sender: mpsc::WeakSender<Bytes>,
        meta: Bytes,
    },
}

/// Who watches, and for which run.
#[derive(Debug)]
struct Watcher {
    principal: Arc<Principal>,
    run: Arc<Run>,
    to: To,
    _place: OwnedSemaphorePermit,
}

/// A subscription that was granted.
#[derive(Debug)]
struct Granted {
    watch: Watch,
    run: Arc<Run>,
}

/// Why there is none, and whether it is worth another attempt.
type Denied = Retry;

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is on its way, or nobody listens at this moment.
    Yes,
    /// The run may not hear of it now.
    Withheld,
    /// Nobody will ever hear of it.
    Over,
}

impl Gateway {
    /// `resources/subscribe` of the revisions with sessions (2025-11-25, server/resources, "Subscriptions").
    pub(super) async fn subscribe(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        let named = named::read(&exchange)?;
        let refuse = |reason| Refusal::error(exchange.facts(), reason, exchange.id());
        let session = exchange.session.clone().ok_or_else(|| refuse(Reason::Fault))?;
        // What has no normal form does not exist, and is not watched either.
        let uri = Uri::new(&named.name).ok();
        let place = self.watches.take().map_err(refuse)?;
        if uri.as_ref().is_some_and(|uri| !session.may_watch(uri)) {
            return Err(refuse(Reason::SubscriptionsFull));
        }
        let again = renewal(&exchange, &named.name).ok_or_else(|| refuse(Reason::Fault))?;
        let gateway = Arc::clone(self);
        let then = move |watch: Option<Watch>, leg: &Leg| {
            if let (Some(watch), Some(uri)) = (watch, uri) {
                let (principal, run) = (Arc::clone(&leg.facts.principal), Arc::clone(&leg.run));
                let to = To::Session(Arc::downgrade(&session));
                let watcher = Watcher { principal, run, to, _place: place };
                // Where it does not fit any more it ends here.
                session.watch(uri, Task::spawn(gateway.follow(watch, again, watcher)));
            }
        };
        self.start(&exchange, named, Some(Box::new(then))).await
    }

    /// `resources/unsubscribe`: decided like everything else that names a resource, so that it says no more.
    pub(super) async fn unsubscribe(self: &Arc<Self>, exchange: &Exchange) -> Result<Reply, Box<Refusal>> {
        let named = named::read(exchange)?;
        let (session, uri) = (exchange.session.clone(), Uri::new(&named.name).ok());
        let then = move |_: Option<Watch>, _: &Leg| {
            if let (Some(session), Some(uri)) = (session, uri) {
                session.unwatch(&uri);
            }
        };
        self.start(exchange, named, Some(Box::new(then))).await
    }

    /// Watches what `exchange`, a `resources/subscribe`, names. Recorded like every call.
    async fn begin_watch(self: &Arc<Self>, exchange: &Exchange) -> Result<Granted, Denied> {
        let (sender, granted) = oneshot::channel();
        let then: Then = Box::new(move |watch, leg| {
            if let Some(watch) = watch {
                // Who waited may have gone, which ends it.
                let _gone = sender.send(Granted { watch, run: Arc::clone(&leg.run) });
            }
        });
        let started = match named::read(exchange) {
            Ok(named) => self.start(exchange, named, Some(then)).await,
            Err(refusal) => Err(refusal),
        };
        match started {
            Ok(Reply::Call(mut ongoing)) => {
                while ongoing.events.recv().await.is_some() {}
                granted.await.map_err(|_| Retry::Later)
            }
            Ok(_) => Err(Retry::Never),
            Err(refusal) => {
                let retry = refusal.reason.retry();
                self.refuse(*refusal, exchange.caller.arrived).await;
                Err(retry)
            }
        }
    }

    /// Tells of what is watched until nobody may hear of it any more.
    async fn follow(self: Arc<Self>, mut watch: Watch, again: Exchange, watcher: Watcher) {
        let mut pause = RENEW_FIRST;
        loop {
            let begun = Instant::now();
            while let Some(update) = watch.next().await {
                match self.tell_update(&update, watch.upstream(), &watcher) {
                    Told::Yes => {}
                    Told::Withheld => watch.count_dropped(),
                    Told::Over => return,
                }
            }
            drop(watch);
            pause = if begun.elapsed() >= RENEW_MAX { RENEW_FIRST } else { pause };
            watch = loop {
                sleep(pause).await;
                pause = pause.saturating_mul(2).min(RENEW_MAX);
                match self.begin_watch(&again).await {
                    Ok(Granted { watch, .. }) => break watch,
                    Err(Retry::Later) => {}
                    Err(Retry::Never) => return,
                }
            };
            // What changed while nobody watched is not known: the client looks at it again.
            let Some(params) = again.request.params.as_ref() else { return };
            if self.tell_update(&params.raw(), watch.upstream(), &watcher) == Told::Over {
                return;
            }
        }
    }

    fn tell_update(&self, update: &Bytes, upstream: &UpstreamName, watcher: &Watcher) -> Told {
        let Ok(params) = Object::of(update) else { return Told::Withheld };
        let uri = params.text("uri").and_then(Result::ok).and_then(|uri| Uri::new(&uri).ok());
        let Some(uri) = uri else { return Told::Withheld };
        match self.may_hear(&Target::Resource(ResourceId { upstream: upstream.clone(), uri }), watcher) {
            Ok(true) => watcher.to.tell(&params),
            Ok(false) => Told::Withheld,
            Err(_over) => Told::Over,
        }
    }

    /// Whether the run may hear of `target` at this moment.
    fn may_hear(&self, target: &Target, watcher: &Watcher) -> Result<bool, Reason> {
        let Watcher { principal, run, .. } = watcher;
        // What a tool server says keeps no run alive: only what its agent does is use of it.
        let no_use = run.started();
        run.section(no_use, |section| {
            self.worlds.within(|world| {
                let Some(server) = world.catalogue.server(target.upstream()) else { return false };
                let told = section.brings(target.upstream(), server.returns(target));
                let provenance = section.provenance();
                !section.is_closed()
                    && told.missing_from(provenance).is_empty()
                    && world.policy.leaves_open(principal, provenance, target, world.now())
            })
        })
    }
}

impl To {
    fn tell(&self, params: &Object) -> Told {
        let told = |params: &[u8]| encode::notification(&Method::ResourcesUpdated, Some(params));
        match self {
            Self::Session(session) => match session.upgrade() {
                Some(session) => {
                    // Who listens to nothing is told nothing.
                    let _unheard = session.tell(told(&params.without(&["_meta"])));
                    Told::Yes
                }
                None => Told::Over,
            },
            Self::Listen { sender, meta } => match sender.upgrade() {
                // A client that does not read its stream loses what the next update says again.
                Some(sender) if sender.try_send(told(&params.with("_meta", meta))).is_err() => Told::Withheld,
                Some(_) => Told::Yes,
                None => Told::Over,
            },
        }
    }
}

/// The request that watches again what `exchange` did.
fn renewal(exchange: &Exchange, uri: &str) -> Option<Exchange> {
    let id = encode::quoted(&format!("renewal of {}", exchange.request.id.raw()));
    subscription(&id, uri, exchange.caller.clone(), exchange.revision, exchange.session.clone())
}

/// A `resources/subscribe` of `uri`.
fn subscription(
    id: &[u8],
    uri: &str,
    caller: Caller,
    revision: Revision,
    session: Option<Arc<Session>>,
) -> Option<Exchange> {
    let id = Id::parse(std::str::from_utf8(id).ok()?).ok()?;
    let params = [b"{\"uri\":".as_slice(), &encode::quoted(uri), b"}"].concat();
    let text = encode::request_as(&id, &Method::ResourcesSubscribe, &params);
    match wire::parse(text, &ScanLimits::default()).ok()? {
        Message::Request(request) => Some(Exchange { caller, request, revision, session, trace: None }),
        Message::Notification(_) | Message::Response(_) => None,
    }
}
