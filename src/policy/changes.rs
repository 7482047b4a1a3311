//! What one set of lists lets pass that another did not: for the tools there are, and for every name
//! there could be.
//!
//! Pure. Must never keep silent where something is wider: what cannot be compared is said (I1).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use super::condition::Condition;
use super::guardrail::Guardrail;
use super::rules::{Lists, Permission, RowLists, Rules};
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
        guardrails(&before.guardrails, &self.guardrails, &mut changes);
        changes
    }
}

fn guardrails(before: &[Guardrail], after: &[Guardrail], changes: &mut Changes) {
    for gone in before.iter().filter(|guardrail| !after.contains(guardrail)) {
        changes.widen(format!("guardrail {} is gone or another", gone.name()));
    }
    for new in after.iter().filter(|guardrail| !before.contains(guardrail)) {
        changes.change(format!("guardrail {} is new", new.name()));
    }
}

/// What is no longer enforced, or not for longer. Nothing that is only recorded refuses anything.
fn shadows(whose: &str, old: &RowLists, new: &RowLists, changes: &mut Changes) {
    if let Some(now) = new.shadow.filter(|now| old.shadow.is_none_or(|before| before < *now)) {
        changes.widen(format!("{whose} is only recorded until {now}"));
    }
    let before = shadowed(old);
    // What would only allow takes nothing away by being recorded.
    let is_wider = |entry: &&(Answer, String)| entry.0 != Answer::Allow && !before.contains(*entry);
    for (_, entry) in shadowed(new).iter().filter(is_wider) {
        changes.widen(format!("{whose}: {entry}"));
    }
}

/// The entries of `row` that are only recorded.
fn shadowed(row: &RowLists) -> BTreeSet<(Answer, String)> {
    let each = |(answer, entry): (Answer, &Permission)| {
        let until = entry.shadow?;
        Some((answer, format!("`{}` in `{}` is only recorded until {until}", entry.glob, answer)))
    };
    Class::ALL.into_iter().flat_map(|class| answers(row.of(class)).filter_map(each)).collect()
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
            Some(old)
                if old.shadow == new.shadow
                    && shadowed(old) == shadowed(new)
                    && comparisons.iter().all(|(_, comparison)| comparison.is_same()) =>
            {
                continue;
            }
            Some(_) => changes.change(format!("{word} {name} changed")),
        }
        shadows(&format!("{word} {name}"), old.unwrap_or(&nothing), new, changes);
        for (class, comparison) in comparisons {
            // Of the other classes no names are known: what is wider is told by the permissions.
            let known = if class == Class::Tool { tools } else { &[] };
            for how in comparison.wider(class, known) {
                changes.widen(format!("{word} {name}: {how}"));
            }
        }
    }
}

/// One entry: in which of the two it stands, what it answers, and the number of its condition if it has one.
type Entry = (Side, Answer, Option<usize>);

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

/// Most conditions of entries that match one tool that are compared in every way they can turn out.
const CONDITIONS_COMPARED_MAX: usize = 8;

/// Where an answer became looser: the tools that are known, and the permissions that match others.
#[derive(Default)]
struct Looser<'a> {
    tools: BTreeSet<&'a str>,
    permissions: BTreeSet<&'a str>,
}

/// From which answer to which, and whether always or where some conditions hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    old: Answer,
    new: Answer,
    is_conditional: bool,
}

impl<'a> Comparison<'a> {
    fn of(old: &'a Lists, new: &'a Lists) -> Self {
        let mut all: BTreeMap<&str, (&Glob, BTreeSet<Entry>)> = BTreeMap::new();
        // The same condition in both is one: it turns out one way for both.
        let mut conditions: Vec<&Condition> = Vec::new();
        for (side, lists) in [(Side::Old, old), (Side::New, new)] {
            // What is only recorded answers nothing yet.
            for (answer, entry) in answers(lists).filter(|(_, entry)| entry.shadow.is_none()) {
                let condition = entry.condition.as_ref().map(|condition| {
                    let known = conditions.iter().position(|known| *known == condition);
                    known.unwrap_or_else(|| {
                        conditions.push(condition);
                        conditions.len() - 1
                    })
                });
                let glob = &entry.glob;
                let entries = &mut all.entry(glob.as_str()).or_insert((glob, BTreeSet::new())).1;
                entries.insert((side, answer, condition));
            }
        }
        let (globs, entries) = all.into_values().unzip();
        Self { globs, entries }
    }

    fn is_same(&self) -> bool {
        let of = |entries: &BTreeSet<Entry>, side| -> BTreeSet<_> {
            let of_side = entries.iter().filter(|(of, ..)| *of == side);
            of_side.map(|(_, answer, condition)| (*answer, *condition)).collect()
        };
        self.entries.iter().all(|entries| of(entries, Side::Old) == of(entries, Side::New))
    }

    /// One sentence for each step from a stricter to a looser answer.
    fn wider(&self, class: Class, tools: &'a [String]) -> Vec<String> {
        let mut steps: BTreeMap<Step, Looser<'_>> = BTreeMap::new();
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
                steps.entry(step).or_default().permissions.extend(self.permission(&way.matched, step.new));
            }
        }
        let mut how: Vec<_> = steps.iter().map(|(step, looser)| looser.sentence(class, *step)).collect();
        if ways.is_none() {
            how.push("too many patterns to compare beyond the tools that are known".to_owned());
        }
        how
    }

    /// The answers before and after, if the later one can be looser.
    fn step(&self, matched: &[usize]) -> Option<Step> {
        let entries = || matched.iter().filter_map(|at| self.entries.get(*at)).flatten();
        let conditions: BTreeSet<_> = entries().filter_map(|(.., condition)| *condition).collect();
        let conditions: Vec<_> = conditions.into_iter().collect();
        let is_conditional = !conditions.is_empty();
        if conditions.len() > CONDITIONS_COMPARED_MAX {
            // Too many to look at: said, whatever it may be (I1).
            return Some(Step { old: Answer::Deny, new: Answer::Allow, is_conditional });
        }
        let ways = (0..1_usize << conditions.len()).map(|way| {
            let holds = |condition: usize| {
                conditions.iter().position(|known| *known == condition).is_some_and(|at| way >> at & 1 == 1)
            };
            (self.answer(matched, Side::Old, holds), self.answer(matched, Side::New, holds))
        });
        let wider =
            ways.filter(|(old, new)| new < old).min_by_key(|(old, new)| (*new, std::cmp::Reverse(*old)));
        wider.map(|(old, new)| Step { old, new, is_conditional })
    }

    /// What one side answers where these entries match (DESIGN §4.1): of those whose condition holds the strictest,
    /// else the strictest of the others, and *deny* where there is none.
    fn answer(&self, matched: &[usize], side: Side, holds: impl Fn(usize) -> bool) -> Answer {
        let entries = matched.iter().filter_map(|at| self.entries.get(*at)).flatten();
        let of_side = entries.filter(|(of, ..)| *of == side);
        let (mut always, mut sometimes) = (None, None);
        for (_, answer, condition) in of_side {
            match condition {
                None => always = always.max(Some(*answer)),
                Some(condition) if holds(*condition) => sometimes = sometimes.max(Some(*answer)),
                Some(_) => {}
            }
        }
        match always {
            Some(Answer::Deny) => Answer::Deny,
            _ => sometimes.or(always).unwrap_or(Answer::Deny),
        }
    }

    /// The new permission that gives `answer` where these entries match.
    fn permission(&self, matched: &[usize], answer: Answer) -> Option<&'a str> {
        let answers = |at: &&usize| {
            let gives = |entry: &Entry| entry.0 == Side::New && entry.1 == answer;
            self.entries.get(**at).is_some_and(|entries| entries.iter().any(gives))
        };
        let found = matched.iter().find(answers).or(matched.first());
        found.and_then(|at| self.globs.get(*at)).map(|glob| glob.as_str())
    }
}

impl Looser<'_> {
    fn sentence(&self, class: Class, step: Step) -> String {
        let Step { old, new, is_conditional } = step;
        let tools: Vec<_> = self.tools.iter().collect();
        let permissions: Vec<_> = self.permissions.iter().map(|glob| format!("`{glob}`")).collect();
        let what = match (tools.is_empty(), permissions.is_empty()) {
            (true, _) if class != Class::Tool => format!("{} {}", class.plural(), listed(&permissions)),
            (false, true) => listed(&tools),
            (true, _) => format!("other tools of {}", listed(&permissions)),
            (false, false) => format!("{}, and other tools of {}", listed(&tools), listed(&permissions)),
        };
        let under = if is_conditional { ", under some conditions" } else { "" };
        format!("{new} instead of {old} for {what}{under}")
    }
}

/// Every entry of the lists with its answer.
fn answers(lists: &Lists) -> impl Iterator<Item = (Answer, &Permission)> {
    let Lists { allow, plan, ask, deny } = lists;
    let all = [(Answer::Allow, allow), (Answer::Plan, plan), (Answer::Ask, ask), (Answer::Deny, deny)];
    all.into_iter().flat_map(|(answer, list)| list.iter().map(move |entry| (answer, entry)))
}
