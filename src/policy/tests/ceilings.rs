//! What the lists say whatever the arguments are, against the slow implementation and against what is decided.

use proptest::prelude::*;

use super::properties::{compile, decide, question, taint, who, world};
use super::*;
use crate::model::ceiling::{Answers, Said};
use crate::model::decision::Dimension;

const NOTHING_CLOSED: &BTreeSet<SourceName> = &BTreeSet::new();

fn as_accepted(_: &ToolId) -> Option<Offered> {
    Some(Offered { pin: accepted(), returns: Provenance::default() })
}

/// The answers to `principal` while nothing is closed and nothing changed.
fn ceiling<'a>(policy: &'a Policy, principal: &'a Principal) -> Ceiling<'a> {
    Ceiling { policy, principal, closed: NOTHING_CLOSED, offered: &as_accepted, now: now() }
}

fn span(said: &Said) -> (u8, u8) {
    (said.rule.answer as u8, said.strictest as u8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_ceiling_is_that_of_the_slow_and_obvious_implementation(world in world(), q in question()) {
        let (policy, who) = (compile(&world), who(&q));
        let ceiling = ceiling(&policy, &who);
        let tool = tool(&q.tool);
        for source in q.own_sources.iter().chain(&q.taint) {
            let said = ceiling.source(&SourceName::new(source).unwrap(), &tool);
            prop_assert_eq!(span(&said), world.span_of_source(source, &q.tool));
            prop_assert_eq!(said.rule.place.is_some(), said.rule.permission.is_some());
        }
        let expected = if q.own_sources.is_empty() { Vec::new() } else { world.spans_of_caller(&q) };
        prop_assert_eq!(ceiling.caller(&tool).iter().map(span).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn i1_every_decision_lies_between_the_loosest_and_the_strictest_answer(world in world(), q in question()) {
        let (policy, who, taint) = (compile(&world), who(&q), taint(&q));
        let pin = if q.is_pin_changed { changed() } else { accepted() };
        let offered = |_: &ToolId| Some(Offered { pin, returns: Provenance::default() });
        let ceiling = Ceiling { offered: &offered, ..ceiling(&policy, &who) };
        let tool = tool(&q.tool);
        let mut all = ceiling.caller(&tool);
        let is_nothing = all.is_empty();
        all.extend(who.sources.iter().chain(taint.iter()).map(|source| ceiling.source(source, &tool)));
        let verdict = decide(&policy, &q).verdict;
        let loosest = all.iter().map(|said| said.rule.answer).max().filter(|_| !is_nothing);
        let strictest = all.iter().map(|said| said.strictest).max().filter(|_| !is_nothing);
        prop_assert!(loosest.unwrap_or(Answer::Deny) <= verdict);
        prop_assert!(verdict <= strictest.unwrap_or(Answer::Deny));
    }
}

fn rules(source: Lists) -> Rules {
    let everything = || Lists { allow: permissions(&["*"], 50), ..Lists::default() };
    Rules {
        sources: [(SourceName::new("email").unwrap(), for_tools(source))].into(),
        roles: [(RoleName::new("assistant").unwrap(), for_tools(everything()))].into(),
        ..Rules::default()
    }
}

fn compiled(rules: Rules) -> Policy {
    Policy::compile(rules, &["mail.send", "mail.reply"].map(known), PolicyEpoch(1))
}

fn email() -> SourceName {
    SourceName::new("email").unwrap()
}

fn when(text: &str, glob: &str, line: u32) -> Permission {
    let condition = Some(Condition::parse(text, Some(&email())).unwrap());
    Permission { condition, ..permissions(&[glob], line).remove(0) }
}

#[test]
fn conditions_are_taken_to_turn_out_either_way_and_the_loosest_names_its_line() {
    let lists = Lists {
        allow: vec![when("args.a == \"x\"", "mail.send", 3)],
        plan: permissions(&["mail.*"], 4),
        ask: vec![when("args.b == \"x\"", "mail.*", 5)],
        deny: Vec::new(),
    };
    let (policy, who) = (compiled(rules(lists)), principal(&["email"], &["assistant"], &[]));
    let said = |name: &str| {
        let said = ceiling(&policy, &who).source(&email(), &tool(name));
        (said.rule.answer, said.rule.place.map(|place| place.line), said.rule.when, said.strictest)
    };
    let condition = Some("args.a == \"x\"".to_owned());
    assert_eq!(said("mail.send"), (Answer::Allow, Some(3), condition, Answer::Ask));
    assert_eq!(said("mail.reply"), (Answer::Plan, Some(4), None, Answer::Ask));
}

#[test]
fn what_refuses_every_call_is_a_denial() {
    let lists = Lists { allow: permissions(&["*"], 1), ..Lists::default() };
    let (policy, who) = (compiled(rules(lists)), principal(&["email"], &["assistant"], &[]));
    let ceiling = ceiling(&policy, &who);
    let denials = |all: Vec<Said>| -> Vec<Dimension> {
        let denials = all.into_iter().filter(|said| said.rule.answer == Answer::Deny);
        denials.map(|said| said.rule.dimension).collect()
    };
    let send = tool("mail.send");
    assert_eq!(denials(ceiling.caller(&send)), []);
    let closed = BTreeSet::from([email()]);
    let dimension = Dimension::Closed(email());
    let shut = Ceiling { closed: &closed, ..ceiling };
    assert_eq!(denials(vec![shut.source(&email(), &send)]), std::slice::from_ref(&dimension));
    let returns = |_: &ToolId| Some(Offered { pin: accepted(), returns: provenance(["email"]) });
    assert_eq!(denials(Ceiling { offered: &returns, ..shut }.caller(&send)), [dimension]);
    let moved = |_: &ToolId| Some(Offered { pin: changed(), returns: Provenance::default() });
    assert_eq!(denials(Ceiling { offered: &moved, ..ceiling }.caller(&send)), [Dimension::Pin]);
    let gone = |_: &ToolId| None;
    assert_eq!(Ceiling { offered: &gone, ..ceiling }.caller(&send), []);
    assert_eq!(ceiling.caller(&tool("mail.nothing")), []);
    let nobody = principal(&[], &["assistant"], &[]);
    assert_eq!(Ceiling { principal: &nobody, ..ceiling }.caller(&send), []);
}

#[test]
fn a_condition_that_does_not_fit_closes_its_tool() {
    let mut lists = Lists { allow: permissions(&["*"], 1), ..Lists::default() };
    lists.ask = vec![when("args.missing == \"x\"", "mail.send", 7)];
    let (policy, who) = (compiled(rules(lists)), principal(&["email"], &["assistant"], &[]));
    let said = ceiling(&policy, &who).caller(&tool("mail.send"));
    let closes = said.iter().find(|said| said.rule.dimension == Dimension::Condition).unwrap();
    assert_eq!(closes.rule.answer, Answer::Deny);
    assert_eq!(closes.rule.place.as_ref().map(|place| place.line), Some(7));
}

#[test]
fn a_guardrail_may_forbid_and_one_without_a_condition_does() {
    let place = Place { file: "a.cedar".into(), line: 1, column: 1 };
    let said = |text: &str| {
        let lists = Lists { allow: permissions(&["*"], 1), ..Lists::default() };
        let guardrails = Guardrail::read(text, |_| place.clone()).unwrap();
        let policy = compiled(Rules { guardrails, ..rules(lists) });
        let who = principal(&["email"], &["assistant"], &[]);
        let all = ceiling(&policy, &who).caller(&tool("mail.send"));
        let of_guardrail =
            all.into_iter().find(|said| matches!(said.rule.dimension, Dimension::Guardrail(_)));
        of_guardrail.map(|said| (said.rule.answer, said.strictest, said.rule.place.is_some()))
    };
    let may = Some((Answer::Allow, Answer::Deny, true));
    let does = Some((Answer::Deny, Answer::Deny, true));
    for (text, expected) in [
        ("forbid(principal, action, resource);", does),
        ("forbid(principal, action == Action::\"call\", resource == Tool::\"mail.send\");", does),
        ("forbid(principal, action, resource in Upstream::\"mail\");", does),
        ("forbid(principal == Subject::\"user:1\", action, resource);", may),
        ("forbid(principal, action, resource) when { context.args.a == \"x\" };", may),
        ("forbid(principal, action, resource) unless { context.args.a == \"x\" };", may),
        ("forbid(principal, action, resource == Tool::\"mail.reply\");", None),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn what_is_only_recorded_says_nothing_until_it_counts() {
    let tomorrow = now() + jiff::SignedDuration::from_hours(24);
    let mut lists = Lists { allow: permissions(&["*"], 1), ..Lists::default() };
    lists.deny = vec![Permission { shadow: Some(tomorrow), ..permissions(&["mail.send"], 2).remove(0) }];
    let mut whole = rules(Lists::default());
    whole.sources.get_mut(&email()).unwrap().shadow = Some(tomorrow);
    let who = principal(&["email"], &["assistant"], &[]);
    for rules in [rules(lists), whole] {
        let policy = compiled(rules);
        let said =
            |now| span(&Ceiling { now, ..ceiling(&policy, &who) }.source(&email(), &tool("mail.send")));
        assert_eq!(said(now()), (0, 0));
        assert_eq!(said(tomorrow), (3, 3));
    }
}
