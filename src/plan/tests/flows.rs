//! Flows over classes: in a plan, over a run's history, and with neither.

use std::collections::BTreeSet;

use super::bench::{World, call, glob, id, name, place, source, sources, terms, tool, verdicts};
use crate::model::label::ToolClass::{self, Executes, Reads, Sends, Writes};
use crate::model::provenance::Provenance;
use crate::plan::{Brings, Deed, End, Flow, FlowAnswer, HISTORY_MAX, History, Reaches, Tool, raised};

/// Takes a call of `tool` into `history`.
fn did(history: &mut History, tool: &Tool, brings: &Provenance) {
    let classes = tool.labels.effective_classes();
    history.take_in(Deed { tool: Some(&tool.id), classes: &classes, brings });
}

/// What a call of `tool` raises after `history`.
fn after<'f>(flows: &'f [Flow], history: &History, tool: &Tool) -> Vec<&'f Flow> {
    let classes = tool.labels.effective_classes();
    raised(flows, history, Deed { tool: Some(&tool.id), classes: &classes, brings: &tool.returns })
}

fn end(classes: &[ToolClass]) -> End {
    End { classes: classes.iter().copied().collect(), tools: Vec::new(), brings: Brings::Anything }
}

/// What strangers wrote does not go out.
fn untrusted_out(answer: FlowAnswer, reaches: Reaches) -> Flow {
    let from = End { brings: Brings::Untrusted, ..end(&[Reads]) };
    Flow { name: name("untrusted-out"), from, to: end(&[Sends]), reaches, answer, place: place(9) }
}

/// What was written is not executed.
fn written_then_executed() -> Flow {
    Flow {
        name: name("written-then-executed"),
        from: end(&[Writes]),
        to: end(&[Executes]),
        reaches: Reaches::Call,
        answer: FlowAnswer::Deny,
        place: place(10),
    }
}

/// What the address book holds does not go out.
fn private_out() -> Flow {
    let from = End { tools: vec![glob("people.*")], ..End::default() };
    let to = end(&[Sends]);
    Flow {
        name: name("private-out"),
        from,
        to,
        reaches: Reaches::Call,
        answer: FlowAnswer::Ask,
        place: place(11),
    }
}

fn world(flows: Vec<Flow>) -> World {
    World { flows, ..World::of(&["chat"]) }
}

const READ_THEN_SEND: &str = r#"{"id":"r","tool":"mail__search"},
    {"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}}"#;

#[test]
fn a_plan_that_reads_the_untrusted_and_then_sends_raises_the_flow() {
    let verdict = |answer, reaches| {
        verdicts(&world(vec![untrusted_out(answer, reaches)]).review(READ_THEN_SEND)).remove(1)
    };
    assert_eq!(verdict(FlowAnswer::Plan, Reaches::Call), "granted: flow_planned within");
    assert_eq!(verdict(FlowAnswer::Ask, Reaches::Call), "person: flow_asks");
    assert_eq!(verdict(FlowAnswer::Deny, Reaches::Call), "refused: flow_denies");
    // The destination is pinned to what does not come from there.
    assert_eq!(verdict(FlowAnswer::Deny, Reaches::Destination), "granted: within");
    let from = r#"{"id":"r","tool":"mail__search"},
        {"id":"s","tool":"mail__send","args":{"to":{"from":"r","select":"$.x"}}}"#;
    let flows = vec![untrusted_out(FlowAnswer::Deny, Reaches::Destination)];
    assert_eq!(verdicts(&world(flows.clone()).review(from))[1], "refused: flow_denies");
    let open = r#"{"id":"r","tool":"mail__search"},
        {"id":"s","tool":"mail__send","args":{"to":{"match":"x"}}}"#;
    assert_eq!(verdicts(&world(flows).review(open))[1], "refused: flow_denies");
}

#[test]
fn only_after_and_from_settle_an_order() {
    let flows = || vec![untrusted_out(FlowAnswer::Deny, Reaches::Call)];
    // The other way round in the plan, but nothing keeps the calls in that order.
    let loose =
        r#"{"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}},{"id":"r","tool":"mail__search"}"#;
    assert_eq!(verdicts(&world(flows()).review(loose))[0], "refused: flow_denies");
    let settled = r#"{"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}},
        {"id":"r","tool":"mail__search","after":["s"]}"#;
    assert_eq!(verdicts(&world(flows()).review(settled)), ["granted: within", "granted: within"]);
    // Twice: once before reading and once after.
    let twice = settled.replace(r#""id":"s","#, r#""id":"s","max_calls":2,"#);
    assert_eq!(verdicts(&world(flows()).review(&twice))[0], "refused: flow_denies");
    // A tool that reads and sends, called twice, follows itself.
    let fetch = |calls| {
        format!(r#"{{"id":"f","tool":"web__fetch","max_calls":{calls},"args":{{"url":{{"lit":"u"}}}}}}"#)
    };
    assert_eq!(verdicts(&world(flows()).review(&fetch(1))), ["granted: within"]);
    assert_eq!(verdicts(&world(flows()).review(&fetch(2))), ["refused: flow_denies"]);
}

#[test]
fn a_refused_step_comes_before_nothing() {
    let steps = r#"{"id":"w","tool":"files__write","args":{"path":{"lit":"a"}}},
        {"id":"x","tool":"shell__run","args":{"command":{"lit":"a"}}}"#;
    let mut world = world(vec![written_then_executed()]);
    assert_eq!(verdicts(&world.review(steps)), ["granted: within", "refused: flow_denies"]);
    world
        .lists
        .role
        .insert(0, ("files.*", crate::model::decision::Answer::Deny, crate::model::decision::Answer::Deny));
    assert_eq!(verdicts(&world.review(steps)), ["refused: denied", "granted: within"]);
}

#[test]
fn flows_hold_over_the_history_without_a_plan() {
    let flows =
        [written_then_executed(), private_out(), untrusted_out(FlowAnswer::Ask, Reaches::Destination)];
    let raised_by = |history: &History, name: &str| {
        after(&flows, history, &tool(name).unwrap())
            .into_iter()
            .map(|flow| flow.name.to_string())
            .collect::<Vec<_>>()
    };
    let mut history = History::default();
    assert!(raised_by(&history, "shell__run").is_empty());
    did(&mut history, &tool("files__write").unwrap(), &sources(&[]));
    assert_eq!(raised_by(&history, "shell__run"), ["written-then-executed"]);
    assert!(raised_by(&history, "mail__send").is_empty());
    did(&mut history, &tool("mail__search").unwrap(), &sources(&["email"]));
    assert_eq!(raised_by(&history, "mail__send"), ["untrusted-out"]);
    did(&mut history, &tool("people__find").unwrap(), &sources(&[]));
    assert_eq!(raised_by(&history, "mail__send"), ["private-out", "untrusted-out"]);
    assert!(raised_by(&history, "people__find").is_empty());
    // The strictest comes first; what nobody labelled is of every class.
    assert_eq!(raised_by(&history, "mystery__do")[0], "written-then-executed");
    assert_eq!(raised_by(&history, "mystery__do").len(), 3);
    // What was done before a plan counts in its review.
    let world = World { history, ..world(flows.to_vec()) };
    let send = r#"{"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}}"#;
    assert_eq!(verdicts(&world.review(send)), ["person: flow_asks"]);
}

#[test]
fn a_tool_without_classes_begins_every_flow() {
    let mut history = History::default();
    did(&mut history, &tool("mystery__do").unwrap(), &sources(&[]));
    let executed = tool("shell__run").unwrap();
    assert_eq!(after(&[written_then_executed()], &history, &executed).len(), 1);
}

#[test]
fn ends_look_at_what_a_call_brings() {
    let from = End { brings: Brings::OneOf(BTreeSet::from([source("web")])), ..End::default() };
    let flow = Flow { from, ..written_then_executed() };
    let executed = tool("shell__run").unwrap();
    let mut history = History::default();
    did(&mut history, &tool("mail__search").unwrap(), &sources(&["email"]));
    assert_eq!(after(std::slice::from_ref(&flow), &history, &executed), Vec::<&Flow>::new());
    did(&mut history, &tool("mail__search").unwrap(), &sources(&["web"]));
    assert_eq!(after(std::slice::from_ref(&flow), &history, &executed), [&flow]);
}

#[test]
fn i11_a_history_that_is_full_counts_as_everything() {
    let reader =
        |at: usize| Tool { id: format!("u.t{at}").parse().unwrap(), ..tool("people__find").unwrap() };
    let mut history = History::default();
    for at in (0..HISTORY_MAX).chain(0..HISTORY_MAX) {
        did(&mut history, &reader(at), &sources(&[]));
    }
    let executed = tool("shell__run").unwrap();
    assert_eq!(after(&[written_then_executed()], &history, &executed), Vec::<&Flow>::new());
    did(&mut history, &reader(HISTORY_MAX), &sources(&[]));
    assert_eq!(after(&[written_then_executed()], &history, &executed).len(), 1);
    let kept = serde_json::to_string(&history).unwrap();
    assert_eq!(serde_json::from_str::<History>(&kept).unwrap(), history);
}

#[test]
fn a_granted_step_meets_the_flows_that_its_review_settled_and_no_other() {
    let pinned = untrusted_out(FlowAnswer::Deny, Reaches::Destination);
    let planned = Flow { name: name("planned"), ..untrusted_out(FlowAnswer::Plan, Reaches::Call) };
    let asks = private_out();
    let later = Flow { name: name("later"), ..private_out() };
    let steps = r#"{"id":"p","tool":"people__find","args":{"name":{"lit":"Bob"}}},
        {"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}}"#;
    let world = world(vec![pinned.clone(), planned.clone(), asks.clone()]);
    let review = world.review(steps);
    assert_eq!(verdicts(&review)[1], "person: flow_asks");
    let mut grant = review.grant(terms()).unwrap();
    let send = call("mail.send", r#"{"to":"a"}"#);
    assert_eq!(send.step(&grant), None);
    grant.approve(&id("s")).unwrap();
    let attempt = send.attempt().unwrap();
    let found = grant.find(&attempt).unwrap();
    assert!(found.meets_flow(&pinned) && found.meets_flow(&planned) && found.meets_flow(&asks));
    assert!(!found.meets_flow(&later));
    // A flow that the plan did not raise when it was reviewed needs a person when the run raises it.
    let plain = world.grant(r#"{"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}}"#);
    assert!(!plain.find(&attempt).unwrap().meets_flow(&asks));
}
