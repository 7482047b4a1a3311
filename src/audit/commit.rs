//! The durable path: how a group of records becomes part of the journal. Read [`Writer::commit`] aloud.
//!
//! Must never acknowledge before the disk has what the acknowledgement promises: an outcome, a denial or
//! a list is *written* (it survives the death of the process); an intent, or an event that counts only
//! once it is durable, is *synced* (it survives the loss of power). `full` and `relaxed` move that line.

mod fold;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fold::fold_entry;

use super::begin::{commit_line, push_preamble};
use super::encode;
use super::event::{Event, GrantChange};
use super::figures::HaltCause;
use super::line::{Chain, Stamp};
use super::live::Live;
use super::measure::Measured;
use super::proof::{OpenIntent, Phase};
use super::queue::{Body, Entry, Reply};
use super::writer::{Writer, add};
use super::{Durability, Seq};
use crate::model::call::Stores;
use crate::model::facts::CallFacts;
use crate::model::provenance::Provenance;
use crate::model::reason::Reason;

/// Most bytes of unsynced lines; beyond them a group syncs though nobody waits for it.
pub(super) const UNSYNCED_BYTES_MAX: usize = 1024 * 1024;
/// Longest commit line, in bytes.
const COMMIT_BYTES_MAX: u64 = 512;

impl Writer {
    /// Commits one group: every record in it, and one commit line.
    pub(super) fn commit(&mut self, group: &mut Vec<Entry>) {
        // The group is in memory only. A crash here loses calls that nobody forwarded, and outcomes whose
        // answers nobody got: they become `unknown`.
        let Some(segment) = &self.segment else { return self.refuse(std::mem::take(group)) };
        if let Err(tampering) = segment.check(&self.settings.dir) {
            let detail = format!("`{}` {tampering}", segment.name);
            self.fail(HaltCause::Changed, detail, Some(tampering.as_str()));
            return self.refuse(std::mem::take(group));
        }

        // The records become lines, each chained to the one before. Nothing has changed on the disk.
        let Some((before, seqs)) = self.encode_where_room(group) else { return };

        // One write. A crash in it leaves a tail without its commit line, which the next start cuts off:
        // none of it was acknowledged.
        if let Err(error) = self.write() {
            self.take_back(before);
            self.fail(cause_of(&error), format!("writing failed: {error}"), None);
            return self.refuse(std::mem::take(group));
        }

        // The group is in the journal for everybody who reads it, and survives the death of this process.
        // The loss of power may still take it. Sources that it adds count from here on, whatever follows.
        let (level, live) = (self.settings.durability, &self.live);
        let waits: Vec<_> = group.iter().map(|entry| entry.waits_for(level, live)).collect();
        let must_sync = waits.contains(&Stage::Synced) || self.has_much_unsynced();
        self.fold(group, &seqs, Stage::Written);
        let (count, came) = (seqs.len(), group.first().map(|entry| entry.stamp.mono));
        let records = seqs.into_iter().zip(std::mem::take(group)).zip(waits);
        let waiting = self.acknowledge_written(records);
        if !must_sync {
            return self.tell_group(count, came);
        }

        // At most one sync. What was written before without one becomes durable with it.
        if let Err(error) = self.sync() {
            // The kernel may have dropped what it could not write, and would call the next sync of this file
            // a success (fsyncgate). So this file is never synced again: a new segment states everything
            // that is not known durable once more. Those who wait are refused; nothing of their calls has
            // been sent, and each gets an outcome that says so.
            self.fail(HaltCause::Sync, format!("syncing failed: {error}"), None);
            return self.refuse_unsynced(waiting);
        }

        // Durable. A crash from here on finds the intents, and calls without an outcome become `unknown`.
        self.fold_durable(&waiting);
        self.acknowledge(waiting);
        self.tell_group(count, came);
    }

    /// Tells whoever measures that a group is where it has to be; the first of it came at `came`.
    fn tell_group(&self, records: usize, came: Option<Duration>) {
        let now = self.shared.clock.monotonic();
        let waited = now.saturating_sub(came.unwrap_or(now));
        self.tell(Measured::Group { records, waited });
    }

    /// The group as lines with their commit line, in the space that is reserved. Where there is no room
    /// for all of it beside the outcomes that are owed, the segment is changed; where that does not help,
    /// everything but outcomes is refused. Gives nothing where nothing is left to write.
    fn encode_where_room(&mut self, group: &mut Vec<Entry>) -> Option<(Chain, Vec<Seq>)> {
        let before = self.lines.chain;
        let seqs = self.encode(group);
        if self.fits(group) {
            return Some((before, seqs));
        }
        self.take_back(before);
        if self.standby.is_some() {
            self.rotate();
        }
        if self.trouble.is_some() {
            self.refuse(std::mem::take(group));
            return None;
        }
        let before = self.lines.chain;
        let seqs = self.encode(group);
        if self.fits(group) {
            return Some((before, seqs));
        }
        self.take_back(before);
        // What is left is room for the outcomes that are owed: calls stop before it is used up.
        let (owed, others) = std::mem::take(group).into_iter().partition(Entry::is_owed);
        *group = owed;
        self.refuse(others);
        if group.is_empty() {
            return None;
        }
        let seqs = self.encode(group);
        Some((before, seqs))
    }

    /// Forgets lines that are not written: what is not in the journal must not be in the chain.
    pub(super) fn take_back(&mut self, before: Chain) {
        self.lines.chain = before;
        self.lines.clear();
    }

    fn encode(&mut self, group: &[Entry]) -> Vec<Seq> {
        self.lines.clear();
        let stamp = group.first().map_or_else(|| Stamp::now(&self.shared.clock), |entry| entry.stamp);
        for record in &self.preamble {
            push_preamble(&mut self.lines, &stamp, record);
        }
        let mut seqs = Vec::with_capacity(group.len());
        let mut last = stamp;
        for entry in group {
            last = entry.stamp;
            seqs.push(self.encode_entry(entry));
        }
        if self.lines.count > 0 {
            commit_line(&mut self.lines, &last, self.synced);
        }
        seqs
    }

    fn encode_entry(&mut self, entry: &Entry) -> Seq {
        use super::line::Kind;
        let (lines, live, stamp) = (&mut self.lines, &self.live, &entry.stamp);
        match &entry.body {
            Body::Intent(facts, _) => {
                let adds = live.owed(facts.run.as_ref(), &facts.provenance, &facts.adds);
                lines.push(stamp, Kind::Intent, |object| encode::intent(object, facts, &adds))
            }
            Body::Outcome { intent, facts, outcome, .. } => {
                lines.push(stamp, Kind::Outcome, |object| encode::outcome(object, *intent, facts, outcome))
            }
            Body::Event { event, .. } => {
                let adds = match &**event {
                    Event::Denial { facts, .. }
                    | Event::List { facts, .. }
                    | Event::Suspended { facts, .. }
                    | Event::Resumed { facts, .. }
                    | Event::Plan { facts, .. } => {
                        live.owed(facts.run.as_ref(), &facts.provenance, &facts.adds)
                    }
                    Event::Taint { adds, .. } => Cow::Borrowed(adds),
                    _ => Cow::Owned(Provenance::default()),
                };
                lines.push(stamp, encode::kind(event), |object| encode::event(object, event, &adds))
            }
            Body::Close => lines.push(stamp, Kind::Stop, |_| ()),
        }
    }

    /// Whether the lines fit into reserved space and leave what the outcomes of other calls may need.
    pub(super) fn fits(&self, group: &[Entry]) -> bool {
        let Some(segment) = &self.segment else { return false };
        let bytes = self.lines.bytes.len() as u64;
        let concluding = group.iter().filter(|entry| entry.is_owed()).count() as u64;
        let owed = self.shared.space.calls().saturating_sub(concluding);
        let owed_bytes = owed.saturating_mul(super::queue::OUTCOME_BYTES_MAX);
        let standby =
            self.standby.as_ref().map_or(0, |standby| standby.allocated.saturating_sub(segment.head));
        let behind = segment.left().checked_sub(bytes);
        behind.is_some_and(|left| left.saturating_add(standby) >= owed_bytes.saturating_add(COMMIT_BYTES_MAX))
    }

    /// One write at the end of the segment.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let Some(segment) = &mut self.segment else { return Err(io::ErrorKind::NotFound.into()) };
        self.disk.write_at(&segment.file, &self.lines.bytes, segment.len)?;
        segment.len += self.lines.bytes.len() as u64;
        self.grow_tree();
        self.unsynced.bytes.extend_from_slice(&self.lines.bytes);
        self.unsynced.since.get_or_insert(self.shared.clock.monotonic());
        self.preamble.clear();
        self.count_group();
        Ok(())
    }

    /// What is in the journal is in the tree.
    pub(super) fn grow_tree(&mut self) {
        self.lines.leaves.drain(..).for_each(|(seq, leaf)| self.tree.append(seq, leaf));
    }

    pub(super) fn count_group(&self) {
        let counters = &self.shared.counters;
        add(&counters.groups, 1);
        add(&counters.lines, self.lines.count);
        add(&counters.bytes, self.lines.bytes.len() as u64);
        let written = self.lines.chain.last().0;
        counters.written_seq.store(written, std::sync::atomic::Ordering::Relaxed);
        let synced = self.synced.0;
        counters.synced_seq.store(synced, std::sync::atomic::Ordering::Relaxed);
    }

    /// A commit line of nothing, durable, that says that everything before it is.
    pub(super) fn seal(&mut self, stamp: &Stamp) -> io::Result<()> {
        self.lines.clear();
        commit_line(&mut self.lines, stamp, self.synced);
        self.write()?;
        self.sync()
    }

    fn has_much_unsynced(&self) -> bool {
        self.unsynced.bytes.len() >= UNSYNCED_BYTES_MAX
    }

    /// Folds the records of a group that count once they are written.
    fn fold(&mut self, group: &[Entry], seqs: &[Seq], stage: Stage) {
        for (entry, seq) in group.iter().zip(seqs) {
            if entry.counts_once() == stage {
                fold_entry(&mut self.live, *seq, entry);
            }
        }
    }

    /// Folds the records that count only once they are durable: the start and the end of runs.
    fn fold_durable(&mut self, waiting: &[(Seq, Entry)]) {
        for (seq, entry) in waiting {
            if entry.counts_once() == Stage::Synced {
                fold_entry(&mut self.live, *seq, entry);
            }
        }
    }

    /// Answers those who wait only for the write; gives the rest.
    fn acknowledge_written(&self, records: impl Iterator<Item = ((Seq, Entry), Stage)>) -> Vec<(Seq, Entry)> {
        let (waiting, written): (Vec<_>, Vec<_>) = records.partition(|(_, stage)| *stage == Stage::Synced);
        self.acknowledge(written.into_iter().map(|(record, _)| record));
        waiting.into_iter().map(|(record, _)| record).collect()
    }

    /// Answers those whose records are as durable as they wait for.
    fn acknowledge(&self, records: impl IntoIterator<Item = (Seq, Entry)>) {
        for (seq, Entry { body, reply, .. }) in records {
            match (body, reply) {
                (Body::Intent(facts, place), Reply::Intent(sender)) => {
                    let shared = Arc::clone(&self.shared);
                    let open = OpenIntent { shared, seq, facts, place: Some(place), phase: Phase::Durable };
                    // Where nobody waits any more the intent comes back and is dropped: `abandoned`.
                    drop(sender.send(Ok(open)));
                }
                (body, reply) => {
                    // The place is free before anybody is told, so that whoever is told finds it free.
                    drop(body);
                    reply.confirm(seq);
                }
            }
        }
    }

    /// Refuses those whose records are written and may not be durable.
    fn refuse_unsynced(&mut self, waiting: Vec<(Seq, Entry)>) {
        for (seq, entry) in waiting {
            let counts = entry.counts_once();
            let Entry { body, reply, .. } = entry;
            match body {
                Body::Intent(facts, place) => {
                    let shared = Arc::clone(&self.shared);
                    drop(OpenIntent { shared, seq, facts, place: Some(place), phase: Phase::Refused });
                }
                // What counts once it is written is not taken back; the rest never counted.
                Body::Event { .. } if counts == Stage::Synced => self.unsynced.refused.push(seq),
                Body::Event { .. } | Body::Outcome { .. } | Body::Close => {}
            }
            reply.refuse(Reason::JournalHalted);
        }
    }
}

/// How far a record has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Written,
    Synced,
}

impl Entry {
    /// What somebody waits for. What makes a run or a store carry more than the journal knows is synced at every
    /// level: no byte of such a call leaves before (DESIGN §8).
    fn waits_for(&self, level: Durability, live: &Live) -> Stage {
        let adds =
            |facts: &CallFacts| !live.owed(facts.run.as_ref(), &facts.provenance, &facts.adds).is_empty();
        let must_be_durable = match &self.body {
            Body::Close => true,
            Body::Intent(facts, _) => {
                level != Durability::Relaxed
                    || facts.stores != Stores::Nothing
                    || facts.step.is_some()
                    || facts.like.is_some()
                    || facts.approval.is_some()
                    || adds(facts)
            }
            Body::Outcome { .. } => level == Durability::Full,
            Body::Event { event, .. } => match **event {
                Event::Denial { ref facts, .. } | Event::List { ref facts, .. } => {
                    level == Durability::Full || adds(facts)
                }
                Event::Suspended { ref facts, .. } | Event::Resumed { ref facts, .. } => {
                    level != Durability::Relaxed || adds(facts)
                }
                Event::AuthenticationFailures { .. } | Event::Upstream { .. } => false,
                Event::Grant { change: GrantChange::Done(_), .. } => false,
                Event::Grant {
                    change: GrantChange::Answered { .. } | GrantChange::Agreed { .. }, ..
                }
                | Event::Approval { .. } => true,
                Event::RunStart { .. }
                | Event::Plan { .. }
                | Event::RunEnd { .. }
                | Event::Barrier { .. }
                | Event::Taint { .. }
                | Event::StoredCleared { .. }
                | Event::Erasure { .. }
                | Event::Pin { .. }
                | Event::Mint(_)
                | Event::TokenKey { .. }
                | Event::AuditKey { .. }
                | Event::Retired { .. }
                | Event::Reload { .. } => true,
            },
        };
        if must_be_durable { Stage::Synced } else { Stage::Written }
    }

    /// An intent counts from the critical section on and is never taken back (DESIGN §8), and so does a
    /// taint. The start and the end of a run, a grant, and what a person clears, count only once durable.
    fn counts_once(&self) -> Stage {
        match &self.body {
            Body::Event { event, .. } => match **event {
                Event::RunStart { .. }
                | Event::RunEnd { .. }
                | Event::Barrier { .. }
                | Event::Plan { .. }
                | Event::Approval { .. }
                | Event::Grant {
                    change: GrantChange::Answered { .. } | GrantChange::Agreed { .. }, ..
                }
                | Event::StoredCleared { .. } => Stage::Synced,
                _ => Stage::Written,
            },
            Body::Intent(..) | Body::Outcome { .. } | Body::Close => Stage::Written,
        }
    }

    /// Whether its space was reserved when its call began.
    fn is_owed(&self) -> bool {
        matches!(self.body, Body::Outcome { .. } | Body::Close)
    }
}

/// A write that finds no space is told apart, because the remedy is another.
pub(super) fn cause_of(error: &io::Error) -> HaltCause {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            HaltCause::Space
        }
        _ => HaltCause::Write,
    }
}
