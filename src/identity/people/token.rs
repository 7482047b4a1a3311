//! The ID token that a provider gives for a code (OpenID Connect Core 1.0, 2 and 3.1.3.7).
//!
//! Must never take one that is for another client or another sign-in, nor a token of another kind.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use super::PeopleSettings;
use crate::identity::algorithm::Algorithm;
use crate::identity::json::{self, Members};
use crate::identity::jwks::Keeper;
use crate::identity::token::Jws;
use crate::model::digest::Sha256;
use crate::model::name::Subject;
use crate::model::reason::Reason;

/// How old an ID token may be that was asked for a moment ago.
pub const ID_TOKEN_AGE_MAX: Duration = Duration::from_secs(5 * 60);
/// Most audiences of one ID token.
const AUDIENCES_MAX: usize = 16;

/// Whom `token` is about: of the provider of `settings`, for the sign-in that `nonce` is of.
pub(super) async fn verify(
    token: &str,
    settings: &PeopleSettings,
    nonce: &str,
    keeper: &Arc<Keeper>,
    now: Timestamp,
) -> Result<Subject, Reason> {
    let jws = Jws::take_apart(token).ok_or(Reason::TokenMalformed)?;
    check_type(&jws)?;
    let algorithm = Algorithm::of(jws.algorithm()?).filter(|known| settings.algorithms.contains(known));
    let algorithm = algorithm.ok_or(Reason::TokenAlgorithmForbidden)?;
    let held = keeper.in_force().await?;
    let (key, _) = keeper.find(held, jws.kid()?, algorithm).await?;
    if !key.verifies(jws.message, &jws.signature) {
        return Err(Reason::TokenSignatureInvalid);
    }
    check_claims(&jws.payload, settings, nonce, now)?;
    settings.subject.subject(&jws.payload)
}

/// An ID token need not say that it is a JWT; one that says that it is something else is none, nor is one with an
/// extension.
fn check_type(jws: &Jws<'_>) -> Result<(), Reason> {
    let typ = json::text(&jws.header, "typ").map_err(|_| Reason::TokenMalformed)?;
    let is_plain = !jws.header.contains_key("crit");
    match typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT")) && is_plain {
        true => Ok(()),
        false => Err(Reason::TokenTypeForbidden),
    }
}

fn check_claims(
    claims: &Members,
    settings: &PeopleSettings,
    nonce: &str,
    now: Timestamp,
) -> Result<(), Reason> {
    if json::text(claims, "iss")? != Some(settings.issuer.as_str()) {
        return Err(Reason::TokenIssuerUnknown);
    }
    check_audience(claims, &settings.client_id)?;
    let required = |claim| json::seconds(claims, claim)?.ok_or(Reason::TokenClaimsInvalid);
    let moment = |seconds| Timestamp::from_second(seconds).map_err(|_| Reason::TokenClaimsInvalid);
    let (issued, expires) = (moment(required("iat")?)?, moment(required("exp")?)?);
    let later = |at: Timestamp, by: Duration| at.checked_add(by).unwrap_or(Timestamp::MAX);
    let skew = settings.clock_skew;
    if later(expires, skew) <= now || later(issued, ID_TOKEN_AGE_MAX.saturating_add(skew)) <= now {
        return Err(Reason::TokenExpired);
    }
    if later(now, skew) < issued {
        return Err(Reason::TokenNotYetValid);
    }
    let brought = json::text(claims, "nonce")?.unwrap_or_default();
    match Sha256::of(brought.as_bytes()) == Sha256::of(nonce.as_bytes()) {
        true => Ok(()),
        false => Err(Reason::SignInInvalid),
    }
}

/// OpenID Connect Core 1.0, 3.1.3.7, 3 to 5: it is for this client; where it is for others too, it says that this one
/// asked for it.
fn check_audience(claims: &Members, client_id: &str) -> Result<(), Reason> {
    let audiences: Vec<&str> = match claims.get("aud") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(all)) if all.len() <= AUDIENCES_MAX => {
            let texts: Option<Vec<_>> = all.iter().map(Value::as_str).collect();
            texts.ok_or(Reason::TokenClaimsInvalid)?
        }
        _ => return Err(Reason::TokenClaimsInvalid),
    };
    let asked_by = json::text(claims, "azp")?;
    let is_alone = audiences == [client_id];
    let is_own = asked_by.map_or(is_alone, |asker| asker == client_id);
    match audiences.contains(&client_id) && is_own {
        true => Ok(()),
        false => Err(Reason::TokenAudienceWrong),
    }
}
