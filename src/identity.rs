//! Credential to principal: who calls, as an entry point of the configuration vouches for it.
//!
//! Must never infer anything from a body, from another header or from client info (I3), and never keep,
//! print or compare a credential except as its digest (I10). Trusts what the listener reports about a
//! connection (its own settings, the peer's uid) and what `config` checked.
//!
//! Each authenticator is a file of its own with three outcomes: not mine, a principal, or a refusal. A
//! refusal is final: a wrong credential is never passed over for what the listener vouches for.

mod assert;
mod bearer;
mod key;
mod listener;
mod mint;
mod peer;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use crate::model::principal::Principal;
use crate::model::reason::Reason;

use bearer::Bearer;
use key::Keys;

pub use assert::{Asserted, Forbidden, MayAssert};
pub use key::{HASH_PREFIX, KEY_PREFIX, MintedKey, hash_text, mint, parse_hash};
pub use mint::{
    ClientCredential, Dispatcher, DispatcherSettings, ISSUER, JWKS_FILE, Judged, KEYS_DIR, KeysError,
    MINT_KEY_MAX_AGE_DEFAULT, MINT_TTL_DEFAULT, MINT_TTL_MAX_DEFAULT, MINTS_PER_MINUTE_MAX, MintRefusal,
    MintSettings, Minted, Minter, NewKey, Opened, Renewal, Requester, TOKEN_KEYS_MAX,
};
pub use settings::*;

/// Everything that can vouch for a caller.
#[derive(Debug)]
pub struct Authenticator {
    keys: Keys,
}

/// What a request presents. Holds credentials, so it prints none of it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// What the listener vouches for by itself.
    pub listener: &'a ListenerVouches,
    /// The value of every `Authorization` header.
    pub authorization: &'a [&'a [u8]],
    /// The uid of the peer, as the kernel reports it; absent on TCP.
    pub peer_uid: Option<u32>,
}

impl Authenticator {
    /// An authenticator of the entry points in `settings`.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { keys: Keys::new(settings.keys) }
    }

    /// Who presents this.
    ///
    /// A credential in a header counts before what the listener vouches for; a peer that its socket does
    /// not know is refused whatever it presents.
    ///
    /// # Errors
    /// The reason why nobody can be told: all of them are a 401.
    pub fn authenticate(&self, presented: &Presented<'_>) -> Result<Arc<Principal>, Reason> {
        let peer = match peer::authenticate(presented) {
            Outcome::Refused(reason) => return Err(reason),
            Outcome::NotMine => None,
            Outcome::Known(principal) => Some(principal),
        };
        if let Some(bearer) = Bearer::of(presented.authorization)? {
            return match self.keys.authenticate(&bearer) {
                Outcome::Known(principal) => Ok(principal),
                Outcome::Refused(reason) => Err(reason),
                Outcome::NotMine => Err(Reason::CredentialUnknown),
            };
        }
        if let Some(principal) = peer {
            return Ok(principal);
        }
        match listener::authenticate(presented) {
            Outcome::Known(principal) => Ok(principal),
            Outcome::Refused(reason) => Err(reason),
            Outcome::NotMine => Err(Reason::CredentialMissing),
        }
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Presented")
            .field("authorization", &format_args!("{} header(s)", self.authorization.len()))
            .field("peer_uid", &self.peer_uid)
            .finish_non_exhaustive()
    }
}

/// What one authenticator says.
#[derive(Debug)]
enum Outcome {
    /// Nothing was presented that this authenticator is for.
    NotMine,
    /// The caller.
    Known(Arc<Principal>),
    /// It is for this authenticator, and it is wrong.
    Refused(Reason),
}
