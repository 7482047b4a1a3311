//! Reading the configuration anew: what is asked, and what is answered.
//!
//! Must never carry a configuration, or the name of one: what is read is what the gateway was started with
//! (CASES A51, A80).

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::api::AdministrationError;
use crate::model::digest::Sha256;
use crate::model::run::Actor;

/// Reloads that may wait for their turn; one more is refused.
pub const RELOADS_WAITING_MAX: usize = 16;

/// A person's wish that the configuration is read anew, on its way to whoever reads it.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Who asks.
    pub by: Actor,
    /// Where the answer goes.
    pub answer: oneshot::Sender<Result<ReloadAnswer, AdministrationError>>,
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadAnswer {
    /// Whether what was read is in force.
    pub result: ReloadResult,
    /// The number of the configuration that is in force now.
    pub epoch: u64,
    /// The digest of the files that were read.
    pub config: Sha256,
    /// What lets somebody do more than before, a sentence each.
    pub widened: Vec<String>,
    /// What else changed, a sentence each.
    pub changed: Vec<String>,
    /// The problems of what was read, without notes: errors where it was refused, warnings in any case.
    pub problems: Vec<ProblemEntry>,
}

/// Whether a configuration that was read counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadResult {
    /// It is in force.
    InForce,
    /// It was refused, and what was in force stays so.
    Refused,
}

/// One problem of a configuration, as `sluicegate check --json` says it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProblemEntry {
    /// The file.
    pub file: String,
    /// Its line, from 1.
    pub line: u32,
    /// The character in the line, from 1.
    pub column: u32,
    /// `error`, `warning` or `note`.
    pub severity: String,
    /// The stable word.
    pub code: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: String,
}
