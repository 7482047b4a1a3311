//! The settings of issuers, checked.
//!
//! Must never hold a key: where the keys are stands here, and who may be vouched for.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::identity::algorithm::Algorithm;
use crate::identity::assert::MayAssert;
use crate::identity::jwks::KeysFrom;
use crate::identity::refine::Refinement;
use crate::model::name::{EntryPointName, SourceName};
use crate::model::principal::RunRule;

/// One issuer (`[auth.issuers.NAME]`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IssuerSettings {
    /// `issuers.NAME`.
    pub entry_point: EntryPointName,
    /// What its tokens say in `iss`. No other issuer has the same.
    pub issuer: String,
    /// Where its keys are.
    pub jwks: KeysFrom,
    /// What its tokens have to say in `aud`.
    pub audience: String,
    /// The algorithms that its keys may be for.
    pub algorithms: BTreeSet<Algorithm>,
    /// What its tokens may say.
    pub may_assert: MayAssert,
    /// The source of tokens that describe no trigger; without one they are refused.
    pub source: Option<SourceName>,
    /// Longest time from `iat` to `exp`.
    pub token_ttl_max: Duration,
    /// How far its clock may be from ours; at most [`CLOCK_SKEW_MAX`].
    pub clock_skew: Duration,
    /// What a run is.
    pub runs: RunRule,
    /// Finer sources, by the source that is asserted.
    pub refine: BTreeMap<SourceName, Refinement>,
}

/// `clock_skew` where the configuration is silent.
pub const CLOCK_SKEW_DEFAULT: Duration = Duration::from_secs(30);
/// Largest `clock_skew`: beyond it a clock is wrong.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);
