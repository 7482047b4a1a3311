//! What a record says of a call: plain facts, gathered along the path, written by `audit`.
//!
//! Must never hold a credential, nor a value of the arguments that no operator asked for. Text that strangers chose is bounded.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::approval::QuestionId;
use super::budget::Metered;
use super::call::{ArgumentFacts, Stores};
use super::decision::Decision;
use super::digest::Sha256;
use super::keep::Kept;
use super::planned::{Past, StepUse};
use super::principal::Principal;
use super::provenance::Provenance;
use super::target::Target;
use super::text::Bounded;
use super::trace::Trace;
use super::trigger::Trigger;

/// Bound of a name, id or header that the caller chose, in a record, in bytes.
pub const CLAIM_BYTES_MAX: usize = 128;

/// A run, as records name it: 128 random bits in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Arc<str>);

impl RunId {
    /// The id made of 16 random bytes.
    #[must_use]
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(data_encoding::HEXLOWER.encode(&bytes).into())
    }

    /// The id as records name it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// What every record of a call carries.
#[derive(Debug, Clone)]
pub struct CallFacts {
    /// The authenticated caller.
    pub principal: Arc<Principal>,
    /// The run; absent where the call was refused before a run was attached.
    pub run: Option<RunId>,
    /// What started the run, with what later tokens added, where tokens claim it. Elsewhere the credential's
    /// own trigger counts.
    pub trigger: Option<Arc<Trigger>>,
    /// The provenance it was decided under.
    pub provenance: Provenance,
    /// The sources that this call adds to the run, counted from the critical section on.
    pub adds: Provenance,
    /// Whether the call writes where a later read will find it: from then on the upstream's results
    /// carry `provenance` and `adds` too.
    pub stores: Stores,
    /// The MCP method as classified, or `unknown`.
    pub method: &'static str,
    /// What the caller named: a tool's wire name, a method. Claimed, bounded.
    pub named: Option<Bounded<CLAIM_BYTES_MAX>>,
    /// What it resolved to; absent where nothing of that name exists.
    pub target: Option<Target>,
    /// The accepted definition that the caller was shown.
    pub definition: Option<Sha256>,
    /// Digest and size of the arguments.
    pub arguments: Option<ArgumentFacts>,
    /// What is recorded of them beside or instead of that, where an operator asked for it.
    pub kept: Option<Arc<Kept>>,
    /// The decision, where one was made.
    pub decision: Option<Decision>,
    /// The use of a step of a plan that was taken for it.
    pub step: Option<StepUse>,
    /// The call that was taken for it of those that a person said yes to as like ones.
    pub like: Option<StepUse>,
    /// What flows will see of it, where that is news to its run.
    pub past: Option<Box<Past>>,
    /// The question to a person that it is about: the yes that it takes, or what is asked now.
    pub approval: Option<QuestionId>,
    /// What it counts for budgets, and which of them refused it.
    pub metered: Metered,
    /// The negotiated protocol revision, where one was.
    pub revision: Option<&'static str>,
    /// The caller's own request id as JSON text. Claimed, bounded.
    pub request_id: Option<Bounded<CLAIM_BYTES_MAX>>,
    /// Where it stands in a trace, where the gateway traces. The trace may be one that the caller named, the span is ours.
    pub trace: Option<Arc<Trace>>,
    /// `traceparent` as the caller sent it. Claimed, bounded (CASES A82).
    pub traceparent: Option<Bounded<CLAIM_BYTES_MAX>>,
    /// Name and version of the client as it introduced itself. Claimed, bounded.
    pub client: Option<Bounded<CLAIM_BYTES_MAX>>,
}
