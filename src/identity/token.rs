//! Signed tokens: from the text of one to what it vouches for.
//!
//! The order is: form, type, algorithm, issuer, key, signature, claims; nothing that a token says is
//! believed before its signature is right, but for where to look for the key. Must never accept on a
//! guess: where a key cannot be had, the token is refused as such (`keys_unavailable`).

mod cache;
mod claims;
mod context;
mod jws;
mod settings;
mod unite;

use std::collections::HashMap;
use std::sync::Arc;

use super::algorithm::Algorithm;
use super::json;
use super::jwks::Keeper;
use crate::clock::Clock;
use crate::model::digest::Sha256;
use crate::model::principal::{Holder, Principal};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::trigger::Declarations;

use cache::Cache;

pub use cache::VERIFIED_TOKENS_MAX;
pub use context::KIND;
pub use settings::*;

pub(super) use claims::{Confirmation, Times, digest_of};
pub(super) use jws::Jws;
pub(super) use unite::unite;

/// The header that a token came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carrier {
    /// `Authorization`: an access token (RFC 9068).
    Authorization,
    /// `Txn-Token`: a transaction token (draft-ietf-oauth-transaction-tokens-10, §8.1).
    TxnToken,
}

impl Carrier {
    /// The `typ` of the tokens that may come in this header; the other's is refused (CASES A41).
    const fn typ(self) -> &'static str {
        match self {
            Self::Authorization => "at+jwt",
            Self::TxnToken => "txntoken+jwt",
        }
    }
}

/// A token whose signature and claims are right.
#[derive(Debug)]
pub(super) struct Verified {
    /// What it vouches for. Whoever uses it has to meet `confirmation`.
    pub(super) principal: Arc<Principal>,
    pub(super) confirmation: Confirmation,
    pub(super) times: Times,
    issuer: usize,
    /// The epoch of the key set by which it was verified.
    epoch: u64,
}

/// Every issuer of the configuration.
#[derive(Debug)]
pub(super) struct Tokens {
    issuers: Vec<Issuer>,
    /// By `iss`.
    named: HashMap<String, usize>,
    attributes: Declarations,
    cache: Cache,
    clock: Clock,
}

#[derive(Debug)]
struct Issuer {
    settings: IssuerSettings,
    keeper: Arc<Keeper>,
}

impl Tokens {
    pub(super) fn new(issuers: Vec<IssuerSettings>, attributes: Declarations, clock: Clock) -> Self {
        let named = issuers.iter().enumerate().map(|(at, issuer)| (issuer.issuer.clone(), at)).collect();
        let issuer = |settings: IssuerSettings| {
            let (name, from) = (settings.entry_point.clone(), settings.jwks.clone());
            let keeper = Keeper::new(name, from, settings.algorithms.clone(), clock.clone());
            Issuer { settings, keeper }
        };
        let issuers = issuers.into_iter().map(issuer).collect();
        Self { issuers, named, attributes, cache: Cache::new(VERIFIED_TOKENS_MAX), clock }
    }

    /// These issuers as they follow `before`: one whose keys are where they were keeps what it knows of
    /// them, so that an endpoint that is down does not refuse everybody after a reload.
    pub(super) fn following(mut self, before: &Self) -> Self {
        for issuer in &mut self.issuers {
            let same = before.issuers.iter().find(|known| {
                let (known, now) = (&known.settings, &issuer.settings);
                (&known.entry_point, &known.jwks, &known.algorithms)
                    == (&now.entry_point, &now.jwks, &now.algorithms)
            });
            if let Some(same) = same {
                issuer.keeper = Arc::clone(&same.keeper);
            }
        }
        self
    }

    /// Whether tokens are a kind of credential here at all.
    pub(super) fn are_configured(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// What `token` vouches for.
    ///
    /// # Errors
    /// Why it is refused.
    pub(super) async fn verify(&self, carrier: Carrier, token: &str) -> Result<Arc<Verified>, Reason> {
        let digest = Sha256::of_parts(&[carrier.typ().as_bytes(), &[0], token.as_bytes()]);
        if let Some(verified) = self.cached(digest).await {
            return Ok(verified);
        }
        let verified = Arc::new(self.verify_anew(carrier, token).await?);
        let is_in_force = |verified: &Verified| self.is_in_force(verified);
        self.cache.put(digest, &verified, self.clock.wall(), is_in_force);
        Ok(verified)
    }

    async fn cached(&self, digest: Sha256) -> Option<Arc<Verified>> {
        let known = self.cache.find(digest)?;
        // The keys are confirmed as for a new token: what was verified by a key counts as long as the key.
        let confirmed = self.issuers.get(known.issuer)?.keeper.in_force().await;
        let now = self.clock.wall();
        let counts = known.times.from <= now && now < known.times.until;
        let is_current = confirmed.is_ok_and(|keys| keys.epoch == known.epoch);
        if counts && is_current {
            return Some(known);
        }
        self.cache.forget(digest);
        None
    }

    fn is_in_force(&self, verified: &Verified) -> bool {
        self.issuers.get(verified.issuer).is_some_and(|issuer| issuer.keeper.epoch() == Some(verified.epoch))
    }

    async fn verify_anew(&self, carrier: Carrier, token: &str) -> Result<Verified, Reason> {
        let jws = Jws::take_apart(token).ok_or(Reason::TokenMalformed)?;
        jws.check_type(carrier.typ())?;
        let algorithm = Algorithm::of(jws.algorithm()?).ok_or(Reason::TokenAlgorithmForbidden)?;
        let kid = jws.kid()?;
        let named = json::text(&jws.payload, "iss")?.ok_or(Reason::TokenClaimsInvalid)?;
        let at = *self.named.get(named).ok_or(Reason::TokenIssuerUnknown)?;
        let Issuer { settings, keeper } = self.issuers.get(at).ok_or(Reason::TokenIssuerUnknown)?;
        if !settings.algorithms.contains(&algorithm) {
            return Err(Reason::TokenAlgorithmForbidden);
        }
        let held = keeper.in_force().await?;
        let (key, epoch) = keeper.find(held, kid, algorithm).await?;
        if !key.verifies(jws.message, &jws.signature) {
            return Err(Reason::TokenSignatureInvalid);
        }
        let claims = claims::read(&jws.payload, carrier, settings, &self.attributes, self.clock.wall())?;
        let confirmation = claims.confirmation;
        let principal = Principal {
            entry_point: settings.entry_point.clone(),
            subject: claims.subject,
            roles: claims.roles,
            agents: claims.agents,
            sources: Provenance::of(claims.sources),
            trigger: claims.trigger,
            txn: claims.txn,
            // Who cannot prove it is refused before anybody sees this principal.
            holder: if confirmation.is_bound() { Holder::Proved } else { Holder::Bearer },
            until: Some(claims.times.until),
            runs: settings.runs,
            beside: None,
            asked_by: claims.asked_by.into_iter().collect(),
        };
        let (principal, times) = (Arc::new(principal), claims.times);
        Ok(Verified { principal, confirmation, times, issuer: at, epoch })
    }
}
