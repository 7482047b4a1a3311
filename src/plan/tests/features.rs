//! What a reviewer outside is shown of a plan, and that no text of the plan is among it.

use super::bench::{tool, trigger};
use crate::plan::{Domains, Fitted, Plan, Tool};

fn fitted(raw: &str) -> Fitted {
    // An object without declared members: their names are the plan's.
    let open = |name: &str| {
        let schema = r#"{"properties":{"to":{},"cc":{},"body":{},"extra":{"type":"object"}}}"#.into();
        Some(Tool { schema, ..tool(name)? })
    };
    let plan = Plan::read(raw.as_bytes()).unwrap_or_else(|problems| panic!("{problems:#?}"));
    plan.fit(open, &trigger()).unwrap_or_else(|problems| panic!("{problems:#?}"))
}

#[test]
fn no_text_of_a_plan_reaches_a_reviewer() {
    let raw = r#"{"v":1,"goal":"CANARY","note":"CANARY","steps":[
        {"id":"CANARY","tool":"mail__search","note":"CANARY"},
        {"id":"CANARY2","tool":"CANARY","args":{"CANARY":{"lit":"CANARY"}}},
        {"id":"CANARY3","tool":"mail__send","after":["CANARY"],"args":{
            "to":{"enum":["CANARY@canary.example","CANARY",{"CANARY":"CANARY"}]},
            "cc":{"each":{"match":"CANARY"},"max_items":2},
            "body":{"from":"CANARY","select":"$.CANARY[?@.CANARY=='CANARY']"},
            "extra":{"object":{"CANARY":{"lit":["CANARY"],"optional":true}}}}}]}"#;
    let shown = serde_json::to_string(&fitted(raw).features(&Domains::new())).unwrap();
    assert!(!shown.to_lowercase().contains("canary"), "{shown}");
}

#[test]
fn a_reviewer_is_shown_kinds_types_lengths_and_known_domains() {
    let raw = r#"{"v":1,"steps":[{"id":"a","tool":"mail__search"},{"id":"b","tool":"mail__send","max_calls":2,"args":{
        "to":{"enum":["ann@A.example","x@b.example","x","bob@a.example"]},"body":{"free":{"max_len":9},"optional":true},
        "cc":{"each":{"from":"a","select":"$.x"},"max_items":3},"extra":{"object":{"n":{"min":1}}}}}]}"#;
    let features = fitted(raw).features(&Domains::from(["a.example".to_owned()]));
    let shown = serde_json::to_value(&features[1]).unwrap();
    let expected = serde_json::json!({
        "tool": "mail.send", "max_calls": 2, "needs": [0],
        "arguments": {
            "to": {"kind": "values", "values": [
                {"type": "string", "len_max": 1, "count_max": 1},
                {"type": "string", "len_max": 16, "is_known_domain": false, "count_max": 1},
                {"type": "string", "len_max": 16, "is_known_domain": true, "count_max": 2}]},
            "body": {"is_optional": true, "kind": "free", "max_len": 16},
            "cc": {"kind": "each", "element": {"kind": "from", "step": 0}, "max_items": 4},
            "extra": {"kind": "object", "members": [{"kind": "range"}]},
        },
    });
    assert_eq!(shown, expected);
}

/// Numbers that spell a text, by lengths and in the order of values, say no more than how large they are.
#[test]
fn no_numbers_of_a_plan_spell_a_text_to_a_reviewer() {
    let shown = |lengths: &[usize]| {
        let values: Vec<_> = lengths.iter().map(|len| format!("\"{}\"", "x".repeat(*len))).collect();
        let step = format!(
            r#"{{"v":1,"steps":[{{"id":"a","tool":"mail__send","max_calls":{},"args":{{
                "to":{{"enum":[{}]}},"body":{{"free":{{"max_len":{}}}}},
                "cc":{{"each":{{"lit":1}},"max_items":{}}}}}}}]}}"#,
            lengths[0] % 10 + 9,
            values.join(","),
            lengths[0],
            lengths[1] % 8 + 9,
        );
        serde_json::to_string(&fitted(&step).features(&Domains::new())).unwrap()
    };
    assert_eq!(shown(&[73, 103, 110, 111]), shown(&[112, 101, 109, 105]));
}
