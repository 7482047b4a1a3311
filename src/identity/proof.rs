//! Proofs of possession: that whoever presents a bound token holds what it is bound to.
//!
//! DPoP (RFC 9449) for `cnf.jkt`, the certificate of the connection (RFC 8705) for `cnf.x5t#S256`. Must
//! never let one proof count twice, nor take a bound token for a bearer's.

pub(super) mod replay;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::algorithm::{Algorithm, VerifyingKey};
use super::bearer::Scheme;
use super::json;
use super::resource::ResourceUrl;
use super::token::{Confirmation, Jws, digest_of};
use crate::clock::Clock;
use crate::model::digest::Sha256;
use crate::model::reason::Reason;

use replay::{Places, Replays, Shown};

pub use replay::{PROOFS_MAX, PROOFS_PER_KEY_MAX};

/// How old a proof may be, and how far ahead of our clock.
pub const PROOF_AGE_MAX: Duration = Duration::from_secs(60);
/// Largest proof, in bytes.
const PROOF_BYTES_MAX: usize = 8 * 1024;
/// Longest `jti`, in bytes.
const JTI_BYTES_MAX: usize = 256;
/// `typ` of a proof (RFC 9449 §4.2).
const TYP: &str = "dpop+jwt";

/// What a request presents beside its tokens. Holds proofs, so it is not printed.
#[derive(Clone, Copy)]
pub(super) struct Evidence<'a> {
    /// Every value of `DPoP`.
    pub(super) proofs: &'a [&'a [u8]],
    /// The method of the request.
    pub(super) method: &'a str,
    /// The digest of the client's certificate of this connection.
    pub(super) certificate: Option<Sha256>,
}

/// A token of the request, and what it has to be presented with.
#[derive(Clone, Copy)]
pub(super) struct Claimed<'a> {
    pub(super) token: &'a str,
    pub(super) confirmation: Confirmation,
    /// The scheme it came under; `None` for `Txn-Token`, which has none.
    pub(super) scheme: Option<Scheme>,
}

/// Checks proofs, and remembers them for as long as they could be used again.
#[derive(Debug)]
pub(super) struct Proofs {
    url: Option<ResourceUrl>,
    algorithms: BTreeSet<Algorithm>,
    seen: Arc<Replays>,
    clock: Clock,
}

impl Proofs {
    pub(super) fn new(url: Option<ResourceUrl>, clock: Clock) -> Self {
        let places = Places { all: PROOFS_MAX, per_holder: PROOFS_PER_KEY_MAX };
        Self { url, algorithms: Algorithm::ALL.into(), seen: Arc::new(Replays::new(places)), clock }
    }

    /// The same, with the proofs that `before` has seen: a reload lets none of them count again.
    pub(super) fn following(self, before: &Self) -> Self {
        Self { seen: Arc::clone(&before.seen), ..self }
    }

    /// Whether `evidence` proves what each of the tokens is bound to. The tokens are verified already.
    pub(super) fn check(&self, claimed: &[Claimed<'_>], evidence: Evidence<'_>) -> Result<(), Reason> {
        for one in claimed {
            check_certificate(one.confirmation, evidence.certificate)?;
            check_scheme(*one, evidence)?;
        }
        // The access token's proof is that of the request; a run token alone has its own (RFC 9449 §4.3).
        let mut bound = claimed.iter().filter(|one| one.confirmation.key.is_some());
        let Some(first) = bound.next() else { return Ok(()) };
        let proof = match evidence.proofs {
            [] => return Err(Reason::ProofMissing),
            [only] => *only,
            _ => return Err(Reason::ProofInvalid),
        };
        let proved = self.prove(proof, evidence.method, first.token).ok_or(Reason::ProofInvalid)?;
        let is_of_all =
            claimed.iter().filter_map(|one| one.confirmation.key).all(|key| key == proved.thumbprint);
        let shown = Shown { proof: proved.id, holder: proved.thumbprint, until: proved.until };
        if is_of_all && self.seen.take(shown, self.clock.wall()).is_ok() {
            return Ok(());
        }
        Err(Reason::ProofInvalid)
    }

    /// What `proof` proves for a request by `method` with `token`, if it is whole (RFC 9449 §4.3).
    fn prove(&self, proof: &[u8], method: &str, token: &str) -> Option<Proved> {
        if proof.len() > PROOF_BYTES_MAX {
            return None;
        }
        let jws = Jws::take_apart(std::str::from_utf8(proof).ok()?)?;
        jws.check_type(TYP).ok()?;
        // Here the key does stand in the header: whose it is, the token says by its thumbprint.
        let key = VerifyingKey::of_jwk(json::child(&jws.header, "jwk").ok()??, &self.algorithms)?;
        let algorithm = Algorithm::of(jws.algorithm().ok()?)?;
        // An RSA key that does not say which of the two it is for is for both here: it is used once.
        let key = key.for_algorithm(algorithm)?;
        if !key.verifies(jws.message, &jws.signature) {
            return None;
        }
        let text = |claim| json::text(&jws.payload, claim).ok().flatten();
        let jti = text("jti").filter(|jti| !jti.is_empty() && jti.len() <= JTI_BYTES_MAX)?;
        let is_for_method = text("htm")? == method;
        let is_for_us = self.url.as_ref()?.is_target(text("htu")?);
        let is_for_token = digest_of(text("ath")?)? == Sha256::of(token.as_bytes());
        let until = self.fresh_until(json::seconds(&jws.payload, "iat").ok()??)?;
        let id = Sha256::of_parts(&[key.thumbprint.as_bytes(), jti.as_bytes()]);
        (is_for_method && is_for_us && is_for_token).then_some(Proved {
            thumbprint: key.thumbprint,
            id,
            until,
        })
    }

    /// Until when a proof of this moment counts, if it counts now.
    fn fresh_until(&self, issued: i64) -> Option<Timestamp> {
        let (issued, now) = (Timestamp::from_second(issued).ok()?, self.clock.wall());
        let until = issued.checked_add(PROOF_AGE_MAX).ok()?;
        let from = issued.checked_sub(PROOF_AGE_MAX).ok()?;
        (from <= now && now < until).then_some(until)
    }
}

/// A proof that is whole.
struct Proved {
    thumbprint: Sha256,
    id: Sha256,
    until: Timestamp,
}

/// RFC 8705 §3: the certificate has to be that of the connection.
fn check_certificate(confirmation: Confirmation, presented: Option<Sha256>) -> Result<(), Reason> {
    match (confirmation.certificate, presented) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Reason::ProofMissing),
        (Some(bound), Some(presented)) if bound == presented => Ok(()),
        (Some(_), Some(_)) => Err(Reason::ProofInvalid),
    }
}

/// RFC 9449 §7: a token that is bound to a key comes under `DPoP`, and no other does.
fn check_scheme(claimed: Claimed<'_>, evidence: Evidence<'_>) -> Result<(), Reason> {
    match (claimed.scheme, claimed.confirmation.key) {
        (Some(Scheme::Bearer), Some(_)) if evidence.proofs.is_empty() => Err(Reason::ProofMissing),
        (Some(Scheme::Bearer), Some(_)) | (Some(Scheme::Dpop), None) => Err(Reason::ProofInvalid),
        (Some(Scheme::Bearer), None) | (Some(Scheme::Dpop), Some(_)) | (None, _) => Ok(()),
    }
}
