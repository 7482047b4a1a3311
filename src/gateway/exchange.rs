//! One request on its way along the path: who asks, what was asked, in which revision and session.
//!
//! Must never take a label from anything but the principal (invariant I3). What the client says of itself
//! is kept as claimed text for the record.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::able::Able;
use super::port::{Accepts, ProtocolHeaders};
use super::session::{InFlight, Session, Wants};
use crate::model::budget::Metered;
use crate::model::call::Stores;
use crate::model::decision::PolicyEpoch;
use crate::model::facts::{CLAIM_BYTES_MAX, CallFacts};
use crate::model::principal::{Origin, Principal};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::text::Bounded;
use crate::model::trace::Trace;
use crate::wire::{Id, LogLevel, Request, Revision, headers};

/// Who asks, before anything of the body is understood.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) principal: Arc<Principal>,
    /// The configuration that accepted the credential.
    pub(super) under: PolicyEpoch,
    /// Where it came in.
    pub(super) origin: Origin,
    pub(super) headers: ProtocolHeaders,
    pub(super) accepts: Accepts,
    /// When the request was taken up, on the monotonic clock.
    pub(super) arrived: Duration,
}

/// A request with its place in the protocol.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) caller: Caller,
    pub(super) request: Request,
    pub(super) revision: Revision,
    /// The session of a 2025 revision; the 2026-07-28 revision has none.
    pub(super) session: Option<Arc<Session>>,
    /// Where it stands in a trace, where traces are made.
    pub(super) trace: Option<Arc<Trace>>,
}

impl Caller {
    /// What a record says of a call of which only the caller is known.
    pub(super) fn facts(&self) -> CallFacts {
        CallFacts {
            principal: Arc::clone(&self.principal),
            run: None,
            trigger: None,
            provenance: self.principal.sources.clone(),
            adds: Provenance::default(),
            stores: Stores::Nothing,
            method: "unread",
            named: None,
            target: None,
            definition: None,
            arguments: None,
            kept: None,
            decision: None,
            step: None,
            like: None,
            past: None,
            approval: None,
            metered: Metered::default(),
            revision: None,
            request_id: None,
            trace: None,
            traceparent: None,
            client: self.headers.user_agent.as_ref().map(claimed),
        }
    }
}

impl Exchange {
    /// What a record says of this request, as far as it is known without a run and a decision.
    pub(super) fn facts(&self) -> CallFacts {
        let introduced = self.session.as_ref().and_then(|session| session.client.clone());
        let base = self.caller.facts();
        CallFacts {
            method: self.request.method.code(),
            revision: Some(self.revision.as_str()),
            request_id: Some(Bounded::new(self.request.id.raw())),
            trace: self.trace.clone(),
            traceparent: self.meta_text("traceparent"),
            client: introduced.or_else(|| client_info(self.meta(headers::CLIENT_INFO))).or(base.client),
            ..base
        }
    }

    /// The request's id, for a refusal.
    pub(super) fn id(&self) -> Option<Id> {
        Some(self.request.id.clone())
    }

    /// Notes that the request is in flight in its session, if it has one.
    pub(super) fn begin(&self) -> Result<Option<InFlight>, Reason> {
        self.session.as_ref().map(|session| session.begin(&self.request.id)).transpose()
    }

    /// The least severe log message that the client wants: of this request (2026-07-28, "Request `_meta`"),
    /// or in its session.
    pub(super) fn level(&self) -> Wants {
        let in_session = self.session.as_ref().map(|session| session.level());
        let in_request = || {
            let text: Option<String> =
                self.meta(headers::LOG_LEVEL).and_then(|raw| serde_json::from_slice(&raw).ok());
            // "The server MUST NOT send log messages for a request that does not ask for them."
            text.and_then(|text| LogLevel::parse(&text)).map_or(Wants::Nothing, Wants::From)
        };
        in_session.unwrap_or_else(in_request)
    }

    /// What the client can be asked.
    pub(super) fn able(&self) -> Able {
        match &self.session {
            Some(session) => session.able.clone(),
            None => Able::of(self.meta(headers::CLIENT_CAPABILITIES)),
        }
    }

    fn meta(&self, key: &str) -> Option<Bytes> {
        self.request.params.as_ref()?.meta()?.get(key)
    }

    fn meta_text(&self, key: &str) -> Option<Bounded<CLAIM_BYTES_MAX>> {
        self.whole_meta_text(key).map(|text| Bounded::new(&text))
    }

    /// The text that the client wrote under `key` of `_meta`, which may be as long as a message.
    pub(super) fn whole_meta_text(&self, key: &str) -> Option<String> {
        serde_json::from_slice(&self.meta(key)?).ok()
    }
}

/// Name and version out of an `Implementation` object, as the client claims them.
pub(super) fn client_info(raw: Option<Bytes>) -> Option<Bounded<CLAIM_BYTES_MAX>> {
    #[derive(serde::Deserialize)]
    struct Implementation {
        name: String,
        #[serde(default)]
        version: String,
    }
    let info: Implementation = serde_json::from_slice(&raw?).ok()?;
    Some(Bounded::new(&format!("{}/{}", info.name, info.version)))
}

fn claimed(bytes: &Bytes) -> Bounded<CLAIM_BYTES_MAX> {
    Bounded::new(&String::from_utf8_lossy(bytes))
}
