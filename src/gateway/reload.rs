//! One configuration follows another, as a whole: compared, recorded, swapped, and then heeded.
//!
//! Must never put in force what is not on the record, nor leave anything half-changed: what can fail was
//! done before it comes here, except the record, and that comes before everything else. A call that was
//! decided goes on under what it was decided by; everything else is decided by the new configuration.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Gateway;
use super::life::Configured;
use super::world::{InForce, World};
use crate::audit::{Detail, Event, ReloadResult};
use crate::identity::{MintSettings, Minter};
use crate::model::approver;
use crate::model::change::Changes;
use crate::model::decision::PolicyEpoch;
use crate::model::digest::Sha256;
use crate::model::name::EntryPointName;
use crate::model::quorum;
use crate::model::reason::Reason;
use crate::model::run::Actor;
use crate::telemetry::{Finding, ReloadFigures};
use crate::upstream::{self, Prepared, StartError};

/// A configuration that can be put in force.
#[derive(Debug)]
pub struct Next {
    /// What it says.
    pub configured: Configured,
    /// Its upstreams.
    pub upstreams: Prepared,
    /// What it changes outside the gateway's rooms, at the sockets.
    pub elsewhere: Changes,
    /// Who asked for it, where a person did.
    pub by: Option<Actor>,
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// The number of the configuration that is in force now.
    pub epoch: PolicyEpoch,
    /// What it changed.
    pub changes: Changes,
}

/// What is counted of reloads.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    in_force: AtomicU64,
    refused: AtomicU64,
    /// What the last one was refused for, until one is not.
    refusal: Mutex<Option<Finding>>,
}

impl Reloads {
    /// What operators should know: that what is in force is not what is on disk.
    pub(super) fn finding(&self) -> Option<Finding> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn conclude(&self, result: ReloadResult, refusal: Option<Finding>) {
        let counter = match result {
            ReloadResult::InForce => &self.in_force,
            ReloadResult::Refused => &self.refused,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
    }
}

impl Gateway {
    /// Puts `next` in force. When this returns, no call is decided by the configuration before.
    ///
    /// # Errors
    /// Why it could not be recorded; then everything is as it was.
    pub async fn reload(&self, next: Next) -> Result<Reloaded, Reason> {
        let making = self.worlds.make().await;
        let before = self.worlds.now();
        let changes = self.compare(&before, &next).await;
        let Next { configured, upstreams, elsewhere: _, by } = next;
        let epoch = PolicyEpoch(before.in_force.epoch.0 + 1);
        let widened = changes.widened().to_vec();
        let detail = summary(&changes);
        let config = configured.config;
        let event = Event::Reload { config, epoch, result: ReloadResult::InForce, detail, widened, by };
        self.journal.record(event).await?;
        // It is on the record, so it counts: from here on nothing fails.
        let entry_points = configured.entry_points.following(&before.in_force.entry_points, epoch);
        let ended = entry_points.ended(&before.in_force.entry_points);
        let in_force = InForce {
            epoch,
            config,
            rules: configured.rules,
            plans: configured.plans,
            reviewer: configured.reviewer,
            notifiers: configured.notifiers,
            approvers: configured.approvers,
            quorums: configured.quorums,
            page_url: configured.page_url,
            ask_hold: configured.limits.ask_hold,
            authenticator: configured.authenticator.following(&before.in_force.authenticator),
            people: Arc::new(configured.people.following(&before.in_force.people)),
            webhooks: Arc::new(configured.webhooks.following(&before.in_force.webhooks)),
            minter: configured.minter,
            entry_points,
            listeners: configured.listeners,
            findings: configured.findings,
            listening: configured.listening,
        };
        self.upstreams.replace(upstreams).await;
        let (catalogue, fleet) = (self.upstreams.catalogue(), self.upstreams.fleet());
        making.put(World::compile(Arc::new(in_force), catalogue, fleet, self.clock.clone()));
        drop(before);
        let limits = configured.limits;
        self.failures.adjust(configured.in_flight.failed_authentications_per_minute);
        self.gate.adjust(configured.in_flight);
        self.sessions.limit(limits.of_sessions());
        self.streams.limit(limits.streams_max);
        let world = self.worlds.now();
        self.runs
            .follow(limits.runs_max, |entry_point| world.in_force.entry_points.rule_of(entry_point))
            .await;
        self.part_with(&ended).await;
        self.let_questions_lapse().await;
        self.streams.announce(&world);
        self.reloads.conclude(ReloadResult::InForce, None);
        tracing::info!(epoch = epoch.0, %config, widened = changes.widened().len(), "another configuration is in force");
        Ok(Reloaded { epoch, changes })
    }

    /// The minter of now under other settings: the same keys, and what it has seen of assertions.
    #[must_use]
    pub fn minter_under(&self, settings: Option<MintSettings>) -> Option<Arc<Minter>> {
        let minter = self.worlds.now().in_force.minter.clone();
        Some(Arc::new(minter?.under(settings?)))
    }

    /// Makes ready to go on with other upstreams. Nothing changes yet.
    ///
    /// # Errors
    /// [`StartError`] says what to mend.
    pub fn prepare_upstreams(&self, settings: Vec<upstream::Settings>) -> Result<Prepared, StartError> {
        self.upstreams.prepare(settings)
    }

    /// The number and the digest of the configuration that is in force.
    #[must_use]
    pub fn in_force(&self) -> (PolicyEpoch, Sha256) {
        self.worlds.within(|world| (world.in_force.epoch, world.in_force.config))
    }

    /// Notes that a configuration was not put in force, and why.
    ///
    /// # Errors
    /// Why it could not be recorded. What was in force stays so in either case.
    pub async fn refuse_reload(&self, config: Sha256, why: &str, by: Option<Actor>) -> Result<(), Reason> {
        let message = format!("what is on disk was refused, and what was in force stays so: {why}");
        let finding = Finding { code: "reload_refused".to_owned(), message };
        self.reloads.conclude(ReloadResult::Refused, Some(finding));
        tracing::error!(%config, why, "a configuration was refused; the one before stays in force");
        let (epoch, result) = (self.worlds.now().in_force.epoch, ReloadResult::Refused);
        let (detail, widened) = (Detail::new(why), Vec::new());
        self.journal.record(Event::Reload { config, epoch, result, detail, widened, by }).await.map(|_seq| ())
    }

    /// Records what is in force once the gateway has started.
    pub(super) async fn record_first(&self) -> Result<(), Reason> {
        let in_force = Arc::clone(&self.worlds.now().in_force);
        let (config, epoch, result) = (in_force.config, in_force.epoch, ReloadResult::InForce);
        let (detail, widened) = (Detail::new("the gateway started"), Vec::new());
        let event = Event::Reload { config, epoch, result, detail, widened, by: None };
        self.journal.record(event).await.map(|_seq| ())
    }

    pub(super) fn reload_figures(&self) -> ReloadFigures {
        let in_force = Arc::clone(&self.worlds.now().in_force);
        ReloadFigures {
            epoch: in_force.epoch.0,
            config: in_force.config.to_string(),
            in_force: self.reloads.in_force.load(Ordering::Relaxed),
            refused: self.reloads.refused.load(Ordering::Relaxed),
        }
    }

    /// Everything that `next` changes in what is in force.
    async fn compare(&self, before: &World, next: &Next) -> Changes {
        let mut changes = next.configured.entry_points.changes(&before.in_force.entry_points);
        if let (Some(new), Some(old)) = (&next.configured.minter, &before.in_force.minter) {
            changes.add(new.changes(old));
        }
        let draft = self.upstreams.draft(&next.upstreams).await;
        let known = before.catalogue.tools().iter().chain(draft.tools());
        let known: BTreeSet<_> = known.map(|tool| tool.id.to_string()).collect();
        let known: Vec<_> = known.into_iter().collect();
        let (old, new) = (before.in_force.rules.clone(), next.configured.rules.clone());
        // Lists may be long, and calls go on meanwhile.
        let compared = tokio::task::spawn_blocking(move || new.changes(&old, &known)).await;
        changes.add(compared.unwrap_or_else(|_| {
            let mut unknown = Changes::default();
            unknown.widen("the lists could not be compared");
            unknown
        }));
        changes.add(next.configured.plans.changes(&before.in_force.plans));
        changes.add(next.configured.people.changes(&before.in_force.people));
        changes.add(next.configured.webhooks.changes(&before.in_force.webhooks));
        changes.add(approver::changes(&before.in_force.approvers, &next.configured.approvers));
        changes.add(quorum::changes(&before.in_force.quorums, &next.configured.quorums));
        changes.add(self.upstreams.changes_by(&next.upstreams).await);
        changes.add(self.gate.changes_by(&next.configured.in_flight));
        changes.add(next.elsewhere.clone());
        changes
    }

    /// Hangs up on everybody whose entry point is gone or is another now. Where their runs were their
    /// sessions, those end too.
    async fn part_with(&self, ended: &BTreeSet<EntryPointName>) {
        for session in self.hang_up(|principal| principal.vouchers().any(|name| ended.contains(name))) {
            self.end_run_of(&session).await;
        }
    }
}

/// What changed, for the record: one line that is cut where it is too long.
fn summary(changes: &Changes) -> Detail {
    match changes.changed() {
        [] => Detail::new("nothing that was in force changed"),
        changed => Detail::new(&changed.join("; ")),
    }
}
