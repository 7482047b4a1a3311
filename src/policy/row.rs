//! One source, one role or one agent, compiled against the tools of the catalogue. What is not a tool is
//! matched when it is asked for: there are few of those calls, and of resources no catalogue knows all.
//!
//! Must never let a looser list beat a stricter one (DESIGN §4.1), nor let a condition that cannot be told open
//! anything (§4.3).

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use cedar_policy::PolicySet;
use jiff::Timestamp;

use crate::model::decision::Answer;
use crate::model::reason::Reason;

use super::bits::Bits;
use super::case::{Case, Truths};
use super::rules::{Lists, Permission, RowLists};
use crate::model::glob::{covers, overlaps};
use crate::model::target::Class;

/// The answers of one row.
#[derive(Debug)]
pub(super) struct Row {
    /// Until when its answers are only recorded.
    shadow: Option<Timestamp>,
    /// The tools that it does not deny under every arguments: a plan or a person might open them.
    reach: Bits,
    /// Every entry of its lists for tools, the strictest list first.
    entries: Box<[(Answer, Permission)]>,
    /// For each tool the entry that answers of those that always count; [`NO_ENTRY`] where none matches.
    determining: Box<[u32]>,
    /// For some tools the entries that count sometimes.
    sometimes: HashMap<usize, Sometimes>,
    /// The entries for everything else, by class, the strictest list first.
    others: BTreeMap<Class, Box<[(Answer, Permission)]>>,
}

/// The entries that count for a tool under a condition, or from a moment on.
#[derive(Debug)]
struct Sometimes {
    /// Their numbers, ascending: the strictest first.
    entries: Vec<u32>,
    /// Those with a condition, under their numbers; none where they could not be put together.
    conditions: Option<PolicySet>,
}

/// What a row is asked about.
#[derive(Debug, Clone, Copy)]
pub(super) enum About<'a> {
    /// A tool, by its place in the policy.
    Tool(usize),
    /// A target of another class, by its written form.
    Other(Class, &'a str),
}

/// Whether what is in shadow counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shadow {
    /// It does not, yet.
    Recorded,
    /// As if it did.
    Enforced,
}

/// How a row is looked at.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) now: Timestamp,
    pub(super) shadow: Shadow,
    /// The call, where conditions or guardrails speak of its tool.
    pub(super) case: Option<&'a Case<'a>>,
}

impl View<'_> {
    fn counts(self, shadow: Option<Timestamp>) -> bool {
        self.shadow == Shadow::Enforced || shadow.is_none_or(|until| until <= self.now)
    }
}

/// What a row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) answer: Answer,
    /// The entry that says it; none where the default denies.
    pub(super) entry: Option<&'a Permission>,
    /// Why it cannot be told what it says, where that is so.
    pub(super) trouble: Option<Reason>,
    /// Whether it would say something looser if what a condition names were there.
    pub(super) is_open: bool,
}

impl<'a> Said<'a> {
    fn by(entry: Option<&'a (Answer, Permission)>) -> Self {
        let (answer, entry) = entry.map_or((Answer::Deny, None), |(answer, entry)| (*answer, Some(entry)));
        Said { answer, entry, trouble: None, is_open: false }
    }

    /// An answer that no entry gives.
    pub(super) fn plainly(answer: Answer) -> Self {
        Said { answer, entry: None, trouble: None, is_open: false }
    }

    fn trouble(reason: Reason, entry: Option<&'a Permission>) -> Self {
        Said { answer: Answer::Deny, entry, trouble: Some(reason), is_open: false }
    }
}

impl Row {
    /// Compiles `lists` against the written forms of the tools, which are sorted.
    pub(super) fn compile(mut lists: RowLists, texts: &[String]) -> Self {
        let entries = strictest_first(lists.take(Class::Tool));
        let mut determining = vec![NO_ENTRY; texts.len()];
        let mut sometimes: HashMap<usize, Sometimes> = HashMap::new();
        for (number, (_, permission)) in (0..NO_ENTRY).zip(&entries) {
            for tool in matching(permission, texts) {
                if !permission.always_counts() {
                    let none = || Sometimes { entries: Vec::new(), conditions: Some(PolicySet::new()) };
                    sometimes.entry(tool).or_insert_with(none).add(number, permission);
                } else if let Some(entry) = determining.get_mut(tool).filter(|entry| **entry == NO_ENTRY) {
                    // An entry of a stricter list came first and stays (DESIGN §4.1).
                    *entry = number;
                }
            }
        }
        let shadow = lists.shadow;
        let others = Class::ALL.into_iter().filter(|class| *class != Class::Tool);
        let others = others.map(|class| (class, strictest_first(lists.take(class)).into()));
        let mut row = Self {
            shadow,
            reach: Bits::none(texts.len()),
            entries: entries.into(),
            determining: determining.into(),
            sometimes,
            others: others.collect(),
        };
        let always = View { now: Timestamp::MAX, shadow: Shadow::Enforced, case: None };
        row.reach = row.reach_in(always, texts.len());
        row
    }

    /// The entries with conditions that match `tool`.
    pub(super) fn conditional(&self, tool: usize) -> impl Iterator<Item = &Permission> {
        let entries = self.sometimes.get(&tool).into_iter().flat_map(|some| &some.entries);
        entries
            .filter_map(|at| self.entry(*at))
            .map(|(_, entry)| entry)
            .filter(|entry| entry.condition.is_some())
    }

    /// The entry that answers for `tool` where no condition holds; none where the default denies.
    pub(super) fn without_conditions(&self, tool: usize, view: View<'_>) -> Option<&(Answer, Permission)> {
        match self.sometimes.get(&tool) {
            None => self.plain(tool),
            Some(some) => self.base(tool, some, view),
        }
    }

    /// The entries with conditions that can count for `tool`: none where something denies it whatever holds.
    pub(super) fn with_conditions(&self, tool: usize, view: View<'_>) -> Vec<&(Answer, Permission)> {
        let Some(some) = self.sometimes.get(&tool) else { return Vec::new() };
        if self.base(tool, some, view).is_some_and(|(answer, _)| *answer == Answer::Deny) {
            return Vec::new();
        }
        let counting = some.counting(self, view).map(|(_, entry)| entry);
        counting.filter(|(_, entry)| entry.condition.is_some()).collect()
    }

    /// Every entry that matches `tool`, the strictest list first.
    pub(super) fn matching(&self, tool: usize) -> impl Iterator<Item = &(Answer, Permission)> {
        let sometimes = self.sometimes.get(&tool).into_iter().flat_map(|some| some.entries.iter().copied());
        let mut numbers: Vec<_> = sometimes.chain(self.determining.get(tool).copied()).collect();
        numbers.sort_unstable();
        numbers.into_iter().filter_map(|number| self.entry(number))
    }

    /// Whether its answers count in `view`.
    pub(super) fn is_enforced(&self, view: View<'_>) -> bool {
        view.counts(self.shadow)
    }

    /// Whether it or an entry of it for `tool` is only recorded.
    pub(super) fn is_in_shadow(&self, about: About<'_>, now: Timestamp) -> bool {
        let view = View { now, shadow: Shadow::Recorded, case: None };
        let of_tool = |tool| self.sometimes.get(&tool).into_iter().flat_map(|some| &some.entries);
        !self.is_enforced(view)
            || match about {
                About::Tool(tool) => of_tool(tool)
                    .filter_map(|at| self.entry(*at))
                    .any(|(_, entry)| !view.counts(entry.shadow)),
                About::Other(..) => false,
            }
    }

    /// The tools that this row does not deny whatever their arguments are.
    pub(super) fn reach(&self, view: View<'_>) -> Cow<'_, Bits> {
        let has_shadow = self.entries.iter().any(|(_, entry)| entry.shadow.is_some());
        match has_shadow && view.shadow == Shadow::Recorded {
            true => Cow::Owned(self.reach_in(view, self.determining.len())),
            false => Cow::Borrowed(&self.reach),
        }
    }

    /// Whether it leaves `about` open under some arguments.
    pub(super) fn reaches(&self, about: About<'_>, view: View<'_>) -> bool {
        match about {
            About::Tool(tool) => {
                let Some(some) = self.sometimes.get(&tool) else {
                    return self.plain(tool).is_some_and(|(answer, _)| *answer != Answer::Deny);
                };
                let base = self.base(tool, some, view);
                let is_denied = base.is_some_and(|(answer, _)| *answer == Answer::Deny);
                let mut conditional =
                    some.counting(self, view).filter(|(_, (_, entry))| entry.condition.is_some());
                !is_denied && (base.is_some() || conditional.any(|(_, (answer, _))| *answer != Answer::Deny))
            }
            About::Other(..) => self.answer(about, view).answer != Answer::Deny,
        }
    }

    /// What this row says.
    pub(super) fn answer(&self, about: About<'_>, view: View<'_>) -> Said<'_> {
        match about {
            About::Tool(tool) => match self.sometimes.get(&tool) {
                None => Said::by(self.plain(tool)),
                Some(some) => self.sometimes(tool, some, view),
            },
            About::Other(class, text) => {
                let entries = self.others.get(&class).map_or(&[][..], |entries| entries);
                // The strictest list comes first.
                Said::by(entries.iter().find(|(_, permission)| permission.glob.matches(text)))
            }
        }
    }

    /// What it says where some entries count only sometimes (DESIGN §4.1, §4.3): of those whose condition holds
    /// the strictest, and otherwise what always counts. Where a condition cannot be told, whichever is stricter.
    fn sometimes<'a>(&'a self, tool: usize, some: &'a Sometimes, view: View<'_>) -> Said<'a> {
        let base = self.base(tool, some, view);
        let counting: Vec<_> =
            some.counting(self, view).filter(|(_, (_, entry))| entry.condition.is_some()).collect();
        let Some((_, (_, first))) = counting.first() else { return Said::by(base) };
        if base.is_some_and(|(answer, _)| *answer == Answer::Deny) {
            return Said::by(base);
        }
        let (Some(case), Some(conditions)) = (view.case, &some.conditions) else {
            return Said::trouble(Reason::ConditionError, Some(first));
        };
        let Truths { hold, open, failed } = match case.truths(conditions) {
            Ok(truths) => truths,
            Err(reason) => return Said::trouble(reason, Some(first)),
        };
        if let Some((_, (_, entry))) = counting.iter().find(|(number, _)| failed.contains(number)) {
            return Said::trouble(Reason::ConditionError, Some(entry));
        }
        // The strictest comes first.
        let of =
            |numbers: &[u32]| counting.iter().find(|(number, _)| numbers.contains(number)).map(|(_, e)| *e);
        let told = of(&hold).or(base);
        let Some(untold) = of(&open) else { return Said::by(told) };
        let told_answer = told.map_or(Answer::Deny, |(answer, _)| *answer);
        let said = if untold.0 > told_answer { Said::by(Some(untold)) } else { Said::by(told) };
        Said { is_open: untold.0 != told_answer, ..said }
    }

    /// Of the entries without a condition, the one that answers.
    fn base<'a>(
        &'a self,
        tool: usize,
        some: &'a Sometimes,
        view: View<'_>,
    ) -> Option<&'a (Answer, Permission)> {
        let late = some.counting(self, view).find(|(_, (_, entry))| entry.condition.is_none());
        let plain = self.determining.get(tool).copied().filter(|number| *number != NO_ENTRY);
        let number = late.map(|(number, _)| number).into_iter().chain(plain).min()?;
        self.entry(number)
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
        let denies =
            |(answer, entry): &&(Answer, Permission)| *answer == Answer::Deny && entry.always_counts();
        let opens = |(answer, _): &&(Answer, Permission)| *answer != Answer::Deny;
        entries.iter().filter(opens).any(|(_, entry)| overlaps(entry.glob.as_str(), pattern))
            && !entries.iter().filter(denies).any(|(_, entry)| covers(entry.glob.as_str(), pattern))
    }

    fn reach_in(&self, view: View<'_>, tools: usize) -> Bits {
        let mut reach = Bits::none(tools);
        for tool in (0..tools).filter(|tool| self.reaches(About::Tool(*tool), view)) {
            reach.insert(tool);
        }
        reach
    }

    fn plain(&self, tool: usize) -> Option<&(Answer, Permission)> {
        self.entry(*self.determining.get(tool)?)
    }

    fn entry(&self, number: u32) -> Option<&(Answer, Permission)> {
        self.entries.get(usize::try_from(number).ok()?)
    }
}

impl Sometimes {
    fn add(&mut self, number: u32, permission: &Permission) {
        self.entries.push(number);
        if let Some(condition) = &permission.condition {
            let added =
                |mut all: PolicySet| all.add(condition.policy(&number.to_string())).is_ok().then_some(all);
            self.conditions = self.conditions.take().and_then(added);
        }
    }

    /// Those that count in `view`, with their numbers.
    fn counting<'a, 'v>(
        &'a self,
        row: &'a Row,
        view: View<'v>,
    ) -> impl Iterator<Item = (u32, &'a (Answer, Permission))> + use<'a, 'v> {
        let entries = self.entries.iter().filter_map(|number| Some((*number, row.entry(*number)?)));
        entries.filter(move |(_, (_, entry))| view.counts(entry.shadow))
    }
}

/// The places in `texts`, which are sorted, of what `permission` matches: the literal head of its glob selects one
/// range.
fn matching<'a>(permission: &'a Permission, texts: &'a [String]) -> impl Iterator<Item = usize> + use<'a> {
    let head = permission.glob.as_str().split('*').next().unwrap_or_default();
    let from = texts.partition_point(|text| text.as_str() < head);
    let candidates = texts.iter().enumerate().skip(from).take_while(move |(_, text)| text.starts_with(head));
    candidates.filter(|(_, text)| permission.glob.matches(text)).map(|(at, _)| at)
}

const NO_ENTRY: u32 = u32::MAX;

fn strictest_first(lists: Lists) -> Vec<(Answer, Permission)> {
    let Lists { allow, plan, ask, deny } = lists;
    let ordered = [(Answer::Deny, deny), (Answer::Ask, ask), (Answer::Plan, plan), (Answer::Allow, allow)];
    let each = |(answer, list): (Answer, Vec<Permission>)| list.into_iter().map(move |entry| (answer, entry));
    ordered.into_iter().flat_map(each).collect()
}
