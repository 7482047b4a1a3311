//! A call on its way to an upstream: what is decided on and the bytes that are sent, as one value.
//!
//! The bytes must never be separated from what was decided on (I7): a proof owns the whole call.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::digest::Sha256;
use super::provenance::Provenance;
use super::target::Target;
use super::trace::Trace;

/// One call, resolved against the catalogue.
#[derive(Debug)]
pub struct Call {
    /// What the call is for.
    pub target: Target,
    /// The accepted definition that the caller was shown, and whether it still is the upstream's. None
    /// where there is no definition to accept: a resource, a completion, an answer.
    pub pin: Option<Pin>,
    /// The sources that the upstream's answer will carry: its own and those stored in it.
    pub returns: Provenance,
    /// Whether the call writes where a later read will find it.
    pub stores: Stores,
    /// Digest and size of the arguments as they are sent, for the record.
    pub arguments: ArgumentFacts,
    /// The arguments as they are sent, for conditions to look at: the raw object, empty where there is none.
    pub values: Bytes,
    /// The `params` that are sent.
    pub payload: Payload,
    /// How long it may take, where it is not as long as everything else at its upstream.
    pub deadline: Option<Duration>,
}

impl Call {
    /// A call that is only asked about: it has no parameters to send, brings nothing and stores nothing.
    #[must_use]
    pub fn hypothetical(target: Target, values: Bytes) -> Self {
        Self {
            target,
            pin: None,
            returns: Provenance::default(),
            stores: Stores::Nothing,
            arguments: ArgumentFacts::of(&values),
            values,
            payload: Payload { method: "", bytes: Bytes::new(), progress_token: None, trace: None },
            deadline: None,
        }
    }
}

/// Method and `params` as they are sent: what came in, except for what the gateway owns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The method, as messages name it.
    pub method: &'static str,
    /// One JSON object: the client's bytes with `name` already the upstream's own.
    pub bytes: Bytes,
    /// Where the value of `_meta.progressToken` stands, if the client sent one. It is replaced by
    /// the upstream request's id at forwarding, so that tokens of two clients never meet (I9).
    pub progress_token: Option<Range<usize>>,
    /// Where it stands in a trace, where the gateway traces: `bytes` say so already, headers repeat it.
    pub trace: Option<Arc<Trace>>,
}

/// Digest and size of a call's `arguments`: exactly as they came in, but for what an operator settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ArgumentFacts {
    /// SHA-256 of the raw bytes of `arguments`; of no bytes where the member is absent.
    pub sha256: Sha256,
    /// Their number.
    pub bytes: u64,
}

/// The accepted definition of a tool against what the upstream offers now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// The upstream offers what was accepted.
    Accepted(Sha256),
    /// The upstream offers something else; calls are refused until it is accepted (§4.6).
    Changed {
        /// What was accepted and is listed.
        accepted: Sha256,
        /// What the upstream offers now.
        offered: Sha256,
    },
}

impl ArgumentFacts {
    /// Those of the raw bytes `arguments`.
    #[must_use]
    pub fn of(arguments: &[u8]) -> Self {
        let bytes = u64::try_from(arguments.len()).unwrap_or(u64::MAX);
        Self { sha256: Sha256::of(arguments), bytes }
    }
}

impl Pin {
    /// The digest of the definition that callers are shown.
    #[must_use]
    pub fn accepted(self) -> Sha256 {
        match self {
            Self::Accepted(digest) | Self::Changed { accepted: digest, .. } => digest,
        }
    }
}

/// Whether what a tool writes comes back in later results of its upstream (stored injection).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stores {
    /// It does not.
    #[default]
    Nothing,
    /// It comes back to the subject that wrote it: the store is separate for each subject.
    Subject,
    /// It comes back to every subject.
    All,
}
