//! Request shapes: what a source may ask for without a person.

use std::collections::BTreeMap;
use std::slice::from_ref;

use super::bench::{SENDER, World, call, glob, name, place, source, verdicts};
use crate::model::name::{AttributeName, Goal};
use crate::plan::{Entry, Limit, Literal, Pin, Shape};

fn literal(raw: &str) -> Literal {
    Literal::new(raw.as_bytes()).unwrap()
}

fn pins() -> Limit {
    Limit::OneOf(vec![Pin::Trigger(AttributeName::new("sender").unwrap()), Pin::Subject])
}

/// An email may ask for a meeting: one event whose only attendees are the sender and the subject.
fn meeting() -> Shape {
    let arguments = BTreeMap::from([("attendees".to_owned(), pins())]);
    let entry = Entry { tool: glob("calendar.create"), max_calls: Some(1), arguments };
    Shape {
        name: name("meeting"),
        source: source("email"),
        goal: None,
        entries: vec![entry],
        place: place(20),
    }
}

fn world(shapes: Vec<Shape>) -> World {
    World { shapes, ..World::of(&["email"]) }
}

fn event(id: &str, attendees: &str, more: &str) -> String {
    format!(
        r#"{{"id":"{id}","tool":"calendar__create"{more},"args":{{"attendees":{attendees},"title":{{"free":{{"max_len":9}}}}}}}}"#
    )
}

fn verdict(attendees: &str) -> String {
    verdicts(&world(vec![meeting()]).review(&event("s1", attendees, ""))).remove(0)
}

#[test]
fn a_shape_covers_a_step_whose_every_value_it_names() {
    for covered in [
        r#"{"each":{"trigger":"sender"},"max_items":1}"#,
        r#"{"lit":["ann@a.example"]}"#,
        r#"{"lit":["ann@a.example","me@a.example"]}"#,
        r#"{"each":{"enum":["user:1","ann@a.example"]},"max_items":2}"#,
        r#"{"lit":[]}"#,
    ] {
        assert_eq!(verdict(covered), "granted: covered within", "{covered}");
    }
    for uncovered in [
        r#"{"lit":["eve@e.example"]}"#,
        r#"{"lit":["ann@a.example","eve@e.example"]}"#,
        r#"{"each":{"enum":["ann@a.example","eve@e.example"]},"max_items":1}"#,
        r#"{"each":{"trigger":"cc"},"max_items":1}"#,
        r#"{"lit":["Ann@a.example"]}"#,
    ] {
        assert_eq!(verdict(uncovered), "person: plan_uncovered", "{uncovered}");
    }
    assert_eq!(
        verdict(r#"{"each":{"match":".*"},"max_items":1}"#),
        "person: destination_open plan_uncovered"
    );
    assert_eq!(
        verdict(r#"{"lit":["ann@a.example"],"optional":true}"#),
        "person: destination_open plan_uncovered"
    );
    // A value that the shape limits and the step leaves out would be the tool's own.
    let without = r#"{"id":"s1","tool":"calendar__create","args":{}}"#;
    assert_eq!(verdicts(&world(vec![meeting()]).review(without)), ["person: plan_uncovered"]);
}

#[test]
fn a_destination_that_a_shape_does_not_speak_of_is_not_covered() {
    let mut shape = meeting();
    shape.entries[0].arguments.clear();
    let step = event("s1", r#"{"lit":["ann@a.example"]}"#, "");
    assert_eq!(verdicts(&world(vec![shape.clone()]).review(&step)), ["person: plan_uncovered"]);
    shape.entries[0].arguments.insert("attendees".to_owned(), Limit::Any);
    assert_eq!(verdicts(&world(vec![shape]).review(&step)), ["granted: covered within"]);
}

#[test]
fn amounts_are_held_within_bounds() {
    let iban = Limit::OneOf(vec![Pin::Literal(literal(r#""DE1""#))]);
    let amount = Limit::Between(Some(literal("0")), Some(literal("50.00")));
    let arguments = BTreeMap::from([("iban".to_owned(), iban), ("amount".to_owned(), amount)]);
    let entry = Entry { tool: glob("bank.*"), max_calls: None, arguments };
    let world = world(vec![Shape { entries: vec![entry], ..meeting() }]);
    let pay = |amount: &str, iban: &str| {
        let step = format!(
            r#"{{"id":"s1","tool":"bank__pay","args":{{"iban":{{"lit":"{iban}"}},"amount":{amount}}}}}"#
        );
        verdicts(&world.review(&step)).remove(0)
    };
    assert_eq!(pay(r#"{"lit":50}"#, "DE1"), "granted: covered within");
    assert_eq!(pay(r#"{"enum":[1,5e1]}"#, "DE1"), "granted: covered within");
    assert_eq!(pay(r#"{"lit":50.000001}"#, "DE1"), "person: plan_uncovered");
    assert_eq!(pay(r#"{"lit":50}"#, "DE2"), "person: plan_uncovered");
    // Within the bounds, but open all the same.
    assert_eq!(pay(r#"{"min":1,"max":2}"#, "DE1"), "person: destination_open");
}

#[test]
fn a_shape_is_of_one_source_and_its_trigger() {
    let step = event("s1", r#"{"lit":["ann@a.example"]}"#, "");
    let other = Shape { source: source("web"), ..meeting() };
    assert_eq!(verdicts(&world(vec![other]).review(&step)), ["person: plan_uncovered"]);
    // The entry that has the sender is not of the source that asks.
    let mut world = world(vec![meeting()]);
    world.trigger.entries[0].source = source("chat");
    assert_eq!(verdicts(&world.review(&step)), ["person: plan_uncovered"]);
    // Every source that asks for a plan has to be covered.
    let mut world = World { shapes: vec![meeting()], ..World::of(&["email"]) };
    let plan = crate::model::decision::Answer::Plan;
    world.lists.sources.insert("chat", vec![("*", plan, plan)]);
    world.provenance = super::bench::sources(&["chat", "email"]);
    assert_eq!(verdicts(&world.review(&step)), ["person: plan_uncovered"]);
}

#[test]
fn a_goal_of_the_credential_selects_a_shape_and_one_of_the_plan_does_not() {
    let goal = Some(Goal::new("triage_mail").unwrap());
    let step = event("s1", r#"{"lit":["ann@a.example"]}"#, "");
    let mut world = world(vec![Shape { goal: goal.clone(), ..meeting() }]);
    let review = |world: &World| {
        let raw = format!(r#"{{"v":1,"goal":"triage_mail","steps":[{step}]}}"#);
        let plan = crate::plan::Plan::read(raw.as_bytes()).unwrap();
        verdicts(&world.judge(plan.fit(super::bench::tool, &world.trigger).unwrap(), &[])).remove(0)
    };
    assert_eq!(review(&world), "person: plan_uncovered");
    world.goal = goal;
    assert_eq!(review(&world), "granted: covered within");
}

#[test]
fn the_count_of_a_shape_is_for_the_whole_run() {
    let world = world(vec![meeting()]);
    let attendees = r#"{"lit":["ann@a.example"]}"#;
    let two = format!("{},{}", event("s1", attendees, ""), event("s2", attendees, ""));
    assert_eq!(verdicts(&world.review(&two)), ["granted: covered within", "person: plan_uncovered"]);
    assert_eq!(
        verdicts(&world.review(&event("s1", attendees, r#","max_calls":2"#))),
        ["person: plan_uncovered"]
    );

    // What an earlier grant speaks for is taken; what it closed without using is not.
    let again = || world.fit(&event("s1", attendees, ""));
    let mut grant = world.grant(&event("s1", attendees, ""));
    assert_eq!(verdicts(&world.judge(again(), from_ref(&grant))), ["person: plan_uncovered"]);
    grant.close();
    assert_eq!(verdicts(&world.judge(again(), from_ref(&grant))), ["granted: covered within"]);

    let mut used = world.grant(&event("s1", attendees, ""));
    let called = call("calendar.create", &format!(r#"{{"attendees":["{SENDER}"],"title":"x"}}"#));
    let attempt = called.attempt().unwrap();
    assert!(used.find(&attempt).unwrap().meets_source(&source("email")));
    let proof = used.take(&attempt).unwrap();
    assert_eq!(proof.count(), 1);
    used.close();
    assert_eq!(verdicts(&world.judge(again(), from_ref(&used))), ["person: plan_uncovered"]);
}
