//! Checkpoints: what is in the journal so far, signed, as a record of it.
//!
//! Must never sign a line that is not in the journal, nor take the place of a call's record: where there is no room, the
//! next one says it.

use std::time::Duration;

use super::begin::commit_line;
use super::commit::cause_of;
use super::line::{Kind, Stamp};
use super::note::{self, Checkpoint};
use super::writer::{Checkpointed, Writer};

impl Writer {
    /// When the next one is due; never where nothing is new, or nothing is signed.
    pub(super) fn checkpoint_due(&self) -> Option<Duration> {
        let every = self.settings.checkpoints.as_ref()?.every;
        self.has_news().then(|| self.checkpointed.at.saturating_add(every))
    }

    fn has_news(&self) -> bool {
        self.segment.is_some() && self.tree.end() > self.checkpointed.end
    }

    /// Writes a checkpoint over every line before it, if there is something new in them.
    pub(super) fn checkpoint(&mut self) {
        let Some(signer) = self.signer.as_ref().filter(|_| self.has_news()) else { return };
        let is_sound = self.segment.as_ref().is_some_and(|segment| segment.check(&self.settings.dir).is_ok());
        if self.trouble.is_some() || !is_sound {
            // Whatever is wrong is found, and said, by the next group.
            return;
        }
        let (base, size, root) = (self.tree.base, self.tree.size, self.tree.root());
        let signed = signer.sign(&Checkpoint { origin: note::origin(&self.journal, base), size, root });
        let stamp = Stamp::now(&self.shared.clock);
        let before = self.lines.chain;
        self.lines.clear();
        self.lines.push(&stamp, Kind::Checkpoint, |object| {
            object.object("tree", |object| {
                object.number("base", base);
                object.number("size", size);
                object.digest("root", &root);
            });
            object.text("note", &signed);
        });
        commit_line(&mut self.lines, &stamp, self.synced);
        let now = self.shared.clock.monotonic();
        if !self.fits(&[]) {
            self.take_back(before);
            self.checkpointed.at = now;
            return;
        }
        if let Err(error) = self.write() {
            self.take_back(before);
            self.fail(cause_of(&error), format!("writing failed: {error}"), None);
            self.heal();
            return;
        }
        self.checkpointed = Checkpointed { end: self.tree.end(), at: now };
    }
}
