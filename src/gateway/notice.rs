//! The mirror path: what upstreams do beside answering calls, on its way into the record.
//!
//! Must never hand anything of it to an agent: what an upstream asks or announces on its own belongs to no
//! run, so it is refused or dropped, and recorded either way (DESIGN §6).

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::Gateway;
use crate::audit::{Detail, Event, UpstreamState};
use crate::model::name::UpstreamName;
use crate::model::pin::{PinChange, PinMove};
use crate::model::text::printable;
use crate::upstream::Notice;

impl Gateway {
    /// Records and logs notices until the upstreams have stopped, and then what they told until then: an
    /// orderly end loses none of it.
    pub(super) async fn heed_notices(
        self: Arc<Self>,
        mut notices: mpsc::Receiver<Notice>,
        mut upstreams_stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let notice = tokio::select! {
                notice = notices.recv() => notice,
                _ = &mut upstreams_stopped => break,
            };
            let Some(notice) = notice else { return };
            if let Notice::EntriesChanged { upstream, audience, kind } = &notice {
                self.announce_entries(upstream, audience, *kind);
            }
            self.record_notice(notice).await;
        }
        // Nothing can be added any more: what is left is at most the channel's capacity.
        notices.close();
        while let Some(notice) = notices.recv().await {
            self.record_notice(notice).await;
        }
    }

    async fn record_notice(&self, notice: Notice) {
        for event in events_of(notice.clone()) {
            if let Err(reason) = self.journal.record(event).await {
                // The journal counts what it refused while it is halted, and records the count.
                tracing::warn!(%reason, "a notice of an upstream could not be recorded");
            }
        }
        self.tell_of_notice(&notice);
    }
}

/// The records of a notice: one for each pin that changed.
fn events_of(notice: Notice) -> Vec<Event> {
    match notice {
        Notice::Pins(moves) => moves
            .into_iter()
            .map(|moved| {
                warn_of(&moved);
                Event::Pin { moved: Box::new(moved), by: None }
            })
            .collect(),
        other => event_of(other).into_iter().collect(),
    }
}

/// The record of a notice; `None` where a log line is all that it deserves.
fn event_of(notice: Notice) -> Option<Event> {
    let event = match notice {
        Notice::Quarantined { upstream, name, why } => {
            tracing::warn!(%upstream, name = name.as_str(), %why, "a tool is not listed");
            state(upstream, UpstreamState::Quarantined, &format!("{}: {why}", name.as_str()))
        }
        Notice::RequestRefused { upstream, method } => {
            state(upstream, UpstreamState::RequestRefused, method.as_str())
        }
        Notice::Started { upstream, revision } => state(upstream, UpstreamState::Started, revision),
        Notice::StartFailed { upstream, why } => {
            tracing::warn!(%upstream, why = why.as_str(), "a tool server could not be started");
            state(upstream, UpstreamState::Failed, why.as_str())
        }
        Notice::Exited { upstream, why } => {
            tracing::warn!(%upstream, why = why.as_str(), "a tool server ended");
            state(upstream, UpstreamState::Exited, why.as_str())
        }
        Notice::BreakerOpen { upstream } => {
            tracing::warn!(%upstream, "a tool server failed repeatedly and is left alone for a while");
            state(upstream, UpstreamState::BreakerOpen, "")
        }
        Notice::ListWaitExceeded { upstream } => {
            tracing::warn!(%upstream, "a list went out without a tool server that was never seen");
            state(upstream, UpstreamState::Failed, "a list went out without it: not up within list_wait")
        }
        Notice::Stderr { upstream, line } => {
            tracing::info!(%upstream, "stderr: {}", line.as_str());
            return None;
        }
        Notice::StderrSuppressed { upstream, lines } => {
            tracing::warn!(%upstream, lines, "lines of stderr were suppressed");
            return None;
        }
        Notice::LockUnwritable { why } => {
            tracing::error!(
                why = why.as_str(),
                "the accepted definitions cannot be stored: nothing new is accepted"
            );
            return None;
        }
        Notice::LeftoverKilled { pid } => {
            tracing::warn!(pid, "a tool server that an earlier gateway left running was killed");
            return None;
        }
        Notice::Lost { count } => {
            tracing::warn!(count, "notices of tool servers came faster than they could be recorded");
            return None;
        }
        // Several records: see `events_of`.
        Notice::Pins(_) => return None,
        // Told to clients, which is no record.
        Notice::EntriesChanged { .. } => return None,
        Notice::ToolsChanged { version } => {
            tracing::info!(version, "the catalogue changed");
            return None;
        }
    };
    Some(event)
}

/// Tells the log what somebody should look at.
fn warn_of(moved: &PinMove) {
    // The name of a template is its server's to choose.
    let pin = printable(&moved.id.to_string());
    match moved.change {
        PinChange::Changed => tracing::warn!(
            pin,
            "a definition changed since it was accepted: what it defines is refused until `sluicegate pins accept`"
        ),
        PinChange::New => {
            tracing::warn!(pin, "a new definition waits until `sluicegate pins accept`: it is not listed");
        }
        PinChange::Taken => tracing::warn!(pin, "another definition was taken (`pins = \"trust\"`)"),
        _ => {}
    }
    for finding in moved.findings.iter() {
        let (what, at) = (finding.what.sentence(), printable(finding.at.as_str()));
        tracing::warn!(pin, at, excerpt = printable(finding.excerpt.as_str()), "a definition holds {what}");
    }
}

fn state(upstream: UpstreamName, state: UpstreamState, detail: &str) -> Event {
    Event::Upstream { upstream, state, detail: Detail::new(detail), count: 1 }
}
