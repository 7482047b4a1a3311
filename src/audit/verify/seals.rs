//! Checkpoints while the journal is verified: whether each signs the lines before it, and whether the journal goes on from
//! those that were kept elsewhere.
//!
//! Must never compare with a tree that it does not know: once a line could not be read, nothing later is called wrong for
//! that.

use crate::audit::Seq;
use crate::audit::note::{Checkpoint, NoteError, VerifyingKey, origin};
use crate::audit::read::{Record, TreeRead};
use crate::audit::tree::Frontier;
use crate::model::digest::Sha256;

/// Most keys that wait for the checkpoint that signs them.
const INTRODUCED_MAX: usize = 64;

/// What the journal is held against beside itself.
#[derive(Debug, Clone, Default)]
pub struct Against {
    /// Whose signatures count. Where there are none, signatures are not checked.
    pub keys: Vec<VerifyingKey>,
    /// Checkpoints that were kept elsewhere.
    pub kept: Vec<Checkpoint>,
}

/// The tree so far.
#[derive(Debug)]
pub(super) struct Seals {
    keys: Vec<VerifyingKey>,
    journal: Option<String>,
    /// None once it cannot be known.
    tree: Option<Frontier>,
    /// Kept ones whose tree was not met yet.
    ahead: Vec<Checkpoint>,
    /// Keys that the journal says to be those after trusted ones, until a trusted one has signed that.
    introduced: Vec<VerifyingKey>,
    /// Checkpoints of other keys, before the first of a trusted one, and the last of them.
    foreign: Option<(u64, Seq)>,
    /// Those that were found as they should be.
    pub(super) count: u64,
    /// The last of them.
    pub(super) last: Option<Seq>,
}

impl Seals {
    pub(super) fn new(against: Against) -> Self {
        let Against { keys, kept: ahead } = against;
        Self {
            keys,
            journal: None,
            tree: None,
            ahead,
            introduced: Vec::new(),
            foreign: None,
            count: 0,
            last: None,
        }
    }

    /// Takes up the first segment that is there. What lies before it is taken from its head: only a checkpoint says
    /// whether that is right.
    pub(super) fn begin(&mut self, head: Option<&Frontier>, first: Seq) {
        self.tree =
            Some(if first == Seq(0) { Frontier::default() } else { head.cloned().unwrap_or_default() });
        let size = self.tree.as_ref().map_or(0, |tree| tree.size);
        // What was kept of lines that are not here cannot be compared.
        self.ahead.retain(|kept| kept.size >= size);
    }

    /// What is wrong with the tree that a `segment` line goes on with.
    pub(super) fn segment(&mut self, record: &Record) -> Option<&'static str> {
        self.journal = record.members.journal.clone().or(self.journal.take());
        match record.members.tree.as_ref().and_then(TreeRead::frontier) {
            // It was begun before there was a tree, or is the first.
            None => {
                self.tree = self.tree.as_ref().map(|_| Frontier::default());
                None
            }
            Some(said) => {
                // Lines that are missing before it are told in other words.
                let ours = self.tree.as_ref().filter(|tree| tree.end() == record.seq.0);
                let is_other = ours.is_some_and(|tree| *tree != said) || said.end() != record.seq.0;
                is_other.then_some("the segment goes on with another tree than the one before it ends with")
            }
        }
    }

    /// What is wrong with a `checkpoint` line.
    pub(super) fn checkpoint(&mut self, record: &Record) -> Option<String> {
        let note = record.members.note.as_deref().unwrap_or_default();
        let signed = match Checkpoint::read(note, &self.keys) {
            Ok(signed) => signed,
            // A later one that a trusted key signed speaks for these lines too; without any, all of them are wrong.
            Err(NoteError::Unsigned) if self.count == 0 => {
                let (count, _) = self.foreign.unwrap_or_default();
                self.foreign = Some((count.saturating_add(1), record.seq));
                return None;
            }
            Err(error) => return Some(error.to_string()),
        };
        let root = record.members.tree.as_ref().and_then(|tree| tree.root);
        if root != Some(signed.root) {
            return Some("it says another root than it signs".to_owned());
        }
        if self.tree.is_some() && self.now().as_ref() != Some(&signed) {
            return Some(format!("the lines before it are not the {} lines that were signed", signed.size));
        }
        self.count += 1;
        self.last = Some(record.seq);
        if self.tree.is_some() {
            self.keys.append(&mut self.introduced);
        }
        None
    }

    /// Takes in what an `audit_key` line says: the key after a trusted one is trusted once that one, or another that is,
    /// has signed the line.
    pub(super) fn introduce(&mut self, record: &Record) {
        let key = |text: &Option<String>| text.as_ref().and_then(|text| text.parse::<VerifyingKey>().ok());
        let (Some(key), Some(before)) = (key(&record.members.key), key(&record.members.before)) else {
            return;
        };
        let is_next = self.keys.contains(&before) || self.introduced.contains(&before);
        if is_next && self.introduced.len() < INTRODUCED_MAX {
            self.introduced.push(key);
        }
    }

    /// How many checkpoints are signed by keys that are not known, and the last of them.
    pub(super) fn foreign(&self) -> Option<(u64, Seq)> {
        self.foreign.filter(|_| self.count > 0)
    }

    /// Takes in a line; says what is wrong with the journal, if a checkpoint that was kept knew other lines.
    pub(super) fn line(&mut self, seq: Seq, leaf: Sha256) -> Option<String> {
        let tree = self.tree.as_mut()?;
        tree.append(seq, leaf);
        let size = tree.size;
        if !self.ahead.iter().any(|kept| kept.size == size) {
            return None;
        }
        let now = self.now()?;
        let met = self.ahead.iter().position(|kept| kept.size == size && kept.origin == now.origin)?;
        let kept = self.ahead.swap_remove(met);
        (kept != now).then(|| format!("the first {size} lines are not those of the checkpoint that was kept"))
    }

    /// A line could not be read, or is not where it belongs: the tree is not known any more.
    pub(super) fn broken(&mut self) {
        self.tree = None;
    }

    /// What the journal lacks of what it is held against.
    pub(super) fn missing(&self) -> Vec<String> {
        let mut missing = Vec::new();
        if self.count == 0 && !self.keys.is_empty() {
            missing.push("there is no checkpoint that the key signed".to_owned());
        }
        if self.tree.is_some() {
            let lost = |kept: &Checkpoint| {
                format!(
                    "it does not go on from the checkpoint that was kept, of {} lines of {}",
                    kept.size, kept.origin
                )
            };
            missing.extend(self.ahead.iter().map(lost));
        }
        missing
    }

    fn now(&self) -> Option<Checkpoint> {
        let (tree, journal) = (self.tree.as_ref()?, self.journal.as_ref()?);
        Some(Checkpoint { origin: origin(journal, tree.base), size: tree.size, root: tree.root() })
    }
}
