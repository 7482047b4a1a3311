//! The vocabulary of the admin socket, and what the gateway has to be able to do for it.
//!
//! Must never lose a member between two versions of the gateway: members are only added.

use std::future::Future;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::approvals::Approvals;
use super::custody::Custody;
use super::reload::ReloadAnswer;
use crate::model::claim::Claim;
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::name::{EntryPointName, Subject};
use crate::model::pin::Finding;
use crate::model::principal::Origin;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunHistory};
use crate::telemetry::Readiness;

/// The version of this vocabulary, first segment of every path.
pub const API_VERSION: &str = "v1";

/// What people may ask of a running gateway.
pub trait Administration: Custody + Approvals {
    /// How it is.
    fn status(&self) -> impl Future<Output = Status> + Send;

    /// Its open runs.
    fn runs(&self) -> impl Future<Output = Vec<RunEntry>> + Send;

    /// One of them.
    fn run(&self, run: &RunId) -> impl Future<Output = Option<RunEntry>> + Send;

    /// Ends a run, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn end_run(&self, by: Actor, run: &RunId)
    -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// The definitions that are not as they were accepted, or in which something looks suspicious.
    fn pins(&self) -> impl Future<Output = Vec<PinEntry>> + Send;

    /// Accepts definitions as they were shown, all or none, on the record.
    ///
    /// # Errors
    /// [`AdministrationError`] where it did not.
    fn accept_pins(
        &self,
        by: Actor,
        acceptances: Vec<Acceptance>,
    ) -> impl Future<Output = Result<(), AdministrationError>> + Send;

    /// Reads the configuration anew and puts it in force, or says what is wrong with it; on the record
    /// either way.
    ///
    /// # Errors
    /// [`AdministrationError`] where neither could be done.
    fn reload(&self, by: Actor) -> impl Future<Output = Result<ReloadAnswer, AdministrationError>> + Send;
}

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdministrationError {
    /// There is no such run, or no such tool.
    #[error("{0}")]
    Missing(String),
    /// What it is about has changed since it was shown.
    #[error("{0}")]
    Stale(String),
    /// It cannot be done to this, or there is no more room for it.
    #[error("{0}")]
    Impossible(String),
    /// It may not be done.
    #[error("{message}")]
    Refused {
        /// Why.
        reason: Reason,
        /// In a sentence for the operator.
        message: String,
    },
    /// The gateway cannot do it now.
    #[error("{message}")]
    Unavailable {
        /// Why.
        reason: Reason,
        /// In a sentence for the operator.
        message: String,
    },
}

/// How a gateway is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: Timestamp,
    /// Whether it can serve.
    pub readiness: Readiness,
    /// Where it listens.
    pub listeners: Vec<ListenerEntry>,
    /// Calls in flight.
    pub calls_in_flight: u64,
    /// Open sessions.
    pub sessions: u64,
    /// Open runs.
    pub runs: u64,
}

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListenerEntry {
    /// Its name in the configuration.
    pub name: String,
    /// Its address or path.
    pub place: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Its id.
    pub run: RunId,
    /// What vouched for it.
    pub entry_point: EntryPointName,
    /// On whose behalf it acts.
    pub subject: Subject,
    /// The session it belongs to, where a run is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// What its tokens settled, where they claim it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// Where its first request came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Everything that has influenced it.
    pub provenance: Provenance,
    /// When it started.
    pub started: Timestamp,
    /// When it was last used.
    pub used: Timestamp,
    /// Whether all of its history is known.
    pub history: RunHistory,
}

/// A definition that is not as it was accepted, or in which something looks suspicious.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinEntry {
    /// What it defines: `upstream.tool`, `prompt:upstream.prompt`, `template:upstream:uri` or
    /// `instructions:upstream`.
    pub tool: String,
    /// How it stands.
    pub state: PinStanding,
    /// The digest of the accepted definition; absent where none is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Sha256>,
    /// The accepted definition, as JSON text; empty where none is.
    pub accepted_definition: String,
    /// The revision in which it was offered, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted_revision: Option<String>,
    /// What is offered instead; absent where the upstream no longer offers it, or offers what is accepted.
    pub offered: Option<Offered>,
    /// What looks suspicious in what is offered, or in what is accepted where that is all there is.
    #[serde(default)]
    pub findings: Vec<Finding>,
}

/// How a definition stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PinStanding {
    /// It is new and waits to be accepted: it is neither listed nor used.
    New,
    /// It changed since it was accepted: what it defines is refused.
    Changed,
    /// It is no longer offered.
    Gone,
    /// It is as it was accepted.
    Accepted,
}

/// A definition that waits to be accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offered {
    /// Its digest.
    pub digest: Sha256,
    /// The definition, as JSON text.
    pub definition: String,
    /// The revision in which it is offered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
}

/// What a person accepts: exactly what they were shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acceptance {
    /// What it defines, as [`PinEntry::tool`].
    pub tool: String,
    /// The digest of the offered definition; none to forget a tool that is no longer offered.
    pub offered: Option<Sha256>,
}

/// The body of `POST /v1/pins/accept`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Accept {
    pub(super) accept: Vec<Acceptance>,
}

/// The body of every answer that is not a success.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Problem {
    pub(super) reason: String,
    pub(super) message: String,
}
