//! What other flows and request shapes let pass: what is wider is said, whatever else is.

use std::collections::{BTreeMap, BTreeSet};

use super::bench::{glob, name, place, source};
use crate::model::label::ToolClass::{Executes, Reads, Sends, Writes};
use crate::model::name::Goal;
use crate::plan::{
    Brings, End, Entry, Flow, FlowAnswer, Limit, Literal, Outside, Pin, Reaches, Rules, Shape,
};

fn flow() -> Flow {
    let web = Brings::OneOf(BTreeSet::from([source("web"), source("email")]));
    let from = End { classes: [Reads, Writes].into(), tools: vec![glob("web.*")], brings: web };
    let to = End { classes: [Sends].into(), tools: Vec::new(), brings: Brings::Anything };
    let reaches = Reaches::Destination;
    Flow { name: name("out"), from, to, reaches, answer: FlowAnswer::Ask, place: place(1) }
}

fn entry() -> Entry {
    let pin = |raw: &str| Pin::Literal(Literal::new(raw.as_bytes()).unwrap());
    let limits =
        [("to".to_owned(), Limit::OneOf(vec![pin("1"), pin("2")])), ("title".to_owned(), Limit::Any)];
    Entry { tool: glob("mail.*"), max_calls: Some(2), arguments: BTreeMap::from(limits) }
}

fn shape() -> Shape {
    let (name, source, place) = (name("meeting"), source("email"), place(9));
    Shape { name, source, goal: None, entries: vec![entry()], place }
}

/// How many sentences say that something changed, and how many that something is wider.
fn said(before: &Rules, after: &Rules) -> (usize, usize) {
    let changes = after.changes(before);
    (changes.changed().len(), changes.widened().len())
}

fn of_flows(flows: &[Flow]) -> Rules {
    Rules { flows: flows.to_vec(), ..Rules::default() }
}

fn of_shapes(shapes: &[Shape]) -> Rules {
    Rules { shapes: shapes.to_vec(), ..Rules::default() }
}

#[test]
fn a_flow_that_holds_less_is_wider_and_one_that_holds_as_much_is_not() {
    let before = of_flows(&[flow()]);
    let of = |change: fn(&mut Flow)| {
        let mut new = flow();
        change(&mut new);
        said(&before, &of_flows(&[new]))
    };
    assert_eq!(of(|_| ()), (0, 0));
    assert_eq!(of(|flow| flow.place = place(7)), (0, 0));
    let stricter: [fn(&mut Flow); 6] = [
        |flow| flow.answer = FlowAnswer::Deny,
        |flow| flow.reaches = Reaches::Call,
        |flow| flow.from.tools = Vec::new(),
        |flow| flow.from.tools.push(glob("mail.*")),
        |flow| flow.from.brings = Brings::Untrusted,
        |flow| flow.to.classes.extend([Executes]),
    ];
    for change in stricter {
        assert_eq!(of(change), (1, 0));
    }
    let looser: [fn(&mut Flow); 6] = [
        |flow| flow.answer = FlowAnswer::Plan,
        |flow| flow.from.tools = vec![glob("web.fetch")],
        |flow| flow.from.classes = [Reads].into(),
        |flow| flow.from.brings = Brings::OneOf([source("web")].into()),
        |flow| flow.to.tools = vec![glob("mail.*")],
        |flow| flow.to.brings = Brings::Untrusted,
    ];
    for change in looser {
        assert_eq!(of(change), (0, 1));
    }
    let anywhere = of_flows(&[Flow { reaches: Reaches::Call, ..flow() }]);
    assert_eq!(said(&anywhere, &before), (0, 1), "a call is reached where no destination is");
}

#[test]
fn a_flow_that_is_gone_is_wider_unless_another_holds_what_it_held() {
    let (old, renamed) = (flow(), Flow { name: name("other"), ..flow() });
    assert_eq!(said(&of_flows(std::slice::from_ref(&old)), &Rules::default()), (0, 1));
    assert_eq!(said(&Rules::default(), &of_flows(std::slice::from_ref(&old))), (1, 0));
    assert_eq!(said(&of_flows(&[old]), &of_flows(&[renamed])), (2, 0));
}

#[test]
fn a_request_that_covers_more_is_wider() {
    let before = of_shapes(&[shape()]);
    let of = |change: fn(&mut Shape)| {
        let mut new = shape();
        change(&mut new);
        said(&before, &of_shapes(&[new]))
    };
    assert_eq!(of(|_| ()), (0, 0));
    assert_eq!(of(|shape| shape.place = place(3)), (0, 0));
    let narrower: [fn(&mut Shape); 5] = [
        |shape| shape.goal = Some(Goal::new("triage").unwrap()),
        |shape| shape.entries[0].max_calls = Some(1),
        |shape| shape.entries[0].tool = glob("mail.reply"),
        |shape| drop(shape.entries[0].arguments.remove("title")),
        |shape| {
            shape.entries[0].arguments.insert("to".to_owned(), Limit::OneOf(Vec::new()));
        },
    ];
    for change in narrower {
        assert_eq!(of(change), (1, 0));
    }
    let wider: [fn(&mut Shape); 7] = [
        |shape| shape.source = source("web"),
        |shape| shape.entries[0].max_calls = None,
        |shape| shape.entries[0].tool = glob("*"),
        |shape| drop(shape.entries[0].arguments.remove("to")),
        |shape| {
            shape.entries[0].arguments.insert("to".to_owned(), Limit::Any);
        },
        |shape| {
            shape.entries[0].arguments.insert("cc".to_owned(), Limit::Any);
        },
        |shape| shape.entries.push(entry()),
    ];
    for change in wider {
        assert_eq!(of(change), (0, 1));
    }
    let of_goal = of_shapes(&[Shape { goal: Some(Goal::new("triage").unwrap()), ..shape() }]);
    assert_eq!(said(&of_goal, &before), (0, 1), "of any kind of request");
}

#[test]
fn a_request_that_is_new_is_wider_and_one_that_is_gone_is_not() {
    let one = of_shapes(&[shape()]);
    assert_eq!(said(&Rules::default(), &one), (0, 1));
    assert_eq!(said(&one, &Rules::default()), (1, 0));
}

#[test]
fn grants_that_count_longer_are_wider() {
    let lasting =
        |seconds| Rules { grant_lasts: std::time::Duration::from_secs(seconds), ..Rules::default() };
    let said = |before: u64, after: u64| {
        let changes = lasting(after).changes(&lasting(before));
        (changes.changed().len(), changes.widened().len())
    };
    assert_eq!([said(60, 60), said(60, 30), said(60, 90)], [(0, 0), (1, 0), (0, 1)]);
}

#[test]
fn another_reviewer_or_none_is_wider_and_a_first_one_is_not() {
    let of = |url: &str| {
        let outside = Outside { url: url.to_owned(), known_domains: Default::default(), place: place(1) };
        Rules { outside: Some(outside), ..Rules::default() }
    };
    assert_eq!(said(&Rules::default(), &of("http://a.test/")), (1, 0));
    assert_eq!(said(&of("http://a.test/"), &of("http://a.test/")), (0, 0));
    assert_eq!(said(&of("http://a.test/"), &of("http://b.test/")).1, 1);
    assert_eq!(said(&of("http://a.test/"), &Rules::default()).1, 1);
}
