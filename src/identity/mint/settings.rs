//! The settings of minting, checked.
//!
//! Must never hold a key itself: dispatchers stand here with the digests of theirs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::identity::assert::MayAssert;
use crate::identity::jwks::KeysFrom;
use crate::identity::refine::Refinement;
use crate::model::digest::Sha256;
use crate::model::name::{EntryPointName, SourceName};
use crate::model::principal::RunRule;
use crate::model::trigger::Declarations;

/// `iss` of the tokens that the gateway makes itself.
pub const ISSUER: &str = "sluicegate";
/// What vouches for these tokens, as records and the run table name it.
pub const MINT_ENTRY_POINT: &str = "issuers.sluicegate";
/// How the name of every dispatcher begins in records and in `req_wl`.
pub const DISPATCHER_PREFIX: &str = "dispatchers.";
/// The public keys of the gateway's tokens, in [`MintSettings::keys_dir`].
pub const JWKS_FILE: &str = "token.jwks.json";
/// The folder of [`MintSettings::keys_dir`] in the state directory.
pub const KEYS_DIR: &str = "keys";

/// `auth.mint.token_ttl` where the configuration is silent.
pub const MINT_TTL_DEFAULT: Duration = Duration::from_secs(15 * 60);
/// `auth.mint.token_ttl_max` where the configuration is silent.
pub const MINT_TTL_MAX_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// `auth.mint.key_max_age` where the configuration is silent.
pub const MINT_KEY_MAX_AGE_DEFAULT: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// `[auth.mint]` and `[auth.dispatchers.*]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintSettings {
    /// `aud`: the gateway's own URL.
    pub audience: Arc<str>,
    /// Where the keys are; absolute.
    pub keys_dir: PathBuf,
    /// What may be asserted at all, whoever asks.
    pub may_assert: MayAssert,
    /// Lifetime where none is asked for.
    pub token_ttl: Duration,
    /// Longest lifetime.
    pub token_ttl_max: Duration,
    /// A key that is older signs no more.
    pub key_max_age: Duration,
    /// How long runs of these tokens last: no token is renewed beyond `max`.
    pub runs: RunRule,
    /// The attributes that each source declares.
    pub declarations: Declarations,
    /// Finer sources, by the source that is asserted: for whoever verifies these tokens.
    pub refine: BTreeMap<SourceName, Refinement>,
    /// Who may ask over HTTP.
    pub dispatchers: Vec<DispatcherSettings>,
}

/// How a dispatcher shows who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DispatcherKey {
    /// By a key with this digest (`hash`).
    Hash(Sha256),
    /// By an assertion that it signs (`jwks`): RFC 7523.
    Jwks {
        /// Where its public keys are.
        from: KeysFrom,
        /// What its assertions say in `iss` and `sub`.
        issuer: String,
    },
}

/// `[auth.dispatchers.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatcherSettings {
    /// `NAME`: its client id.
    pub id: Arc<str>,
    /// `dispatchers.NAME`, as records name it.
    pub entry_point: EntryPointName,
    /// How it shows who it is.
    pub key: DispatcherKey,
    /// What it may ask for, within what may be asserted at all.
    pub may_assert: MayAssert,
}
