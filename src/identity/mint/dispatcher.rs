//! Who may ask for run tokens over HTTP: authenticated by a key, bounded in rate.
//!
//! Must never hold or compare a key's text: like API keys, a dispatcher's key is looked up by its digest.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;

use super::settings::DispatcherSettings;
use crate::clock::Clock;
use crate::identity::assert::MayAssert;
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
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    since: Duration,
    count: u32,
}

impl Dispatcher {
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
}

impl fmt::Debug for ClientCredential<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ClientCredential(…)")
    }
}

/// The dispatchers of the configuration, by the digest of their key.
#[derive(Debug)]
pub(super) struct Dispatchers(HashMap<Sha256, Arc<Dispatcher>>);

impl Dispatchers {
    pub(super) fn new(settings: &[DispatcherSettings]) -> Self {
        let one = |settings: &DispatcherSettings| {
            let DispatcherSettings { id, entry_point, hash, may_assert } = settings.clone();
            (hash, Arc::new(Dispatcher { id, entry_point, may_assert, spent: Mutex::default() }))
        };
        Self(settings.iter().map(one).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who presents `credential`.
    pub(super) fn authenticate(&self, credential: ClientCredential<'_>) -> Result<Arc<Dispatcher>, Reason> {
        let (id, key) = match credential {
            ClientCredential::Key(key) => (None, key),
            ClientCredential::Secret { id, secret } => (Some(id), secret),
        };
        if !key.starts_with(KEY_PREFIX) {
            return Err(Reason::CredentialUnknown);
        }
        let presented = Sha256::of(key.as_bytes());
        match self.0.get_key_value(&presented) {
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
