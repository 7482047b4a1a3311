//! What an instance sends: answers to their requests, progress and logs to their call, the rest refused or
//! counted.
//!
//! Must never hand anything to a call that did not ask for it (I9), nor anything that the strict parse
//! refuses. It trusts nothing: ids, tokens, order and quantity are the upstream's choice.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use tokio::sync::mpsc::error::TrySendError;

use super::{Exchange, Lasts, Posed, Relay};
use crate::model::text::printable;
use crate::spool::{self, Flaw, Flawed, Gatherer, HEAD_BYTES, Rest};
use crate::upstream::aside::Aside;
use crate::upstream::failure::{Answer, AnswerKind, Detail, Failure};
use crate::upstream::figures::Counter;
use crate::upstream::notice::{Notice, claimed};
use crate::wire::gather::Gather;
use crate::wire::input::{self, Asked};
use crate::wire::{
    self, Id, ListKind, Message, Method, Notification, Outcome, Params, Request, Response, ScanLimits, encode,
};

/// Levels of nesting in a message of an upstream.
const ANSWER_DEPTH_MAX: usize = 64;
/// Keys and elements in a message of an upstream: answers may be long lists.
const ANSWER_MEMBERS_MAX: usize = 1_000_000;
const LIMITS: ScanLimits = ScanLimits { depth_max: ANSWER_DEPTH_MAX, members_max: ANSWER_MEMBERS_MAX };

/// What was gathered as one message.
pub(in crate::upstream) type Gathered = <Gatherer as Gather>::Whole;

/// What may come on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::upstream) enum Scope {
    /// Everything: the one pipe of a child process.
    Whole,
    /// The answer to this request, and what belongs to it: the response to its POST (2025-11-25,
    /// basic/transports, "Sending Messages to the Server").
    Of(u64),
    /// No answers at all: the stream that a GET opened ("Listening for Messages from the Server").
    Unasked,
}

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::upstream) enum Received {
    /// It ended the wait of a request.
    Settled,
    /// It wants this reply.
    Reply(Bytes),
    /// It needs nothing, or was dropped and counted.
    Nothing,
    /// It is no message at all; counted.
    Garbage(Detail),
}

impl Exchange {
    /// Takes in what was gathered as one message.
    pub(in crate::upstream) fn receive(&self, gathered: Gathered, scope: Scope) -> Received {
        match gathered {
            Ok(message) => self.message(message, scope),
            Err(Flawed { flaw, head }) => {
                self.counters.garbage.count();
                let why = Detail::new(&flaw.to_string());
                let failure = match flaw {
                    Flaw::Fault(_) => Failure::Invalid(why.clone()),
                    Flaw::Disk(_) | Flaw::Entropy(_) => Failure::Unkept(why.clone()),
                };
                self.end_in_vain(id_in(&head), scope, failure).unwrap_or(Received::Garbage(why))
            }
        }
    }

    /// Ends the wait of `id`, if it waits and may be answered here.
    fn end_in_vain(&self, id: Option<u64>, scope: Scope, failure: Failure) -> Option<Received> {
        let id = id.filter(|id| scope.admits(*id) && self.waits(*id))?;
        Some(self.settle(id, Err(failure)))
    }

    fn message(&self, message: spool::Message, scope: Scope) -> Received {
        let spool::Message { text: body, rest } = message;
        let head = body.slice(..body.len().min(HEAD_BYTES));
        match wire::parse(body, &LIMITS) {
            Ok(Message::Response(response)) => self.response(response, rest, scope),
            // Only an answer may be so large.
            Ok(_) if !rest.is_nothing() => {
                self.counters.oversize.count();
                Received::Nothing
            }
            // "The server MUST NOT send JSON-RPC requests" and "the client never writes JSON-RPC
            // responses" (2026-07-28, "Receiving Messages").
            Ok(Message::Request(_)) if self.stateless.load(Ordering::Relaxed) => {
                self.counters.requests_refused.count();
                Received::Nothing
            }
            Ok(Message::Request(request)) => self.request(request, scope),
            Ok(Message::Notification(notification)) => self.notification(&notification, scope),
            Err(malformed) => {
                self.counters.garbage.count();
                let why = Detail::new(&malformed.to_string());
                // A response that fails the parse ends its call, body withheld (DESIGN §6). Of what is
                // no JSON the parse believes no id; to fail a call, its claim is good enough.
                let id = malformed.id.as_ref().and_then(Id::number).or_else(|| id_in(&head));
                let failure = Failure::Invalid(why.clone());
                self.end_in_vain(id, scope, failure).unwrap_or(Received::Garbage(why))
            }
        }
    }

    /// Takes in that the stream of the call `id` was closed before its answer, to be picked up again.
    pub(in crate::upstream) fn paused(&self, id: u64) {
        let relay = self.table().waiting.get(&id).and_then(|entry| entry.relay.clone());
        // A courtesy to the client, whose own stream need not stay open either.
        let _dropped = relay.map(|relay| relay.asides.try_send(Aside::Paused));
    }

    /// Takes in that a message was too long to be read. `head` is how it begins.
    pub(in crate::upstream) fn receive_oversize(&self, head: &[u8]) {
        self.counters.oversize.count();
        if let Some(id) = id_in(head).or_else(|| self.only_waiting()) {
            self.settle(id, Err(Failure::TooLarge));
        }
    }

    fn response(&self, response: Response, rest: Rest, scope: Scope) -> Received {
        let Some(id) = response.id else { return self.unnamed(&response.outcome, scope) };
        match id.number().filter(|id| scope.admits(*id)) {
            Some(id) => self.settle(id, Ok(answer(response.outcome, rest))),
            None => {
                self.counters.unmatched_responses.count();
                Received::Nothing
            }
        }
    }

    /// An error that names no request says that one could not be read: where only one waits, it is
    /// that one, which must not hang (CASES F32).
    fn unnamed(&self, outcome: &Outcome, scope: Scope) -> Received {
        let id = match scope {
            Scope::Of(id) => Some(id),
            Scope::Whole => self.only_waiting(),
            Scope::Unasked => None,
        };
        let (Outcome::Error(raw) | Outcome::Result(raw)) = outcome;
        let why = format!("an error that names no request: {}", printable(&String::from_utf8_lossy(raw)));
        match id {
            Some(id) => self.settle(id, Err(Failure::Invalid(Detail::new(&why)))),
            None => {
                self.counters.unmatched_responses.count();
                Received::Nothing
            }
        }
    }

    /// `ping` is answered. What a server may ask a client goes to the call that it belongs to, where its
    /// gateway decides on it; what belongs to none, or is asked by an instance that all share, is refused.
    fn request(&self, request: Request, scope: Scope) -> Received {
        if request.method == Method::Ping {
            return Received::Reply(encode::result(&request.id, b"{}"));
        }
        if input::is_question(&request.method)
            && !self.shared
            && let Some(relay) = self.call_of(scope)
        {
            let params = request.params.as_ref().map(Params::raw);
            let asked = Asked { key: "1".to_owned(), method: request.method.clone(), params };
            if relay.posed.try_send(Posed { id: request.id.clone(), asked }).is_ok() {
                return Received::Nothing;
            }
        }
        self.counters.requests_refused.count();
        let mut refusals = self.refusals.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if refusals.take().is_some() {
            let (upstream, method) = (self.upstream.clone(), claimed(request.method.name()));
            self.notices.tell(Notice::RequestRefused { upstream, method });
        }
        let message = "the gateway does not pass this on";
        let code = wire::code::METHOD_NOT_FOUND;
        Received::Reply(encode::error(Some(&request.id), code, message, None))
    }

    fn notification(&self, notification: &Notification, scope: Scope) -> Received {
        match notification.method {
            Method::Progress => self.progress(notification, scope),
            Method::LoggingMessage => self.hand_on(notification, scope, Aside::Log),
            Method::ElicitationComplete => self.hand_on(notification, scope, Aside::ElicitationComplete),
            Method::ToolsListChanged => self.said_to_change(ListKind::Tools),
            Method::PromptsListChanged => self.said_to_change(ListKind::Prompts),
            Method::ResourcesListChanged => self.said_to_change(ListKind::Resources),
            Method::SubscriptionsAcknowledged => self.acknowledged(notification, scope),
            Method::ResourcesUpdated => self.updated(notification, scope),
            Method::Cancelled => self.torn_down(notification, scope),
            // It belongs to no run that could be told apart (DESIGN §6): dropped and counted.
            _ => self.counters.notifications_dropped.count(),
        }
        Received::Nothing
    }

    /// Ends the subscription that the instance tears down. Nothing else is an instance's to cancel
    /// (2026-07-28, "Cancellation").
    fn torn_down(&self, notification: &Notification, scope: Scope) {
        let named = notification.params.as_ref().and_then(|params| params.id("requestId")?.ok()?.number());
        match named.filter(|id| scope.admits(*id) && self.is_open(*id)) {
            Some(id) => drop(self.settle(id, Err(Failure::Closed(Detail::new("it ended the subscription"))))),
            None => self.counters.notifications_dropped.count(),
        }
    }

    /// Hands progress to the call whose number it names. A client that does not read loses progress,
    /// and nobody waits for it.
    fn progress(&self, notification: &Notification, scope: Scope) {
        let params = notification.params.as_ref();
        let token = params.and_then(|params| params.get("progressToken"));
        let number = token.and_then(|token| Id::parse(std::str::from_utf8(&token).ok()?).ok()?.number());
        let relay = number.filter(|id| scope.admits(*id)).and_then(|id| {
            let table = self.table();
            table.waiting.get(&id).and_then(|entry| entry.relay.clone())
        });
        pass(relay, params, Aside::Progress, &self.counters.progress_dropped);
    }

    /// Hands a notification to the call that it belongs to. One that belongs to none could not be told apart
    /// from another run's (DESIGN §6): dropped and counted.
    fn hand_on(&self, notification: &Notification, scope: Scope, aside: fn(Bytes) -> Aside) {
        let params = notification.params.as_ref();
        pass(self.call_of(scope), params, aside, &self.counters.notifications_dropped);
    }

    fn said_to_change(&self, kind: ListKind) {
        self.counters.list_changes.count();
        self.list_changed(kind);
    }

    /// The call that something belongs to which names none: by the stream it came on, or because exactly
    /// one call is in flight (DESIGN §6).
    fn call_of(&self, scope: Scope) -> Option<Relay> {
        let table = self.table();
        if let Scope::Of(id) = scope {
            return table.waiting.get(&id)?.relay.clone();
        }
        let mut calls = table.waiting.values().filter_map(|entry| entry.relay.as_ref());
        match (calls.next(), calls.next()) {
            (Some(only), None) => Some(only.clone()),
            _ => None,
        }
    }

    fn waits(&self, id: u64) -> bool {
        self.table().waiting.contains_key(&id)
    }

    /// Whether `id` is a subscription that stays open.
    fn is_open(&self, id: u64) -> bool {
        self.table().waiting.get(&id).is_some_and(|entry| entry.lasts == Lasts::Open)
    }

    /// The only call that waits; or, where none does, the only request of our own.
    fn only_waiting(&self) -> Option<u64> {
        let table = self.table();
        let calls = table.waiting.iter().filter(|(_, entry)| entry.relay.is_some());
        let mut calls = calls.map(|(id, _)| *id);
        let (call, another) = (calls.next(), calls.next());
        let mut all = table.waiting.iter().filter(|(_, entry)| entry.lasts == Lasts::ForAnswer);
        let (first, second) = (all.next(), all.next());
        match (call, another) {
            (Some(call), None) => Some(call),
            (None, _) => first.filter(|_| second.is_none()).map(|(id, _)| *id),
            (Some(_), Some(_)) => None,
        }
    }
}

impl Scope {
    pub(super) fn admits(self, id: u64) -> bool {
        match self {
            Self::Whole => true,
            Self::Of(own) => own == id,
            Self::Unasked => false,
        }
    }
}

/// Hands `params` to a call, without waiting for it. What it has no room for, or belongs to none, is `dropped`.
fn pass(relay: Option<Relay>, params: Option<&Params>, aside: fn(Bytes) -> Aside, dropped: &Counter) {
    match relay.zip(params).map(|(relay, params)| relay.asides.try_send(aside(params.raw()))) {
        Some(Ok(()) | Err(TrySendError::Closed(_))) => {}
        Some(Err(TrySendError::Full(_))) | None => dropped.count(),
    }
}

fn answer(outcome: Outcome, rest: Rest) -> Answer {
    let (kind, raw) = match outcome {
        Outcome::Result(raw) => (AnswerKind::Result, raw),
        Outcome::Error(raw) => (AnswerKind::Error, raw),
    };
    Answer { kind, raw, rest }
}

/// The id in the head of a response that cannot be parsed or was too long to be read, where it stands
/// before everything but `jsonrpc`, as most servers write it. Elsewhere the call ends by its deadline.
fn id_in(head: &[u8]) -> Option<u64> {
    let head: Vec<u8> = head.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let text = String::from_utf8_lossy(&head);
    let rest = text.strip_prefix('{')?;
    let rest = rest.strip_prefix("\"jsonrpc\":\"2.0\",").unwrap_or(rest);
    let (digits, _) = rest.strip_prefix("\"id\":")?.split_once(',')?;
    digits.parse().ok()
}
