//! Who calls: the authenticated caller as its entry point vouches for it.
//!
//! Must never be filled from a body, `_meta` or client info (invariant I3): only `identity` makes one.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::name::{AgentName, EntryPointName, RoleName, Subject};
use super::provenance::Provenance;

/// The authenticated caller: subject, roles, agent, sources, and the entry point that vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// What vouches for everything below.
    pub entry_point: EntryPointName,
    /// The person or service on whose behalf the run acts.
    pub subject: Subject,
    /// The roles that the subject holds here.
    pub roles: BTreeSet<RoleName>,
    /// The agents that act, the one that calls first (RFC 8693 `act` chain); empty if none is vouched for.
    pub agents: Vec<AgentName>,
    /// The sources of the trigger. Never empty: a credential without a source is refused.
    pub sources: Provenance,
    /// What a run is at this entry point.
    #[serde(skip)]
    pub runs: RunRule,
}

impl Principal {
    /// Whether `other` is the same caller at the same entry point: what a session is bound to (I9).
    #[must_use]
    pub fn is_same_caller(&self, other: &Self) -> bool {
        self.entry_point == other.entry_point && self.subject == other.subject
    }
}

/// What a run is at an entry point, and how long one lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunRule {
    /// What starts a fresh run.
    pub scope: RunScope,
    /// A run that was not used for this long has ended.
    pub idle: Duration,
    /// A run has ended this long after its start, used or not.
    pub max: Duration,
}

/// What starts a fresh run at an entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunScope {
    /// One run per entry point and subject.
    Subject,
    /// One run per session of a 2025 revision, or per `connect` process. The client can start a new
    /// one, so this is right only for a person in front of their own client.
    Session,
}

/// `run_idle` where the configuration is silent.
pub const RUN_IDLE_DEFAULT: Duration = Duration::from_secs(12 * 60 * 60);
/// `run_max` where the configuration is silent.
pub const RUN_MAX_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
