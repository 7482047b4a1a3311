//! Plans held against the schemas and labels of their tools.

use super::bench::{plan, tool, trigger};
use crate::plan::{Flaw, Tool, Unfit};

fn flaws(steps: &str) -> Vec<Flaw> {
    let problems = plan(steps).fit(tool, &trigger()).err().unwrap_or_default();
    problems.into_iter().map(|problem| problem.flaw).collect()
}

/// The flaws of one step with these arguments.
fn of(tool: &str, args: &str) -> Vec<Flaw> {
    flaws(&format!(r#"{{"id":"s1","tool":"{tool}","args":{{{args}}}}}"#))
}

#[test]
fn arguments_exist_and_required_ones_are_named() {
    assert_eq!(of("mail__send", r#""to":{"lit":"a"},"body":{"free":{"max_len":9}}"#), []);
    let found = of("mail__send", r#""To":{"lit":"a"}"#);
    assert!(
        matches!(&found[..], [Flaw::NoArgument { known }, Flaw::Required(to)]
            if known.len() == 4 && to.as_str() == "to"),
        "{found:?}"
    );
    // Of a tool that is not visible nothing is said.
    assert_eq!(of("no__such", r#""anything":{"free":{"max_len":9}}"#), []);
}

#[test]
fn constraints_fit_the_types_and_bounds_of_the_schema() {
    let unfit = |unfit| vec![Flaw::Unfit(unfit)];
    assert_eq!(of("mail__search", r#""limit":{"lit":1.0}"#), []);
    assert_eq!(of("mail__search", r#""limit":{"lit":1.5}"#), unfit(Unfit::Type));
    assert_eq!(of("mail__search", r#""limit":{"enum":[1,"2"]}"#), unfit(Unfit::Type));
    assert_eq!(of("mail__search", r#""limit":{"min":1}"#), []);
    assert_eq!(of("mail__search", r#""limit":{"match":"1"}"#), unfit(Unfit::Type));
    assert_eq!(of("mail__search", r#""limit":{"trigger":"size"}"#), []);
    assert_eq!(of("mail__search", r#""limit":{"trigger":"sender"}"#), unfit(Unfit::Type));
    assert_eq!(of("mail__search", r#""sender":{"trigger":"sender"}"#), []);
    assert_eq!(of("mail__search", r#""sender":{"min":1}"#), unfit(Unfit::Type));
    assert_eq!(of("mail__search", r#""sender":{"object":{}}"#), unfit(Unfit::Type));
    assert_eq!(of("calendar__create", r#""attendees":{"each":{"trigger":"cc"},"max_items":2}"#), []);
    assert_eq!(of("calendar__create", r#""attendees":{"each":{"lit":1},"max_items":2}"#), unfit(Unfit::Type));
    assert_eq!(of("calendar__create", r#""attendees":{"lit":["a",1]}"#), unfit(Unfit::Type));
    assert_eq!(of("bank__pay", r#""iban":{"lit":"x"},"amount":{"lit":-0.01}"#), unfit(Unfit::Bounds));
}

#[test]
fn free_is_for_content_alone_at_any_depth() {
    let not_content = vec![Flaw::NotContent];
    assert_eq!(of("mail__send", r#""to":{"free":{"max_len":9}}"#), not_content);
    let within = r#""to":{"lit":"a"},"cc":{"each":{"free":{"max_len":9}},"max_items":1}"#;
    assert_eq!(of("mail__send", within), not_content);
    assert_eq!(of("mystery__do", r#""x":{"free":{"max_len":9}}"#), not_content);
}

#[test]
fn attributes_are_those_of_the_trigger_and_of_one_entry() {
    let found = of("mail__search", r#""sender":{"trigger":"nobody"}"#);
    assert!(matches!(&found[..], [Flaw::NoAttribute { known }] if known.len() == 3), "{found:?}");
    let mut twice = trigger();
    twice.entries.extend(trigger().entries);
    let steps = r#"{"id":"s1","tool":"mail__search","args":{"sender":{"trigger":"sender"}}}"#;
    let problems = plan(steps).fit(tool, &twice).unwrap_err();
    assert_eq!(problems[0].flaw, Flaw::NoAttribute { known: Vec::new() });
}

#[test]
fn a64_references_are_followed_within_the_schema_alone() {
    let schema = r##"{"type":"object","properties":{
        "p":{"$ref":"#/$defs/P"},"n":{"anyOf":[{"type":"null"},{"type":"string","maxLength":3}]},
        "e":{"enum":["a","b"]},"far":{"$ref":"https://example.com/s.json"},"loop":{"$ref":"#/$defs/L"}},
        "$defs":{"P":{"type":"object","properties":{"x":{"type":"integer"},"y":{"type":"string"}},"required":["x"]},
                 "L":{"$ref":"#/$defs/L"}}}"##;
    let odd = Tool { schema: schema.into(), ..tool("mystery__do").unwrap() };
    let of = |args: &str| {
        let plan = plan(&format!(r#"{{"id":"s1","tool":"t","args":{{{args}}}}}"#));
        let problems = plan.fit(|_| Some(odd.clone()), &trigger()).err().unwrap_or_default();
        problems.into_iter().map(|problem| problem.flaw).collect::<Vec<_>>()
    };
    for good in [
        r#""p":{"object":{"x":{"lit":1}}}"#,
        r#""p":{"lit":{"x":1,"y":"z"}}"#,
        r#""n":{"lit":null}"#,
        r#""n":{"match":"a"}"#,
        r#""e":{"enum":["a","b"]}"#,
        r#""far":{"lit":{"any":"thing"}}"#,
        r#""loop":{"lit":1}"#,
        r#""loop":{"match":"a"}"#,
    ] {
        assert_eq!(of(good), [], "{good}");
    }
    for (bad, unfit) in [
        (r#""p":{"object":{"y":{"lit":"z"}}}"#, Unfit::MemberMissing),
        (r#""p":{"object":{"x":{"lit":1},"z":{"lit":1}}}"#, Unfit::NoMember),
        (r#""p":{"lit":{"x":"1"}}"#, Unfit::Type),
        (r#""n":{"lit":"long"}"#, Unfit::Alternatives),
        (r#""n":{"min":1}"#, Unfit::Type),
        (r#""e":{"lit":"c"}"#, Unfit::Enum),
    ] {
        assert_eq!(of(bad), [Flaw::Unfit(unfit)], "{bad}");
    }
}
