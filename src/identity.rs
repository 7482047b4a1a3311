//! Credential to principal: who calls, as an entry point of the configuration vouches for it.
//!
//! Must never infer anything from a body, from another header or from client info (I3), and never keep,
//! print or compare a credential except as its digest (I10). Trusts what the listener reports about a
//! connection (its own settings, the peer's uid) and what `config` checked.
//!
//! Each authenticator is a file of its own with three outcomes: not mine, a principal, or a refusal. A
//! refusal is final: a wrong credential is never passed over for what the listener vouches for.

mod algorithm;
mod assert;
mod bearer;
mod client;
mod entry_points;
mod fetch;
mod json;
mod jwks;
mod key;
mod listener;
mod mint;
mod peer;
mod people;
mod proof;
mod refine;
mod resource;
mod settings;
mod sweep;
#[cfg(test)]
mod tests;
mod token;
mod webhooks;

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::model::certificate::ClientCertificate;
use crate::model::principal::Principal;
use crate::model::reason::Reason;

use bearer::Bearer;
use client::Clients;
use key::Keys;
use proof::{Claimed, Evidence, Proofs};
use token::{Carrier, Tokens};

pub use algorithm::Algorithm;
pub use assert::{Asserted, Forbidden, MayAssert};
pub use entry_points::EntryPoints;
pub use jwks::{
    KEYS_AGE_MAX, KEYS_FRESH, KEYS_UNCONFIRMED_MAX, KeysFrom, LOAD_INTERVAL, SET_BYTES_MAX, SET_KEYS_MAX,
    check_ca, count_keys,
};
pub use key::{HASH_PREFIX, KEY_PREFIX, MintedKey, hash_text, mint, parse_hash};
pub use mint::{
    ASSERTION_AGE_MAX, ASSERTIONS_MAX, ASSERTIONS_PER_DISPATCHER_MAX, ClientCredential, DISPATCHER_PREFIX,
    Dispatcher, DispatcherKey, DispatcherSettings, ISSUER, JWKS_FILE, KEYS_DIR, KeysError, MINT_ENTRY_POINT,
    MINT_KEY_MAX_AGE_DEFAULT, MINT_TTL_DEFAULT, MINT_TTL_MAX_DEFAULT, MINTS_PER_MINUTE_MAX, MintRefusal,
    MintSettings, Minted, Minter, NewKey, Opened, Renewal, Requester, TOKEN_KEYS_MAX, carrier_of,
};
pub use people::{ID_TOKEN_AGE_MAX, METADATA_BYTES_MAX, PROVIDER_FRESH, People, PeopleSettings, SubjectForm};
pub use proof::{PROOF_AGE_MAX, PROOFS_MAX, PROOFS_PER_KEY_MAX};
pub use refine::{Condition, RefineRule, Refinement};
pub use resource::ResourceUrl;
pub use settings::*;
pub use token::{CLOCK_SKEW_DEFAULT, CLOCK_SKEW_MAX, IssuerSettings, KIND, VERIFIED_TOKENS_MAX};
pub use webhooks::{MESSAGES_MAX, WebhookSettings, Webhooks};

/// Everything that can vouch for a caller.
#[derive(Debug)]
pub struct Authenticator {
    keys: Keys,
    clients: Clients,
    tokens: Tokens,
    proofs: Proofs,
}

/// What a request presents. Holds credentials, so it prints none of it.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// What the listener vouches for by itself.
    pub listener: &'a ListenerVouches,
    /// The value of every `Authorization` header.
    pub authorization: &'a [&'a [u8]],
    /// The value of every `Txn-Token` header.
    pub txn_token: &'a [&'a [u8]],
    /// The value of every `DPoP` header.
    pub dpop: &'a [&'a [u8]],
    /// The method of the request, which a proof is for.
    pub method: &'a str,
    /// The uid of the peer, as the kernel reports it; absent on TCP.
    pub peer_uid: Option<u32>,
    /// The certificate of the connection, which the socket verified.
    pub certificate: Option<&'a ClientCertificate>,
}

impl Authenticator {
    /// An authenticator of the entry points in `settings`.
    #[must_use]
    pub fn new(settings: Settings, clock: Clock) -> Self {
        Self {
            keys: Keys::new(settings.keys),
            clients: Clients::new(settings.clients),
            tokens: Tokens::new(settings.issuers, settings.attributes, clock.clone()),
            proofs: Proofs::new(settings.url, clock),
        }
    }

    /// This authenticator as it follows `before`: with the proofs of possession that were used, and the
    /// keys that are known of issuers that have not moved.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        Self {
            tokens: self.tokens.following(&before.tokens),
            proofs: self.proofs.following(&before.proofs),
            ..self
        }
    }

    /// Who presents this.
    ///
    /// A credential in a header counts before the certificate of the connection, and that before what the
    /// listener vouches for; a peer that its socket does not know is refused whatever it presents. Waits at
    /// most as long as one load of an issuer's keys.
    ///
    /// # Errors
    /// The reason why nobody can be told.
    pub async fn authenticate(&self, presented: &Presented<'_>) -> Result<Arc<Principal>, Reason> {
        let peer = match peer::authenticate(presented) {
            Outcome::Refused(reason) => return Err(reason),
            Outcome::NotMine => None,
            Outcome::Known(principal) => Some(principal),
        };
        let bearer = Bearer::of(presented.authorization)?;
        let run = bearer::txn_token(presented.txn_token)?;
        if bearer.is_some() || run.is_some() {
            return self.by_header(bearer, run, presented).await;
        }
        match self.clients.authenticate(presented) {
            Outcome::Known(principal) => return Ok(principal),
            Outcome::Refused(reason) => return Err(reason),
            Outcome::NotMine => {}
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

    /// By what stands in the headers: a key, or one token or two.
    async fn by_header(
        &self,
        bearer: Option<Bearer<'_>>,
        run: Option<&str>,
        presented: &Presented<'_>,
    ) -> Result<Arc<Principal>, Reason> {
        if let Some(bearer) = &bearer {
            match (self.keys.authenticate(bearer), run) {
                (Outcome::NotMine, _) => {}
                (Outcome::Refused(reason), _) => return Err(reason),
                (Outcome::Known(principal), None) => return Ok(principal),
                // What a key vouches for stands in the configuration and is no token that could be united
                // with another; to pass over either of the two would be to choose a label.
                (Outcome::Known(_), Some(_)) => return Err(Reason::CredentialAmbiguous),
            }
        }
        let is_token = |bearer: &Bearer<'_>| bearer.reveal().contains('.');
        if !self.tokens.are_configured() || bearer.as_ref().is_some_and(|bearer| !is_token(bearer)) {
            return Err(Reason::CredentialUnknown);
        }
        let access = match &bearer {
            Some(bearer) => Some(self.tokens.verify(Carrier::Authorization, bearer.reveal()).await?),
            None => None,
        };
        let run_token = match run {
            Some(token) => Some(self.tokens.verify(Carrier::TxnToken, token).await?),
            None => None,
        };
        let principal = match (&access, &run_token) {
            (Some(only), None) | (None, Some(only)) => Arc::clone(&only.principal),
            (Some(access), Some(run)) => token::unite(access, run)?,
            (None, None) => return Err(Reason::CredentialMissing),
        };
        let of_access = bearer.as_ref().zip(access.as_ref()).map(|(bearer, verified)| Claimed {
            token: bearer.reveal(),
            confirmation: verified.confirmation,
            scheme: Some(bearer.scheme),
        });
        let of_run = run.zip(run_token.as_ref()).map(|(token, verified)| Claimed {
            token,
            confirmation: verified.confirmation,
            scheme: None,
        });
        let claimed: Vec<Claimed<'_>> = of_access.into_iter().chain(of_run).collect();
        let evidence = Evidence {
            proofs: presented.dpop,
            method: presented.method,
            certificate: presented.certificate.map(|certificate| certificate.sha256),
        };
        self.proofs.check(&claimed, evidence)?;
        Ok(principal)
    }
}

impl fmt::Debug for Presented<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Presented")
            .field("authorization", &format_args!("{} header(s)", self.authorization.len()))
            .field("txn_token", &format_args!("{} header(s)", self.txn_token.len()))
            .field("peer_uid", &self.peer_uid)
            .field("certificate", &self.certificate.map(|certificate| certificate.sha256))
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
