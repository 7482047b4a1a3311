//! What commands close and open at a running gateway.
//!
//! Must never name anything that was not named whole.

use std::time::Duration;

use bytes::Bytes;
use http::Method;

use super::{Client, ClientError};
use crate::console::custody::{
    Erasure, ErasureRequest, Revocation, RevocationEntry, RotatedAuditKey, RotationRequest, SourceEntry,
};
use crate::model::barrier::Revoked;
use crate::model::claim::ClaimName;
use crate::model::facts::RunId;
use crate::model::name::{SourceName, Subject};

impl Client {
    /// Revokes a run that tokens claim.
    ///
    /// # Errors
    /// [`ClientError`] where it was not revoked.
    pub async fn revoke_run(&self, run: &RunId) -> Result<(), ClientError> {
        self.ask(Method::POST, &format!("runs/{run}/revoke"), Bytes::new()).await.map(drop)
    }

    /// Ends the run that tokens claim as `name`, whether or not any of them started it.
    ///
    /// # Errors
    /// [`ClientError`] where it was not ended.
    pub async fn end_claim(&self, name: &ClaimName) -> Result<(), ClientError> {
        self.ask(Method::POST, "claims/end", self.body(name)?).await.map(drop)
    }

    /// Revokes a subject or an entry point.
    ///
    /// # Errors
    /// [`ClientError`] where it was not revoked.
    pub async fn revoke(&self, who: &Revoked) -> Result<Revocation, ClientError> {
        let answer = self.ask(Method::POST, "revocations", self.body(who)?).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(&error))
    }

    /// Lifts a revocation.
    ///
    /// # Errors
    /// [`ClientError`] where it was not lifted.
    pub async fn lift(&self, who: &Revoked) -> Result<(), ClientError> {
        self.ask(Method::POST, "revocations/lift", self.body(who)?).await.map(drop)
    }

    /// What is revoked.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn revocations(&self) -> Result<Vec<RevocationEntry>, ClientError> {
        self.get("revocations").await
    }

    /// Destroys the key that values of a subject's calls are kept under.
    ///
    /// # Errors
    /// [`ClientError`] where it was not destroyed.
    pub async fn erase(&self, subject: &Subject) -> Result<Erasure, ClientError> {
        let request = ErasureRequest { subject: subject.clone() };
        let answer = self.ask(Method::POST, "audit/erase", self.body(&request)?).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(&error))
    }

    /// Replaces the key that signs checkpoints; the old one signs too for `overlap`.
    ///
    /// # Errors
    /// [`ClientError`] where it was not replaced.
    pub async fn rotate_audit_key(&self, overlap: Duration) -> Result<RotatedAuditKey, ClientError> {
        let request = RotationRequest { overlap_s: overlap.as_secs() };
        let answer = self.ask(Method::POST, "audit/rotate-key", self.body(&request)?).await?;
        serde_json::from_slice(&answer).map_err(|error| self.broken(&error))
    }

    /// Closes a source.
    ///
    /// # Errors
    /// [`ClientError`] where it was not closed.
    pub async fn close_source(&self, source: &SourceName) -> Result<(), ClientError> {
        self.ask(Method::POST, &format!("sources/{source}/close"), Bytes::new()).await.map(drop)
    }

    /// Opens a source again.
    ///
    /// # Errors
    /// [`ClientError`] where it was not opened.
    pub async fn open_source(&self, source: &SourceName) -> Result<(), ClientError> {
        self.ask(Method::POST, &format!("sources/{source}/open"), Bytes::new()).await.map(drop)
    }

    /// The sources.
    ///
    /// # Errors
    /// [`ClientError`] where it does not say.
    pub async fn sources(&self) -> Result<Vec<SourceEntry>, ClientError> {
        self.get("sources").await
    }

    fn body(&self, who: &impl serde::Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(who).map(Bytes::from).map_err(|error| self.broken(&error))
    }
}
