//! Properties over generated policies (I1, I2, I5).

use std::cell::RefCell;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;

use super::oracle::{Entry, Question, When, World, Written, WrittenLists};
use super::*;

pub(super) const TOOLS: &[&str] = &["a.x", "a.y", "a.xy", "a-b.x", "b.x", "b.x.y", "b.read_x", "c.x"];
pub(super) const GLOBS: &[&str] = &[
    "*",
    "a.*",
    "a.x",
    "a.x*",
    "*.x",
    "*y",
    "b.*",
    "b.x.*",
    "*.read_*",
    "a*x",
    "a*.x",
    "c.x",
    "nothing.here",
];
const SOURCES: &[&str] = &["s0", "s1", "s2", "s.3", "unconfigured"];
const ROLES: &[&str] = &["r0", "r1", "r2", "unconfigured"];
const AGENTS: &[&str] = &["g0", "g1", "unconfigured"];

fn entry() -> impl Strategy<Value = Entry> {
    let when = (select(&["a", "b"][..]), select(&["x", "y"][..]), any::<bool>())
        .prop_map(|(argument, value, is_not)| When { argument, value, is_not });
    (select(GLOBS), proptest::option::weighted(0.3, when))
        .prop_map(|(glob, when)| Entry { when, ..Entry::always(glob) })
}

fn written(names: &'static [&'static str], rows: std::ops::Range<usize>) -> impl Strategy<Value = Written> {
    let lists = (vec(entry(), 0..4), vec(entry(), 0..3), vec(entry(), 0..3), vec(entry(), 0..2))
        .prop_map(|(allow, plan, ask, deny)| WrittenLists { allow, plan, ask, deny });
    // The last name of each pool is never configured.
    btree_map(select(&names[..names.len() - 1]).prop_map(str::to_owned), lists, rows)
}

pub(super) fn world() -> impl Strategy<Value = World> {
    let tools = proptest::sample::subsequence(TOOLS, 0..=TOOLS.len());
    (written(SOURCES, 1..5), written(ROLES, 1..4), written(AGENTS, 0..3), tools).prop_map(
        |(sources, roles, agents, tools)| World {
            sources,
            roles,
            agents,
            tools: tools.into_iter().map(str::to_owned).collect(),
        },
    )
}

pub(super) fn question() -> impl Strategy<Value = Question> {
    let some = |names: &'static [&'static str], max: usize| {
        proptest::sample::subsequence(names, 0..=max)
            .prop_map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    let args = btree_map(select(&["a", "b"][..]), select(&["x", "y"][..]), 0..3);
    (some(SOURCES, 2), some(ROLES, 3), some(AGENTS, 2), some(SOURCES, 3), select(TOOLS), any::<bool>(), args)
        .prop_map(|(own_sources, roles, agents, taint, tool, is_pin_changed, args)| Question {
            own_sources,
            roles,
            agents,
            taint,
            tool: tool.to_owned(),
            is_pin_changed,
            args,
        })
}

pub(super) fn rules(world: &World) -> Rules {
    rules_for(world, Class::Tool)
}

/// The lists of `world`, written for `class`.
fn rules_for(world: &World, class: Class) -> Rules {
    let lists = |written: &WrittenLists| {
        // What is no tool has no conditions.
        let list = |entries: &[Entry]| entries.iter().map(|entry| permission(entry, class)).collect();
        let lists = Lists {
            allow: list(&written.allow),
            plan: list(&written.plan),
            ask: list(&written.ask),
            deny: list(&written.deny),
        };
        RowLists::from_iter([(class, lists)])
    };
    Rules {
        sources: world.sources.iter().map(|(n, l)| (SourceName::new(n).unwrap(), lists(l))).collect(),
        roles: world.roles.iter().map(|(n, l)| (RoleName::new(n).unwrap(), lists(l))).collect(),
        agents: world.agents.iter().map(|(n, l)| (AgentName::new(n).unwrap(), lists(l))).collect(),
        ..Rules::default()
    }
}

fn permission(entry: &Entry, class: Class) -> Permission {
    let unconditional = permissions(&[&entry.glob], 1).remove(0);
    let condition = entry.when.as_ref().filter(|_| class == Class::Tool).map(|when| {
        let When { argument, value, is_not } = when;
        let is = if *is_not { "!=" } else { "==" };
        condition(&format!("args.{argument} {is} \"{value}\""))
    });
    Permission { condition, ..unconditional }
}

/// Parsed once: there are eight of them in thousands of worlds.
fn condition(text: &str) -> Condition {
    thread_local!(static KNOWN: RefCell<BTreeMap<String, Condition>> = RefCell::default());
    KNOWN.with_borrow_mut(|known| {
        let parse = || Condition::parse(text, None).unwrap();
        known.entry(text.to_owned()).or_insert_with(parse).clone()
    })
}

/// The same without a condition anywhere.
fn unconditional(mut world: World) -> World {
    let World { sources, roles, agents, .. } = &mut world;
    for WrittenLists { allow, plan, ask, deny } in
        sources.values_mut().chain(roles.values_mut()).chain(agents.values_mut())
    {
        [allow, plan, ask, deny].into_iter().flatten().for_each(|entry| entry.when = None);
    }
    world
}

pub(super) fn compile(world: &World) -> Policy {
    let tools: Vec<_> = world.tools.iter().map(|text| known(text)).collect();
    Policy::compile(rules(world), &tools, PolicyEpoch(1))
}

pub(super) fn who(q: &Question) -> Principal {
    fn names(names: &[String]) -> Vec<&str> {
        names.iter().map(String::as_str).collect()
    }
    principal(&names(&q.own_sources), &names(&q.roles), &names(&q.agents))
}

pub(super) fn taint(q: &Question) -> Provenance {
    provenance(q.taint.iter().map(String::as_str))
}

pub(super) fn decide(policy: &Policy, q: &Question) -> Decision {
    let pin = if q.is_pin_changed { changed() } else { accepted() };
    decision(policy.decide(&who(q), standing(&taint(q)), saying(call(&q.tool, pin), q)))
}

/// The decision while `closed` are closed, on a call that brings what its tool returns and `brings`.
fn decide_closed(policy: &Policy, q: &Question, brings: &[&str], closed: &[&str]) -> Decision {
    let pin = if q.is_pin_changed { changed() } else { accepted() };
    let (provenance, brings) = (taint(q), provenance(brings.iter().copied()));
    let closed = closed.iter().map(|name| SourceName::new(name).unwrap()).collect();
    let standing = Standing { brings: &brings, closed: &closed, ..standing(&provenance) };
    decision(policy.decide(&who(q), standing, saying(call(&q.tool, pin), q)))
}

/// `call` with the arguments of `q`.
fn saying(call: Call, q: &Question) -> Call {
    let values = serde_json::to_vec(&q.args).unwrap().into();
    Call { values, ..call }
}

fn visible(policy: &Policy, q: &Question) -> BTreeSet<ToolId> {
    policy.visible(&who(q), now()).cloned().collect()
}

fn open(policy: &Policy, q: &Question) -> BTreeSet<ToolId> {
    policy.open(&who(q), &taint(q), now()).cloned().collect()
}

/// A decision widens where its verdict becomes looser.
fn strictness(decision: &Decision) -> Answer {
    decision.verdict
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_decision_is_that_of_the_slow_and_obvious_implementation(world in world(), q in question()) {
        let decided = decide(&compile(&world), &q);
        prop_assert_eq!(decided.reason.code(), world.reason(&q));
        prop_assert_eq!(decided.verdict == Answer::Allow, decided.reason == Reason::Allowed);
        prop_assert_eq!(decided.visibility == Visibility::Visible, world.is_visible(&q));
        prop_assert!(decided.rules.iter().all(|rule| rule.answer == decided.verdict));
        prop_assert!(decided.visibility == Visibility::Hidden || !decided.rules.is_empty());
    }

    #[test]
    fn i2_what_is_no_tool_is_decided_by_the_lists_of_its_own_class(world in world(), q in question()) {
        let mut listed = unconditional(world.clone());
        listed.tools = TOOLS.iter().map(|&text| text.to_owned()).collect();
        let as_tool = decide(&compile(&listed), &q);
        let pin = if q.is_pin_changed { changed() } else { accepted() };
        let asked = |policy: &Policy| {
            decision(policy.decide(&who(&q), standing(&taint(&q)), call_of(prompt(&q.tool), pin)))
        };
        // The same lists, written for prompts, say the same of a prompt of that name.
        let for_prompts = Policy::compile(rules_for(&world, Class::Prompt), &[], PolicyEpoch(1));
        prop_assert_eq!(&asked(&for_prompts), &as_tool);
        prop_assert_eq!(for_prompts.shows(&who(&q), &prompt(&q.tool), now()), as_tool.visibility == Visibility::Visible);
        let is_open = for_prompts.leaves_open(&who(&q), &taint(&q), &prompt(&q.tool), now());
        prop_assert_eq!(is_open, listed.is_open(&q));
        prop_assert_eq!(is_open, !matches!(as_tool.reason, Reason::NotVisible | Reason::SourceDenies));
        // Written for tools, or for another class, they open no prompt.
        for other in Class::ALL.into_iter().filter(|class| *class != Class::Prompt) {
            let elsewhere = Policy::compile(rules_for(&world, other), &[], PolicyEpoch(1));
            prop_assert_eq!(asked(&elsewhere).reason, Reason::NotVisible);
            prop_assert!(!elsewhere.shows(&who(&q), &prompt(&q.tool), now()));
        }
    }

    #[test]
    fn i5_what_is_not_listed_is_refused_as_nonexistent_and_what_is_listed_never(world in world(), q in question()) {
        let policy = compile(&world);
        let listed = visible(&policy, &q).contains(&tool(&q.tool));
        prop_assert_eq!(listed, world.is_visible(&q));
        prop_assert_eq!(decide(&policy, &q).reason == Reason::NotVisible, !listed);
        prop_assert!(open(&policy, &q).is_subset(&visible(&policy, &q)));
        let is_open = open(&policy, &q).contains(&tool(&q.tool));
        prop_assert_eq!(is_open, world.is_open(&q));
        prop_assert!(is_open || decide(&policy, &q).verdict == Answer::Deny);
    }

    #[test]
    fn i5_taint_never_changes_what_is_visible(world in world(), q in question(), more in select(SOURCES)) {
        let policy = compile(&world);
        let mut tainted = q.clone();
        tainted.taint.push(more.to_owned());
        prop_assert_eq!(visible(&policy, &q), visible(&policy, &tainted));
        prop_assert_eq!(decide(&policy, &q).visibility, decide(&policy, &tainted).visibility);
    }

    #[test]
    fn i1_one_more_source_never_widens(world in world(), q in question(), more in select(SOURCES)) {
        let policy = compile(&world);
        let mut tainted = q.clone();
        tainted.taint.push(more.to_owned());
        prop_assert!(open(&policy, &tainted).is_subset(&open(&policy, &q)));
        prop_assert!(strictness(&decide(&policy, &tainted)) >= strictness(&decide(&policy, &q)));
        let mut labelled = q.clone();
        if !labelled.own_sources.is_empty() {
            labelled.own_sources.push(more.to_owned());
            prop_assert!(visible(&policy, &labelled).is_subset(&visible(&policy, &q)));
            prop_assert!(strictness(&decide(&policy, &labelled)) >= strictness(&decide(&policy, &q)));
        }
    }

    #[test]
    fn i1_i5_closing_a_source_never_widens_and_hides_nothing(
        world in world(), q in question(), brings in select(SOURCES), closed in select(SOURCES),
    ) {
        let policy = compile(&world);
        let (before, after) = (decide(&policy, &q), decide_closed(&policy, &q, &[brings], &[closed]));
        prop_assert!(strictness(&after) >= strictness(&before));
        prop_assert_eq!(after.visibility, before.visibility);
        let is_met = q.taint.iter().chain(&q.own_sources).any(|name| name == closed) || brings == closed;
        match (is_met, before.visibility) {
            (true, Visibility::Visible) => prop_assert_eq!(after.reason, Reason::SourceClosed),
            // What is hidden stays as if it did not exist, and what the source has no part in as it was.
            (true, Visibility::Hidden) | (false, _) => prop_assert_eq!(after, before),
        }
    }

    #[test]
    fn i1_one_role_fewer_never_widens(world in world(), q in question(), at in 0_usize..4) {
        let policy = compile(&world);
        let mut fewer = q.clone();
        if at < fewer.roles.len() {
            fewer.roles.remove(at);
        }
        prop_assert!(visible(&policy, &fewer).is_subset(&visible(&policy, &q)));
        prop_assert!(strictness(&decide(&policy, &fewer)) >= strictness(&decide(&policy, &q)));
    }

    #[test]
    fn i1_one_more_rule_that_denies_never_widens(
        world in world(), q in question(), glob in select(GLOBS), row in 0_usize..3, at in 0_usize..4,
    ) {
        let mut stricter = world.clone();
        let rows = match row { 0 => &mut stricter.sources, 1 => &mut stricter.roles, _ => &mut stricter.agents };
        if let Some(lists) = rows.values_mut().nth(at) {
            lists.deny.push(Entry::always(glob));
        }
        let (before, after) = (compile(&world), compile(&stricter));
        prop_assert!(open(&after, &q).is_subset(&open(&before, &q)));
        prop_assert!(visible(&after, &q).is_subset(&visible(&before, &q)));
        prop_assert!(strictness(&decide(&after, &q)) >= strictness(&decide(&before, &q)));
    }

    #[test]
    fn i2_an_unknown_name_or_none_at_all_is_denied(world in world(), q in question(), gap in 0_usize..5) {
        let policy = compile(&world);
        let mut q = q;
        match gap {
            0 => q.own_sources.clear(),
            1 => q.own_sources.push("unconfigured".to_owned()),
            2 => q.roles.clear(),
            3 => q.roles = vec!["unconfigured".to_owned()],
            _ => q.taint.push("unconfigured".to_owned()),
        }
        prop_assert_eq!(strictness(&decide(&policy, &q)), Answer::Deny);
        prop_assert!(open(&policy, &q).is_empty());
    }

    #[test]
    fn i1_i2_i4_i5_a_run_of_calls_is_decided_as_the_slow_implementation_decides_it(
        world in world(), q in question(),
        returns in vec(proptest::option::of(select(SOURCES)), TOOLS.len()),
        calls in vec((0..TOOLS.len(), btree_map(select(&["a", "b"][..]), select(&["x", "y"][..]), 0..3)), 1..12),
    ) {
        let policy = compile(&world);
        let mut told = Question { taint: Vec::new(), is_pin_changed: false, ..q };
        let mut steps = Vec::new();
        for (at, args) in calls {
            told = Question { tool: TOOLS[at].to_owned(), args, ..told };
            let reason = world.reason(&told);
            let expected = match reason {
                "allowed" => Answer::Allow,
                "plan_required" => Answer::Plan,
                "approval_required" => Answer::Ask,
                _ => Answer::Deny,
            };
            let values = saying(call(TOOLS[at], accepted()), &told).values;
            let (target, brings) = (Target::Tool(tool(TOOLS[at])), provenance(returns[at]));
            let place = Place { file: "tests".into(), line: 1, column: 1 };
            let reason = Reason::ALL.iter().find(|known| known.code() == reason).copied();
            let after = std::time::Duration::ZERO;
            steps.push(Step { target, values, refused: None, returns: brings, after, times: 1, expected, reason, place });
            // What an allowed call brings counts from then on, and nothing takes it back.
            if expected == Answer::Allow {
                told.taint.extend(returns[at].map(str::to_owned));
            }
        }
        let trial = Trial { principal: who(&told), now: now(), steps };
        let misses = policy.try_out(trial, &mut BTreeSet::new(), |_| Ok(()));
        prop_assert!(misses.is_empty(), "{misses:?}");
    }

    #[test]
    fn who_can_reach_a_tool_is_everybody_who_is_not_denied(world in world(), q in question()) {
        let policy = compile(&world);
        let ways = policy.who_can(&tool(&q.tool), now());
        let decided = decide(&policy, &Question { is_pin_changed: false, ..q.clone() });
        // One of each: what several join to is never looser than the strictest of them.
        let is_one_of_each = q.own_sources.len() == 1 && q.roles.len() == 1 && q.agents.len() <= 1;
        let way = ways.iter().find(|way| {
            q.own_sources.contains(&way.source.to_string())
                && q.roles.contains(&way.role.to_string())
                && way.agent.as_ref().is_none_or(|agent| q.agents.contains(&agent.to_string()))
        });
        if decided.verdict != Answer::Deny {
            prop_assert!(way.is_some(), "{decided:?}");
        }
        if let (true, true, Some(way)) = (is_one_of_each, q.taint.is_empty(), way)
            && (world.agents.is_empty() || q.agents.len() == 1)
        {
            prop_assert!(way.span.loosest <= decided.verdict && decided.verdict <= way.span.strictest);
            prop_assert!(!way.span.conditions.is_empty() || way.span.loosest == way.span.strictest);
        }
    }

    #[test]
    fn an_explanation_is_the_decision_and_names_a_way_out_of_every_answer(world in world(), q in question()) {
        let policy = compile(&world);
        let pin = if q.is_pin_changed { changed() } else { accepted() };
        let (who, taint) = (who(&q), taint(&q));
        let explained = policy.explain(&who, standing(&taint), &saying(call(&q.tool, pin), &q));
        prop_assert_eq!(&explained.decision, &decide(&policy, &q));
        for voice in &explained.voices {
            prop_assert_eq!(voice.remedies.is_empty(), voice.rule.answer == Answer::Allow);
        }
    }

    #[test]
    fn i2_an_empty_policy_allows_nothing(q in question()) {
        let tools: Vec<_> = TOOLS.iter().map(|text| known(text)).collect();
        let policy = Policy::compile(Rules::default(), &tools, PolicyEpoch(1));
        prop_assert_eq!(decide(&policy, &q).reason, Reason::NotVisible);
        prop_assert!(visible(&policy, &q).is_empty());
    }
}
