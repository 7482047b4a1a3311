//! What one set of lists lets pass that another did not: for the tools there are, and for every name
//! there could be.
//!
//! Pure. Must never keep silent where something is wider: what cannot be compared is said (I1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::rules::{Lists, RowLists, Rules};
use crate::model::change::{Changes, listed};
use crate::model::decision::Answer;
use crate::model::glob::{self, Glob};
use crate::model::target::Class;

impl Rules {
    /// What is different from `before`, and which of it lets some call pass more easily. `tools` are the
    /// names that people know; what is wider beyond them is told by the permissions that match it.
    #[must_use]
    pub fn changes(&self, before: &Self, tools: &[String]) -> Changes {
        let mut changes = Changes::default();
        rows("source", &before.sources, &self.sources, tools, &mut changes);
        rows("role", &before.roles, &self.roles, tools, &mut changes);
        match (before.agents.is_empty(), self.agents.is_empty()) {
            (false, false) => rows("agent", &before.agents, &self.agents, tools, &mut changes),
            (true, true) => {}
            // Where none is configured every agent may do what sources and roles allow.
            (true, false) => changes.change("agents are a dimension of the decision now"),
            (false, true) => changes.widen("agents are no dimension of the decision any more"),
        }
        changes
    }
}

fn rows<Name: Ord + Display>(
    word: &str,
    before: &BTreeMap<Name, RowLists>,
    after: &BTreeMap<Name, RowLists>,
    tools: &[String],
    changes: &mut Changes,
) {
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        changes.change(format!("{word} {name} is gone"));
    }
    let nothing = RowLists::default();
    for (name, new) in after {
        let old = before.get(name);
        let compare = |class| {
            let comparison = Comparison::of(old.unwrap_or(&nothing).of(class), new.of(class));
            (class, comparison)
        };
        let comparisons = Class::ALL.map(compare);
        match old {
            None => changes.change(format!("{word} {name} is new")),
            Some(_) if comparisons.iter().all(|(_, comparison)| comparison.is_same()) => continue,
            Some(_) => changes.change(format!("{word} {name} changed")),
        }
        for (class, comparison) in comparisons {
            // Of the other classes no names are known: what is wider is told by the permissions.
            let known = if class == Class::Tool { tools } else { &[] };
            for how in comparison.wider(class, known) {
                changes.widen(format!("{word} {name}: {how}"));
            }
        }
    }
}

/// In which of the two something is answered, and what.
type Entry = (Side, Answer);

/// The entries of one row, before and after.
struct Comparison<'a> {
    /// The globs of both, each once.
    globs: Vec<&'a Glob>,
    /// What each of them answers in which of the two.
    entries: Vec<BTreeSet<Entry>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Side {
    Old,
    New,
}

/// Where an answer became looser: the tools that are known, and the permissions that match others.
#[derive(Default)]
struct Looser<'a> {
    tools: BTreeSet<&'a str>,
    permissions: BTreeSet<&'a str>,
}

impl<'a> Comparison<'a> {
    fn of(old: &'a Lists, new: &'a Lists) -> Self {
        let mut all: BTreeMap<&str, (&Glob, BTreeSet<Entry>)> = BTreeMap::new();
        for (side, lists) in [(Side::Old, old), (Side::New, new)] {
            for (answer, glob) in answers(lists) {
                all.entry(glob.as_str()).or_insert((glob, BTreeSet::new())).1.insert((side, answer));
            }
        }
        let (globs, entries) = all.into_values().unzip();
        Self { globs, entries }
    }

    fn is_same(&self) -> bool {
        let of = |entries: &BTreeSet<Entry>, side| -> BTreeSet<Answer> {
            entries.iter().filter(|(of, _)| *of == side).map(|(_, answer)| *answer).collect()
        };
        self.entries.iter().all(|entries| of(entries, Side::Old) == of(entries, Side::New))
    }

    /// One sentence for each step from a stricter to a looser answer.
    fn wider(&self, class: Class, tools: &'a [String]) -> Vec<String> {
        let mut steps: BTreeMap<(Answer, Answer), Looser<'_>> = BTreeMap::new();
        let mut shown = BTreeSet::new();
        for tool in tools {
            let matched: Vec<_> =
                (0..).zip(&self.globs).filter(|(_, glob)| glob.matches(tool)).map(|(at, _)| at).collect();
            if let Some(step) = self.step(&matched) {
                steps.entry(step).or_default().tools.insert(tool);
                shown.insert(matched);
            }
        }
        let ways = glob::ways(&self.globs);
        for way in ways.iter().flatten().filter(|way| !shown.contains(&way.matched)) {
            if let Some(step) = self.step(&way.matched) {
                steps.entry(step).or_default().permissions.extend(self.permission(&way.matched));
            }
        }
        let mut how: Vec<_> =
            steps.iter().map(|((old, new), looser)| looser.sentence(class, *old, *new)).collect();
        if ways.is_none() {
            how.push("too many patterns to compare beyond the tools that are known".to_owned());
        }
        how
    }

    /// The answers before and after, if the later one is looser.
    fn step(&self, matched: &[usize]) -> Option<(Answer, Answer)> {
        let (old, new) = (self.answer(matched, Side::Old), self.answer(matched, Side::New));
        (new < old).then_some((old, new))
    }

    /// What one side answers where these entries match: the strictest, and *deny* where none does.
    fn answer(&self, matched: &[usize], side: Side) -> Answer {
        let entries = matched.iter().filter_map(|at| self.entries.get(*at)).flatten();
        let answers = entries.filter(|(of, _)| *of == side).map(|(_, answer)| *answer);
        answers.max().unwrap_or(Answer::Deny)
    }

    /// The new permission that answers where these entries match.
    fn permission(&self, matched: &[usize]) -> Option<&'a str> {
        let answer = self.answer(matched, Side::New);
        let answers = |at: &&usize| {
            self.entries.get(**at).is_some_and(|entries| entries.contains(&(Side::New, answer)))
        };
        matched.iter().find(answers).and_then(|at| self.globs.get(*at)).map(|glob| glob.as_str())
    }
}

impl Looser<'_> {
    fn sentence(&self, class: Class, old: Answer, new: Answer) -> String {
        let tools: Vec<_> = self.tools.iter().collect();
        let permissions: Vec<_> = self.permissions.iter().map(|glob| format!("`{glob}`")).collect();
        let what = match (tools.is_empty(), permissions.is_empty()) {
            (true, _) if class != Class::Tool => format!("{} {}", class.plural(), listed(&permissions)),
            (false, true) => listed(&tools),
            (true, _) => format!("other tools of {}", listed(&permissions)),
            (false, false) => format!("{}, and other tools of {}", listed(&tools), listed(&permissions)),
        };
        format!("{} instead of {} for {what}", word(new), word(old))
    }
}

/// Every entry of the lists with its answer.
fn answers(lists: &Lists) -> impl Iterator<Item = (Answer, &Glob)> {
    let Lists { allow, plan, ask, deny } = lists;
    let all = [(Answer::Allow, allow), (Answer::Plan, plan), (Answer::Ask, ask), (Answer::Deny, deny)];
    all.into_iter().flat_map(|(answer, list)| list.iter().map(move |entry| (answer, &entry.glob)))
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Allow => "allow",
        Answer::Plan => "plan",
        Answer::Ask => "ask",
        Answer::Deny => "deny",
    }
}
