//! Checkpoints: what is in the journal so far, signed, as a record of it.
//!
//! Must never sign a line that is not in the journal, nor take the place of a call's record: where there is no room, the
//! next one says it.

use std::time::Duration;

use super::begin::commit_line;
use super::commit::cause_of;
use super::event::Event;
use super::line::{Kind, Stamp};
use super::note::{self, Checkpoint, VerifyingKey};
use super::queue::{Body, Rotation};
use super::seal::Signers;
use super::writer::{Checkpointed, Writer};
use crate::keyfile::KeyFileError;
use crate::model::reason::Reason;

/// Why the key that signs checkpoints was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// The journal signs nothing.
    #[error("this journal has no key: it signs no checkpoints")]
    Unsigned,
    /// A key could not be made or kept.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// It could not be recorded.
    #[error("it could not be recorded: {0}")]
    Journal(Reason),
}

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
        if !self.has_news() {
            return;
        }
        let is_sound = self.segment.as_ref().is_some_and(|segment| segment.check(&self.settings.dir).is_ok());
        if self.trouble.is_some() || !is_sound {
            // Whatever is wrong is found, and said, by the next group.
            return;
        }
        let Some(signers) = self.signers.as_mut() else { return };
        let stamp = Stamp::now(&self.shared.clock);
        let (base, size, root) = (self.tree.base, self.tree.size, self.tree.root());
        let checkpoint = Checkpoint { origin: note::origin(&self.journal, base), size, root };
        let signed = signers.sign(&checkpoint, stamp.wall);
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
        if let Some(signers) = self.signers.as_mut() {
            signers.announced();
        }
    }

    /// Replaces the key that signs: on the record first, so that whoever trusts the old one can come to trust the new,
    /// then in its files. Until the overlap is over both sign, beginning at once.
    pub(super) fn rotate_key(&mut self, rotation: Rotation) {
        let Rotation { by, overlap, permit, done } = rotation;
        let rotated = self.replace_key(by, overlap, permit);
        // Whoever asked may have gone.
        _ = done.send(rotated);
    }

    fn replace_key(
        &mut self,
        by: crate::model::run::Actor,
        overlap: Duration,
        permit: tokio::sync::OwnedSemaphorePermit,
    ) -> Result<VerifyingKey, RotateError> {
        let is_announced = |signers: &Option<Signers>| signers.as_ref().is_some_and(Signers::is_announced);
        if self.signers.is_some() && !is_announced(&self.signers) {
            // The key of now is new too. While the one before it still signs, that has to sign a checkpoint over it:
            // else nobody who trusts that one could ever come to trust what follows.
            self.checkpoint();
            if !is_announced(&self.signers) {
                return Err(RotateError::Journal(Reason::JournalHalted));
            }
        }
        let signers = self.signers.as_ref().ok_or(RotateError::Unsigned)?;
        let (fresh, before) = (signers.fresh()?, signers.key().clone());
        let key = fresh.key().clone();
        let stamp = Stamp::now(&self.shared.clock);
        let until = stamp.wall.saturating_add(overlap).unwrap_or(stamp.wall);
        let event = Box::new(Event::AuditKey { key: key.clone(), before, until, by });
        let body = Body::Event { event, _permit: permit };
        // A journal that goes on in a new segment is not enough: the record may not be in it, or not count.
        self.settle_alone(stamp, body).map_err(RotateError::Journal)?;
        if let Some(signers) = self.signers.as_mut() {
            signers.put(fresh, until)?;
        }
        self.checkpoint();
        Ok(key)
    }
}
