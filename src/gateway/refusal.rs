//! The one exit of everything that is not forwarded: it is recorded, and then it is answered.
//!
//! Must never answer without a record; where even the record cannot be written, the caller is told that,
//! and nothing else passes either.

use std::time::Duration;

use crate::audit::{Event, Latency};
use crate::gateway::Gateway;
use crate::gateway::missing::Missing;
use crate::gateway::port::Reply;
use crate::gateway::reply::{self, Output, Remedy, Told};
use crate::gateway::traced::{End, Ended};
use crate::gateway::visit::Visit;
use crate::limit::Who;
use crate::model::facts::{CLAIM_BYTES_MAX, CallFacts};
use crate::model::reason::{Reason, Retry};
use crate::model::text::Bounded;
use crate::telemetry::CallTimes;
use crate::wire::{Id, Revision, code, encode, task};

/// What is not forwarded, why, and how its caller expects to be answered.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) facts: CallFacts,
    pub(super) reason: Reason,
    pub(super) form: Form,
    pub(super) revision: Option<Revision>,
}

/// How a refusal is answered.
#[derive(Debug)]
pub(super) enum Form {
    /// A JSON-RPC error.
    Error(Option<Id>),
    /// A result of `tools/call` with `isError`: the tool is visible and did not pass.
    Tool(Id, Output),
    /// As if it did not exist (invariant I5): what is hidden and what does not exist share this arm.
    Hidden(Id, Missing),
    /// As an error that names where its person can do what it waits for (2025-11-25, `URLElicitationRequiredError`).
    Visit(Id, Visit),
    /// A notification: there is nothing to answer to.
    Silent,
}

impl Refusal {
    pub(super) fn error(facts: CallFacts, reason: Reason, id: Option<Id>) -> Box<Self> {
        let revision = facts.revision.and_then(Revision::parse);
        Box::new(Self { facts, reason, form: Form::Error(id), revision })
    }

    /// The same, told to another request of its client, which is called `id`.
    pub(super) fn told_to(mut self: Box<Self>, id: Id) -> Box<Self> {
        self.form = match self.form {
            Form::Error(_) => Form::Error(Some(id)),
            Form::Tool(_, output) => Form::Tool(id, output),
            Form::Hidden(_, missing) => Form::Hidden(id, missing),
            Form::Visit(_, visit) => Form::Visit(id, visit),
            Form::Silent => Form::Silent,
        };
        self
    }
}

impl Gateway {
    /// Records `refusal`, then answers it.
    pub(super) async fn refuse(&self, refusal: Refusal, arrived: Duration) -> Reply {
        let Refusal { mut facts, reason, form, revision } = refusal;
        let latency = self.latency_until_now(arrived);
        let named = facts.named.clone();
        let verdict = facts.decision.as_ref().map(|decision| decision.verdict);
        self.metrics.call(verdict, reason, CallTimes { gateway: latency.total, upstream: None });
        self.meter_refusal(&mut facts, reason);
        let retry_after_s = facts.metered.spent.as_ref().map(|spent| spent.retry_after_s);
        let remedy = Remedy::of(reason, facts.approval.as_ref());
        // Only what is traced is told once more.
        let traced = facts.trace.is_some().then(|| facts.clone());
        let recorded = self.journal.record(Event::Denial { facts: Box::new(facts), reason, latency }).await;
        if let Some(facts) = &traced {
            let (seq, end) = (recorded.ok().map(|seq| seq.0), End::refused(recorded.err().unwrap_or(reason)));
            self.tell_trace(&Ended { facts, seq, arrived, latency, end });
        }
        let (reason, seq, retry_after_s) = match recorded {
            Ok(seq) => (reason, Some(seq.0), retry_after_s),
            Err(halted) => (halted, None, None),
        };
        let status = reply::status(reason, revision);
        let told = Told::refused(reason, seq).after(retry_after_s).with(remedy.filter(|_| seq.is_some()));
        let body = match form {
            Form::Silent => {
                return Reply::Empty(match recorded {
                    Ok(_) => http::StatusCode::ACCEPTED,
                    Err(_) => http::StatusCode::SERVICE_UNAVAILABLE,
                });
            }
            Form::Tool(id, output) => {
                reply::tool_error(&id, &told, output, revision.unwrap_or(Revision::V2025_11_25))
            }
            Form::Hidden(id, missing) if seq.is_some() => {
                missing.answer(&id, revision.unwrap_or(Revision::V2025_11_25))
            }
            Form::Visit(id, visit) if seq.is_some() => {
                let data = visit_data(&told, &visit);
                encode::error(Some(&id), code::URL_ELICITATION_REQUIRED, reason.sentence(), Some(&data))
            }
            Form::Hidden(id, _) | Form::Visit(id, _) => reply::error(Some(&id), reason.sentence(), &told),
            Form::Error(id) if reason == Reason::RevisionUnsupported => {
                let data = versions(named.as_ref());
                encode::error(
                    id.as_ref(),
                    reply::rpc_code(reason),
                    "Unsupported protocol version",
                    Some(&data),
                )
            }
            Form::Error(id) if reason == Reason::CapabilityMissing => {
                let (code, message) = (reply::rpc_code(reason), reason.sentence());
                encode::error(id.as_ref(), code, message, Some(&missing_capability(&told)))
            }
            Form::Error(id) => reply::error(id.as_ref(), reason.sentence(), &told),
        };
        Reply::Json { status, body, session: None }
    }

    /// Counts a refusal for the budgets of its caller. One that passes by itself is nothing that was tried in vain.
    fn meter_refusal(&self, facts: &mut CallFacts, reason: Reason) {
        if let Some(spent) = &facts.metered.spent {
            self.metrics.budget_refusal(spent.budget.as_str(), reason);
        }
        if reason.retry() == Retry::Never {
            let CallFacts { principal, run, provenance, .. } = &*facts;
            let who = Who { principal, run: run.as_ref(), sources: provenance };
            facts.metered.charges = self.gate.denied(who, self.clock.wall());
            self.tell_of_denial(&facts.provenance);
        }
    }

    /// The latency of something that ended here, without an upstream.
    pub(super) fn latency_until_now(&self, arrived: Duration) -> Latency {
        let total = self.clock.monotonic().saturating_sub(arrived);
        Latency { decide: total, total, ..Latency::default() }
    }
}

/// `data` of what waits for a person who can be sent to it, beside what every refusal says.
fn visit_data(told: &Told, visit: &Visit) -> Vec<u8> {
    let mut data = serde_json::to_value(told).unwrap_or_default();
    if let Some(data) = data.as_object_mut() {
        data.insert("elicitations".to_owned(), visit.elicitations());
    }
    data.to_string().into_bytes()
}

/// `data` of a missing capability (2026-07-28, `MissingRequiredClientCapabilityError`): which one, beside what
/// every refusal says.
fn missing_capability(told: &Told) -> Vec<u8> {
    let required = serde_json::json!({ "extensions": { task::EXTENSION: {} } });
    let mut data = serde_json::to_value(told).unwrap_or_default();
    if let Some(data) = data.as_object_mut() {
        data.insert("requiredCapabilities".to_owned(), required);
    }
    data.to_string().into_bytes()
}

/// `data` of an unsupported version (2026-07-28, basic/versioning): what is spoken here, what was asked.
fn versions(requested: Option<&Bounded<CLAIM_BYTES_MAX>>) -> Vec<u8> {
    let supported: Vec<_> = super::handshake::REVISIONS.iter().map(|revision| revision.as_str()).collect();
    let requested = requested.map(Bounded::as_str);
    let data = serde_json::json!({ "supported": supported, "requested": requested });
    serde_json::to_vec(&data).unwrap_or_default()
}
