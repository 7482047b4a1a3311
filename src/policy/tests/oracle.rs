//! The second implementation of the decision: from texts and globs, one question at a time.
//!
//! Written from DESIGN §4 and not from `policy`: shares no code with it, not even glob matching.

use std::collections::BTreeMap;

/// What was written: row name to its lists.
pub(super) type Written = BTreeMap<String, WrittenLists>;

/// The four lists.
#[derive(Debug, Clone, Default)]
pub(super) struct WrittenLists {
    pub(super) allow: Vec<Entry>,
    pub(super) plan: Vec<Entry>,
    pub(super) ask: Vec<Entry>,
    pub(super) deny: Vec<Entry>,
}

/// A glob, and the argument that has to be something for it to count.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) glob: String,
    pub(super) when: Option<When>,
}

/// `args.ARGUMENT == "VALUE"`, or the opposite.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct When {
    pub(super) argument: &'static str,
    pub(super) value: &'static str,
    pub(super) is_not: bool,
}

impl Entry {
    pub(super) fn always(glob: &str) -> Self {
        Self { glob: glob.to_owned(), when: None }
    }
}

/// One question, all of it as text.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) own_sources: Vec<String>,
    pub(super) roles: Vec<String>,
    pub(super) agents: Vec<String>,
    pub(super) taint: Vec<String>,
    pub(super) tool: String,
    pub(super) is_pin_changed: bool,
    /// What the call says; an argument that is not in it is absent.
    pub(super) args: BTreeMap<&'static str, &'static str>,
}

/// Everything that is configured.
#[derive(Debug, Clone, Default)]
pub(super) struct World {
    pub(super) sources: Written,
    pub(super) roles: Written,
    pub(super) agents: Written,
    pub(super) tools: Vec<String>,
}

impl World {
    /// The reason code.
    pub(super) fn reason(&self, q: &Question) -> &'static str {
        if !self.is_visible(q) {
            return "not_visible";
        }
        let dimensions = self.dimensions(q);
        if let Some((_, reason)) = dimensions.iter().find(|(answer, _)| *answer == 3) {
            return reason;
        }
        match dimensions.iter().map(|(answer, _)| *answer).max() {
            _ if q.is_pin_changed => "pin_changed",
            Some(2) => "approval_required",
            Some(1) => "plan_required",
            _ => "allowed",
        }
    }

    /// Whether the credential's own sources, roles and agents leave the tool open to anyone's yes, however their
    /// conditions turn out.
    pub(super) fn is_visible(&self, q: &Question) -> bool {
        self.tools.contains(&q.tool)
            && !q.own_sources.is_empty()
            && q.own_sources.iter().all(|source| can_open(&self.sources, source, &q.tool))
            && q.roles.iter().any(|role| can_open(&self.roles, role, &q.tool))
            && (self.agents.is_empty()
                || !q.agents.is_empty()
                    && q.agents.iter().all(|agent| can_open(&self.agents, agent, &q.tool)))
    }

    /// Whether, beside that, no source that has tainted the run denies it however its conditions turn out.
    pub(super) fn is_open(&self, q: &Question) -> bool {
        self.is_visible(q) && q.taint.iter().all(|source| can_open(&self.sources, source, &q.tool))
    }

    /// The loosest and the strictest answer of a source, however its conditions turn out.
    pub(super) fn span_of_source(&self, source: &str, tool: &str) -> (u8, u8) {
        if !self.tools.iter().any(|known| known == tool) {
            return (3, 3);
        }
        span(&self.sources, source, tool)
    }

    /// The same of the roles together, and of each agent where there are any; nothing for a tool that there is not.
    pub(super) fn spans_of_caller(&self, q: &Question) -> Vec<(u8, u8)> {
        if !self.tools.contains(&q.tool) {
            return Vec::new();
        }
        let roles: Vec<_> = q.roles.iter().map(|role| span(&self.roles, role, &q.tool)).collect();
        let loosest = roles.iter().map(|(loosest, _)| *loosest).min();
        let strictest = roles.iter().map(|(_, strictest)| *strictest).min();
        let mut all = vec![(loosest.unwrap_or(3), strictest.unwrap_or(3))];
        match (self.agents.is_empty(), q.agents.is_empty()) {
            (true, _) => {}
            (false, true) => all.push((3, 3)),
            (false, false) => all.extend(q.agents.iter().map(|agent| span(&self.agents, agent, &q.tool))),
        }
        all
    }

    /// What each dimension says, 0 allow, 1 plan, 2 ask, 3 deny, and the reason if it is the one that denies.
    fn dimensions(&self, q: &Question) -> Vec<(u8, &'static str)> {
        let of_source = |source: &String| (row(&self.sources, source, &q.tool, &q.args), "source_denies");
        let mut all: Vec<_> = q.own_sources.iter().map(of_source).collect();
        let roles = q.roles.iter().map(|role| row(&self.roles, role, &q.tool, &q.args));
        all.push((roles.min().unwrap_or(3), "role_denies"));
        if !self.agents.is_empty() {
            let agents = q.agents.iter().map(|agent| row(&self.agents, agent, &q.tool, &q.args));
            all.push((agents.max().unwrap_or(3), "agent_denies"));
        }
        all.extend(q.taint.iter().map(of_source));
        all
    }
}

fn row(written: &Written, name: &str, tool: &str, args: &BTreeMap<&'static str, &'static str>) -> u8 {
    // The strictest answer of every way in which what cannot be told may turn out.
    ways(written, name, tool, |when| holds(when, args)).into_iter().max().unwrap()
}

fn span(written: &Written, name: &str, tool: &str) -> (u8, u8) {
    let ways = ways(written, name, tool, |_| None);
    (*ways.iter().min().unwrap(), *ways.iter().max().unwrap())
}

/// Whether it is not denied in some way in which its conditions may turn out.
fn can_open(written: &Written, name: &str, tool: &str) -> bool {
    ways(written, name, tool, |_| None).iter().any(|answer| *answer < 3)
}

/// The answers of a row, one for each way in which what `told` does not tell may turn out.
fn ways(written: &Written, name: &str, tool: &str, told: impl Fn(&When) -> Option<bool>) -> Vec<u8> {
    let Some(lists) = written.get(name) else { return vec![3] };
    let mut always = Vec::new();
    let mut sometimes = Vec::new();
    for (answer, list) in [(0, &lists.allow), (1, &lists.plan), (2, &lists.ask), (3, &lists.deny)] {
        for entry in list.iter().filter(|entry| matches(entry.glob.as_bytes(), tool.as_bytes())) {
            match &entry.when {
                None => always.push(answer),
                Some(when) => sometimes.push((answer, told(when))),
            }
        }
    }
    let always = always.into_iter().max();
    if always == Some(3) {
        return vec![3];
    }
    let untold = sometimes.iter().filter(|(_, told)| told.is_none()).count();
    let mut answers = Vec::new();
    for way in 0..1_u32 << untold {
        let mut turned = (0..).map(|at| way >> at & 1 == 1);
        let mut counting = Vec::new();
        for (answer, told) in &sometimes {
            if told.unwrap_or_else(|| turned.next().unwrap()) {
                counting.push(*answer);
            }
        }
        answers.push(counting.into_iter().max().or(always).unwrap_or(3));
    }
    answers
}

/// Nothing where the argument is absent.
fn holds(when: &When, args: &BTreeMap<&'static str, &'static str>) -> Option<bool> {
    args.get(when.argument).map(|value| (*value == when.value) != when.is_not)
}

/// Exponential and plainly right.
fn matches(glob: &[u8], text: &[u8]) -> bool {
    match (glob, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => matches(rest, text) || (!text.is_empty() && matches(glob, &text[1..])),
        ([g, glob @ ..], [t, text @ ..]) => g == t && matches(glob, text),
        _ => false,
    }
}
