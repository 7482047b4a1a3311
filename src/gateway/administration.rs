//! What people may ask of a running gateway, and tell it.
//!
//! Must never be reached by a run's credential: `console` asks only for peers of its own socket. What
//! changes something is on the record before it counts.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::Gateway;
use super::chronicle::JournalOfRuns;
use crate::audit::Event;
use crate::console::{
    Acceptance, Administration, AdministrationError, ListenerEntry, Offered, PinEntry, PinStanding,
    ReloadAnswer, ReloadRequest, RunEntry, Status,
};
use crate::model::facts::RunId;
use crate::model::pin::{PinChange, PinId, PinMove};
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding};
use crate::model::text::printable;
use crate::run::RunReport;
use crate::telemetry::Observed as _;
use crate::upstream::{self, AcceptError, PinReport, PinState, PinnedDefinition};

impl Administration for Gateway {
    async fn status(&self) -> Status {
        let figures = self.figures();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: self.started,
            readiness: self.readiness(),
            listeners: self
                .worlds
                .now()
                .in_force
                .listening
                .iter()
                .map(|(name, place)| ListenerEntry { name: name.clone(), place: place.clone() })
                .collect(),
            calls_in_flight: figures.calls_in_flight,
            sessions: figures.sessions,
            runs: figures.runs,
        }
    }

    async fn runs(&self) -> Vec<RunEntry> {
        self.runs.report().await.into_iter().map(entry).collect()
    }

    async fn run(&self, run: &RunId) -> Option<RunEntry> {
        self.runs.report().await.into_iter().find(|report| report.run == *run).map(entry)
    }

    async fn end_run(&self, by: Actor, run: &RunId) -> Result<(), AdministrationError> {
        let (why, since) = (RunEnding::Person, self.since(by));
        match self.runs.end(run, why, since, &JournalOfRuns(&self.journal)).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(AdministrationError::Missing(format!("there is no open run {run}"))),
            Err(reason) => Err(unavailable(reason)),
        }
    }

    async fn pins(&self) -> Vec<PinEntry> {
        self.upstreams.pins().await.into_iter().map(pin_entry).collect()
    }

    /// The record first: a definition that is accepted without one would be nobody's decision. Where the
    /// acceptance then fails, the record says more than happened, and the next `pins list` shows it.
    async fn accept_pins(&self, by: Actor, acceptances: Vec<Acceptance>) -> Result<(), AdministrationError> {
        let reports = self.upstreams.pins().await;
        let mut accepted = Vec::with_capacity(acceptances.len());
        for Acceptance { tool, offered } in acceptances {
            let missing = || {
                let shown = printable(&tool);
                AdministrationError::Missing(format!("no definition of `{shown}` waits to be accepted"))
            };
            let id = PinId::parse(&tool).ok_or_else(missing)?;
            let waits = |report: &&PinReport| report.id == id && report.state != PinState::Accepted;
            let report = reports.iter().find(waits).ok_or_else(missing)?;
            if report.offered.as_ref().map(|offered| offered.digest) != offered {
                return Err(stale(&id));
            }
            let moved = PinMove {
                id: id.clone(),
                change: if offered.is_some() { PinChange::Accepted } else { PinChange::Forgotten },
                accepted: offered,
                before: report.accepted.as_ref().map(|accepted| accepted.digest),
                offered: None,
                findings: Arc::clone(&report.findings),
            };
            accepted.push((upstream::Acceptance { id, offered }, moved));
        }
        let mut acceptances = Vec::with_capacity(accepted.len());
        for (acceptance, moved) in accepted {
            let event = Event::Pin { moved: Box::new(moved), by: Some(by) };
            self.journal.record(event).await.map_err(unavailable)?;
            acceptances.push(acceptance);
        }
        match self.upstreams.accept(&acceptances).await {
            Ok(()) => {
                // Whoever is told that it is accepted may call it at once.
                self.worlds.follow(&self.upstreams).await;
                Ok(())
            }
            Err(AcceptError::Stale(id)) => Err(stale(&id)),
            Err(error @ AcceptError::Lock(_)) => Err(AdministrationError::Unavailable {
                reason: Reason::Fault,
                message: upstream::Detail::of_error(&error).as_str().to_owned(),
            }),
        }
    }

    /// Handed on to whoever holds the configuration: no room reads one.
    async fn reload(&self, by: Actor) -> Result<ReloadAnswer, AdministrationError> {
        let (answer, answered) = oneshot::channel();
        let asked = self.reloader.try_send(ReloadRequest { by, answer });
        asked.map_err(|_| unavailable(Reason::GatewayBusy))?;
        answered.await.unwrap_or_else(|_| Err(unavailable(Reason::Draining)))
    }
}

fn entry(report: RunReport) -> RunEntry {
    RunEntry {
        session: report.key.session().map(ToString::to_string),
        run: report.run,
        entry_point: report.key.entry_point,
        subject: report.subject,
        claim: report.claim,
        origin: report.origin,
        provenance: report.provenance,
        started: report.started,
        used: report.used,
        history: report.history,
    }
}

fn pin_entry(report: PinReport) -> PinEntry {
    let definition = |definition: PinnedDefinition| Offered {
        digest: definition.digest,
        definition: String::from_utf8_lossy(&definition.raw).into_owned(),
        revision: definition.revision.map(|revision| revision.as_str().to_owned()),
    };
    let (accepted, accepted_definition, accepted_revision) = match report.accepted.map(definition) {
        Some(accepted) => (Some(accepted.digest), accepted.definition, accepted.revision),
        None => (None, String::new(), None),
    };
    PinEntry {
        tool: report.id.to_string(),
        state: match report.state {
            PinState::New => PinStanding::New,
            PinState::Changed => PinStanding::Changed,
            PinState::Gone => PinStanding::Gone,
            PinState::Accepted => PinStanding::Accepted,
        },
        accepted,
        accepted_definition,
        accepted_revision,
        offered: report.offered.map(definition),
        findings: report.findings.to_vec(),
    }
}

fn stale(id: &PinId) -> AdministrationError {
    let id = printable(&id.to_string());
    AdministrationError::Stale(format!("`{id}` is no longer offered as it was shown; look at it again"))
}

pub(super) fn unavailable(reason: Reason) -> AdministrationError {
    AdministrationError::Unavailable { reason, message: reason.sentence().to_owned() }
}
