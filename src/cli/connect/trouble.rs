//! What can go wrong between a client and the gateway, as the client is told.
//!
//! Must never name the key, nor repeat what an unknown server said. The three words that only a bridge
//! can say stand here; all others are the gateway's own reasons.

use bytes::Bytes;

use crate::gateway::reply::REFUSED;
use crate::model::reason::Reason;
use crate::wire::{Id, encode};

/// A message had no answer, or was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Trouble {
    /// The gateway could not be reached; it got nothing of the message.
    Unreachable,
    /// The connection broke before the answer was there.
    Lost,
    /// What came back is no answer.
    Invalid,
    /// The gateway, or this bridge, refuses for a reason of the catalogue.
    Refused(Reason),
}

impl Trouble {
    /// What a refusal at the socket says: `{"reason", "message"}`, of which the word is taken if it is one
    /// of ours.
    pub(super) fn of_refusal(body: &[u8]) -> Self {
        #[derive(serde::Deserialize)]
        struct Refusal {
            reason: Reason,
        }
        serde_json::from_slice(body).map_or(Self::Invalid, |Refusal { reason }| Self::Refused(reason))
    }

    /// The stable word.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Unreachable => "gateway_unreachable",
            Self::Lost => "gateway_lost",
            Self::Invalid => "gateway_invalid",
            Self::Refused(reason) => reason.code(),
        }
    }

    /// The same in a sentence.
    pub(in crate::cli) const fn sentence(self) -> &'static str {
        match self {
            Self::Unreachable => "The gateway cannot be reached.",
            Self::Lost => "The connection to the gateway broke. The call may have been executed.",
            Self::Invalid => "What came back from the gateway's address is not an answer.",
            Self::Refused(reason) => reason.sentence(),
        }
    }

    /// The JSON-RPC error for the request `id`.
    pub(super) fn answer(self, id: Option<&Id>) -> Bytes {
        let data = format!("{{\"reason\":\"{}\"}}", self.code());
        encode::error(id, REFUSED, self.sentence(), Some(data.as_bytes()))
    }
}
