//! The language: what is read, what is refused with which words, and that the schema for models says the same.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::bench::plan;
use crate::plan::{INPUT_SCHEMA, PLAN_BYTES_MAX, PROBLEMS_MAX, Plan, Problem, STEPS_MAX};

static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
    let schema: serde_json::Value = serde_json::from_str(INPUT_SCHEMA).unwrap();
    jsonschema::validator_for(&schema).unwrap()
});

fn schema_takes(raw: &str) -> bool {
    serde_json::from_str(raw).is_ok_and(|value| SCHEMA.is_valid(&value))
}

/// A plan of two steps, whose second has `constraint` for its only argument.
fn with(constraint: &str) -> String {
    step(&format!(r#"{{"id":"s2","tool":"t","args":{{"a":{constraint}}}}}"#))
}

/// A plan of one plain step and then `step`.
fn step(step: &str) -> String {
    format!(r#"{{"v":1,"steps":[{{"id":"s1","tool":"t"}},{step}]}}"#)
}

fn problems(raw: &str) -> Vec<Problem> {
    Plan::read(raw.as_bytes()).err().unwrap_or_default()
}

const GOOD: &[&str] = &[
    r#"{"lit":"x"}"#,
    r#"{"lit":null}"#,
    r#"{"lit":[1,{"a":[]}]}"#,
    r#"{"lit":1e300}"#,
    r#"{"enum":["a",1,null]}"#,
    r#"{"match":"[a-z]+"}"#,
    r#"{"match":""}"#,
    r#"{"min":1}"#,
    r#"{"max":-0.5}"#,
    r#"{"min":1,"max":1.0}"#,
    r#"{"from":"s1","select":"$.a[0]"}"#,
    r#"{"trigger":"sender"}"#,
    r#"{"each":{"lit":1},"max_items":1}"#,
    r#"{"each":{"each":{"match":"a"},"max_items":100},"max_items":2}"#,
    r#"{"object":{"a":{"lit":1},"b":{"free":{"max_len":1},"optional":true}}}"#,
    r#"{"object":{}}"#,
    r#"{"free":{"max_len":200}}"#,
    r#"{"free":{"max_len":65536},"optional":false}"#,
    r#"{"lit":1,"optional":true}"#,
];

/// Constraints that both refuse.
const BAD: &[&str] = &[
    r#""x""#,
    "null",
    "[]",
    "{}",
    r#"{"optional":true}"#,
    r#"{"lit":1,"enum":[1]}"#,
    r#"{"lit":1,"unknown":1}"#,
    r#"{"enum":[]}"#,
    r#"{"enum":"a"}"#,
    r#"{"match":1}"#,
    r#"{"min":"1"}"#,
    r#"{"min":1,"lit":1}"#,
    r#"{"min":1,"max":2,"lit":1}"#,
    r#"{"from":"s1"}"#,
    r#"{"select":"$.a"}"#,
    r#"{"from":"s1","select":"a"}"#,
    r#"{"from":"s 1","select":"$"}"#,
    r#"{"lit":1,"select":"$.a"}"#,
    r#"{"trigger":"a b"}"#,
    r#"{"trigger":["sender"]}"#,
    r#"{"each":{"lit":1}}"#,
    r#"{"each":{"lit":1},"max_items":0}"#,
    r#"{"each":{"lit":1},"max_items":101}"#,
    r#"{"each":{"lit":1},"max_items":1.5}"#,
    r#"{"each":{"lit":1,"optional":true},"max_items":1}"#,
    r#"{"each":[],"max_items":1}"#,
    r#"{"lit":1,"max_items":1}"#,
    r#"{"object":[]}"#,
    r#"{"object":{"a":1}}"#,
    r#"{"free":{}}"#,
    r#"{"free":200}"#,
    r#"{"free":{"max_len":0}}"#,
    r#"{"free":{"max_len":65537}}"#,
    r#"{"free":{"max_len":1,"x":1}}"#,
    r#"{"lit":1,"optional":"yes"}"#,
];

/// What a schema cannot say: the reader alone refuses it, with these words.
const SAID_BY_THE_READER: &[(&str, &str)] = &[
    (r#"{"min":2,"max":1}"#, "larger than `max`"),
    (r#"{"lit":1e9999999999}"#, "compared exactly"),
    (r#"{"match":"^a$"}"#, "matched with the whole text"),
    (r#"{"match":"\\d"}"#, "[0-9]"),
    (r#"{"from":"s1","select":"$..a"}"#, "every step of the path"),
    (r#"{"from":"s2","select":"$"}"#, "no earlier step"),
    (r#"{"from":"s9","select":"$"}"#, "no earlier step"),
    (r#"{"lit":1,"lit":1}"#, "same key twice"),
];

#[test]
fn the_schema_for_models_takes_the_constraints_that_the_reader_takes() {
    for constraint in GOOD {
        let raw = with(constraint);
        assert_eq!(problems(&raw), [], "{constraint}");
        assert!(schema_takes(&raw), "{constraint}");
    }
    for constraint in BAD {
        let raw = with(constraint);
        assert_ne!(problems(&raw), [], "{constraint}");
        assert!(!schema_takes(&raw), "{constraint}");
    }
}

#[test]
fn the_schema_for_models_takes_the_steps_that_the_reader_takes() {
    let long = "x".repeat(501);
    let steps = [
        (r#"{"id":"s2","tool":"t"}"#, true),
        (r#"{"id":"s2","tool":"t","args":{},"after":["s1"],"max_calls":100,"note":"n"}"#, true),
        (r#"{"id":"s2","tool":"t","max_calls":1.0}"#, true),
        (r#"{"id":"s2","tool":"t","max_calls":0}"#, false),
        (r#"{"id":"s2","tool":"t","max_calls":101}"#, false),
        (r#"{"id":"s2","tool":"t","max_calls":"1"}"#, false),
        (r#"{"id":"s2","tool":""}"#, false),
        (r#"{"id":"s2"}"#, false),
        (r#"{"tool":"t"}"#, false),
        (r#"{"id":"","tool":"t"}"#, false),
        (r#"{"id":"s 2","tool":"t"}"#, false),
        (r#"{"id":2,"tool":"t"}"#, false),
        (r#"{"id":"s2","tool":"t","after":"s1"}"#, false),
        (r#"{"id":"s2","tool":"t","after":[1]}"#, false),
        (r#"{"id":"s2","tool":"t","args":[]}"#, false),
        (r#"{"id":"s2","tool":"t","arguments":{}}"#, false),
        (&format!(r#"{{"id":"s2","tool":"t","note":"{long}"}}"#), false),
        ("[]", false),
    ];
    for (written, expected) in steps {
        let raw = step(written);
        assert_eq!(problems(&raw).is_empty(), expected, "{written}");
        assert_eq!(schema_takes(&raw), expected, "{written}");
    }
}

#[test]
fn the_schema_for_models_takes_the_plans_that_the_reader_takes() {
    let one = r#"{"id":"s1","tool":"t"}"#;
    let many: Vec<String> = (0..=STEPS_MAX).map(|at| format!(r#"{{"id":"s{at}","tool":"t"}}"#)).collect();
    let plans = [
        (format!(r#"{{"v":1,"steps":[{one}]}}"#), true),
        (format!(r#"{{"v":1,"goal":"triage_mail","note":"n","steps":[{one}]}}"#), true),
        (format!(r#"{{"v":1,"steps":[{}]}}"#, many[..STEPS_MAX].join(",")), true),
        (format!(r#"{{"v":1,"steps":[{}]}}"#, many.join(",")), false),
        (format!(r#"{{"v":2,"steps":[{one}]}}"#), false),
        (format!(r#"{{"v":"1","steps":[{one}]}}"#), false),
        (format!(r#"{{"steps":[{one}]}}"#), false),
        (format!(r#"{{"v":1,"steps":[{one}],"x":1}}"#), false),
        (format!(r#"{{"v":1,"goal":"a b","steps":[{one}]}}"#), false),
        (format!(r#"{{"v":1,"goal":null,"steps":[{one}]}}"#), false),
        (r#"{"v":1,"steps":[]}"#.to_owned(), false),
        (r#"{"v":1,"steps":{}}"#.to_owned(), false),
        (r#"{"v":1}"#.to_owned(), false),
        ("[]".to_owned(), false),
        ("7".to_owned(), false),
    ];
    for (raw, expected) in plans {
        assert_eq!(problems(&raw).is_empty(), expected, "{raw}");
        assert_eq!(schema_takes(&raw), expected, "{raw}");
    }
}

#[test]
fn the_example_for_models_is_a_plan() {
    let schema: serde_json::Value = serde_json::from_str(INPUT_SCHEMA).unwrap();
    for example in schema["examples"].as_array().unwrap() {
        assert!(SCHEMA.is_valid(example));
        assert_eq!(problems(&example.to_string()), []);
    }
}

#[test]
fn what_a_schema_cannot_say_the_reader_says_with_step_and_argument() {
    for (constraint, words) in SAID_BY_THE_READER {
        let found = problems(&with(constraint));
        assert_eq!(found.len(), 1, "{constraint}: {found:#?}");
        assert!(found[0].to_string().contains(words), "{constraint}: {}", found[0]);
        // A key that stands twice makes the whole no document.
        if !words.contains("twice") {
            assert_eq!(found[0].step.as_ref().unwrap().as_str(), "s2");
            assert_eq!(found[0].argument.as_ref().unwrap().as_str(), "a");
            assert!(found[0].at.as_str().starts_with("/steps/1/args/a"));
        }
    }
}

#[test]
fn every_problem_is_told_at_once_and_says_how_to_mend_it() {
    let raw = r#"{"v":2,"goal":"a b","x":1,"steps":[
        {"id":"s1","tool":"t","args":{"a":"x","b/~":{"lit":1,"enum":[1]}}},
        {"id":"s1","tool":"t","after":["s1","s3"]},
        {"id":"s3","args":{"c":{"free":{}}},"max_calls":0}]}"#;
    let found = problems(raw);
    let at: Vec<&str> = found.iter().map(|problem| problem.at.as_str()).collect();
    let expected = [
        "/x",
        "/v",
        "/goal",
        "/steps/0/args/a",
        "/steps/0/args/b~1~0",
        "/steps/1/after/1",
        "/steps/1/id",
        "/steps/2",
        "/steps/2/max_calls",
        "/steps/2/args/c/free",
    ];
    assert_eq!(at, expected);
    assert!(found.iter().all(|problem| !problem.why.is_empty() && !problem.mend.is_empty()));
    let told = serde_json::to_value(&found[3]).unwrap();
    assert_eq!((&told["step"], &told["argument"]), (&"s1".into(), &"a".into()));
    assert!(told["mend"].as_str().unwrap().contains("lit"));
}

#[test]
fn every_limit_has_a_refusal_of_its_own() {
    let nested =
        (0..8).fold(r#"{"lit":1}"#.to_owned(), |inner, _| format!(r#"{{"each":{inner},"max_items":1}}"#));
    let patterns: Vec<String> = (0..17).map(|at| format!(r#""p{at}":{{"match":"a"}}"#)).collect();
    let queries: Vec<String> = (0..33).map(|at| format!(r#""q{at}":{{"from":"s1","select":"$"}}"#)).collect();
    let values: Vec<String> = (0..33).map(|at| at.to_string()).collect();
    let deep = format!(r#"{{"lit":{}1{}}}"#, "[".repeat(40), "]".repeat(40));
    let cases = [
        (with(&nested), "nested deeper"),
        (
            step(&format!(r#"{{"id":"s2","tool":"t","args":{{{}}}}}"#, patterns.join(","))),
            "`match` in a plan",
        ),
        (step(&format!(r#"{{"id":"s2","tool":"t","args":{{{}}}}}"#, queries.join(","))), "`from` in a plan"),
        (with(&format!(r#"{{"enum":[{}]}}"#, values.join(","))), "1 to 32 values"),
        (step(&format!(r#"{{"id":"s2","tool":"{}"}}"#, "t".repeat(201))), "1 to 200 characters"),
        (with(&format!(r#"{{"lit":"{}"}}"#, "x".repeat(PLAN_BYTES_MAX))), "longer than 8192 bytes"),
        (with(&deep), "too deeply"),
    ];
    for (raw, words) in cases {
        let found = problems(&raw);
        assert!(found.iter().any(|problem| problem.to_string().contains(words)), "{words}: {found:#?}");
    }
    let many: Vec<String> = (0..100).map(|at| format!(r#""p{at}":1"#)).collect();
    let many = step(&format!(r#"{{"id":"s2","tool":"t","args":{{{}}}}}"#, many.join(",")));
    assert_eq!(problems(&many).len(), PROBLEMS_MAX);
}

#[test]
fn a_problem_repeats_no_more_of_a_plan_than_a_bounded_name() {
    let long = "n".repeat(2000);
    let found = problems(&step(&format!(r#"{{"id":"{long}","tool":"t","{long}":1,"after":["{long}"]}}"#)));
    assert_eq!(found.len(), 3);
    assert!(found.iter().all(|problem| problem.to_string().len() < 1200), "{found:#?}");
}

#[test]
fn a_plan_keeps_its_bytes_and_its_digest() {
    let raw = r#" {"steps":[{"tool":"t","id":"s1"}],"v":1.0} "#;
    let read = Plan::read(raw.as_bytes()).unwrap();
    assert_eq!(read.raw(), raw);
    assert_eq!(read.digest(), crate::model::digest::Sha256::of(raw.as_bytes()));
    assert_eq!(read.steps()[0].id().as_str(), "s1");
    assert_eq!(plan(r#"{"id":"a","tool":"t","note":"hello"}"#).steps()[0].note(), Some("hello"));
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Plan::read(&bytes);
    }

    #[test]
    fn no_plan_panics_wherever_it_is_cut_and_glued(
        cut in 0_usize..500, part in "[\\[\\]{}\":,a-z0-9$@?*.-]{0,12}"
    ) {
        let raw = plan(
            r#"{"id":"s1","tool":"mail__search"},{"id":"s2","tool":"mail__send","after":["s1"],"args":{
            "to":{"from":"s1","select":"$.a[?@.b=='c'].d"},"cc":{"each":{"match":"[a-z]+"},"max_items":2},
            "body":{"free":{"max_len":9}},"n":{"min":1,"max":2},"o":{"object":{"x":{"enum":[1,"a"]}}}}}"#,
        ).raw().to_owned();
        let (head, tail) = raw.split_at(raw.floor_char_boundary(cut));
        let _ = Plan::read(format!("{head}{part}{tail}").as_bytes());
    }
}
