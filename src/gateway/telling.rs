//! What people are told of what happens here, beside the record.
//!
//! Must never wait, nor tell what is not on the record yet. Who is told, and of what, the configuration says.

use std::sync::Arc;

use super::Gateway;
use crate::audit::Status;
use crate::model::approval::Asked;
use crate::model::pin::{PinChange, PinMove};
use crate::model::provenance::Provenance;
use crate::notify::News;
use crate::upstream::Notice;

impl Gateway {
    pub(super) fn tell(&self, news: &News) {
        self.worlds.now().in_force.notifiers.tell(news);
    }

    /// A person is asked about a call.
    pub(super) fn tell_of_question(&self, asked: &Asked) {
        self.tell(&News::Question {
            id: asked.id.to_string(),
            about: "call",
            tool: asked.exact.tool.to_string(),
            subject: asked.subject.clone(),
            run: asked.exact.run.to_string(),
            sources: asked.exact.provenance.clone(),
            until: asked.until,
        });
    }

    /// Something was refused to a run of these sources, and will be again.
    pub(super) fn tell_of_denial(&self, sources: &Provenance) {
        self.worlds.now().in_force.notifiers.denied(sources);
    }

    /// What an upstream offers is not what was accepted.
    pub(super) fn tell_of_notice(&self, notice: &Notice) {
        match notice {
            Notice::Pins(moves) => moves.iter().filter_map(of_pin).for_each(|news| self.tell(&news)),
            Notice::Quarantined { upstream, name, .. } => self.tell(&News::Definition {
                upstream: upstream.to_string(),
                change: "quarantined",
                name: name.as_str().to_owned(),
            }),
            _ => {}
        }
    }

    /// Tells of each halt of the journal, for as long as the gateway lives.
    pub(super) async fn tell_of_halts_forever(self: Arc<Self>) {
        let mut changes = self.journal.changes();
        let mut was_halted = false;
        loop {
            let status = changes.borrow_and_update().clone();
            if let Status::Halted(halt) = &status
                && !was_halted
            {
                self.tell(&News::Halted { why: halt.to_string() });
            }
            was_halted = status != Status::Going;
            if changes.changed().await.is_err() {
                return;
            }
        }
    }
}

/// What somebody should look at.
fn of_pin(moved: &PinMove) -> Option<News> {
    let change = match moved.change {
        PinChange::Changed => "changed",
        PinChange::New => "new",
        PinChange::Taken => "taken",
        _ if !moved.findings.is_empty() => "suspicious",
        _ => return None,
    };
    let (upstream, name) = (moved.id.upstream.to_string(), moved.id.to_string());
    Some(News::Definition { upstream, change, name })
}
