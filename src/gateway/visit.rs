//! The page on which a question is answered, offered to whoever may answer it, through the client of the run that asks:
//! elicitation by URL.
//!
//! Must never put anything into the URL that has power: the id of the question stands in it alone, and whoever opens it
//! has to sign in. Must never offer it for a run whose subject the configuration does not let answer, nor to a client
//! that did not say that it can.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Gateway;
use super::exchange::Exchange;
use super::named::Named;
use super::parked::{Back, Owner};
use super::port::{CALL_EVENTS_MAX, CallEvent, Ongoing, Reply, Shape};
use super::refusal::{Form, Refusal};
use super::session::Session;
use crate::approval::{QUESTION_LASTS, QUESTIONS_MAX};
use crate::console::PAGE_PATH;
use crate::model::approval::QuestionId;
use crate::model::approver::Question;
use crate::model::person::Person;
use crate::wire::input::{self, Asked, request_digest};
use crate::wire::{Method, Object, Revision, encode};

/// The name of the one thing that is asked.
const KEY: &str = "approval";
/// What the person reads before the page is opened. It holds no URL (2025-11-25, client/elicitation).
const MESSAGE: &str =
    "This call waits for your approval. Sign in, look at what exactly would be done, and answer there.";

/// Where a question is answered.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub(super) question: QuestionId,
    url: String,
}

/// The sessions that wait to hear that somebody answered, by question.
#[derive(Debug, Default)]
pub(super) struct Visits(Mutex<HashMap<QuestionId, Weak<Session>>>);

impl Visit {
    /// The one elicitation, as an error of 2025-11-25 names it (`URLElicitationRequiredError`).
    pub(super) fn elicitations(&self) -> serde_json::Value {
        json!([{ "mode": "url", "elicitationId": self.question, "url": self.url, "message": MESSAGE }])
    }

    /// The same as a result of 2026-07-28 asks for it, where it has no id.
    fn asked(&self) -> Asked {
        let params = json!({ "mode": "url", "message": MESSAGE, "url": self.url }).to_string();
        Asked { key: KEY.to_owned(), method: Method::ElicitationCreate, params: Some(params.into()) }
    }
}

impl Visits {
    /// `session` is told once `question` is answered. A full table tells nobody: it is a courtesy.
    fn note(&self, question: QuestionId, session: &Arc<Session>) {
        let mut table = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        table.retain(|_, session| session.strong_count() > 0);
        if table.len() < QUESTIONS_MAX {
            table.insert(question, Arc::downgrade(session));
        }
    }

    /// Somebody answered `question` (2025-11-25, `notifications/elicitation/complete`).
    pub(super) fn complete(&self, question: &QuestionId) {
        let waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(question);
        if let Some(session) = waiting.and_then(|session| session.upgrade()) {
            let params = json!({ "elicitationId": question }).to_string();
            let told = encode::notification(&Method::ElicitationComplete, Some(params.as_bytes()));
            // Whoever has no stream open makes the call again when they see fit.
            let _unheard = session.tell(told);
        }
    }
}

impl Gateway {
    /// Where the subject of the run can answer the question that `refusal` waits for, if its client can take them there.
    pub(super) fn visit(&self, exchange: &Exchange, refusal: &Refusal) -> Option<Visit> {
        let question = refusal.facts.approval.clone()?;
        let mode = Asked {
            key: String::new(),
            method: Method::ElicitationCreate,
            params: Some(Bytes::from_static(b"{\"mode\":\"url\"}")),
        };
        let has_mode = exchange.revision >= Revision::V2025_11_25;
        if !has_mode || !exchange.able().can(&mode, exchange.revision) {
            return None;
        }
        let in_force = Arc::clone(&self.worlds.now().in_force);
        let page = in_force.page_url.as_deref()?;
        let (subject, target) = (&refusal.facts.principal.subject, refusal.facts.target.as_ref()?);
        let asked = Question { sources: &refusal.facts.provenance, target, subject };
        let needed = self.needed(asked);
        let is_own = |person: &Person| {
            matches!(person, Person::Subject { subject: own, .. } if own == subject)
                && needed.lets(person, subject)
        };
        let may = in_force.approvers.iter().any(|one| is_own(&one.person) && one.may_answer(asked));
        may.then(|| Visit { url: format!("{page}{PAGE_PATH}?question={question}"), question })
    }

    /// Tells the client where its person can answer: by an error that it comes back from with the same call, or, in
    /// 2026-07-28, by a result that asks for it.
    pub(super) fn send_to_page(
        self: &Arc<Self>,
        exchange: Exchange,
        named: Named,
        mut refusal: Box<Refusal>,
        visit: Visit,
    ) -> Result<Reply, Box<Refusal>> {
        if let Some(session) = &exchange.session {
            self.waiters.visits.note(visit.question.clone(), session);
            refusal.form = Form::Visit(exchange.request.id.clone(), visit);
            return Err(refusal);
        }
        let (events, receiver) = mpsc::channel(CALL_EVENTS_MAX);
        let gateway = Arc::clone(self);
        tokio::spawn(async move { gateway.leave_for_page(exchange, named, refusal, visit, events).await });
        Ok(Reply::Call(Ongoing { events: receiver, shape: Shape::Single, resumable: None }))
    }

    /// 2026-07-28: the request ends with the URL, and another one goes on with the call.
    async fn leave_for_page(
        self: Arc<Self>,
        mut exchange: Exchange,
        mut named: Named,
        refusal: Box<Refusal>,
        visit: Visit,
        events: mpsc::Sender<CallEvent>,
    ) {
        let arrived = exchange.caller.arrived;
        let back = match self.ask_to_visit(&exchange, &named, &refusal, &visit, events).await {
            Ok(back) => back,
            // Every refusal has its record (I6), also one that nobody came back for.
            Err(Some(events)) => return answer(&events, self.refuse(*refusal, arrived).await).await,
            Err(None) => return drop(self.refuse(*refusal, arrived).await),
        };
        let Back { seat, speaker, answers } = back;
        (exchange.caller.principal, exchange.caller.under) = (speaker.principal, speaker.under);
        exchange.request.id = seat.id.clone();
        named.progress_token.clone_from(&seat.progress_token);
        let refusal = refusal.told_to(seat.id);
        if !is_accepted(answers.as_ref()) {
            return answer(&seat.events, self.refuse(*refusal, arrived).await).await;
        }
        self.hold_for(exchange, named, refusal, seat.progress_token, &seat.events).await;
    }

    /// The client with what it brings back; where it is not asked, where to answer it instead.
    async fn ask_to_visit(
        &self,
        exchange: &Exchange,
        named: &Named,
        refusal: &Refusal,
        visit: &Visit,
        events: mpsc::Sender<CallEvent>,
    ) -> Result<Back, Option<mpsc::Sender<CallEvent>>> {
        let principal = Arc::clone(&exchange.caller.principal);
        let request = request_digest(&exchange.request.method, &named.params);
        let Some(run) = refusal.facts.run.clone() else { return Err(Some(events)) };
        let Ok(mut place) = self.parked.park(Owner { principal, run, request }) else {
            return Err(Some(events));
        };
        let body = encode::result(&exchange.request.id, &input::required(&[visit.asked()], &place.state));
        let _gone = events.send(CallEvent::Final { status: StatusCode::OK, body: body.into() }).await;
        drop(events);
        let lasts = Duration::try_from(QUESTION_LASTS).unwrap_or_default();
        timeout(lasts, &mut place.back).await.ok().and_then(Result::ok).ok_or(None)
    }
}

/// Whether the person agreed to open the page (`ElicitResult.action`). That says nothing of what they answer there.
fn is_accepted(answers: Option<&Object>) -> bool {
    let answer = answers.and_then(|answers| Object::of(&answers.get(KEY)?).ok());
    answer.and_then(|answer| answer.text("action")?.ok()).is_some_and(|action| action == "accept")
}

/// The one answer to a request that waits.
async fn answer(events: &mpsc::Sender<CallEvent>, reply: Reply) {
    if let Reply::Json { status, body, .. } = reply {
        let _gone = events.send(CallEvent::Final { status, body: body.into() }).await;
    }
}
