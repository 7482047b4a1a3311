//! What can be recorded, as the gateway hands it in.
//!
//! Must never hold a credential, nor a value of the arguments that no operator asked for. Text that strangers chose is bounded before
//! it comes here, so that no size of anything suppresses a record (invariant I6).

mod mint;
mod plan;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Seq;
use super::note::VerifyingKey;
use crate::model::approval::{ApprovalChange, Asked};
use crate::model::barrier::BarrierChange;
use crate::model::claim::ClaimName;
use crate::model::decision::{PolicyEpoch, Rule};
use crate::model::digest::Sha256;
use crate::model::facts::{CLAIM_BYTES_MAX, CallFacts, RunId};
use crate::model::name::{Subject, UpstreamName};
use crate::model::person::Person;
use crate::model::pin::PinMove;
use crate::model::principal::{Origin, Principal};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding, RunHistory};
use crate::model::text::Bounded;
use crate::model::trigger::TriggerEntry;
use crate::plan::Grant;

pub use mint::{KeyChange, MintAct, MintFacts, MintResult, MintedBy};
pub use plan::{Consultation, ConsultedFacts, GrantChange, PlanFacts, PlanResult, StepFacts};

/// Bound of an explanation in a record (an error of the system, of an upstream), in bytes.
pub const DETAIL_BYTES_MAX: usize = 512;

/// Most sentences in a record on what a configuration widened.
pub const WIDENED_MAX: usize = 32;
/// Bound of one sentence in a record on what a configuration widened, in bytes.
pub const WIDENED_BYTES_MAX: usize = 256;

/// Bounded free text of a record.
pub type Detail = Bounded<DETAIL_BYTES_MAX>;

/// Bounded text that the caller or an upstream chose.
pub type Claim = Bounded<CLAIM_BYTES_MAX>;

/// Everything that is recorded besides the intent and the outcome of a call.
#[derive(Debug)]
pub enum Event {
    /// A request that was authenticated and refused, whatever the cause (`denial`).
    Denial {
        /// What is known of the request.
        facts: Box<CallFacts>,
        /// Why it was refused.
        reason: Reason,
        /// How long it took.
        latency: Latency,
    },
    /// A list that was answered (`list`).
    List {
        /// What is known of the request.
        facts: Box<CallFacts>,
        /// How many entries it showed.
        shown: u64,
        /// How long it took.
        latency: Latency,
    },
    /// A call that was forwarded waits for its client: the upstream asks something (`suspended`). Durable.
    Suspended {
        /// What is asked, and what was decided on it.
        facts: Box<CallFacts>,
        /// The record of the call's intent.
        intent: Seq,
    },
    /// The client answered, and its answer may go to the upstream (`resumed`). Durable.
    Resumed {
        /// What was answered, and what was decided on it.
        facts: Box<CallFacts>,
        /// The record of the call's intent.
        intent: Seq,
    },
    /// A plan was submitted (`plan`). Durable; what it grants counts only then.
    Plan {
        /// What is known of the request.
        facts: Box<CallFacts>,
        /// The plan, and what came of it.
        plan: Box<PlanFacts>,
        /// How long it took.
        latency: Latency,
    },
    /// Something became of a grant (`grant`).
    Grant {
        /// The run that it belongs to.
        run: RunId,
        /// The digest of its plan.
        plan: Sha256,
        /// What.
        change: GrantChange,
    },
    /// A person is asked, or has answered, or nobody did (`approval`). Durable before it counts.
    Approval {
        /// What.
        change: ApprovalChange,
        /// The question.
        asked: Box<Asked>,
        /// Who answered.
        by: Option<Person>,
        /// The rules that ask, where it was asked.
        rules: Vec<Rule>,
        /// What is granted by a yes to several like calls.
        grant: Option<Box<Grant>>,
    },
    /// Requests that were refused before or at authentication, counted (`auth_failures`).
    AuthenticationFailures {
        /// The listener they came to.
        listener: Claim,
        /// Why they were refused.
        reason: Reason,
        /// How many.
        count: u64,
        /// Since when they were counted.
        since: Timestamp,
    },
    /// A fresh run (`run_start`). Durable before it counts.
    RunStart {
        /// Its id.
        run: RunId,
        /// Who started it, with the sources that it begins with.
        principal: Arc<Principal>,
        /// The session that it is bound to, where a run is a session.
        session: Option<Arc<str>>,
        /// Where its first request came in.
        origin: Option<Origin>,
        /// [`RunHistory::Lost`] starts it closed: what it read before is not known.
        history: RunHistory,
    },
    /// The end of a run (`run_end`). Durable before it counts.
    RunEnd {
        /// Its id.
        run: RunId,
        /// Why.
        why: RunEnding,
        /// Who ended it, where a person did.
        by: Option<Actor>,
        /// Until when its tokens may be valid, where it is claimed by any.
        until: Option<Timestamp>,
        /// What its tokens claim, where none of them ever started it.
        unstarted: Option<ClaimName>,
    },
    /// A person closed something or opened it again (`revocation`, `source`). Durable before it counts.
    Barrier {
        /// What.
        change: BarrierChange,
        /// Who.
        by: Actor,
    },
    /// Sources that joined a run outside a call (`taint`). Durable before it counts.
    Taint {
        /// The run.
        run: RunId,
        /// What joined.
        adds: Provenance,
        /// The entries of its trigger that came with them.
        entries: Vec<TriggerEntry>,
        /// What brought it.
        cause: Claim,
    },
    /// A person said that what is stored at an upstream no longer carries sources (`stored_cleared`). Durable.
    StoredCleared {
        /// The upstream.
        upstream: UpstreamName,
        /// The subject whose store it is; all of the upstream where absent.
        subject: Option<Subject>,
        /// Who said so.
        by: Actor,
    },
    /// What was kept of the arguments of a subject's calls cannot be read any more (`erasure`). Durable before it is
    /// done.
    Erasure {
        /// The subject.
        subject: Subject,
        /// Who said so.
        by: Actor,
    },
    /// A definition was accepted, or differs from what was accepted (`pin`). Durable.
    Pin {
        /// Which one, and what happened.
        moved: Box<PinMove>,
        /// Who accepted it, where a person did.
        by: Option<Actor>,
    },
    /// Something about an upstream that is no call (`upstream`).
    Upstream {
        /// The upstream.
        upstream: UpstreamName,
        /// What happened.
        state: UpstreamState,
        /// Particulars. Claimed by the upstream or the system.
        detail: Detail,
        /// How many like it this record stands for.
        count: u64,
    },
    /// A run token was asked for (`mint`). Durable.
    Mint(Box<MintFacts>),
    /// A key for run tokens signs from now on (`token_key`). Durable.
    TokenKey {
        /// What happened.
        change: KeyChange,
        /// The key.
        kid: String,
        /// Who rotated, where a person did.
        by: Option<Actor>,
    },
    /// Another key signs checkpoints from now on (`audit_key`). Durable before it signs.
    AuditKey {
        /// The key.
        key: VerifyingKey,
        /// The one that signed until now.
        before: VerifyingKey,
        /// Until when that one signs too.
        until: Timestamp,
        /// Who asked for it.
        by: Actor,
    },
    /// Segments are removed because they are older than they have to be kept (`retired`). Durable before they are.
    Retired {
        /// Their first record.
        first: Seq,
        /// Their last record.
        last: Seq,
        /// How many there are.
        segments: u64,
        /// Their size together, in bytes.
        bytes: u64,
        /// They were last written before this.
        before: Timestamp,
    },
    /// A configuration was put in force or refused (`reload`). Durable.
    Reload {
        /// Digest of the files.
        config: Sha256,
        /// The policy that is in force now.
        epoch: PolicyEpoch,
        /// What became of it.
        result: ReloadResult,
        /// Why it was refused, or what it changed.
        detail: Detail,
        /// What it lets somebody do that could not be done before: a sentence each, cut in the record to
        /// [`WIDENED_MAX`] of at most [`WIDENED_BYTES_MAX`] bytes.
        widened: Vec<String>,
        /// Who asked for it, where a person did.
        by: Option<Actor>,
    },
}

/// What happened to an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpstreamState {
    /// It was started or connected.
    Started,
    /// It exited or its connection was lost.
    Exited,
    /// It could not be started or reached.
    Failed,
    /// It is left alone for a while.
    BreakerOpen,
    /// It is tried again.
    BreakerClosed,
    /// It offers something that cannot be listed: an illegal or colliding name, a broken definition.
    Quarantined,
    /// It asked something of the client that was refused.
    RequestRefused,
    /// It sent notifications that belong to no run.
    NotificationsDropped,
}

impl UpstreamState {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::BreakerOpen => "breaker_open",
            Self::BreakerClosed => "breaker_closed",
            Self::Quarantined => "quarantined",
            Self::RequestRefused => "request_refused",
            Self::NotificationsDropped => "notifications_dropped",
        }
    }
}

/// What became of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReloadResult {
    /// It is in force.
    InForce,
    /// It was refused and the last good one stays.
    Refused,
}

impl ReloadResult {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InForce => "in_force",
            Self::Refused => "refused",
        }
    }
}

/// How a forwarded call ended: three results that are told apart (DESIGN §8).
#[derive(Debug, Clone)]
pub struct OutcomeFacts {
    /// Why the call ended as it did; [`Reason::Answered`] where the upstream answered.
    pub reason: Reason,
    /// Whether the upstream may have executed it.
    pub executed: Executed,
    /// What became of the exchange of bytes.
    pub transport: Transport,
    /// What the JSON-RPC response was, where there was one.
    pub jsonrpc: Option<JsonRpc>,
    /// `isError` of the result, where there was a result.
    pub is_error: Option<bool>,
    /// Size and digest of the raw `result` or `error`, where there was one.
    pub result: Option<ResultFacts>,
    /// Whether its text says the same as its structured content.
    pub contents: Contents,
    /// Where the time went.
    pub latency: Latency,
}

/// Whether what a result says to a model is what it says to a program (CASES A68).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Contents {
    /// Nothing says that it is not.
    #[default]
    Same,
    /// A text of it is another value than its structured content.
    Differ,
}

/// Whether the upstream may have executed a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Executed {
    /// It got nothing of it.
    No,
    /// Nobody knows.
    Unknown,
    /// It answered.
    Yes,
}

impl Executed {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::No => "no",
            Self::Unknown => "unknown",
            Self::Yes => "yes",
        }
    }
}

/// What became of the exchange of bytes with the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Nothing was sent.
    NotSent,
    /// The call was sent and a message came back.
    Answered,
    /// The call was sent, at least in part, and no usable message came back.
    Failed,
}

impl Transport {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotSent => "not_sent",
            Self::Answered => "answered",
            Self::Failed => "failed",
        }
    }
}

/// What a JSON-RPC response was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonRpc {
    /// A result.
    Result,
    /// An error with this code.
    Error(i64),
}

/// Size and digest of what the upstream answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResultFacts {
    /// SHA-256 of the raw bytes.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
}

/// Where the time of a request went. What was not measured is zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Parsing, attributing and deciding.
    pub decide: Duration,
    /// Waiting for the journal.
    pub journal: Duration,
    /// Waiting for the upstream.
    pub upstream: Duration,
    /// From the first byte of the request to this record.
    pub total: Duration,
}
