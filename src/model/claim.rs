//! What a run that a token claims has settled, what later tokens of it may say, and what is left of it.
//!
//! The run table and the journal's fold keep it by these rules, so that what a restart rebuilds is what
//! was decided under. Must never let a later token change what the first one settled (DESIGN §5, "Runs").

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::RunId;
use super::name::{AgentName, EntryPointName, RoleName, Subject, Txn};
use super::principal::{CLOCK_SKEW_MAX, Principal, RunRule};
use super::run::RunEnding;
use super::trigger::{ENTRIES_MAX, TRIGGER_BYTES_MAX, Trigger, TriggerEntry};

/// What the first token of a run settled, and what later ones added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The run as its dispatcher names it.
    pub txn: Txn,
    /// The agent that the run was started for: the last of the first token's chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentName>,
    /// The roles of the first token. Later ones have these or fewer.
    #[serde(default)]
    pub roles: BTreeSet<RoleName>,
    /// What started the run, with the entries that later tokens added.
    #[serde(default)]
    pub trigger: Trigger,
    /// When the last token that was seen ends, as far as one ends by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The run that tokens of an entry point claim, whether or not any of them started it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimName {
    /// What vouches for the tokens.
    pub entry_point: EntryPointName,
    /// The run as they name it.
    pub txn: Txn,
}

/// A later token that changes what was settled; says which part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a later token changes the {0} of its run")]
pub struct Changed(pub &'static str);

impl Claim {
    /// What `principal` settles, where its credential names its run.
    #[must_use]
    pub fn of(principal: &Principal) -> Option<Self> {
        principal.claimed().map(|txn| Self {
            txn: txn.clone(),
            agent: principal.agents.last().cloned(),
            roles: principal.roles.clone(),
            trigger: principal.trigger.clone(),
            until: principal.until,
        })
    }

    /// What is known of a run of which only a call is.
    #[must_use]
    pub fn lost(txn: &Txn) -> Self {
        Self {
            txn: txn.clone(),
            agent: None,
            roles: BTreeSet::new(),
            trigger: Trigger::default(),
            until: None,
        }
    }

    /// The entries that `later`, a token of a run of `subject`, adds to it.
    ///
    /// # Errors
    /// [`Changed`] where it changes what was settled.
    pub fn entries_added(&self, subject: &Subject, later: &Principal) -> Result<Vec<TriggerEntry>, Changed> {
        if later.subject != *subject {
            return Err(Changed("subject"));
        }
        if later.trigger.goal != self.trigger.goal {
            return Err(Changed("goal"));
        }
        if later.agents.last() != self.agent.as_ref() {
            return Err(Changed("agent"));
        }
        if !later.roles.is_subset(&self.roles) {
            return Err(Changed("roles"));
        }
        let (known, said) = (&self.trigger.entries, &later.trigger.entries);
        let has = |list: &[TriggerEntry], entry: &TriggerEntry| list.iter().any(|other| other.is_same(entry));
        let mut added: Vec<TriggerEntry> = Vec::new();
        for entry in said.iter().filter(|entry| !has(known, entry)) {
            // Another entry of a kind that the run has is one more only beside those that are there;
            // in their place it would be a change of them.
            let mut of_kind = known.iter().filter(|other| other.kind == entry.kind);
            if !of_kind.all(|other| has(said, other)) {
                return Err(Changed("trigger"));
            }
            if !has(&added, entry) {
                added.push(entry.clone());
            }
        }
        let mut whole = self.trigger.clone();
        whole.entries.extend(added.iter().cloned());
        if !added.is_empty() && (whole.entries.len() > ENTRIES_MAX || whole.bytes() > TRIGGER_BYTES_MAX) {
            return Err(Changed("trigger"));
        }
        Ok(added)
    }

    /// Notes what a later token added.
    pub fn join(&mut self, entries: &[TriggerEntry]) {
        for entry in entries {
            if !self.trigger.entries.iter().any(|known| known.is_same(entry)) {
                self.trigger.entries.push(entry.clone());
            }
        }
    }

    /// Notes that a token which ends at `until` belongs to the run.
    pub fn seen(&mut self, until: Option<Timestamp>) {
        self.until = self.until.max(until);
    }

    /// Until when tokens of the run may be valid if it ends at `now` because of `why`. What a person
    /// revoked is remembered for as long as a run may last, should its dispatcher go on renewing.
    #[must_use]
    pub fn tokens_until(&self, rule: RunRule, why: RunEnding, now: Timestamp) -> Timestamp {
        let life = match why {
            RunEnding::Revoked => rule.token_ttl_max.max(rule.max),
            RunEnding::Idle
            | RunEnding::Max
            | RunEnding::Person
            | RunEnding::SessionClosed
            | RunEnding::SessionLost => rule.token_ttl_max,
        };
        // A token that was made just before may be dated by a clock that goes ahead of ours.
        let made_now = after(after(now, life), CLOCK_SKEW_MAX);
        after(self.until.map_or(made_now, |seen| seen.max(made_now)), CLOCK_SKEW_MAX)
    }
}

/// What is left of a claimed run that has ended: its tokens start no other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tombstone {
    /// What vouched for its label.
    pub entry_point: EntryPointName,
    /// The run as its dispatcher named it.
    pub txn: Txn,
    /// Its id.
    pub run: RunId,
    /// Why it ended.
    pub why: RunEnding,
    /// Until when one of its tokens may be valid.
    pub until: Timestamp,
}

impl Tombstone {
    /// A token of the run came too late. It has to be dead too before the run is forgotten.
    pub fn outlive(&mut self, token_until: Option<Timestamp>) {
        if let Some(until) = token_until {
            self.until = self.until.max(after(until, CLOCK_SKEW_MAX));
        }
    }
}

fn after(time: Timestamp, by: Duration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
