//! A batch of 2025-03-26: each of its messages on its own path, their answers together.
//!
//! Must never let a message of a batch take another path than one that came alone: each has its own
//! decision and its own record, and one that is refused harms no other.

use std::collections::HashSet;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::mpsc;

use super::Gateway;
use super::exchange::Caller;
use super::handshake;
use super::port::{CALL_EVENTS_MAX, CallEvent, Ongoing, Reply, Shape};
use super::refusal::Refusal;
use crate::model::facts::CallFacts;
use crate::model::reason::Reason;
use crate::spool::Body;
use crate::wire::{self, Id, Message, Method, Revision, ScanLimits, batch, headers};

/// What came back of the messages of a batch so far.
#[derive(Default)]
struct Answers {
    /// Of those that have ended.
    ended: Vec<Bytes>,
    /// Of those that are in flight.
    calls: Vec<Ongoing>,
    /// The first that wanted no answer and was not taken.
    refused: Option<Reply>,
    requests: usize,
}

impl Gateway {
    /// One POST whose body is an array. 2025-03-26, basic, "Batching"; no other revision has it.
    pub(super) async fn batch(self: &Arc<Self>, caller: Caller, body: &Bytes) -> Result<Reply, Box<Refusal>> {
        let refuse = |reason| Refusal::error(caller.facts(), reason, None);
        handshake::check_version_header(&caller.headers).map_err(|_| refuse(Reason::BatchForbidden))?;
        if caller.headers.session_id.is_empty() {
            return Err(refuse(Reason::BatchForbidden));
        }
        let session = self.session_of(&caller).map_err(refuse)?;
        if session.revision != Revision::V2025_03_26 {
            return Err(refuse(Reason::BatchForbidden));
        }
        let members = batch::split(body, &ScanLimits::default()).map_err(|bad| refuse(bad.reason))?;
        let mut answers = Answers::default();
        let mut ids = HashSet::new();
        for member in members {
            self.take_member(&caller, member, &mut ids, &mut answers).await;
        }
        Ok(answers.into_reply())
    }

    async fn take_member(
        self: &Arc<Self>,
        caller: &Caller,
        member: Bytes,
        ids: &mut HashSet<Id>,
        answers: &mut Answers,
    ) {
        let message = match wire::parse(member, &ScanLimits::default()) {
            Ok(message) => message,
            Err(bad) => {
                let refusal = Refusal::error(caller.facts(), bad.reason, bad.id);
                // What cannot be read may have wanted an answer.
                answers.requests += 1;
                return answers.add(self.refuse(*refusal, caller.arrived).await);
            }
        };
        answers.requests += usize::from(matches!(message, Message::Request(_)));
        let travelled = match forbidden(&message, ids) {
            Some((reason, method, id)) => {
                let facts = CallFacts { method, ..caller.facts() };
                Err(Refusal::error(facts, reason, id))
            }
            None => self.dispatch(caller.clone(), message).await,
        };
        answers.add(match travelled {
            Ok(reply) => reply,
            Err(refusal) => self.refuse(*refusal, caller.arrived).await,
        });
    }
}

/// Why `message` cannot stand in its batch.
fn forbidden(message: &Message, ids: &mut HashSet<Id>) -> Option<(Reason, &'static str, Option<Id>)> {
    let (method, params, id) = match message {
        Message::Request(request) => (&request.method, request.params.as_ref(), Some(request.id.clone())),
        Message::Notification(note) => (&note.method, note.params.as_ref(), None),
        Message::Response(_) => return None,
    };
    // 2025-03-26, basic/lifecycle: the initialize request MUST NOT be part of a batch.
    if *method == Method::Initialize || headers::claimed_revision(params).is_some() {
        return Some((Reason::BatchMemberForbidden, method.code(), id));
    }
    // Two answers with one id could not be told apart (CASES F27).
    match &id {
        Some(known) if !ids.insert(known.clone()) => Some((Reason::IdInUse, method.code(), id)),
        _ => None,
    }
}

impl Answers {
    fn add(&mut self, reply: Reply) {
        match reply {
            Reply::Json { body, status, session } => {
                if self.refused.is_none() && !status.is_success() {
                    self.refused = Some(Reply::Json { status, body: body.clone(), session });
                }
                self.ended.push(body);
            }
            Reply::Call(ongoing) => self.calls.push(ongoing),
            Reply::Empty(status) if !status.is_success() => {
                self.refused.get_or_insert(Reply::Empty(status));
            }
            Reply::Empty(_) => {}
            // No method of a revision with batches is answered with a stream of its own.
            Reply::Stream(_) | Reply::Resumable(_) => {
                tracing::error!("a message of a batch was answered with a stream");
            }
        }
    }

    fn into_reply(self) -> Reply {
        let Self { ended, calls, refused, requests } = self;
        // 2025-03-26, basic/transports: what consists of notifications and responses alone is answered
        // with 202, or with an error where it is not taken.
        if requests == 0 {
            return refused.unwrap_or(Reply::Empty(StatusCode::ACCEPTED));
        }
        let (sender, events) = mpsc::channel(CALL_EVENTS_MAX);
        let (mut receivers, mut resumable) = (Vec::new(), None);
        for Ongoing { events, resumable: of_this, .. } in calls {
            resumable = match (resumable, of_this) {
                (None, of_this) => of_this,
                (all, None) => all,
                (Some(all), Some(of_this)) => Some(super::session::Resumable::join(all, of_this)),
            };
            receivers.push(events);
        }
        tokio::spawn(gather(ended, receivers, sender));
        Reply::Call(Ongoing { events, shape: Shape::Batch, resumable })
    }
}

/// Hands on what each call tells, and marks the last answer. Ends early where nobody wants them, which
/// drops the calls and so cancels them.
async fn gather(ended: Vec<Bytes>, mut calls: Vec<mpsc::Receiver<CallEvent>>, to: mpsc::Sender<CallEvent>) {
    let mut left = ended.len() + calls.len();
    let mut last = |body: Body| {
        left -= 1;
        if left == 0 { CallEvent::Final { status: StatusCode::OK, body } } else { CallEvent::Answer(body) }
    };
    for body in ended {
        if to.send(last(body.into())).await.is_err() {
            return;
        }
    }
    let mut turn = 0;
    while !calls.is_empty() {
        let (at, event) = tokio::select! {
            next = next_of(&mut calls, turn) => next,
            () = to.closed() => return,
        };
        // Whoever talks much waits for the others.
        turn = at + 1;
        let event = match event {
            Some(CallEvent::Final { body, .. } | CallEvent::Answer(body)) => {
                drop(calls.remove(at));
                last(body)
            }
            Some(notification) => notification,
            None => {
                tracing::error!("a call of a batch ended without its final message");
                return;
            }
        };
        if to.send(event).await.is_err() {
            return;
        }
    }
}

/// The next event of any of `calls`, looked at from the call at `turn` on.
async fn next_of(calls: &mut [mpsc::Receiver<CallEvent>], turn: usize) -> (usize, Option<CallEvent>) {
    let count = calls.len().max(1);
    std::future::poll_fn(|context| {
        for at in (0..count).map(|step| (turn + step) % count) {
            if let Some(call) = calls.get_mut(at)
                && let Poll::Ready(event) = call.poll_recv(context)
            {
                return Poll::Ready((at, event));
            }
        }
        Poll::Pending
    })
    .await
}
