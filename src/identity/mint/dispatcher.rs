//! Who may ask for run tokens over HTTP: authenticated by a key or an assertion, bounded in rate.
//!
//! Must never hold or compare a key's text: like API keys, a dispatcher's key is looked up by its digest.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use jiff::Timestamp;

use super::assertion::Assertions;
use super::settings::{DispatcherKey, DispatcherSettings};
use crate::clock::Clock;
use crate::identity::algorithm::Algorithm;
use crate::identity::assert::MayAssert;
use crate::identity::jwks::Keeper;
use crate::identity::key::KEY_PREFIX;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::reason::Reason;

/// Tokens that one dispatcher may ask for in a minute, refused ones included; further ones are refused
/// with `mint_rate_exceeded`.
pub const MINTS_PER_MINUTE_MAX: u32 = 600;
const MINUTE: Duration = Duration::from_secs(60);

/// A dispatcher, authenticated.
#[derive(Debug)]
pub struct Dispatcher {
    id: Arc<str>,
    /// `dispatchers.NAME`.
    pub entry_point: EntryPointName,
    pub(super) may_assert: MayAssert,
    key: DispatcherKey,
    /// Whose assertions are its own, where it signs them.
    pub(super) signer: Option<Signer>,
    spent: Mutex<Spent>,
}

/// The keys by which a dispatcher signs who it is.
#[derive(Debug)]
pub(super) struct Signer {
    pub(super) issuer: String,
    pub(super) keeper: Arc<Keeper>,
}

#[derive(Debug, Default)]
struct Spent {
    since: Duration,
    count: u32,
}

impl Dispatcher {
    /// Whether `other`, of another configuration, is known by the same and may ask for the same.
    fn is_same(&self, other: &Self) -> bool {
        (&self.id, &self.entry_point, &self.key, &self.may_assert)
            == (&other.id, &other.entry_point, &other.key, &other.may_assert)
    }

    /// Takes one request out of this minute's.
    pub(super) fn spend(&self, clock: &Clock) -> Result<(), Reason> {
        let now = clock.monotonic();
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if now.saturating_sub(spent.since) >= MINUTE {
            *spent = Spent { since: now, count: 0 };
        }
        if spent.count >= MINTS_PER_MINUTE_MAX {
            return Err(Reason::MintRateExceeded);
        }
        spent.count = spent.count.saturating_add(1);
        Ok(())
    }
}

/// What a dispatcher presents of itself. Prints none of it.
#[derive(Clone, Copy)]
pub enum ClientCredential<'a> {
    /// A key alone (`Authorization: Bearer`).
    Key(&'a str),
    /// A client id with its key (RFC 6749, 2.3.1).
    Secret {
        /// The client id: the dispatcher's name.
        id: &'a str,
        /// The key.
        secret: &'a str,
    },
    /// A signed assertion (RFC 7523, 2.2), with the client id that stands beside it, if one does.
    Assertion {
        /// The assertion.
        assertion: &'a str,
        /// The client id.
        id: Option<&'a str>,
    },
}

impl fmt::Debug for ClientCredential<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientCredential(…)")
    }
}

/// The dispatchers of the configuration.
#[derive(Debug)]
pub(super) struct Dispatchers {
    all: Vec<Arc<Dispatcher>>,
    by_hash: HashMap<Sha256, Arc<Dispatcher>>,
    assertions: Assertions,
}

impl Dispatchers {
    pub(super) fn new(settings: &[DispatcherSettings], audience: &str, clock: &Clock) -> Self {
        let (mut all, mut by_hash) = (Vec::new(), HashMap::new());
        for DispatcherSettings { id, entry_point, key, may_assert } in settings.iter().cloned() {
            let (hash, signer) = match key.clone() {
                DispatcherKey::Hash(hash) => (Some(hash), None),
                DispatcherKey::Jwks { from, issuer } => {
                    let algorithms = Algorithm::ALL.into();
                    let keeper = Keeper::new(entry_point.clone(), from, algorithms, clock.clone());
                    (None, Some(Signer { issuer, keeper }))
                }
            };
            let spent = Mutex::default();
            let dispatcher = Arc::new(Dispatcher { id, entry_point, may_assert, key, signer, spent });
            by_hash.extend(hash.map(|hash| (hash, Arc::clone(&dispatcher))));
            all.push(dispatcher);
        }
        Self { all, by_hash, assertions: Assertions::new(audience) }
    }

    /// These dispatchers as they follow `before`: an assertion that was used is not taken again.
    pub(super) fn following(mut self, before: &Self) -> Self {
        self.assertions = self.assertions.following(&before.assertions);
        self
    }

    /// What `known`, of an earlier configuration, is in this one, where it stands there unchanged.
    pub(super) fn still(&self, known: &Dispatcher) -> Option<Arc<Dispatcher>> {
        self.all.iter().find(|dispatcher| dispatcher.is_same(known)).cloned()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Who presents `credential`. Waits at most as long as one load of a dispatcher's keys.
    pub(super) async fn authenticate(
        &self,
        credential: ClientCredential<'_>,
        now: Timestamp,
    ) -> Result<Arc<Dispatcher>, Reason> {
        match credential {
            ClientCredential::Key(key) => self.by_key(None, key),
            ClientCredential::Secret { id, secret } => self.by_key(Some(id), secret),
            ClientCredential::Assertion { assertion, id } => {
                let dispatcher = self.assertions.check(assertion, &self.all, now).await?;
                let is_named = |id: &str| {
                    id == &*dispatcher.id
                        || dispatcher.signer.as_ref().is_some_and(|signer| signer.issuer == id)
                };
                if id.is_none_or(is_named) { Ok(dispatcher) } else { Err(Reason::CredentialUnknown) }
            }
        }
    }

    fn by_key(&self, id: Option<&str>, key: &str) -> Result<Arc<Dispatcher>, Reason> {
        if !key.starts_with(KEY_PREFIX) {
            return Err(Reason::CredentialUnknown);
        }
        let presented = Sha256::of(key.as_bytes());
        match self.by_hash.get_key_value(&presented) {
            Some((hash, dispatcher))
                if verify_slices_are_equal(hash.as_bytes(), presented.as_bytes()).is_ok()
                    && id.is_none_or(|id| id == &*dispatcher.id) =>
            {
                Ok(Arc::clone(dispatcher))
            }
            _ => Err(Reason::CredentialUnknown),
        }
    }
}
