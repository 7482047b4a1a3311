//! What people may close at a running gateway: runs and callers they revoke, sources they close.
//!
//! Must never change anything by itself: it asks [`Custody`], which puts it on the record first.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use serde::{Deserialize, Serialize};

use super::api::{Administration, AdministrationError};
use super::socket::{Desk, Refusal, json, no_content, no_path, read_json, require, run_id};
use crate::model::barrier::{Revoked, Since};
use crate::model::claim::ClaimName;
use crate::model::facts::RunId;
use crate::model::name::{SourceName, Subject};
use crate::model::run::Actor;

/// What people may close at a running gateway.
pub trait Custody: Send + Sync + 'static {
    /// Ends a run that tokens claim and refuses them from the next request on.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn revoke_run(
        &self,
        by: Actor,
        run: &RunId,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Ends the run that tokens claim as `name` and refuses them, also where none of them started it.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn end_claim(
        &self,
        by: Actor,
        name: &ClaimName,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Refuses every credential of a subject or an entry point from the next request on, until it is lifted.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn revoke(
        &self,
        by: Actor,
        who: &Revoked,
    ) -> impl Future<Output = Result<Revocation, AdministrationError>> + Send;

    /// Lets credentials count again.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn lift(&self, by: Actor, who: &Revoked) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// What is revoked.
    fn revocations(&self) -> impl Future<Output = Vec<RevocationEntry>> + Send;

    /// Lets nothing pass that `source` has influenced or would.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn close_source(
        &self,
        by: Actor,
        source: &SourceName,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Lets the policy alone decide again.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn open_source(
        &self,
        by: Actor,
        source: &SourceName,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Destroys the key under which values of a subject's calls are kept, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it may be there still.
    fn erase(
        &self,
        by: Actor,
        subject: &Subject,
    ) -> impl Future<Output = Result<Erasure, AdministrationError>> + Send;

    /// Signs checkpoints with a new key, on the record; the old one signs too for `overlap`.
    ///
    /// # Errors
    /// [`AdministrationError`] where the old one goes on alone.
    fn rotate_audit_key(
        &self,
        by: Actor,
        overlap: Duration,
    ) -> impl Future<Output = Result<RotatedAuditKey, AdministrationError>> + Send;

    /// Every source of the configuration, and those that are closed.
    fn sources(&self) -> impl Future<Output = Vec<SourceEntry>> + Send;
}

/// What a revocation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    /// Runs that it ended.
    pub runs_ended: u64,
}

/// What was kept of whom is erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErasureRequest {
    /// The subject.
    pub subject: Subject,
}

/// How the key that signs checkpoints is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotationRequest {
    /// For how many seconds the old one signs too.
    pub overlap_s: u64,
}

/// The key that signs checkpoints from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotatedAuditKey {
    /// Its public half, as `sluicegate audit key` prints it.
    pub key: String,
}

/// What an erasure did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Erasure {
    /// Whether there was anything to be erased.
    pub was_kept: bool,
}

/// Somebody whose credentials do not count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocationEntry {
    /// Who.
    #[serde(flatten)]
    pub who: Revoked,
    /// Since when, and who did it.
    #[serde(flatten)]
    pub since: Since,
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceEntry {
    /// Its name.
    pub source: SourceName,
    /// Since when it is closed, and who did it; absent where it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Since>,
}

impl<A: Administration> Desk<A> {
    /// The answer to a request on `segments`, which follow the version.
    pub(super) async fn custody(
        &self,
        by: Actor,
        head: &Parts,
        body: Incoming,
        segments: &[&str],
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        let custody = &*self.administration;
        match segments {
            ["runs", id, "revoke"] => {
                require(head, &Method::POST)?;
                custody.revoke_run(by, &run_id(id)?).await?;
                Ok(no_content())
            }
            ["claims", "end"] => {
                require(head, &Method::POST)?;
                let name: ClaimName = read_json(head, body).await?;
                custody.end_claim(by, &name).await?;
                Ok(no_content())
            }
            ["revocations"] if head.method == Method::GET => json(&custody.revocations().await),
            ["revocations"] => {
                require(head, &Method::POST)?;
                let who: Revoked = read_json(head, body).await?;
                json(&custody.revoke(by, &who).await?)
            }
            ["revocations", "lift"] => {
                require(head, &Method::POST)?;
                let who: Revoked = read_json(head, body).await?;
                custody.lift(by, &who).await?;
                Ok(no_content())
            }
            ["audit", "erase"] => {
                require(head, &Method::POST)?;
                let ErasureRequest { subject } = read_json(head, body).await?;
                json(&custody.erase(by, &subject).await?)
            }
            ["audit", "rotate-key"] => {
                require(head, &Method::POST)?;
                let RotationRequest { overlap_s } = read_json(head, body).await?;
                json(&custody.rotate_audit_key(by, Duration::from_secs(overlap_s)).await?)
            }
            ["sources"] => {
                require(head, &Method::GET)?;
                json(&custody.sources().await)
            }
            ["sources", name, "close"] => {
                require(head, &Method::POST)?;
                custody.close_source(by, &source(name)?).await?;
                Ok(no_content())
            }
            ["sources", name, "open"] => {
                require(head, &Method::POST)?;
                custody.open_source(by, &source(name)?).await?;
                Ok(no_content())
            }
            _ => Err(no_path()),
        }
    }
}

fn source(text: &str) -> Result<SourceName, Refusal> {
    SourceName::new(text).map_err(|error| Refusal::Body(format!("this names no source: {error}")))
}
