//! What an instance lists beside tools: its prompts, its resources and their templates.
//!
//! Kept by the instance and shown to those alone who share it: entries are text of the server, and of those
//! who write to it (I9). Must never keep more than its limits, nor an entry that no permission could be
//! written for. It trusts nothing of what stands in an entry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::listing::{DEFINITION_BYTES_MAX, Next, Pages};
use super::lock::Definition;
use crate::model::call::Pin;
use crate::model::name::PromptName;
use crate::model::pin::Pinned;
use crate::model::uri::Uri;
use crate::wire::list::{Listed, Page};
use crate::wire::{self, ListKind};

/// Most entries of one kind of one instance; further ones are left out.
pub const ENTRIES_MAX: usize = 4096;
/// Bytes of the entries of one kind of one instance; what comes on top is left out.
pub const ENTRIES_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a list is believed whose server does not announce changes.
pub(super) const UNANNOUNCED_AGE_MAX: Duration = Duration::from_secs(5);

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, URI or URI template.
    pub name: String,
    /// The entry as its upstream wrote it; of what is pinned, as it was accepted.
    pub raw: Bytes,
    /// What was accepted against what is offered, of what is pinned.
    pub pin: Option<Pin>,
}

/// The entries of one kind.
pub type Entries = Arc<[Entry]>;

/// What was gathered of one kind, and when.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    pub(super) entries: Entries,
    /// Of what is pinned, the pin and the definition of each of them.
    pub(super) pinned: Option<Arc<[(Pinned, Definition)]>>,
    /// How many changes had been announced before it was gathered.
    pub(super) changes: u64,
    /// When, by the monotonic clock.
    pub(super) at: Duration,
}

/// What is kept of each kind. Whoever gathers holds the lock, so that one gathers for all who wait.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    prompts: Mutex<Option<Kept>>,
    resources: Mutex<Option<Kept>>,
    templates: Mutex<Option<Kept>>,
}

impl Shelf {
    /// Where entries of `kind` are kept; tools are kept elsewhere, accepted.
    pub(super) fn of(&self, kind: ListKind) -> Option<&Mutex<Option<Kept>>> {
        match kind {
            ListKind::Tools => None,
            ListKind::Prompts => Some(&self.prompts),
            ListKind::Resources => Some(&self.resources),
            ListKind::ResourceTemplates => Some(&self.templates),
        }
    }
}

/// A list that is being gathered.
#[derive(Debug)]
pub(super) struct Gathering {
    kind: ListKind,
    entries: Vec<Entry>,
    pinned: Vec<(Pinned, Definition)>,
    names: BTreeSet<String>,
    bytes: usize,
    pages: Pages,
}

impl Gathering {
    pub(super) fn new(kind: ListKind) -> Self {
        Self {
            kind,
            entries: Vec::new(),
            pinned: Vec::new(),
            names: BTreeSet::new(),
            bytes: 0,
            pages: Pages::default(),
        }
    }

    /// Takes one page.
    pub(super) fn page(&mut self, page: Page) -> Next {
        for entry in page.entries {
            let fits = self.entries.len() < ENTRIES_MAX
                && entry.raw.len() <= DEFINITION_BYTES_MAX
                && entry.raw.len() <= ENTRIES_BYTES_MAX - self.bytes;
            // Of two with one name the first counts, as it does for whoever looks them up.
            if !fits || self.names.contains(&entry.name) {
                continue;
            }
            match self.kind {
                // They are many, and change with what they are of.
                ListKind::Tools | ListKind::Resources if Uri::new(&entry.name).is_err() => continue,
                ListKind::Tools | ListKind::Resources => {}
                ListKind::Prompts | ListKind::ResourceTemplates => match pinned(self.kind, &entry) {
                    Some(pinned) => self.pinned.push(pinned),
                    None => continue,
                },
            }
            self.names.insert(entry.name.clone());
            self.bytes += entry.raw.len();
            self.entries.push(Entry { name: entry.name, raw: entry.raw, pin: None });
        }
        self.pages.after(page.next_cursor)
    }

    /// What was gathered, `changes` after its server was started, at `at`.
    pub(super) fn finish(self, changes: u64, at: Duration) -> Kept {
        let is_pinned = matches!(self.kind, ListKind::Prompts | ListKind::ResourceTemplates);
        let pinned = is_pinned.then(|| self.pinned.into());
        Kept { entries: self.entries.into(), pinned, changes, at }
    }
}

/// The pin of an entry and its definition; `None` where no permission could be written for it, or where
/// clients could not use it.
fn pinned(kind: ListKind, entry: &Listed) -> Option<(Pinned, Definition)> {
    let definition = Definition::of_any(&entry.raw).ok()?;
    let pinned = match kind {
        ListKind::Prompts => {
            wire::tool::rename(&entry.raw, "x").ok()?;
            Pinned::Prompt(PromptName::new(&entry.name).ok()?)
        }
        ListKind::ResourceTemplates => Pinned::template(&entry.name)?,
        ListKind::Tools | ListKind::Resources => return None,
    };
    Some((pinned, definition))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(names: &[String], cursor: Option<&str>) -> Page {
        let raw = |name: &String| Bytes::from(format!("{{\"name\":{name:?}}}"));
        let entries = names.iter().map(|name| Listed { name: name.clone(), raw: raw(name) });
        Page { entries: entries.collect(), next_cursor: cursor.map(str::to_owned) }
    }

    #[test]
    fn what_no_permission_can_name_is_left_out_and_the_first_of_two_counts() {
        let names = ["file:///a", "file:///a", "file:///../b", "no uri", "note:1"].map(str::to_owned);
        let mut gathering = Gathering::new(ListKind::Resources);
        assert_eq!(gathering.page(page(&names, Some("next"))), Next::Page(Some("next".into())));
        assert_eq!(gathering.page(page(&[], Some("next"))), Next::End);
        let kept = gathering.finish(0, Duration::ZERO);
        let names: Vec<_> = kept.entries.iter().map(|entry| entry.name.clone()).collect();
        assert!(kept.pinned.is_none());
        assert_eq!(names, ["file:///a", "note:1"]);
    }

    #[test]
    fn a_list_without_end_is_cut() {
        let many: Vec<_> = (0..ENTRIES_MAX + 10).map(|n| format!("p{n}")).collect();
        let mut gathering = Gathering::new(ListKind::Prompts);
        gathering.page(page(&many, None));
        let kept = gathering.finish(0, Duration::ZERO);
        assert_eq!((kept.entries.len(), kept.pinned.unwrap().len()), (ENTRIES_MAX, ENTRIES_MAX));
        let long = "p".repeat(DEFINITION_BYTES_MAX + 1);
        let mut gathering = Gathering::new(ListKind::ResourceTemplates);
        gathering.page(page(&[long], None));
        assert!(gathering.finish(0, Duration::ZERO).entries.is_empty());
    }
}
