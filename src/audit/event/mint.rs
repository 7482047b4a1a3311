//! What is recorded of run tokens that the gateway makes, and of the keys that sign them.
//!
//! Must never hold a token, nor the `jti` that names one: its digest is enough to tell tokens apart.

use jiff::Timestamp;

use super::Detail;
use crate::model::digest::Sha256;
use crate::model::mint::TokenRequest;
use crate::model::name::{EntryPointName, Txn};
use crate::model::reason::Reason;
use crate::model::run::Actor;

/// A token that was asked for (`mint`).
#[derive(Debug)]
pub struct MintFacts {
    /// Who asked.
    pub by: MintedBy,
    /// What was asked for.
    pub act: MintAct,
    /// The label; absent where the request was not understood so far.
    pub request: Option<TokenRequest>,
    /// What became of it.
    pub result: MintResult,
}

/// Who asked for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MintedBy {
    /// A peer of the admin socket.
    Operator(Actor),
    /// A dispatcher, as the configuration names it.
    Dispatcher(EntryPointName),
}

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MintAct {
    /// The first token of a run, or another for a run that was named.
    Mint,
    /// A token that says what an older one said, with a new end.
    Renew,
}

impl MintAct {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mint => "mint",
            Self::Renew => "renew",
        }
    }
}

/// What became of it.
#[derive(Debug)]
pub enum MintResult {
    /// A token was made. Durable before it leaves.
    Made {
        /// Its run.
        txn: Txn,
        /// When it ends.
        expires: Timestamp,
        /// SHA-256 of its `jti`.
        jti_sha256: Sha256,
        /// The key that signed it.
        kid: String,
    },
    /// None was made.
    Refused {
        /// Why.
        reason: Reason,
        /// In a sentence.
        detail: Detail,
    },
}

/// What happened to a token key (`token_key`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyChange {
    /// The first one was made, at the start of the gateway.
    Made,
    /// It replaces the one that signed, which had reached its age.
    Aged,
    /// It replaces the one that signed, because a person said so.
    Rotated,
}

impl KeyChange {
    /// The word in the record.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Aged => "aged",
            Self::Rotated => "rotated",
        }
    }
}
