//! What happens by itself: expiring runs and sessions, writing the tally, following the catalogue.
//!
//! Must never decide on a call. Each task ends when the gateway closes.

use std::sync::Arc;
use std::time::Duration;

use super::Gateway;
use super::chronicle::JournalOfRuns;
use super::session::Session;
use crate::audit::Event;
use crate::model::text::Bounded;

/// How often runs and sessions are looked through for what has expired.
const EXPIRY_INTERVAL: Duration = Duration::from_secs(30);
/// How often refusals before authentication are written.
const TALLY_INTERVAL: Duration = Duration::from_secs(1);

impl Gateway {
    /// Expires what has expired, for as long as the gateway lives.
    pub(super) async fn expire_forever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(EXPIRY_INTERVAL);
        loop {
            ticks.tick().await;
            // What could not be recorded has not ended; the next round tries again.
            let _halted = self.runs.expire(self.clock.wall(), &JournalOfRuns(&self.journal)).await;
            self.tasks.expire(self.clock.monotonic());
            self.gate.sweep(self.clock.wall());
            self.let_questions_lapse().await;
            for session in self.sessions.expire(self.clock.monotonic()) {
                self.end_run_of(&session).await;
            }
        }
    }

    /// Writes what was refused before authentication, for as long as the gateway lives.
    pub(super) async fn write_tally_forever(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(TALLY_INTERVAL);
        loop {
            ticks.tick().await;
            self.write_tally().await;
        }
    }

    /// Ends the run that a closed session was, where a run is a session.
    pub(super) async fn end_run_of(&self, session: &Session) {
        let (now, chronicle) = (self.clock.wall(), JournalOfRuns(&self.journal));
        let ended = self.runs.end_session(&session.principal, &session.id, now, &chronicle).await;
        if let Err(reason) = ended {
            // The run stays until it expires: its session is gone, so nobody can use it.
            tracing::warn!(%reason, "the end of a session's run could not be recorded");
        }
    }

    pub(super) async fn write_tally(&self) {
        for ((listener, reason), line) in self.tally.take() {
            let event = Event::AuthenticationFailures {
                listener: Bounded::new(&listener),
                reason,
                count: line.count,
                since: line.since,
            };
            if self.journal.record(event).await.is_err() {
                self.tally.restore(listener, reason, line);
            }
        }
    }

    /// Recompiles for each new catalogue and tells who sees a difference.
    pub(super) async fn follow_catalogue_forever(self: Arc<Self>) {
        let mut changes = self.upstreams.changes();
        while changes.changed().await.is_ok() {
            self.worlds.follow(&self.upstreams).await;
            self.streams.announce(&self.worlds.now());
        }
    }
}
