//! Grants: which step a call belongs to, uses, order, selected values, expiry, and what is kept.

use jiff::Timestamp;

use super::bench::{SENDER, World, call, id, result, run, terms, trigger};
use crate::model::digest::Sha256;
use crate::model::facts::RunId;
use crate::model::label::Labels;
use crate::plan::{Concluded, Ended, Grant, Outside, Rules, State, Terms, Use};

fn take(grant: &mut Grant, tool: &str, arguments: &str) -> Option<Use> {
    grant.take(&call(tool, arguments).attempt()?)
}

/// The step that a call of `mail.send` with these arguments belongs to, in a plan of one step with `args`.
fn sends(args: &str, arguments: &str) -> bool {
    let grant =
        World::of(&["chat"]).review(&format!(r#"{{"id":"s","tool":"mail__send","args":{{{args}}}}}"#));
    let mut grant = grant.grant(terms()).unwrap();
    // What waits for a person is of no interest here.
    let _ = grant.approve(&id("s"));
    call("mail.send", arguments).step(&grant).is_some()
}

#[test]
fn a_step_is_closed() {
    let args = r#""to":{"lit":"a"},"body":{"free":{"max_len":3}},"subject":{"lit":"x","optional":true}"#;
    for good in [r#"{"to":"a","body":""}"#, r#"{"body":"äöü","subject":"x","to":"\u0061"}"#] {
        assert!(sends(args, good), "{good}");
    }
    for bad in [
        r#"{"to":"a"}"#,
        r#"{"body":"x"}"#,
        r#"{"to":"a","body":"xxxx"}"#,
        r#"{"to":"a","body":null}"#,
        r#"{"to":"a","body":"","subject":"y"}"#,
        r#"{"to":"a","body":"","bcc":"eve"}"#,
        r#"{"to":"a","body":"","To":"eve"}"#,
        r#"{"to":"a","to":"eve","body":""}"#,
        r#"{"to":["a"],"body":""}"#,
        "[]",
        "",
        "{",
    ] {
        assert!(!sends(args, bad), "{bad}");
    }
    // Of a step without arguments only a call without any.
    let grant = World::of(&["chat"]).grant(r#"{"id":"r","tool":"mail__search"}"#);
    for (arguments, expected) in [("", true), ("{}", true), (r#"{"limit":1}"#, false), ("null", false)] {
        assert_eq!(call("mail.search", arguments).step(&grant).is_some(), expected, "{arguments}");
    }
}

#[test]
fn every_kind_of_constraint_matches_its_values_alone() {
    let cc = |constraint: &str, value: &str| {
        sends(&format!(r#""to":{{"lit":"a"}},"cc":{constraint}"#), &format!(r#"{{"to":"a","cc":{value}}}"#))
    };
    let each = r#"{"each":{"trigger":"sender"},"max_items":2}"#;
    assert!(cc(each, &format!(r#"["{SENDER}","{SENDER}"]"#)) && cc(each, "[]"));
    assert!(!cc(each, &format!(r#"["{SENDER}","{SENDER}","{SENDER}"]"#)));
    assert!(!cc(each, &format!(r#"["{SENDER}","eve"]"#)) && !cc(each, &format!(r#""{SENDER}""#)));
    assert!(cc(r#"{"lit":["x","y"]}"#, r#"["x","y"]"#) && !cc(r#"{"lit":["x","y"]}"#, r#"["y","x"]"#));
    let set = r#"{"each":{"trigger":"cc"},"max_items":5}"#;
    assert!(cc(set, r#"["c@c.example","b@b.example"]"#) && !cc(set, r#"["ann@a.example"]"#));

    let pay = |amount: &str, value: &str| {
        let step =
            format!(r#"{{"id":"s","tool":"bank__pay","args":{{"iban":{{"lit":"x"}},"amount":{amount}}}}}"#);
        let mut grant = World::of(&["chat"]).review(&step).grant(terms()).unwrap();
        let _ = grant.approve(&id("s"));
        call("bank.pay", &format!(r#"{{"iban":"x","amount":{value}}}"#)).step(&grant).is_some()
    };
    for (amount, value, expected) in [
        (r#"{"lit":10}"#, "1e1", true),
        (r#"{"lit":10}"#, "10.0000000000000000000000000000000000001", false),
        (r#"{"lit":9007199254740993}"#, "9007199254740992", false),
        (r#"{"enum":[1,2]}"#, "2.0", true),
        (r#"{"enum":[1,2]}"#, "3", false),
        (r#"{"min":1,"max":2.5}"#, "2.50", true),
        (r#"{"min":1,"max":2.5}"#, "2.5000001", false),
        (r#"{"min":1,"max":2.5}"#, "0.999", false),
        (r#"{"min":1}"#, "1e999999999", true),
        (r#"{"min":1}"#, "1e9999999999", false),
        (r#"{"min":1}"#, "\"5\"", false),
        (r#"{"trigger":"size"}"#, "12", true),
        (r#"{"trigger":"size"}"#, "13", false),
    ] {
        assert_eq!(pay(amount, value), expected, "{amount} {value}");
    }
}

#[test]
fn a_call_belongs_to_the_first_step_in_plan_order_that_has_uses_left() {
    let mut grant = World::of(&["chat"]).grant(
        r#"{"id":"one","tool":"mail__send","args":{"to":{"lit":"a"}}},
           {"id":"two","tool":"mail__send","max_calls":2,"args":{"to":{"enum":["a","b"]}}}"#,
    );
    let used = |grant: &mut Grant, to: &str| {
        take(grant, "mail.send", &format!(r#"{{"to":"{to}"}}"#))
            .map(|used| format!("{}/{}", used.step(), used.count()))
    };
    assert_eq!(used(&mut grant, "b").as_deref(), Some("two/1"));
    assert_eq!(used(&mut grant, "a").as_deref(), Some("one/1"));
    assert_eq!(used(&mut grant, "a").as_deref(), Some("two/2"));
    assert_eq!((used(&mut grant, "a"), used(&mut grant, "b")), (None, None));
    assert!(grant.remaining().all(|step| step.left == 0 && step.state == State::Open));
}

#[test]
fn reads_repeat_within_their_limit_and_other_steps_are_for_one_call() {
    let mut grant = World::of(&["chat"]).grant(
        r#"{"id":"r","tool":"mail__search"},{"id":"w","tool":"files__write","args":{"path":{"lit":"a"}}}"#,
    );
    let reads = (0..100).filter(|_| take(&mut grant, "mail.search", "").is_some()).count();
    let writes = (0..100).filter(|_| take(&mut grant, "files.write", r#"{"path":"a"}"#).is_some()).count();
    assert_eq!((reads, writes), (32, 1));
}

#[test]
fn a_step_waits_until_those_before_it_are_done() {
    let mut grant = World::of(&["chat"]).grant(
        r#"{"id":"r","tool":"mail__search","max_calls":3},
           {"id":"s","tool":"mail__send","after":["r"],"args":{"to":{"lit":"a"}}}"#,
    );
    let send = call("mail.send", r#"{"to":"a"}"#);
    assert_eq!(send.step(&grant), None);
    let used = take(&mut grant, "mail.search", "").unwrap();
    // Used is not done.
    assert_eq!(send.step(&grant), None);
    assert_eq!(grant.conclude(used, Ended::Failed), None);
    let used = take(&mut grant, "mail.search", "").unwrap();
    assert_eq!(grant.conclude(used, Ended::Answered(br#"{"content":[],"isError":true}"#)), None);
    assert_eq!(send.step(&grant), None);
    let used = take(&mut grant, "mail.search", "").unwrap();
    assert!(grant.conclude(used, Ended::Answered(&result("[]"))).is_some());
    assert_eq!(send.step(&grant).as_deref(), Some("s"));
    // What failed is used all the same.
    assert!(take(&mut grant, "mail.search", "").is_none());
}

const FROM: &str = r#"{"id":"r","tool":"mail__search","max_calls":2},
    {"id":"s","tool":"mail__send","max_calls":5,"args":{
        "to":{"from":"r","select":"$.people[*].mail"},"cc":{"each":{"from":"r","select":"$.cc[*]"},"max_items":2}}}"#;

#[test]
fn a_step_waits_for_what_it_takes_values_from_even_where_a_call_takes_none() {
    let steps = r#"{"id":"r","tool":"mail__search"},{"id":"s","tool":"mail__send","args":{
        "to":{"lit":"a"},"cc":{"each":{"from":"r","select":"$[*]"},"max_items":1}}}"#;
    let mut grant = World::of(&["chat"]).grant(steps);
    let send = call("mail.send", r#"{"to":"a","cc":[]}"#);
    assert_eq!(send.step(&grant), None);
    let used = take(&mut grant, "mail.search", "").unwrap();
    assert!(grant.conclude(used, Ended::Answered(&result("[]"))).is_some());
    assert!(send.step(&grant).is_some());
}

#[test]
fn values_out_of_an_answer_are_matched_by_meaning_with_what_the_gateway_selected() {
    let mut grant = World::of(&["chat"]).grant(FROM);
    let send = |grant: &Grant, to: &str, cc: &str| {
        call("mail.send", &format!(r#"{{"to":{to},"cc":{cc}}}"#)).step(grant).is_some()
    };
    assert!(!send(&grant, r#""a""#, "[]"));
    let used = take(&mut grant, "mail.search", "").unwrap();
    let answer =
        result(r#"{"people":[{"mail":"\u0061"},{"mail":10},{"mail":{"x":1}}],"cc":["c"],"other":"eve"}"#);
    let concluded = grant.conclude(used, Ended::Answered(&answer)).unwrap();
    assert!(send(&grant, r#""a""#, "[]") && send(&grant, "1e1", r#"["c","\u0063"]"#));
    for (to, cc) in [
        (r#""eve""#, "[]"),
        (r#""10""#, "[]"),
        (r#"{"x":1}"#, "[]"),
        (r#""a""#, r#"["a"]"#),
        (r#""a""#, r#"[["c"]]"#),
    ] {
        assert!(!send(&grant, to, cc), "{to} {cc}");
    }
    // What a later answer selects is added; what is recorded brings the same after a restart.
    let used = take(&mut grant, "mail.search", "").unwrap();
    let later = grant.conclude(used, Ended::Answered(&result(r#"{"people":[{"mail":"z"}]}"#))).unwrap();
    assert!(send(&grant, r#""z""#, "[]") && send(&grant, r#""a""#, "[]"));
    let mut restored = World::of(&["chat"]).grant(FROM);
    for (concluded, count) in [(&concluded, 1), (&later, 2)] {
        let recorded = serde_json::to_string(concluded).unwrap();
        restored.restore_use("r", count);
        restored.restore_conclusion(&serde_json::from_str::<Concluded>(&recorded).unwrap());
    }
    assert_eq!(restored, grant);
    assert!(!serde_json::to_string(&grant).unwrap().contains("eve"));
}

#[test]
fn an_attribute_that_a_later_token_made_ambiguous_matches_nothing() {
    let grant =
        World::of(&["chat"]).grant(r#"{"id":"s","tool":"mail__send","args":{"to":{"trigger":"sender"}}}"#);
    let mut send = call("mail.send", &format!(r#"{{"to":"{SENDER}"}}"#));
    assert!(send.step(&grant).is_some());
    send.trigger.entries.extend(trigger().entries);
    assert_eq!(send.step(&grant), None);
    send.trigger.entries.clear();
    assert_eq!(send.step(&grant), None);
}

#[test]
fn a_grant_is_for_its_run_its_tool_and_its_time() {
    let steps = r#"{"id":"s","tool":"mail__send","args":{"to":{"lit":"a"}}}"#;
    let mut grant = World::of(&["chat"]).grant(steps);
    let arguments = r#"{"to":"a"}"#;
    assert!(call("mail.send", arguments).step(&grant).is_some());
    assert_eq!(call("mail.sent", arguments).step(&grant), None);
    assert_eq!(call("post.send", arguments).step(&grant), None);
    let mut other = call("mail.send", arguments);
    other.run = RunId::of([8; 16]);
    assert_eq!(other.step(&grant), None);
    let mut late = call("mail.send", arguments);
    late.now = terms().until;
    assert_eq!(late.step(&grant), None);
    // The use of one grant says nothing to another.
    let mut elsewhere =
        World::of(&["chat"]).review(steps).grant(Terms { run: other.run.clone(), ..terms() }).unwrap();
    let used = take(&mut grant, "mail.send", arguments).unwrap();
    assert_eq!(elsewhere.conclude(used, Ended::Answered(&result("{}"))), None);
    let mut closed = World::of(&["chat"]).grant(steps);
    closed.close();
    assert_eq!(call("mail.send", arguments).step(&closed), None);
    assert!(closed.is_in_force(Timestamp::UNIX_EPOCH) == closed.is_in_force(terms().until));
    assert_eq!(grant.terms().run, run());
}

#[test]
fn a_grant_is_kept_whole_and_a_changed_plan_is_not_taken_for_it() {
    let mut grant = World::of(&["chat"]).grant(FROM);
    let used = take(&mut grant, "mail.search", "").unwrap();
    grant.conclude(used, Ended::Answered(&result(r#"{"people":[{"mail":"a"}]}"#)));
    let kept = serde_json::to_string(&grant).unwrap();
    let read: Grant = serde_json::from_str(&kept).unwrap();
    assert_eq!(read, grant);
    for changed in [
        kept.replace("$.people[*].mail", "$.people[*].evil"),
        kept.replace(r#"\"v\":1"#, r#"\"v\":2"#),
        kept.replacen(r#""uses":2"#, r#""uses":-1"#, 1),
        kept.replacen(r#""sha256":"#, r#""sha257":"#, 1),
    ] {
        assert_ne!(changed, kept);
        assert!(serde_json::from_str::<Grant>(&changed).is_err());
    }
}

#[test]
fn a_basis_is_what_was_written_and_not_where() {
    use crate::plan::{End, Flow, FlowAnswer, Reaches, basis};
    let flow = |line| Flow {
        name: "f".into(),
        from: End::default(),
        to: End::default(),
        reaches: Reaches::Call,
        answer: FlowAnswer::Ask,
        place: super::bench::place(line),
    };
    let tool = super::bench::tool("mail__send").unwrap();
    let rules = |flows: &[Flow]| Rules { flows: flows.to_vec(), ..Rules::default() };
    let of = |tool, flows: &[Flow]| basis([tool], &rules(flows));
    assert_eq!(of(&tool, &[flow(1)]), of(&tool, &[flow(2)]));
    assert_ne!(of(&tool, &[flow(1)]), of(&tool, &[]));
    let labels = Labels { destinations: None, ..tool.labels.clone() };
    let relabelled = crate::plan::Tool { labels, ..tool.clone() };
    assert_ne!(of(&tool, &[]), of(&relabelled, &[]));
    assert_ne!(basis([&tool], &Rules::default()), Sha256::of(b""));
    let reviewed = |domain: &str, line| {
        let (url, known_domains) = ("http://reviewer.test/".to_owned(), [domain.to_owned()].into());
        let place = super::bench::place(line);
        basis([&tool], &Rules { outside: Some(Outside { url, known_domains, place }), ..Rules::default() })
    };
    assert_ne!(reviewed("a.example", 1), of(&tool, &[]));
    assert_eq!(reviewed("a.example", 1), reviewed("a.example", 2));
    assert_ne!(reviewed("a.example", 1), reviewed("b.example", 1));
}

#[test]
fn a_person_who_says_no_ends_the_step() {
    let review = World::of(&["chat"]).review(r#"{"id":"s","tool":"mail__send","args":{"to":{"match":"a"}}}"#);
    let mut grant = review.grant(terms()).unwrap();
    assert_eq!(grant.remaining().map(|step| step.state).collect::<Vec<_>>(), [State::Waiting]);
    grant.decline(&id("s")).unwrap();
    assert_eq!(grant.approve(&id("s")), None);
    assert_eq!(call("mail.send", r#"{"to":"a"}"#).step(&grant), None);
}
