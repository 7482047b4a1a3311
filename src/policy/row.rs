//! One source, one role or one agent, compiled against the tools of the catalogue. What is not a tool is
//! matched when it is asked for: there are few of those calls, and of resources no catalogue knows all.
//!
//! Must never let a looser list beat a stricter one (DESIGN §4.1).

use std::collections::BTreeMap;

use crate::model::decision::Answer;

use super::bits::Bits;
use super::rules::{Lists, Permission, RowLists};
use crate::model::glob::{covers, overlaps};
use crate::model::target::Class;

/// The answers of one row.
#[derive(Debug)]
pub(super) struct Row {
    /// The tools it does not deny: a plan or a person might open them.
    reach: Bits,
    /// Every entry of its lists for tools, the strictest list first.
    entries: Box<[(Answer, Permission)]>,
    /// For each tool the entry that answers; [`NO_ENTRY`] where none matches.
    determining: Box<[u32]>,
    /// The entries for everything else, by class, the strictest list first.
    others: BTreeMap<Class, Box<[(Answer, Permission)]>>,
}

/// What a row is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// A tool, by its place in the policy.
    Tool(usize),
    /// A target of another class, by its written form.
    Other(Class, &'a str),
}

impl Row {
    /// Compiles `lists` against the written forms of the tools, which are sorted.
    pub(super) fn compile(mut lists: RowLists, texts: &[String]) -> Self {
        let entries = strictest_first(lists.take(Class::Tool));
        let mut determining = vec![NO_ENTRY; texts.len()];
        for (number, (_, permission)) in (0..NO_ENTRY).zip(&entries) {
            let glob = &permission.glob;
            let head = glob.as_str().split('*').next().unwrap_or_default();
            let from = texts.partition_point(|text| text.as_str() < head);
            let candidates = texts.iter().zip(&mut determining).skip(from);
            for (text, entry) in candidates.take_while(|(text, _)| text.starts_with(head)) {
                // An entry of a stricter list came first and stays (DESIGN §4.1).
                if *entry == NO_ENTRY && glob.matches(text) {
                    *entry = number;
                }
            }
        }
        let others = Class::ALL.into_iter().filter(|class| *class != Class::Tool);
        let others = others.map(|class| (class, strictest_first(lists.take(class)).into()));
        let mut row = Self {
            reach: Bits::none(texts.len()),
            entries: entries.into(),
            determining: determining.into(),
            others: others.collect(),
        };
        for tool in 0..texts.len() {
            if row.answer(About::Tool(tool)).0 != Answer::Deny {
                row.reach.insert(tool);
            }
        }
        row
    }

    /// The tools that this row does not deny.
    pub(super) fn reach(&self) -> &Bits {
        &self.reach
    }

    /// What this row says, and the entry that says it. Without an entry the answer is *deny*.
    pub(super) fn answer(&self, about: About<'_>) -> (Answer, Option<&Permission>) {
        let entry = match about {
            About::Tool(tool) => self.of_tool(tool),
            About::Other(class, text) => {
                let entries = self.others.get(&class).map_or(&[][..], |entries| entries);
                // The strictest list comes first.
                entries.iter().find(|(_, permission)| permission.glob.matches(text))
            }
        };
        entry.map_or((Answer::Deny, None), |(answer, permission)| (*answer, Some(permission)))
    }

    /// Whether something of `class` whose written form matches the glob `pattern` may be open. May say so
    /// where nothing is, as where two lists meet in no name that exists; never the other way round.
    pub(super) fn may_open(&self, class: Class, pattern: &str) -> bool {
        let entries = match class {
            Class::Tool => &self.entries,
            other => match self.others.get(&other) {
                Some(entries) => entries,
                None => return false,
            },
        };
        let (denies, opens): (Vec<_>, Vec<_>) =
            entries.iter().partition(|(answer, _)| *answer == Answer::Deny);
        opens.iter().any(|(_, entry)| overlaps(entry.glob.as_str(), pattern))
            && !denies.iter().any(|(_, entry)| covers(entry.glob.as_str(), pattern))
    }

    fn of_tool(&self, tool: usize) -> Option<&(Answer, Permission)> {
        let entry = self.determining.get(tool).and_then(|entry| usize::try_from(*entry).ok())?;
        self.entries.get(entry)
    }
}

const NO_ENTRY: u32 = u32::MAX;

fn strictest_first(lists: Lists) -> Vec<(Answer, Permission)> {
    let Lists { allow, plan, ask, deny } = lists;
    let ordered = [(Answer::Deny, deny), (Answer::Ask, ask), (Answer::Plan, plan), (Answer::Allow, allow)];
    let each = |(answer, list): (Answer, Vec<Permission>)| list.into_iter().map(move |entry| (answer, entry));
    ordered.into_iter().flat_map(each).collect()
}
