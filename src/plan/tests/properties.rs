//! Properties over generated plans, lists and calls: the ceiling, uses, and spelling.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::bench::{Lists, SENDER, World, call, id, name, place, result, source, sources, terms, tool};
use crate::model::decision::Answer;
use crate::model::label::{Labels, ToolClass};
use crate::plan::{
    Answers, End, Ended, Flow, FlowAnswer, Grant, Heard, Opinion, OpinionWord, People, Plan, Reaches, Review,
    StepOpinion, Tool, Verdict,
};

const TOOLS: &[&str] = &[
    "mail__search",
    "mail__send",
    "calendar__create",
    "web__fetch",
    "people__find",
    "bank__pay",
    "files__write",
    "shell__run",
    "mystery__do",
    "no__such",
];
const SOURCES: &[&str] = &["chat", "email", "web"];
const ANSWERS: &[Answer] = &Answer::ALL;

/// A value as the plan names it, and as calls have it.
const VALUES: &[&str] = &["\"a\"", "\"b\"", "1", "2.5", "null", "true", "[\"a\"]", "{\"k\":1,\"l\":\"x\"}"];

/// The arguments that every tool has here: a destination, a content, and one that is neither.
const ARGUMENTS: &[&str] = &["to", "text", "how"];

/// The tool, with these arguments, so that plans fit and calls match often enough.
fn open_tool(name: &str) -> Option<Tool> {
    let tool = tool(name)?;
    let schema = r#"{"properties":{"to":{},"text":{},"how":{}}}"#.into();
    let destinations = tool.labels.destinations.map(|_| ["to".to_owned()].into());
    let labels = Labels { destinations, content: ["text".to_owned()].into(), ..tool.labels };
    Some(Tool { schema, labels, ..tool })
}

fn constraint() -> impl Strategy<Value = String> {
    prop_oneof![
        select(VALUES).prop_map(|value| format!(r#"{{"lit":{value}}}"#)),
        vec(select(VALUES), 1..3).prop_map(|values| format!(r#"{{"enum":[{}]}}"#, values.join(","))),
        Just(r#"{"match":"[ab]"}"#.to_owned()),
        Just(r#"{"min":1,"max":2}"#.to_owned()),
        Just(r#"{"trigger":"sender"}"#.to_owned()),
        Just(r#"{"from":"s0","select":"$.v"}"#.to_owned()),
        Just(r#"{"free":{"max_len":3}}"#.to_owned()),
        select(VALUES).prop_map(|value| format!(r#"{{"each":{{"lit":{value}}},"max_items":2}}"#)),
    ]
}

/// One step: its tool, its arguments, how many calls, and whether it comes after the first.
type Written = (&'static str, BTreeMap<&'static str, String>, Option<u32>, bool);

fn step() -> impl Strategy<Value = Written> {
    let arguments =
        proptest::collection::btree_map(select(ARGUMENTS), constraint(), 0..3).prop_map(|mut arguments| {
            // Only content may be free.
            arguments.retain(|name, constraint| *name == "text" || !constraint.contains("free"));
            arguments
        });
    (select(TOOLS), arguments, proptest::option::of(1_u32..3), any::<bool>())
}

fn written(steps: &[Written]) -> Vec<u8> {
    let each = steps.iter().enumerate().map(|(at, (tool, arguments, calls, is_after))| {
        // The first step cannot come after itself, nor take its own values.
        let named = arguments.iter().filter(|(_, constraint)| at > 0 || !constraint.contains("from"));
        let named: Vec<String> = named.map(|(name, constraint)| format!("\"{name}\":{constraint}")).collect();
        let calls = calls.map(|calls| format!(r#","max_calls":{calls}"#)).unwrap_or_default();
        let after = if *is_after && at > 0 { r#","after":["s0"]"# } else { "" };
        format!(r#"{{"id":"s{at}","tool":"{tool}","args":{{{}}}{calls}{after}}}"#, named.join(","))
    });
    format!(r#"{{"v":1,"steps":[{}]}}"#, each.collect::<Vec<_>>().join(",")).into_bytes()
}

fn lists() -> impl Strategy<Value = Lists> {
    let entry = || {
        let globs =
            select(&["*", "mail.*", "*.send", "web.*", "bank.pay", "calendar.*", "files.*", "shell.*"][..]);
        (globs, select(ANSWERS), select(ANSWERS)).prop_map(|(glob, a, b)| (glob, a.min(b), a.max(b)))
    };
    let list = move || vec(entry(), 0..4);
    (list(), list(), list(), list()).prop_map(|(chat, email, web, role)| Lists {
        sources: BTreeMap::from([("chat", chat), ("email", email), ("web", web)]),
        role,
    })
}

fn world() -> impl Strategy<Value = World> {
    let provenance = proptest::sample::subsequence(SOURCES, 0..=3);
    let answer = select(&[FlowAnswer::Plan, FlowAnswer::Ask, FlowAnswer::Deny][..]);
    let reaches = select(&[Reaches::Call, Reaches::Destination][..]);
    let flow = (select(&ToolClass::ALL[..]), select(&ToolClass::ALL[..]), answer, reaches);
    let people = select(&[People::Reachable, People::Nobody][..]);
    (provenance, lists(), vec(flow, 0..3), people).prop_map(|(provenance, lists, flows, people)| {
        let end = |class| End { classes: [class].into(), ..End::default() };
        let flows = flows.into_iter().map(|(from, to, answer, reaches)| Flow {
            name: name("f"),
            from: end(from),
            to: end(to),
            reaches,
            answer,
            place: place(1),
        });
        World { lists, flows: flows.collect(), people, ..World::of(&provenance) }
    })
}

fn review(world: &World, steps: &[Written]) -> Option<Review> {
    let fitted = Plan::read(&written(steps)).ok()?.fit(open_tool, &world.trigger).ok()?;
    Some(world.judge(fitted, &[]))
}

/// How strict a verdict is.
fn strictness(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Granted(_) => 0,
        Verdict::Person(_) => 1,
        Verdict::Refused(_) => 2,
    }
}

/// What a reviewer outside says, of no more than four steps.
fn opinion() -> impl Strategy<Value = Opinion> {
    let word = select(&[OpinionWord::Agree, OpinionWord::Ask, OpinionWord::Deny][..]);
    let said = |words: Vec<_>| {
        Opinion::Said(words.into_iter().map(|word| StepOpinion { word, rule: None }).collect())
    };
    prop_oneof![vec(word, 0..5).prop_map(said), Just(Opinion::Silent)]
}

/// Whether some dimension denies every call of the tool: the slow and obvious way.
fn is_denied(world: &World, wire_name: &str) -> bool {
    let Some(tool) = tool(wire_name) else { return true };
    let source_denies = |name: &str| {
        world.provenance.contains(&source(name))
            && world.lists.source(&source(name), &tool.id).rule.answer == Answer::Deny
    };
    world.provenance.is_empty()
        || SOURCES.iter().any(|name| source_denies(name))
        || world.lists.caller(&tool.id).iter().any(|said| said.rule.answer == Answer::Deny)
}

fn arguments() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    proptest::collection::btree_map(select(ARGUMENTS), select(VALUES), 0..3)
}

fn spelled(arguments: &BTreeMap<&str, &str>) -> String {
    let each: Vec<String> = arguments.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    format!("{{{}}}", each.join(","))
}

/// The same document: keys in another order, texts all in escapes, numbers in other forms, more space.
fn respelled(value: &serde_json::Value) -> String {
    use serde_json::Value;
    let escaped = |text: &str| -> String {
        let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
        format!("\"{}\"", units.collect::<String>())
    };
    match value {
        Value::Number(number) if number.is_i64() => format!("{number}0.00e-1"),
        Value::Number(number) => format!("{number}00E+0"),
        Value::String(text) => escaped(text),
        Value::Array(elements) => {
            let each: Vec<String> = elements.iter().map(respelled).collect();
            format!(" [ {} ] ", each.join(" , "))
        }
        Value::Object(members) => {
            let each =
                members.iter().rev().map(|(key, value)| format!("{} : {}", escaped(key), respelled(value)));
            format!(" {{ {} }} ", each.collect::<Vec<_>>().join(" , "))
        }
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

/// A constraint, and a value that it is for.
fn pair() -> impl Strategy<Value = (String, String)> {
    let sender = format!("\"{SENDER}\"");
    prop_oneof![
        select(VALUES).prop_map(|value| (format!(r#"{{"lit":{value}}}"#), value.to_owned())),
        select(VALUES).prop_map(|value| (format!(r#"{{"enum":["zz",{value}]}}"#), value.to_owned())),
        Just((r#"{"match":"[ab]+"}"#.to_owned(), "\"ab\"".to_owned())),
        Just((r#"{"min":1,"max":2.5}"#.to_owned(), "2.5".to_owned())),
        Just((r#"{"trigger":"sender"}"#.to_owned(), sender)),
        select(VALUES).prop_map(|value| {
            (format!(r#"{{"each":{{"lit":{value}}},"max_items":2}}"#), format!("[{value},{value}]"))
        }),
        select(VALUES).prop_map(|value| {
            (format!(r#"{{"object":{{"k":{{"lit":{value}}}}}}}"#), format!(r#"{{"k":{value}}}"#))
        }),
    ]
}

fn finish(
    grant: &mut Grant,
    calls: &[(&'static str, BTreeMap<&'static str, &'static str>)],
) -> BTreeMap<String, u32> {
    let mut taken = BTreeMap::new();
    for (wire_name, arguments) in calls {
        let called = call(&wire_name.replacen("__", ".", 1), &spelled(arguments));
        let Some(used) = called.attempt().and_then(|attempt| grant.take(&attempt)) else { continue };
        *taken.entry(used.step().to_string()).or_default() += 1;
        grant.conclude(used, Ended::Answered(&result(r#"{"v":"a"}"#)));
    }
    taken
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn i1_nothing_outside_the_ceiling_is_granted_or_matched(
        world in world(),
        steps in vec(step(), 1..4),
        calls in vec((select(TOOLS), arguments()), 0..12),
    ) {
        let Some(review) = review(&world, &steps) else { return Ok(()) };
        for (reviewed, (tool, ..)) in review.steps().iter().zip(&steps) {
            if is_denied(&world, tool) {
                prop_assert!(matches!(reviewed.verdict, Verdict::Refused(_)), "{reviewed:?}");
            }
        }
        let Some(mut grant) = review.grant(terms()) else { return Ok(()) };
        let ids: Vec<_> = (0..steps.len()).map(|at| id(&format!("s{at}"))).collect();
        for step in &ids {
            let _ = grant.approve(step);
        }
        for (wire_name, arguments) in &calls {
            let called = call(&wire_name.replacen("__", ".", 1), &spelled(arguments));
            if is_denied(&world, wire_name) {
                prop_assert_eq!(called.step(&grant), None);
            }
        }
    }

    #[test]
    fn a_used_step_is_not_used_again_however_calls_come(
        steps in vec(step(), 1..4),
        calls in vec((select(TOOLS), arguments()), 0..40),
    ) {
        let Some(review) = review(&World::of(&["chat"]), &steps) else { return Ok(()) };
        let uses: BTreeMap<String, u32> =
            review.steps().iter().map(|step| (step.step.to_string(), step.uses)).collect();
        let Some(mut grant) = review.grant(terms()) else { return Ok(()) };
        let taken = finish(&mut grant, &calls);
        for (step, taken) in &taken {
            prop_assert!(taken <= &uses[step]);
        }
        // Whatever is kept in between, nothing comes back.
        let kept = serde_json::to_string(&grant).unwrap();
        let mut again: Grant = serde_json::from_str(&kept).unwrap();
        for (step, more) in finish(&mut again, &calls) {
            prop_assert!(more + taken.get(&step).copied().unwrap_or_default() <= uses[&step]);
        }
    }

    #[test]
    fn a_match_never_depends_on_spelling(
        pairs in proptest::collection::btree_map(select(ARGUMENTS), pair(), 1..3),
        other in select(VALUES),
    ) {
        let constraints = pairs.iter().map(|(name, (constraint, _))| (*name, constraint.clone())).collect();
        let review = review(&World::of(&["chat"]), &[("mail__send", constraints, None, false)]).unwrap();
        let mut grant = review.grant(terms()).unwrap();
        let _ = grant.approve(&id("s0"));
        let mut values: BTreeMap<&str, &str> = pairs.iter().map(|(name, (_, value))| (*name, value.as_str())).collect();
        let both = |grant: &Grant, values: &BTreeMap<&str, &str>| {
            let plain = spelled(values);
            let again = respelled(&serde_json::from_str(&plain).unwrap());
            (call("mail.send", &plain).step(grant).is_some(), call("mail.send", &again).step(grant).is_some())
        };
        prop_assert_eq!(both(&grant, &values), (true, true));
        // Another value in one place, in either spelling alike.
        let name = *values.keys().next().unwrap();
        values.insert(name, other);
        let (plain, again) = both(&grant, &values);
        prop_assert_eq!(plain, again);
    }

    #[test]
    fn a_literal_takes_no_other_value(wanted in select(VALUES), given in select(VALUES), number in "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,4})?(e-?[0-9])?") {
        let of = |wanted: &str, given: &str| {
            let step = format!(r#"{{"id":"s","tool":"t","args":{{"a":{{"lit":{wanted}}}}}}}"#);
            let raw = format!(r#"{{"v":1,"steps":[{step}]}}"#);
            let free = |_: &str| {
                let schema = r#"{"properties":{"a":{}}}"#.into();
                let tool = tool("mail__search").unwrap();
                let labels = Labels { destinations: Some([].into()), ..tool.labels };
                Some(Tool { schema, labels, ..tool })
            };
            let world = World::of(&["chat"]);
            let fitted = Plan::read(raw.as_bytes()).unwrap().fit(free, &world.trigger).unwrap();
            let grant = world.judge(fitted, &[]).grant(terms()).unwrap();
            call("mail.search", &format!(r#"{{"a":{given}}}"#)).step(&grant).is_some()
        };
        prop_assert_eq!(of(wanted, given), wanted == given);
        prop_assert!(of(&number, &number));
        // Floating point is only sure of what it tells apart.
        let (a, b): (f64, f64) = (number.parse().unwrap(), 2.5);
        prop_assert_eq!(of("2.5", &number), a == b);
    }

    #[test]
    fn more_sources_never_grant_more(world in world(), steps in vec(step(), 1..4), more in select(SOURCES)) {
        // Without flows: a step that is refused comes before nothing, and what would follow it may pass.
        let world = World { flows: Vec::new(), ..world };
        let Some(before) = review(&world, &steps) else { return Ok(()) };
        let mut wider = world.clone();
        wider.provenance.join(&sources(&[more]));
        let after = review(&wider, &steps).unwrap();
        for (before, after) in before.steps().iter().zip(after.steps()) {
            // A run without any source may nothing.
            prop_assert!(world.provenance.is_empty() || strictness(&before.verdict) <= strictness(&after.verdict));
        }
    }

    #[test]
    fn i1_whatever_a_reviewer_says_no_step_gets_looser(
        world in world(),
        steps in vec(step(), 1..4),
        opinion in opinion(),
    ) {
        let fitted = Plan::read(&written(&steps)).ok().and_then(|plan| plan.fit(open_tool, &world.trigger).ok());
        let Some(fitted) = fitted else { return Ok(()) };
        let without = world.hear(fitted.clone(), None);
        let with = world.hear(fitted, Some(Heard { opinion: &opinion, place: &place(1) }));
        for (at, (with, without)) in with.steps().iter().zip(without.steps()).enumerate() {
            let said = opinion.of(at).map_or(1, |said| match said.word {
                OpinionWord::Agree => 0,
                OpinionWord::Ask => 1,
                OpinionWord::Deny => 2,
            });
            prop_assert!(strictness(&with.verdict) >= strictness(&without.verdict).max(said), "{with:?}");
        }
    }

    #[test]
    fn no_arguments_and_no_answer_panic(bytes in vec(any::<u8>(), 0..48)) {
        let mut grant = World::of(&["chat"]).grant(
            r#"{"id":"s0","tool":"people__find","args":{"name":{"match":"a*"}}},
               {"id":"s1","tool":"mail__send","args":{"to":{"from":"s0","select":"$[*]"}}}"#,
        );
        let _ = grant.approve(&id("s0"));
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let _ = call("people.find", &text).step(&grant);
        let called = call("people.find", r#"{"name":"a"}"#);
        let used = called.attempt().and_then(|attempt| grant.take(&attempt));
        if let Some(used) = used {
            grant.conclude(used, Ended::Answered(&bytes));
        }
    }
}
