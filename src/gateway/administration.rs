//! What people may ask of a running gateway, and tell it.
//!
//! Must never be reached by a run's credential: `console` asks only for peers of its own socket. What
//! changes something is on the record before it counts.

use tokio::sync::oneshot;

use super::Gateway;
use super::chronicle::JournalOfRuns;
use crate::audit::{Event, PinChange};
use crate::console::{
    Acceptance, Administration, AdministrationError, ListenerEntry, Offered, PinEntry, ReloadAnswer,
    ReloadRequest, RunEntry, Status,
};
use crate::model::facts::RunId;
use crate::model::name::{ToolId, ToolName, UpstreamName};
use crate::model::reason::Reason;
use crate::model::run::{Actor, RunEnding};
use crate::run::RunReport;
use crate::telemetry::Observed as _;
use crate::upstream::{self, AcceptError};

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
        let text = |raw: &bytes::Bytes| String::from_utf8_lossy(raw).into_owned();
        let changes = self.upstreams.pins().await.into_iter();
        let entries = changes.map(|change| PinEntry {
            tool: change.tool.to_string(),
            accepted: change.accepted,
            accepted_definition: text(&change.accepted_definition),
            offered: change.offered.map(|(digest, raw)| Offered { digest, definition: text(&raw) }),
        });
        entries.collect()
    }

    /// The record first: a definition that is accepted without one would be nobody's decision. Where the
    /// acceptance then fails, the record says more than happened, and the next `pins list` shows it.
    async fn accept_pins(&self, by: Actor, acceptances: Vec<Acceptance>) -> Result<(), AdministrationError> {
        let changes = self.upstreams.pins().await;
        let mut accepted = Vec::with_capacity(acceptances.len());
        for Acceptance { tool, offered } in acceptances {
            let missing =
                || AdministrationError::Missing(format!("no definition of `{tool}` waits to be accepted"));
            let id = tool_id(&tool).ok_or_else(missing)?;
            let change = changes.iter().find(|change| change.tool == id).ok_or_else(missing)?;
            if change.offered.as_ref().map(|(digest, _)| *digest) != offered {
                return Err(stale(&id));
            }
            let from_now_on = offered.unwrap_or(change.accepted);
            accepted.push((upstream::Acceptance { tool: id, offered }, from_now_on));
        }
        for (acceptance, digest) in &accepted {
            let tool = acceptance.tool.clone();
            let event = Event::Pin {
                tool,
                change: PinChange::Accepted,
                accepted: *digest,
                offered: None,
                by: Some(by),
            };
            self.journal.record(event).await.map_err(unavailable)?;
        }
        let acceptances: Vec<_> = accepted.into_iter().map(|(acceptance, _)| acceptance).collect();
        match self.upstreams.accept(&acceptances).await {
            Ok(()) => Ok(()),
            Err(AcceptError::Stale(tool)) => Err(stale(&tool)),
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

/// `upstream.tool`, as `pins list` writes it. An upstream's name holds no dot.
fn tool_id(text: &str) -> Option<ToolId> {
    let (upstream, tool) = text.split_once('.')?;
    Some(ToolId { upstream: UpstreamName::new(upstream).ok()?, tool: ToolName::new(tool).ok()? })
}

fn stale(tool: &ToolId) -> AdministrationError {
    AdministrationError::Stale(format!("`{tool}` is no longer offered as it was shown; look at it again"))
}

pub(super) fn unavailable(reason: Reason) -> AdministrationError {
    AdministrationError::Unavailable { reason, message: reason.sentence().to_owned() }
}
