//! Runs as a book-keeper would keep them: slow and obvious, without locks, journals or slots.
//!
//! Says of every call what has to come of it. Knows nothing of the run table but its rules (DESIGN §5).

use std::collections::{BTreeMap, BTreeSet};

use crate::model::reason::Reason;
use crate::model::run::RunEnding;

/// Most open runs.
pub(super) const RUNS_MAX: usize = 4;
/// Seconds without use after which a run has ended.
pub(super) const IDLE: u64 = 300;
/// Seconds after which a run has ended, used or not.
pub(super) const MAX: u64 = 5000;
/// Seconds that a token lives at most.
pub(super) const TTL_MAX: u64 = 3600;
/// Seconds that two clocks may differ.
const SKEW: u64 = 300;

/// Who calls.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// An API key: one run of its subject, whatever the session.
    Key,
    /// An API key whose runs are sessions.
    Session(u8),
    /// A run token.
    Token(Token),
}

/// What a token says.
#[derive(Debug, Clone)]
pub(super) struct Token {
    pub(super) txn: u8,
    pub(super) subject: u8,
    pub(super) goal: u8,
    pub(super) roles: BTreeSet<&'static str>,
    /// The one that calls first.
    pub(super) agents: Vec<&'static str>,
    /// Kind and sender.
    pub(super) entries: Vec<(&'static str, &'static str)>,
    pub(super) listener: &'static str,
    pub(super) is_proved: bool,
    /// Seconds from now.
    pub(super) ttl: u64,
}

/// Whose credentials a person revokes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Who {
    Subject(u8),
    Issuer,
}

/// What has one run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Subject,
    Session(u8),
    Txn(u8),
}

#[derive(Debug)]
pub(super) struct Run {
    /// Learned from the table when the run starts.
    pub(super) id: String,
    pub(super) provenance: BTreeSet<&'static str>,
    pub(super) entries: Vec<(&'static str, &'static str)>,
    subject: u8,
    first: Option<Token>,
    started: u64,
    used: u64,
    token_until: u64,
}

#[derive(Debug)]
struct Stone {
    is_revoked: bool,
    /// Until when it is known to be needed, and as far as that is on the record.
    until: u64,
    recorded_until: u64,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) now: u64,
    pub(super) runs: BTreeMap<Key, Run>,
    stones: BTreeMap<u8, Stone>,
    revoked: BTreeSet<Who>,
}

impl Caller {
    pub(super) fn key(&self) -> Key {
        match self {
            Self::Key => Key::Subject,
            Self::Session(session) => Key::Session(*session),
            Self::Token(token) => Key::Txn(token.txn),
        }
    }

    fn subject(&self) -> u8 {
        match self {
            Self::Key | Self::Session(_) => 0,
            Self::Token(token) => token.subject,
        }
    }

    pub(super) fn sources(&self) -> BTreeSet<&'static str> {
        match self {
            Self::Key | Self::Session(_) => ["chat"].into(),
            Self::Token(token) => token.entries.iter().map(|(kind, _)| *kind).collect(),
        }
    }
}

impl Model {
    /// What has to come of a call that reads `reads`: the id of its run, none where it is a fresh one.
    pub(super) fn call(
        &mut self,
        caller: &Caller,
        reads: Option<&'static str>,
    ) -> Result<Option<String>, Reason> {
        let is_issued = matches!(caller, Caller::Token(_));
        if self.revoked.contains(&Who::Subject(caller.subject()))
            || (is_issued && self.revoked.contains(&Who::Issuer))
        {
            return Err(Reason::CredentialRevoked);
        }
        if let Caller::Token(token) = caller {
            self.is_over(token)?;
        }
        let (key, now) = (caller.key(), self.now);
        let is_new = !self.runs.contains_key(&key);
        if is_new && self.runs.len() >= RUNS_MAX {
            return Err(Reason::RunsFull);
        }
        let run = self.runs.entry(key).or_insert_with(|| Run::start(caller, now));
        if let Caller::Token(token) = caller {
            run.take(token, now)?;
        }
        run.provenance.extend(caller.sources());
        run.provenance.extend(reads);
        run.used = now;
        Ok((!is_new).then(|| run.id.clone()))
    }

    /// A token of a run that has ended is refused, and the run is remembered until it is dead as well.
    fn is_over(&mut self, token: &Token) -> Result<(), Reason> {
        let Some(stone) = self.stones.get_mut(&token.txn) else { return Ok(()) };
        stone.until = stone.until.max(self.now + token.ttl + SKEW);
        if stone.is_revoked {
            // Refused before anything is read: counted, and not recorded singly.
            return Err(Reason::CredentialRevoked);
        }
        stone.recorded_until = stone.until;
        Err(Reason::RunEnded)
    }

    pub(super) fn advance(&mut self, seconds: u64) {
        self.now += seconds;
        let now = self.now;
        self.stones.retain(|_, stone| now < stone.until);
        let over = |run: &Run| now - run.started >= MAX || now - run.used >= IDLE;
        let ended: Vec<_> =
            self.runs.iter().filter(|(_, run)| over(run)).map(|(key, _)| key.clone()).collect();
        ended.iter().for_each(|key| self.end(key, RunEnding::Idle));
    }

    pub(super) fn restart(&mut self) {
        self.runs.retain(|key, _| !matches!(key, Key::Session(_)));
        let now = self.now;
        self.stones.values_mut().for_each(|stone| stone.until = stone.recorded_until);
        self.stones.retain(|_, stone| now < stone.until);
    }

    pub(super) fn end(&mut self, key: &Key, why: RunEnding) {
        let Some(run) = self.runs.remove(key) else { return };
        if let Key::Txn(txn) = key {
            let is_revoked = why == RunEnding::Revoked;
            let life = if is_revoked { TTL_MAX.max(MAX) } else { TTL_MAX };
            let until = run.token_until.max(self.now + life + SKEW) + SKEW;
            self.stones.insert(*txn, Stone { is_revoked, until, recorded_until: until });
        }
    }

    /// Gives how many runs it ends.
    pub(super) fn revoke(&mut self, who: &Who) -> usize {
        self.revoked.insert(who.clone());
        let is_meant = |key: &Key, run: &Run| match who {
            Who::Subject(subject) => run.subject == *subject,
            Who::Issuer => matches!(key, Key::Txn(_)),
        };
        let meant = self.runs.iter().filter(|(key, run)| is_meant(key, run)).map(|(key, _)| key.clone());
        let meant: Vec<_> = meant.collect();
        meant.iter().for_each(|key| self.end(key, RunEnding::Revoked));
        meant.len()
    }

    /// Whether there was anything to lift.
    pub(super) fn lift(&mut self, who: &Who) -> bool {
        self.revoked.remove(who)
    }
}

impl Run {
    fn start(caller: &Caller, now: u64) -> Self {
        let first = match caller {
            Caller::Token(token) => Some(token.clone()),
            Caller::Key | Caller::Session(_) => None,
        };
        Self {
            id: String::new(),
            provenance: caller.sources(),
            entries: first.as_ref().map(|token| token.entries.clone()).unwrap_or_default(),
            subject: caller.subject(),
            first,
            started: now,
            used: now,
            token_until: 0,
        }
    }

    /// Whether `token` may be one of this run; notes what it adds.
    fn take(&mut self, token: &Token, now: u64) -> Result<(), Reason> {
        let Some(first) = &self.first else { return Ok(()) };
        if !token.is_proved && token.listener != first.listener {
            return Err(Reason::RunPinned);
        }
        let replaces = |entry: &&(&str, &str)| {
            let of_kind = self.entries.iter().filter(|known| known.0 == entry.0);
            !self.entries.contains(entry) && of_kind.into_iter().any(|known| !token.entries.contains(known))
        };
        let is_changed = token.subject != first.subject
            || token.goal != first.goal
            || token.agents.last() != first.agents.last()
            || !token.roles.is_subset(&first.roles)
            || token.entries.iter().any(|entry| replaces(&entry));
        if is_changed {
            return Err(Reason::RunChanged);
        }
        let added: Vec<_> =
            token.entries.iter().filter(|entry| !self.entries.contains(entry)).copied().collect();
        self.entries.extend(added);
        self.token_until = self.token_until.max(now + token.ttl);
        Ok(())
    }
}
