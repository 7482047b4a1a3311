//! The path of a message, one function per direction, and nothing beside the path.
//!
//! Toward the upstreams: `receive` reads parse → place → serve, and a call goes on in `call`: attach →
//! decide → admit → intend → forward → conclude → reply. From the upstreams: `notice`. Every refusal
//! leaves through `refuse`, which records it. Must never forward without the three proofs, never answer
//! without a record, and never let a message decide its own label. Trusts `identity` for the principal;
//! trusts nothing that a client or an upstream says.

mod able;
mod administration;
mod aim;
mod approvals;
mod asking;
mod batch;
mod call;
mod chronicle;
mod consulting;
mod custody;
mod exchange;
mod handshake;
mod held;
mod housekeeping;
mod keep;
mod life;
mod like;
mod line;
mod list;
pub mod minting;
pub mod mirror;
mod missing;
mod named;
mod notice;
mod observed;
mod outcome;
mod own;
mod page;
mod parked;
mod planned;
mod plans;
pub mod port;
mod quorum;
mod refusal;
mod relay;
mod reload;
pub mod reply;
mod retention;
mod session;
mod stage;
mod streams;
mod tally;
mod task;
mod telling;
#[cfg(test)]
mod tests;
mod traced;
mod treatment;
mod visit;
mod watch;
mod world;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::approval::Questions;
use crate::audit::Journal;
use crate::clock::Clock;
use crate::console::ReloadRequest;
use crate::identity::Presented;
use crate::keep::Keeper;
use crate::limit::{Failures, Gate};
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::run::{Approach, Run, Runs};
use crate::telemetry::{Metrics, Tracer};
use crate::upstream::Upstreams;
use crate::wire::{self, Id, Message, Method, Notification, Request, Revision, ScanLimits, headers};

pub use life::{Configured, Rooms, TableLimits, Tasks};
pub use reload::{Next, Reloaded};
pub use retention::Retention;

use chronicle::JournalOfRuns;
use exchange::{Caller, Exchange};
use held::Waiters;
use page::Cursors;
use parked::Parked;
use port::{Accepted, Arrival, Reply};
use refusal::{Form, Refusal};
use reload::Reloads;
use session::Sessions;
use streams::Streams;
use tally::Tally;
use task::TaskTable;
use treatment::Treatment;
use watch::Places;
use world::Worlds;

/// The rooms of the path, and what the gateway itself keeps.
#[derive(Debug)]
pub struct Gateway {
    runs: Runs,
    sessions: Sessions,
    streams: Streams,
    cursors: Cursors,
    parked: Parked,
    questions: Questions,
    waiters: Waiters,
    watches: Places,
    tasks: TaskTable,
    worlds: Worlds,
    gate: Gate,
    failures: Failures,
    journal: Journal,
    keeper: Keeper,
    upstreams: Upstreams,
    metrics: Arc<Metrics>,
    tracer: Option<Tracer>,
    tally: Tally,
    clock: Clock,
    started: Timestamp,
    reloads: Reloads,
    reloader: mpsc::Sender<ReloadRequest>,
}

impl Gateway {
    /// Step two of the path: from what a request presents to who it is. Reads headers only. A listener
    /// vouches for what the configuration in force says of its name, if that is what it presents. `address` is
    /// whose refused credentials are counted together, where that is known.
    ///
    /// # Errors
    /// The reason why nobody can be told; it is counted (I6).
    pub async fn authenticate(
        &self,
        presented: &Presented<'_>,
        listener: &str,
        address: Option<IpAddr>,
    ) -> Result<Accepted, Reason> {
        self.may_present(address).inspect_err(|reason| self.count_refusal(listener, *reason))?;
        let in_force = Arc::clone(&self.worlds.now().in_force);
        // Another socket may have had this name, or has it by the next configuration.
        let vouches = presented.listener.confirmed_by(in_force.listeners.get(listener));
        let presented = Presented { listener: vouches, ..*presented };
        let known = in_force.authenticator.authenticate(&presented).await;
        // What a person revoked counts from the next request on, before anything of it is read.
        let known = known.and_then(|principal| self.runs.admits(&principal).map(|()| principal));
        match known {
            Ok(principal) => Ok(Accepted { principal, under: in_force.epoch }),
            Err(reason) => {
                self.count_refusal(listener, reason);
                self.count_failure(address, reason);
                Err(reason)
            }
        }
    }

    /// Whether a credential from `address` is looked at: not where too many were refused in this minute.
    fn may_present(&self, address: Option<IpAddr>) -> Result<(), Reason> {
        let Some(address) = address else { return Ok(()) };
        self.failures.check(address, self.clock.wall()).map_err(|_seconds| Reason::AuthenticationsExceeded)
    }

    /// Counts a refused credential. That its keys cannot be had is nobody's failure who presents one.
    fn count_failure(&self, address: Option<IpAddr>, reason: Reason) {
        if let Some(address) = address.filter(|_| reason != Reason::KeysUnavailable) {
            self.failures.count(address, self.clock.wall());
        }
    }

    /// Counts what a listener refused before anybody was authenticated.
    pub fn count_refusal(&self, listener: &str, reason: Reason) {
        self.metrics.refusal(listener, reason);
        self.tally.add(listener, reason, self.clock.wall());
    }

    /// Refuses a request whose body could not be used: too large, too slow, of the wrong type.
    pub async fn refuse_unread(&self, arrival: Arrival, reason: Reason, bytes_read: u64) -> Reply {
        let caller = self.caller(arrival);
        let named = Some(Bounded::new(&format!("a body of which {bytes_read} bytes were read")));
        let facts = CallFacts { named, ..caller.facts() };
        self.refuse(*Refusal::error(facts, reason, None), caller.arrived).await
    }

    /// One POST, its body read whole within the limits: from its bytes to its reply.
    pub async fn receive(self: &Arc<Self>, arrival: Arrival, body: Bytes) -> Reply {
        let caller = self.caller(arrival);
        let arrived = caller.arrived;
        match self.travel(caller, body).await {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(*refusal, arrived).await,
        }
    }

    fn caller(&self, arrival: Arrival) -> Caller {
        let Arrival { accepted: Accepted { principal, under }, origin, headers, accepts } = arrival;
        Caller { principal, under, origin, headers, accepts, arrived: self.clock.monotonic() }
    }

    async fn travel(self: &Arc<Self>, caller: Caller, body: Bytes) -> Result<Reply, Box<Refusal>> {
        // The body may have taken its time. What is decided later looks at this again.
        self.stands(&caller).map_err(|reason| Refusal::error(caller.facts(), reason, None))?;
        if wire::batch::is_batch(&body) {
            return self.batch(caller, &body).await;
        }
        let message = wire::parse(body, &ScanLimits::default())
            .map_err(|bad| Refusal::error(caller.facts(), bad.reason, bad.id))?;
        self.dispatch(caller, message).await
    }

    /// One message, alone or of a batch.
    async fn dispatch(self: &Arc<Self>, caller: Caller, message: Message) -> Result<Reply, Box<Refusal>> {
        match message {
            Message::Request(request) => {
                let exchange = self.place(caller, request)?;
                self.serve(exchange).await
            }
            Message::Notification(notification) => self.heed(&caller, &notification),
            Message::Response(response) => self.take_answer(&caller, response),
        }
    }

    /// Finds the revision of a request and, for the 2025 revisions, its session.
    fn place(&self, caller: Caller, request: Request) -> Result<Exchange, Box<Refusal>> {
        let placed = match headers::claimed_revision(request.params.as_ref()) {
            Some(claimed) => handshake::modern(&caller, &request, &claimed).map(|revision| (revision, None)),
            None => self.legacy(&caller, &request),
        };
        match placed {
            Ok((revision, session)) => {
                let exchange = Exchange { caller, request, revision, session, trace: None };
                Ok(Exchange { trace: self.trace(&exchange), ..exchange })
            }
            Err(reason) => {
                let named = handshake::requested_version(&caller, &request);
                let facts = CallFacts { method: request.method.code(), named, ..caller.facts() };
                Err(Refusal::error(facts, reason, Some(request.id)))
            }
        }
    }

    fn legacy(
        &self,
        caller: &Caller,
        request: &Request,
    ) -> Result<(Revision, Option<Arc<session::Session>>), Reason> {
        handshake::check_version_header(&caller.headers)?;
        if request.method == Method::Initialize {
            return Ok((handshake::LATEST_HANDSHAKE, None));
        }
        let session = self.session_of(caller)?;
        Ok((session.revision, Some(session)))
    }

    fn session_of(&self, caller: &Caller) -> Result<Arc<session::Session>, Reason> {
        let [id] = caller.headers.session_id.as_slice() else { return Err(Reason::SessionMissing) };
        let id = std::str::from_utf8(id).map_err(|_| Reason::SessionUnknown)?;
        self.sessions.find(id, &caller.principal, self.clock.monotonic())
    }

    /// Each method to its treatment. Total: see [`treatment`].
    async fn serve(self: &Arc<Self>, exchange: Exchange) -> Result<Reply, Box<Refusal>> {
        match treatment::of(&exchange.request.method, exchange.revision) {
            Treatment::Initialize => {
                self.recognise(&exchange).await?;
                self.initialize(exchange)
            }
            Treatment::Discover => Ok(self.discover(&exchange)),
            Treatment::Ping => Ok(handshake::pong(&exchange)),
            Treatment::List(kind) => self.list(kind, exchange).await,
            Treatment::SetLevel => handshake::set_level(&exchange),
            Treatment::Call => self.call(exchange).await,
            Treatment::AboutTask => self.about_task(&exchange).await,
            Treatment::Subscribe => self.subscribe(exchange).await,
            Treatment::Unsubscribe => self.unsubscribe(&exchange).await,
            Treatment::Listen => {
                self.recognise(&exchange).await?;
                self.listen(exchange).await
            }
            Treatment::Refuse(reason) => Err(Refusal::error(exchange.facts(), reason, exchange.id())),
        }
    }

    /// A notification of the client: acknowledged, and heeded where it means something here.
    fn heed(&self, caller: &Caller, notification: &Notification) -> Result<Reply, Box<Refusal>> {
        let refuse = |reason| {
            let facts = CallFacts { method: notification.method.code(), ..caller.facts() };
            Box::new(Refusal { facts, reason, form: Form::Silent, revision: None })
        };
        match treatment::of_notification(&notification.method) {
            treatment::Heed::Cancel => {
                // The 2026-07-28 revision cancels by closing the stream; elsewhere the session says whose
                // request it is, so that nobody cancels another's (I9).
                if headers::claimed_revision(notification.params.as_ref()).is_none() {
                    let session = self.session_of(caller).map_err(refuse)?;
                    if let Some(id) = cancelled_request(notification) {
                        session.cancel(&id);
                    }
                }
            }
            treatment::Heed::Ignore => {}
            treatment::Heed::Refuse(reason) => return Err(refuse(reason)),
        }
        Ok(Reply::Empty(StatusCode::ACCEPTED))
    }

    /// The run that this request belongs to.
    async fn attach(&self, exchange: &Exchange, facts: &CallFacts) -> Result<Arc<Run>, Box<Refusal>> {
        let approach = Approach {
            principal: &exchange.caller.principal,
            session: exchange.session.as_ref().map(|session| &session.id),
            origin: &exchange.caller.origin,
            now: self.clock.wall(),
        };
        self.runs
            .attach(approach, &JournalOfRuns(&self.journal))
            .await
            .map_err(|reason| Refusal::error(facts.clone(), reason, exchange.id()))
    }

    /// What is opened beside a run belongs to it all the same: sessions and streams.
    async fn recognise(&self, exchange: &Exchange) -> Result<(), Box<Refusal>> {
        let Caller { principal, origin, .. } = &exchange.caller;
        let known = self.runs.recognise(principal, origin).await;
        known.map_err(|reason| Refusal::error(exchange.facts(), reason, exchange.id()))
    }
}

/// The request that `notifications/cancelled` gives up. An id that is none cancels nothing.
fn cancelled_request(notification: &Notification) -> Option<Id> {
    let raw = notification.params.as_ref()?.get("requestId")?;
    Id::parse(std::str::from_utf8(&raw).ok()?).ok()
}
