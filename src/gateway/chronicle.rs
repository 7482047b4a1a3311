//! How a run's milestones get into the journal.
//!
//! Must never report a milestone as recorded that is not durable.

use std::sync::Arc;

use crate::audit::{Claim, Event, Journal};
use crate::model::reason::Reason;
use crate::model::run::RunHistory;
use crate::run::{Chronicle, Milestone};

/// The journal as the run table sees it.
#[derive(Debug)]
pub(super) struct JournalOfRuns<'a>(pub(super) &'a Journal);

impl Chronicle for JournalOfRuns<'_> {
    async fn record(&self, milestone: Milestone<'_>) -> Result<(), Reason> {
        let event = match milestone {
            Milestone::Started { run, key, principal, origin } => Event::RunStart {
                run: run.clone(),
                principal: Arc::clone(principal),
                session: key.session().cloned(),
                origin: Some(origin.clone()),
                history: RunHistory::Whole,
            },
            Milestone::Joined { run, adds, entries } => Event::Taint {
                run: run.clone(),
                adds,
                entries: entries.to_vec(),
                cause: Claim::new("a later credential of the run"),
            },
            Milestone::Ended { run, why, by, until, unstarted } => {
                Event::RunEnd { run: run.clone(), why, by, until, unstarted: unstarted.cloned() }
            }
            Milestone::Barrier { change, by } => Event::Barrier { change: change.clone(), by },
        };
        self.0.record(event).await.map(|_seq| ())
    }
}
