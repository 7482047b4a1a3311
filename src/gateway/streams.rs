//! Streams of notifications toward clients: GET of the 2025 revisions, `subscriptions/listen` of 2026-07-28.
//!
//! Must never tell a caller that something changed which that caller cannot see (I5): each stream
//! remembers what its caller's list looked like. Bounded; a full table refuses the new.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

use super::exchange::Caller;
use super::list::may_list;
use super::port::{Arrival, Reply};
use super::refusal::Refusal;
use super::session::{Resumed, Session};
use super::world::World;
use super::{Gateway, handshake};
use crate::model::digest::Sha256;
use crate::model::name::UpstreamName;
use crate::model::principal::Principal;
use crate::model::reason::Reason;
use crate::run::{Run, RunKey};
use crate::upstream::Audience;
use crate::wire::{ListKind, Method, encode};

/// Every open stream.
#[derive(Debug)]
pub(super) struct Streams {
    open: Mutex<Vec<Subscription>>,
    streams_max: AtomicUsize,
}

#[derive(Debug)]
struct Subscription {
    to: Target,
    principal: Arc<Principal>,
    seen: Sha256,
}

/// Where notifications go.
#[derive(Debug)]
pub(super) enum Target {
    /// A session with GET streams, those included that its client may come back to.
    Session(Arc<Session>),
    /// A `subscriptions/listen`, with what stands in every notification on it and what was asked for.
    Listen { sender: mpsc::Sender<Bytes>, meta: Bytes, wanted: Vec<ListKind> },
}

impl Target {
    fn is_open(&self) -> bool {
        match self {
            Self::Session(session) => session.is_listening(),
            Self::Listen { sender, .. } => !sender.is_closed(),
        }
    }

    /// How many connections it has.
    fn connections(&self) -> usize {
        match self {
            Self::Session(session) => session.listeners(),
            Self::Listen { .. } => 1,
        }
    }

    fn is_session(&self, other: &Session) -> bool {
        matches!(self, Self::Session(session) if session.id == other.id)
    }

    fn notify(&self, kind: ListKind) {
        match self {
            // Who listens to nothing is told nothing.
            Self::Session(session) => {
                let _unheard = session.tell(encode::notification(&changed(kind), None));
            }
            Self::Listen { sender, meta, wanted } => {
                if wanted.contains(&kind) {
                    // A client that does not read its stream loses notifications that those which wait
                    // already for it repeat.
                    drop(sender.try_send(encode::notification(&changed(kind), Some(meta))));
                }
            }
        }
    }

    fn session(&self) -> Option<&Arc<Session>> {
        match self {
            Self::Session(session) => Some(session),
            Self::Listen { .. } => None,
        }
    }
}

impl Streams {
    pub(super) fn new(streams_max: usize) -> Self {
        Self { open: Mutex::default(), streams_max: streams_max.into() }
    }

    /// From now on at most `streams_max` are open; those that are stay.
    pub(super) fn limit(&self, streams_max: usize) {
        self.streams_max.store(streams_max, Ordering::Relaxed);
    }

    pub(super) fn len(&self) -> usize {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|subscription| subscription.to.is_open());
        connections(&open)
    }

    /// Adds a stream, which is open already where it is a session's, unless `stands` says, once no
    /// [`Streams::hang_up`] can miss it, that its caller is no longer one.
    fn add(
        &self,
        subscription: Subscription,
        stands: impl FnOnce() -> Result<(), Reason>,
    ) -> Result<(), Reason> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|subscription| subscription.to.is_open());
        stands()?;
        let known = matches!(&subscription.to, Target::Session(session)
            if open.iter().any(|open| open.to.is_session(session)));
        let added = if known { 0 } else { subscription.to.connections() };
        if connections(&open) + added > self.streams_max.load(Ordering::Relaxed) {
            return Err(Reason::StreamsFull);
        }
        // A session that is known keeps what it was told last: its client may have missed a change.
        if !known {
            open.push(subscription);
        }
        Ok(())
    }

    /// Tells everyone whose list is not what it was.
    pub(super) fn announce(&self, world: &World) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|subscription| subscription.to.is_open());
        for subscription in open.iter_mut() {
            let seen = world.fingerprint(&subscription.principal, None);
            if seen != subscription.seen {
                subscription.seen = seen;
                subscription.to.notify(ListKind::Tools);
            }
        }
    }

    /// Tells those whom `concerns` accepts that the list of `kind` is another.
    pub(super) fn announce_entries(
        &self,
        kind: ListKind,
        concerns: impl Fn(&Principal, Option<&Arc<Session>>) -> bool,
    ) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|subscription| subscription.to.is_open());
        for subscription in open.iter() {
            if concerns(&subscription.principal, subscription.to.session()) {
                subscription.to.notify(kind);
            }
        }
    }

    /// Ends the streams of every caller that `is_gone` accepts.
    fn hang_up(&self, is_gone: &impl Fn(&Principal) -> bool) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.retain(|subscription| {
            let keep = !is_gone(&subscription.principal);
            if let (false, Target::Session(session)) = (keep, &subscription.to) {
                session.end_streams();
            }
            keep
        });
    }

    pub(super) fn close(&self) {
        let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
        for subscription in open {
            if let Target::Session(session) = subscription.to {
                session.end_streams();
            }
        }
    }
}

/// The notification that says that a list is another.
const fn changed(kind: ListKind) -> Method {
    match kind {
        ListKind::Tools => Method::ToolsListChanged,
        ListKind::Prompts => Method::PromptsListChanged,
        ListKind::Resources | ListKind::ResourceTemplates => Method::ResourcesListChanged,
    }
}

fn connections(open: &[Subscription]) -> usize {
    open.iter().map(|subscription| subscription.to.connections()).sum()
}

impl Gateway {
    /// GET: the stream of a session (2025-11-25, basic/transports, "Listening for Messages").
    pub async fn open_stream(&self, arrival: Arrival) -> Reply {
        let caller = self.caller(arrival);
        if handshake::is_modern_header(&caller.headers) {
            // 2026-07-28, basic/transports: the endpoint serves POST only.
            return Reply::Empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let known = self.runs.recognise(&caller.principal, &caller.origin).await;
        let opened = known.and_then(|()| self.session_of(&caller)).and_then(|session| {
            let last_event_id = match caller.headers.last_event_id.as_slice() {
                [] => None,
                [one] => Some(one.as_ref()),
                _ => return Err(Reason::EventUnknown),
            };
            let (tap, resumed) = session.open_stream(last_event_id)?;
            let fits = match resumed {
                Resumed::Listening => self.open(Target::Session(session), &caller),
                Resumed::Call => self.is_still(&caller),
            };
            match (fits, last_event_id) {
                (Ok(()), _) => Ok(tap),
                (Err(reason), Some(_)) => Err(reason),
                (Err(reason), None) => {
                    tap.discard();
                    Err(reason)
                }
            }
        });
        match opened {
            Ok(tap) => Reply::Resumable(tap),
            Err(reason) => self.refuse(*Refusal::error(caller.facts(), reason, None), caller.arrived).await,
        }
    }

    /// DELETE: ends a session (2025-11-25, basic/transports, "Session Management").
    pub async fn end_session(&self, arrival: Arrival) -> Reply {
        let caller = self.caller(arrival);
        if handshake::is_modern_header(&caller.headers) {
            return Reply::Empty(StatusCode::METHOD_NOT_ALLOWED);
        }
        let known = self.runs.recognise(&caller.principal, &caller.origin).await;
        match known.and_then(|()| self.session_of(&caller)) {
            Ok(session) => {
                self.sessions.close(&session);
                self.end_run_of(&session).await;
                Reply::Empty(StatusCode::NO_CONTENT)
            }
            Err(reason) => self.refuse(*Refusal::error(caller.facts(), reason, None), caller.arrived).await,
        }
    }

    pub(super) fn open(&self, to: Target, caller: &Caller) -> Result<(), Reason> {
        let seen = self.worlds.now().fingerprint(&caller.principal, None);
        let subscription = Subscription { to, principal: Arc::clone(&caller.principal), seen };
        self.streams.add(subscription, || self.stands(caller))?;
        // Whoever was revoked since they were authenticated was hung up on before this stream was there.
        self.runs.admits(&caller.principal).inspect_err(|_| {
            self.streams.hang_up(&|open| *open == *caller.principal);
        })
    }

    /// Whether the caller is still one, now that what was opened for them can be found and ended.
    fn is_still(&self, caller: &Caller) -> Result<(), Reason> {
        self.stands(caller)?;
        self.runs.admits(&caller.principal)
    }

    /// Whether the configuration that is in force would still accept `caller` as the same.
    pub(super) fn stands(&self, caller: &Caller) -> Result<(), Reason> {
        let holds =
            self.worlds.within(|world| world.in_force.entry_points.holds(&caller.principal, caller.under));
        if holds { Ok(()) } else { Err(Reason::CredentialUnknown) }
    }

    /// Ends the sessions and streams of every caller that `is_gone` accepts: those whose credential no
    /// longer counts. Gives the sessions that it closed.
    pub(super) fn hang_up(&self, is_gone: impl Fn(&Principal) -> bool) -> Vec<Arc<Session>> {
        self.streams.hang_up(&is_gone);
        let mut closed = self.sessions.all();
        closed.retain(|session| is_gone(&session.principal));
        for session in &closed {
            self.sessions.close(session);
        }
        closed
    }

    /// What an instance lists of `kind` is another: told to those who share it and may see any of it.
    pub(super) fn announce_entries(&self, upstream: &UpstreamName, audience: &Audience, kind: ListKind) {
        let world = self.worlds.now();
        let Some(server) = world.catalogue.server(upstream) else {
            return;
        };
        self.streams.announce_entries(kind, |principal, session| {
            let shares = match audience {
                Audience::All => true,
                Audience::Subject(subject) => *subject == principal.subject,
                Audience::Run(run) => {
                    let key = RunKey::of(principal, session.map(|session| &session.id));
                    key.is_ok_and(|key| self.runs.is_current(&key, run))
                }
            };
            shares && may_list(&world, principal, kind, server)
        });
    }

    /// The run has read something new: its list under the 2025 revisions may be shorter now. Told to
    /// every session of the same run, as a courtesy.
    pub(super) fn announce_taint(&self, run: &Run) {
        for session in self.sessions.all() {
            let key = RunKey::of(&session.principal, Some(&session.id));
            if key.is_ok_and(|key| key == *run.key()) {
                // A courtesy: who listens to nothing is told nothing.
                let _unheard = session.tell(encode::notification(&Method::ToolsListChanged, None));
            }
        }
    }
}
