//! Who calls: the authenticated caller as its entry point vouches for it.
//!
//! Must never be filled from a body, `_meta` or client info (invariant I3): only `identity` makes one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::name::{AgentName, EntryPointName, RoleName, Subject, Txn};
use super::provenance::Provenance;
use super::trigger::Trigger;

/// The authenticated caller: subject, roles, agent, sources, and the entry point that vouches for them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Principal {
    /// What vouches for everything below.
    pub entry_point: EntryPointName,
    /// What vouches for it as well, where a request brings two tokens: both have to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beside: Option<EntryPointName>,
    /// The dispatchers that asked for its tokens, where the gateway made them: revoked ones vouch no more.
    #[serde(skip)]
    pub asked_by: Vec<EntryPointName>,
    /// The person or service on whose behalf the run acts.
    pub subject: Subject,
    /// The roles that the subject holds here.
    pub roles: BTreeSet<RoleName>,
    /// The agents that act, the one that calls first (RFC 8693 `act` chain); empty if none is vouched for.
    pub agents: Vec<AgentName>,
    /// The sources of the trigger. Never empty: a credential without a source is refused.
    pub sources: Provenance,
    /// The event that started the run, where the credential describes it.
    pub trigger: Trigger,
    /// The run that the credential names (`txn`), where the entry point says `run = "claim"`.
    pub txn: Option<Txn>,
    /// Who may use the credential.
    #[serde(skip)]
    pub holder: Holder,
    /// When the credential ends; absent where it does not end by itself.
    #[serde(skip)]
    pub until: Option<Timestamp>,
    /// What a run is at this entry point.
    #[serde(skip)]
    pub runs: RunRule,
}

impl Principal {
    /// A principal whose label is configured: without a trigger, a claimed run or an end.
    #[must_use]
    pub fn configured(label: Label, runs: RunRule) -> Self {
        let Label { entry_point, subject, roles, agents, sources } = label;
        Self {
            entry_point,
            beside: None,
            asked_by: Vec::new(),
            subject,
            roles,
            agents,
            sources,
            trigger: Trigger::default(),
            txn: None,
            holder: Holder::Bearer,
            until: None,
            runs,
        }
    }

    /// The run that the credential names, where the entry point says `run = "claim"`.
    #[must_use]
    pub fn claimed(&self) -> Option<&Txn> {
        self.txn.as_ref().filter(|_| self.runs.scope == RunScope::Claim)
    }

    /// Everything that vouches for the caller.
    pub fn vouchers(&self) -> impl Iterator<Item = &EntryPointName> {
        std::iter::once(&self.entry_point).chain(&self.beside)
    }

    /// Everything whose revocation takes the credential's worth: what vouches, and who asked for its tokens.
    pub fn revocable_by(&self) -> impl Iterator<Item = &EntryPointName> {
        self.vouchers().chain(&self.asked_by)
    }

    /// Whether `other` is the same caller at the same entry point, in the same run where the credential
    /// names one: what a session is bound to (I9).
    #[must_use]
    pub fn is_same_caller(&self, other: &Self) -> bool {
        (&self.entry_point, &self.subject, &self.txn) == (&other.entry_point, &other.subject, &other.txn)
    }
}

/// What an entry point vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What vouches.
    pub entry_point: EntryPointName,
    /// On whose behalf.
    pub subject: Subject,
    /// With which roles.
    pub roles: BTreeSet<RoleName>,
    /// Through which agents, the one that calls first.
    pub agents: Vec<AgentName>,
    /// Because of what.
    pub sources: Provenance,
}

/// Who may use a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Holder {
    /// Whoever has it: a run that it claims is pinned to where it was first used.
    #[default]
    Bearer,
    /// Whoever proved to hold the key that it names (`cnf`: RFC 7800, RFC 8705, RFC 9449).
    Proved,
}

/// Where a request came in: what a run of a bearer is pinned to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Origin {
    /// The listener, as the configuration names it.
    pub listener: Arc<str>,
    /// The uid of the peer, as the kernel reports it; absent on TCP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
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
    /// Longest life of a token here: an ended run is remembered until the last token of it is dead.
    pub token_ttl_max: Duration,
}

impl RunRule {
    /// What counts where nothing is said: one run per entry point and subject.
    pub const DEFAULT: Self = Self {
        scope: RunScope::Subject,
        idle: RUN_IDLE_DEFAULT,
        max: RUN_MAX_DEFAULT,
        token_ttl_max: TOKEN_TTL_MAX_DEFAULT,
    };
}

/// What starts a fresh run at an entry point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RunScope {
    /// One run per entry point and subject.
    Subject,
    /// One run per `txn` of an entry point, as its tokens claim it.
    Claim,
    /// One run per session of a 2025 revision, or per `connect` process. The client can start a new
    /// one, so this is right only for a person in front of their own client.
    Session,
}

/// `run_idle` where the configuration is silent.
pub const RUN_IDLE_DEFAULT: Duration = Duration::from_secs(12 * 60 * 60);
/// `run_max` where the configuration is silent.
pub const RUN_MAX_DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// `token_ttl_max` where the configuration is silent.
pub const TOKEN_TTL_MAX_DEFAULT: Duration = Duration::from_secs(60 * 60);
/// Largest `clock_skew` that may be configured.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);
