//! What the gateway counts for itself, taken anew at each look so that it is never stale.
//!
//! Must never be kept: a figure that is not asked for costs nothing.

use super::health::Readiness;
use crate::model::reason::Reason;

/// What telemetry asks the gateway.
pub trait Observed: Send + Sync + 'static {
    /// The figures of this moment.
    fn figures(&self) -> Figures;

    /// Whether it can serve, and what an operator should know.
    fn readiness(&self) -> Readiness;
}

/// The figures of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// Calls that were admitted and have not ended.
    pub calls_in_flight: u64,
    /// Open sessions of the 2025 revisions.
    pub sessions: u64,
    /// Open runs.
    pub runs: u64,
    /// Open streams.
    pub streams: u64,
    /// The journal.
    pub journal: JournalFigures,
    /// Each upstream of the configuration.
    pub upstreams: Vec<UpstreamFigures>,
    /// The configuration.
    pub reloads: ReloadFigures,
    /// Each limit of each budget.
    pub budgets: Vec<BudgetFigures>,
}

/// One limit of a budget at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BudgetFigures {
    /// The budget's name in the configuration.
    pub budget: String,
    /// The word for what it limits.
    pub amount: &'static str,
    /// What it counted in the window of now, in the fullest of its counts.
    pub used: u64,
    /// What it may count.
    pub limit: u64,
    /// What it refuses beyond that with.
    pub reason: Reason,
}

/// Which configuration is in force, and how many were tried since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReloadFigures {
    /// Its number; the one that the gateway started with is 1.
    pub epoch: u64,
    /// The digest of its files.
    pub config: String,
    /// Reloads that put another one in force.
    pub in_force: u64,
    /// Reloads that were refused.
    pub refused: u64,
}

/// The journal at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JournalFigures {
    /// Records written since the start.
    pub records: u64,
    /// Bytes written since the start.
    pub bytes: u64,
    /// Groups committed since the start.
    pub commits: u64,
    /// Records that wait for the writer.
    pub queued: u64,
    /// Records that may.
    pub queue_max: u64,
    /// The last sequence number written.
    pub seq: u64,
    /// The last one that is known durable.
    pub synced_seq: u64,
    /// How often it was halted since the start.
    pub halts: u64,
    /// Syncs that failed since the start.
    pub sync_failures: u64,
}

/// One upstream at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamFigures {
    /// Its name in the configuration.
    pub name: String,
    /// Child processes or connections that serve it.
    pub instances: u64,
    /// Tools of its accepted catalogue.
    pub tools: u64,
    /// Whether it is left alone for a while.
    pub breaker: Breaker,
    /// Definitions that changed since they were accepted.
    pub pins_changed: u64,
    /// Definitions that are new and wait to be accepted.
    pub pins_waiting: u64,
    /// Definitions, accepted or offered, in which something looks suspicious.
    pub pins_suspicious: u64,
}

/// Whether calls reach an upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Breaker {
    /// They do.
    Closed,
    /// It failed repeatedly and is left alone.
    Open,
}
