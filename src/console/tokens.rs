//! What people ask about run tokens: to mint one, to renew one, to look at one, to rotate the key.
//!
//! Must never keep or print a token: it passes through here once, to the peer who asked.

use std::future::Future;

use http::request::Parts;
use http::{Method, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::api::AdministrationError;
use super::socket::{Refusal, json, read_json, require};
use crate::model::mint::{TokenRequest, TokenText};
use crate::model::name::{EntryPointName, Txn};
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::Actor;

/// What people may ask of a gateway that mints run tokens.
pub trait Minting: Send + Sync + 'static {
    /// Makes a run token, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn mint(
        &self,
        by: Actor,
        request: TokenRequest,
    ) -> impl Future<Output = Result<MintedToken, AdministrationError>> + Send;

    /// Makes a token that says what an older one says, with a new end; on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn renew(
        &self,
        by: Actor,
        renewal: RenewalRequest,
    ) -> impl Future<Output = Result<MintedToken, AdministrationError>> + Send;

    /// Signs with a new key from now on, on the record. Gives its id.
    ///
    /// # Errors
    /// [`AdministrationError`] where it does not.
    fn rotate_token_key(
        &self,
        by: Actor,
    ) -> impl Future<Output = Result<RotatedKey, AdministrationError>> + Send;

    /// Whether a token would be accepted now.
    fn judge_token(&self, token: &TokenText) -> impl Future<Output = TokenVerdict> + Send;
}

/// A token that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedToken {
    /// The token.
    pub token: TokenText,
    /// Its run.
    pub txn: Txn,
    /// When it ends, in seconds since 1970 (`exp`).
    pub exp: i64,
    /// For how many seconds it lives.
    pub expires_in: i64,
    /// The gateway's own URL (`aud`).
    pub audience: String,
}

/// The token to be renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewalRequest {
    /// The token.
    pub token: TokenText,
    /// For how long, in seconds; the default of the gateway where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
}

/// The key that signs from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedKey {
    /// Its id.
    pub kid: String,
}

/// Whether a token would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "snake_case")]
pub enum TokenVerdict {
    /// It would: its signature, its times and its label are right.
    Accepted {
        /// What vouches for it.
        entry_point: EntryPointName,
        /// The sources that a run of it begins with.
        sources: Provenance,
    },
    /// It would not.
    Refused {
        /// Why.
        reason: Reason,
    },
}

/// The body of `POST /v1/token/judge`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Judge {
    pub(super) token: TokenText,
}

/// Answers `/v1/token/…`.
pub(super) async fn answer<M: Minting>(
    minting: &M,
    what: &[&str],
    by: Actor,
    head: &Parts,
    body: Incoming,
) -> Result<Response<Full<bytes::Bytes>>, Refusal> {
    let known = matches!(what, ["mint" | "renew" | "rotate-key" | "judge"]);
    if !known {
        return Err(Refusal::Reason(http::StatusCode::NOT_FOUND, Reason::PathUnknown));
    }
    require(head, &Method::POST)?;
    match what {
        ["mint"] => json(&minting.mint(by, read_json(head, body).await?).await?),
        ["renew"] => json(&minting.renew(by, read_json(head, body).await?).await?),
        ["rotate-key"] => json(&minting.rotate_token_key(by).await?),
        _ => {
            let Judge { token } = read_json(head, body).await?;
            json(&minting.judge_token(&token).await)
        }
    }
}
