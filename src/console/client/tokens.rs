//! Run tokens, asked of a gateway by a command.
//!
//! Must never keep a token: it is the caller's.

use bytes::Bytes;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Client, ClientError};
use crate::console::tokens::{Judge, MintedToken, RenewalRequest, RotatedKey, TokenVerdict};
use crate::model::mint::{TokenRequest, TokenText};

impl Client {
    /// Makes a run token.
    ///
    /// # Errors
    /// [`ClientError`] where none was made.
    pub async fn mint(&self, request: &TokenRequest) -> Result<MintedToken, ClientError> {
        self.post("token/mint", request).await
    }

    /// Makes a token that says what an older one says, with a new end.
    ///
    /// # Errors
    /// [`ClientError`] where none was made.
    pub async fn renew(&self, renewal: &RenewalRequest) -> Result<MintedToken, ClientError> {
        self.post("token/renew", renewal).await
    }

    /// Has a new key sign from now on.
    ///
    /// # Errors
    /// [`ClientError`] where none does.
    pub async fn rotate_token_key(&self) -> Result<RotatedKey, ClientError> {
        let body = self.ask(Method::POST, "token/rotate-key", Bytes::new()).await?;
        serde_json::from_slice(&body).map_err(|error| self.broken(&error))
    }

    /// Whether a token would be accepted now.
    ///
    /// # Errors
    /// [`ClientError`] where the gateway does not say.
    pub async fn judge_token(&self, token: TokenText) -> Result<TokenVerdict, ClientError> {
        self.post("token/judge", &Judge { token }).await
    }

    async fn post<Q: Serialize + Sync, T: DeserializeOwned>(
        &self,
        what: &str,
        body: &Q,
    ) -> Result<T, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(&error))?;
        let answer = self.ask(Method::POST, what, body.into()).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(&error))
    }
}
