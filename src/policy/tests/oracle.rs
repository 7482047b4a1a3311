//! The second implementation of the decision: from texts and globs, one question at a time.
//!
//! Written from DESIGN §4 and not from `policy`: shares no code with it, not even glob matching.

use std::collections::BTreeMap;

/// What was written: row name to its lists.
pub(super) type Written = BTreeMap<String, WrittenLists>;

/// The globs of the four lists.
#[derive(Debug, Clone, Default)]
pub(super) struct WrittenLists {
    pub(super) allow: Vec<String>,
    pub(super) plan: Vec<String>,
    pub(super) ask: Vec<String>,
    pub(super) deny: Vec<String>,
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
        let mut everything = q.clone();
        everything.own_sources.extend(q.taint.iter().cloned());
        match self.strictness(&everything) {
            3 => "source_denies",
            _ if q.is_pin_changed => "pin_changed",
            2 => "approval_required",
            1 => "plan_required",
            _ => "allowed",
        }
    }

    /// Whether the credential's own sources, roles and agents leave the tool open to anyone's yes.
    pub(super) fn is_visible(&self, q: &Question) -> bool {
        self.tools.contains(&q.tool) && self.strictness(q) < 3
    }

    /// 0 allow, 1 plan, 2 ask, 3 deny, looking at `own_sources` and not at `taint`.
    pub(super) fn strictness(&self, q: &Question) -> u8 {
        if q.own_sources.is_empty() || q.roles.is_empty() {
            return 3;
        }
        let mut worst = 0;
        for source in &q.own_sources {
            worst = worst.max(row(&self.sources, source, &q.tool));
        }
        let mut best_role = 3;
        for role in &q.roles {
            best_role = best_role.min(row(&self.roles, role, &q.tool));
        }
        worst = worst.max(best_role);
        if !self.agents.is_empty() {
            if q.agents.is_empty() {
                return 3;
            }
            for agent in &q.agents {
                worst = worst.max(row(&self.agents, agent, &q.tool));
            }
        }
        worst
    }
}

fn row(written: &Written, name: &str, tool: &str) -> u8 {
    let Some(lists) = written.get(name) else { return 3 };
    let says = |list: &[String]| list.iter().any(|glob| matches(glob.as_bytes(), tool.as_bytes()));
    if says(&lists.deny) {
        3
    } else if says(&lists.ask) {
        2
    } else if says(&lists.plan) {
        1
    } else if says(&lists.allow) {
        0
    } else {
        3
    }
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
