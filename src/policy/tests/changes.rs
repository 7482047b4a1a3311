//! What a reload widens is never silent, and what only narrows is never called wider.

use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{Entry, World};
use super::properties::{GLOBS, TOOLS, decide, question, rules, world};
use super::*;
use crate::model::change::Changes;

fn lists(allow: &[&str], ask: &[&str], deny: &[&str]) -> Lists {
    let [allow, ask, deny] = [allow, ask, deny].map(|globs| permissions(globs, 1));
    Lists { allow, ask, deny, plan: Vec::new() }
}

fn of_email(lists: Lists) -> Rules {
    let sources = BTreeMap::from([(SourceName::new("email").unwrap(), for_tools(lists))]);
    Rules { sources, ..Rules::default() }
}

fn changes(before: Lists, after: Lists) -> Changes {
    let tools = ["mail.read", "mail.send", "web.open"].map(str::to_owned);
    of_email(after).changes(&of_email(before), &tools)
}

#[test]
fn known_tools_are_named_and_unknown_ones_told_by_the_permission() {
    let before = || lists(&["mail.read"], &["mail.*"], &[]);
    let narrower = changes(before(), lists(&[], &["mail.read"], &[]));
    assert_eq!(narrower.changed(), ["source email changed"]);
    assert_eq!(narrower.widened(), Vec::<String>::new());
    let wider = changes(before(), lists(&["*"], &["mail.*"], &[]));
    assert_eq!(wider.widened(), ["source email: allow instead of deny for web.open"]);
    let unknown = changes(lists(&[], &[], &[]), lists(&["calendar.*"], &["mail.send"], &[]));
    let expected = [
        "source email: allow instead of deny for other tools of `calendar.*`",
        "source email: ask instead of deny for mail.send",
    ];
    assert_eq!(unknown.widened(), expected);
}

#[test]
fn a_denial_that_goes_is_wider_and_one_that_matched_nothing_is_not() {
    let with = lists(&["mail.*"], &[], &["mail.send", "calendar.x"]);
    let without = lists(&["mail.*"], &[], &["calendar.x"]);
    assert_eq!(
        changes(with.clone(), without).widened(),
        ["source email: allow instead of deny for mail.send"]
    );
    let nothing_else = lists(&["mail.*"], &[], &["mail.send"]);
    assert_eq!(changes(with, nothing_else).widened(), Vec::<String>::new());
}

#[test]
fn the_same_lists_elsewhere_or_in_another_order_are_no_change() {
    let moved = Lists { allow: permissions(&["b.*", "a.*"], 90), ..Lists::default() };
    let before = Lists { allow: permissions(&["a.*", "b.*", "a.*"], 1), ..Lists::default() };
    assert_eq!(changes(before, moved), Changes::default());
}

#[test]
fn agents_that_are_no_dimension_any_more_are_wider() {
    let agents = BTreeMap::from([(AgentName::new("inbox").unwrap(), for_tools(lists(&["*"], &[], &[])))]);
    let with = Rules { agents, ..Rules::default() };
    assert_eq!(with.changes(&Rules::default(), &[]).widened(), Vec::<String>::new());
    assert_eq!(Rules::default().changes(&with, &[]).widened().len(), 1);
}

#[test]
fn what_cannot_be_compared_is_said() {
    let many: Vec<_> = (0..200).map(|n| format!("*{n}*{n}*x{n}*")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let found = changes(lists(&many, &[], &[]), lists(&many, &["mail.send"], &[]));
    assert_eq!(
        found.widened().last().map(String::as_str),
        Some("source email: too many patterns to compare beyond the tools that are known"),
        "{found:?}"
    );
}

/// One way to narrow: a row, a list entry or a role less, or a denial more.
fn narrow(world: &mut World, how: usize, at: usize, glob: &str) {
    let rows = match at % 3 {
        0 => &mut world.sources,
        1 => &mut world.roles,
        _ => &mut world.agents,
    };
    let Some(name) = rows.keys().nth(at % 4).cloned() else { return };
    let Some(lists) = rows.get_mut(&name) else { return };
    match how {
        0 => lists.deny.push(Entry::always(glob)),
        1 => drop(lists.allow.pop()),
        2 => {
            let all = std::mem::take(&mut lists.allow);
            lists.ask.extend(all);
        }
        // The last agent that goes would take the dimension along.
        _ if rows.len() > 1 => drop(rows.remove(&name)),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn i1_whatever_a_call_gains_by_a_reload_is_told(before in world(), after in world(), q in question()) {
        let tools: Vec<_> = TOOLS.iter().map(|tool| (*tool).to_owned()).collect();
        // The tools of one catalogue, so that what differs is the configuration alone.
        let (before, after) = (World { tools: tools.clone(), ..before }, World { tools: tools.clone(), ..after });
        let compile = |world: &World| {
            let ids: Vec<_> = tools.iter().map(|text| known(text)).collect();
            Policy::compile(rules(world), &ids, PolicyEpoch(1))
        };
        let (old, new) = (decide(&compile(&before), &q), decide(&compile(&after), &q));
        // Whether the tools are known or not, what is wider is said.
        for known in [tools.as_slice(), &[]] {
            let widened = rules(&after).changes(&rules(&before), known);
            prop_assert!(new.verdict >= old.verdict || !widened.widened().is_empty(), "{old:?} {new:?}");
        }
    }

    #[test]
    fn i1_what_only_narrows_is_not_called_wider(
        before in world(),
        steps in proptest::collection::vec((0_usize..4, 0_usize..12, select(GLOBS)), 1..6),
    ) {
        let mut after = before.clone();
        for (how, at, glob) in steps {
            narrow(&mut after, how, at, glob);
        }
        let tools: Vec<_> = TOOLS.iter().map(|tool| (*tool).to_owned()).collect();
        let found = rules(&after).changes(&rules(&before), &tools);
        prop_assert_eq!(found.widened(), &[] as &[String]);
    }
}
