//! A yes to like calls against a slow model: it counts as often as was said, for what was said, and for nothing else.

use std::collections::BTreeMap;
use std::sync::Mutex;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::value::RawValue;

use super::bench::{call, run, sources, terms, tool};
use crate::model::approval::QuestionId;
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::label::Labels;
use crate::model::planned::StepUse;
use crate::model::trigger::Trigger;
use crate::plan::{Grant, Held, LikeTo, Plan, Problem, Terms, Tool, Under};

const VALUES: &[&str] = &["\"a\"", "\"b\"", "1", "1.5", "true", "null", "[1]", "{\"k\":\"a\"}"];
const SOURCES: &[&[&str]] = &[&["chat"], &["chat", "web"], &["web"]];

/// A call of `mail.send` as far as grants look at it; each number is one of a few values.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    run: u8,
    config: u8,
    definition: u8,
    provenance: usize,
    /// By name; absent where the call leaves it out.
    arguments: BTreeMap<&'static str, &'static str>,
    is_late: bool,
}

/// What may be said in `text`.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Text {
    /// What the first call said.
    Exact,
    /// Any short text.
    Free,
}

/// The one that the yes was said to.
fn first(arguments: BTreeMap<&'static str, &'static str>) -> Made {
    Made { run: 7, config: 0, definition: 0, provenance: 0, arguments, is_late: false }
}

fn spelled(arguments: &BTreeMap<&str, &str>) -> String {
    let each: Vec<_> = arguments.iter().map(|(name, value)| format!("\"{name}\": {value}")).collect();
    format!("{{{}}}", each.join(", "))
}

fn of_tool() -> Tool {
    let schema = r#"{"properties":{"to":{},"text":{},"how":{}}}"#.into();
    let tool = tool("mail__send").unwrap();
    Tool { schema, labels: Labels { content: ["text".to_owned()].into(), ..tool.labels }, ..tool }
}

/// The grant of a yes to `calls` calls like the one with `arguments`, of which `text` may be any short text where
/// that is free.
fn grant(
    arguments: &BTreeMap<&str, &str>,
    calls: u32,
    text: Text,
    number: u32,
) -> Result<Grant, Vec<Problem>> {
    let free = RawValue::from_string(r#"{"free":{"max_len":3}}"#.to_owned()).unwrap();
    let limits =
        if text == Text::Free { BTreeMap::from([("text".to_owned(), free)]) } else { BTreeMap::new() };
    let plan = Plan::like("mail__send", &Bytes::from(spelled(arguments)), calls, &limits)?;
    let like = LikeTo {
        question: QuestionId::of([1; 16]),
        definition: Some(Sha256::of(&[0])),
        config: Sha256::of(&[0]),
        provenance: sources(SOURCES[0]),
    };
    let fitted = plan.fit(|_| Some(of_tool()), &Trigger::default())?;
    Ok(fitted.approved(Terms { like: Some(like), number, ..terms() }, sources(SOURCES[0])))
}

/// Tries to take one of the calls, and gives what its record would say.
fn take(held: &mut Held, made: &Made) -> Option<StepUse> {
    let mut called = call("mail.send", &spelled(&made.arguments));
    called.run = RunId::of([made.run; 16]);
    if made.is_late {
        called.now = terms().until;
    }
    let provenance = sources(SOURCES[made.provenance]);
    let under = Under {
        definition: Some(Sha256::of(&[made.definition])),
        config: Sha256::of(&[made.config]),
        provenance: &provenance,
    };
    let attempt = called.attempt()?.under(under);
    held.take(&attempt, Grant::is_of_person).map(|used| used.told())
}

/// The slow model: whether `made` is like `first`.
fn is_like(first: &Made, made: &Made, text: Text) -> bool {
    let mut wanted = first.arguments.clone();
    let mut given = made.arguments.clone();
    if text == Text::Free {
        wanted.remove("text");
        // It is limited, not optional: a call that leaves it out is another.
        match given.remove("text") {
            Some(said) if said.starts_with('"') => {}
            _ => return false,
        }
    }
    wanted == given && Made { arguments: first.arguments.clone(), ..made.clone() } == *first
}

fn arguments() -> impl Strategy<Value = BTreeMap<&'static str, &'static str>> {
    proptest::collection::btree_map(select(&["to", "text", "how"][..]), select(VALUES), 0..=3)
}

/// A call that is the first one, or differs from it in one thing or in its arguments.
fn made(arguments: BTreeMap<&'static str, &'static str>) -> impl Strategy<Value = Made> {
    let same = first(arguments);
    let other = same.clone();
    prop_oneof![
        4 => Just(same.clone()),
        2 => self::arguments().prop_map(move |arguments| Made { arguments, ..same.clone() }),
        1 => (0_usize..5).prop_map(move |which| {
            let made = other.clone();
            match which {
                0 => Made { run: 8, ..made },
                1 => Made { config: 1, ..made },
                2 => Made { definition: 1, ..made },
                3 => Made { provenance: 1, ..made },
                _ => Made { is_late: true, ..made },
            }
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Each step is a call, and whether the gateway is killed after it: then only what is on the record is left.
    #[test]
    fn a_yes_to_like_calls_counts_for_those_and_as_often_as_was_said_also_over_kills(
        (arguments, steps) in arguments().prop_flat_map(|arguments| {
            let steps = vec((made(arguments.clone()), any::<bool>()), 0..24);
            (Just(arguments), steps)
        }),
        calls in 1_u32..6,
        text in select(&[Text::Exact, Text::Free][..]),
    ) {
        let (first, grant) = (first(arguments.clone()), grant(&arguments, calls, text, 1).unwrap());
        let mut held = Held::default();
        held.add(grant.clone());
        let (mut left, mut recorded) = (calls, Vec::new());
        for (made, is_killed) in steps {
            let taken = take(&mut held, &made);
            let expected = left > 0 && is_like(&first, &made, text);
            prop_assert_eq!(taken.is_some(), expected, "{:?} with {} left", made, left);
            left -= u32::from(expected);
            recorded.extend(taken);
            if is_killed {
                // What a start finds: the grant as it was recorded, and the uses of the intents.
                let kept = serde_json::to_string(&grant).unwrap();
                held = Held::default();
                held.add(serde_json::from_str(&kept).unwrap());
                recorded.iter().for_each(|used| held.restore_use(used));
            }
        }
        let counts: Vec<_> = recorded.iter().map(|used| used.count).collect();
        prop_assert_eq!(counts, (1..=calls - left).collect::<Vec<_>>(), "each use has its own number");
    }

    #[test]
    fn of_many_threads_as_many_take_a_call_as_were_said(calls in 1_u32..6, threads in 2_usize..8) {
        let arguments = BTreeMap::from([("to", "\"a\"")]);
        let held = Mutex::new(Held::default());
        held.lock().unwrap().add(grant(&arguments, calls, Text::Exact, 1).unwrap());
        let made = first(arguments);
        let taken: usize = std::thread::scope(|scope| {
            let each = || (0..3).filter(|_| take(&mut held.lock().unwrap(), &made).is_some()).count();
            let all: Vec<_> = (0..threads).map(|_| scope.spawn(each)).collect();
            all.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        prop_assert_eq!(taken, (threads * 3).min(usize::try_from(calls).unwrap()));
    }
}

#[test]
fn a_grant_of_a_person_is_no_plan_of_the_run_and_only_content_is_free() {
    let arguments = BTreeMap::from([("to", "\"a\""), ("text", "\"x\"")]);
    let marked = grant(&arguments, 2, Text::Free, 1).unwrap();
    // Whoever does not say what is in force finds nothing of it.
    assert_eq!(call("mail.send", &spelled(&arguments)).step(&marked), None);
    assert!(marked.is_of_person() && marked.terms().run == run());
    let free = RawValue::from_string(r#"{"free":{"max_len":3}}"#.to_owned()).unwrap();
    let limits = BTreeMap::from([("to".to_owned(), free)]);
    let plan = Plan::like("mail__send", &Bytes::from(spelled(&arguments)), 2, &limits).unwrap();
    assert!(plan.fit(|_| Some(of_tool()), &Trigger::default()).is_err());
    // A name that would end the text of the plan stays a name.
    let odd = Bytes::from(r#"{"a\"}},\"b":1}"#);
    let plan = Plan::like("mail__send", &odd, 2, &BTreeMap::new()).unwrap();
    assert_eq!(plan.steps().len(), 1);
    let long = Bytes::from(format!("{{\"to\":\"{}\"}}", "x".repeat(9000)));
    assert!(Plan::like("mail__send", &long, 2, &BTreeMap::new()).is_err());
}
