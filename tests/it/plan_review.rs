//! Plans, reviewed without a gateway: what each step gets, by which rule at which line, and what is wrong with a plan.

use serde_json::{Value, json};

use crate::support::Site;

const CONFIG: &str = r#"
[gateway]
state_dir = "./state"
url = "http://gateway.test/mcp"

[listen.main]
address = "127.0.0.1:0"

[auth.mint]
may_assert = { sources = ["chat", "email"], subjects = ["user:*"], roles = ["assistant"], goals = ["answer"] }

[upstreams.mail]
command = ["sluicegate", "demo-upstream", "mail"]
returns = "email"
tools = [
    { tool = "send", returns = "trusted", destinations = ["to"], content = ["subject", "body"], classes = ["sends"] },
    { tool = "delete", classes = ["writes"] },
    { tool = "*", classes = ["reads"] },
]

[roles.assistant]
allow = ["mail.*"]

[sources.chat]
allow = ["*"]

[sources.email]
trigger = { sender = "string" }
allow = ["mail.read_inbox", "mail.search"]
plan = ["mail.send"]

[[requests]]
name = "answer-the-sender"
source = "email"
goal = "answer"
steps = [{ tool = "mail.send", max_calls = 1, args = { to = { trigger = "sender" } } }]

[[flows]]
name = "read-then-delete"
from = { classes = ["reads"] }
to = { tools = ["mail.delete"] }
answer = "deny"
"#;

fn site() -> Site {
    let site = Site::new(CONFIG);
    let lock = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/config/mail.lock");
    std::fs::copy(lock, site.path("gateway.lock")).unwrap();
    site
}

/// The review of a plan of these steps.
fn review(site: &Site, steps: &Value, caller: &[&str]) -> (i32, Value) {
    let plan = json!({ "v": 1, "steps": steps }).to_string();
    std::fs::write(site.path("plan.json"), plan).unwrap();
    let all = [&["plan", "review", "plan.json", "--json", "--role", "assistant"], caller].concat();
    let (code, out, err) = site.run(&all);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

fn send(id: &str, to: &Value) -> Value {
    let text = json!({ "free": { "max_len": 200 } });
    json!({ "id": id, "tool": "mail__send", "args": { "to": to, "subject": text, "body": text } })
}

const EMAIL: &[&str] = &["--source", "email", "--trigger", "sender=ann@a.example", "--goal", "answer"];

fn verdicts(answer: &Value) -> Vec<&str> {
    answer["steps"].as_array().unwrap().iter().map(|step| step["verdict"].as_str().unwrap()).collect()
}

#[test]
fn each_step_is_told_with_the_rule_that_decides_it() {
    let site = site();
    let sender = json!({ "trigger": "sender" });
    let (code, answer) = review(&site, &json!([send("s1", &sender)]), EMAIL);
    assert_eq!((code, &answer["granted"]), (0, &json!(true)), "{answer:#}");
    let findings = answer["steps"][0]["findings"].to_string();
    assert!(findings.contains("answer-the-sender") && findings.contains("\"line\":"), "{findings}");
    // The same to somebody else, and once more than the request may ask for.
    let steps =
        json!([send("s1", &sender), send("s2", &json!({ "lit": "eve@e.example" })), send("s3", &sender)]);
    let (code, answer) = review(&site, &steps, EMAIL);
    assert_eq!(code, 1);
    assert_eq!(verdicts(&answer), ["granted", "person", "person"], "{answer:#}");
    assert_eq!(answer["steps"][1]["findings"][0]["ground"], "uncovered", "{answer:#}");
    // Without the goal nothing of it may be asked for.
    let (code, answer) = review(&site, &json!([send("s1", &sender)]), EMAIL.split_at(4).0);
    assert_eq!((code, verdicts(&answer)), (1, vec!["person"]), "{answer:#}");
    // A person typed it, and nothing was read yet.
    let eve = json!([send("s1", &json!({ "lit": "eve@e.example" }))]);
    let (code, answer) = review(&site, &eve, &["--source", "chat"]);
    assert_eq!((code, verdicts(&answer)), (0, vec!["granted"]), "{answer:#}");
    let (code, answer) = review(&site, &eve, &["--source", "chat", "--after", "email"]);
    assert_eq!((code, verdicts(&answer)), (1, vec!["person"]), "{answer:#}");
}

#[test]
fn what_is_refused_says_by_which_line_and_hidden_tools_are_as_if_they_did_not_exist() {
    let site = site();
    let steps = json!([
        { "id": "s1", "tool": "mail__read_inbox", "args": {} },
        { "id": "s2", "tool": "mail__delete", "args": { "id": { "lit": "7" } } },
        { "id": "s3", "tool": "mail__nothing", "args": {} },
    ]);
    let plan = json!({ "v": 1, "note": "\u{1b}[2J", "steps": steps }).to_string();
    std::fs::write(site.path("plan.json"), plan).unwrap();
    let ask = |source| site.run(&["plan", "review", "plan.json", "--source", source, "--role", "assistant"]);
    let (code, said, _) = ask("chat");
    assert_eq!(code, 1);
    assert!(said.contains("s1    mail__read_inbox  granted"), "{said}");
    assert!(said.contains("s2    mail__delete      refused"), "{said}");
    assert!(said.contains("  flow_denies, by step `s1`: flow read-then-delete at gateway.toml:"), "{said}");
    assert!(said.contains("within: source chat allow by `*` at gateway.toml:"), "{said}");
    assert!(said.contains("no definition of this name is accepted"), "{said}");
    assert!(!said.contains('\u{1b}') && !said.contains("[2J"), "no note is shown: {said}");
    let (code, said, _) = ask("email");
    assert_eq!(code, 1);
    assert!(
        said.contains("s2: mail__delete\n  not_visible: ceiling\n    There is no such tool.\n"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_with_a_plan_is_told_with_step_and_pointer() {
    let site = site();
    let steps = json!([{ "id": "s1", "tool": "mail__send", "args": { "too": { "lit": "a" } } }]);
    let (code, answer) = review(&site, &steps, EMAIL);
    assert_eq!((code, &answer["granted"]), (1, &json!(false)));
    let problem = &answer["problems"][0];
    assert_eq!((&problem["step"], &problem["at"]), (&json!("s1"), &json!("/steps/0/args/too")), "{answer:#}");
    std::fs::write(site.path("plan.json"), "{\"v\":2}").unwrap();
    let (code, said, _) = site.run(&["plan", "review", "plan.json", "--source", "chat"]);
    assert_eq!(code, 1);
    assert!(said.contains("plan.json: at `/v`: `v` is the version of the plan language"), "{said}");
    let (code, _, err) = site.run(&["plan", "review", "plan.json"]);
    assert_eq!(code, 1);
    assert!(err.contains("--source"), "{err}");
    let (code, _, err) = site.run(&["plan", "review", "none.json", "--source", "chat"]);
    assert_eq!(code, 1);
    assert!(err.contains("`none.json` cannot be read"), "{err}");
}

#[test]
fn where_nobody_may_answer_what_needs_a_person_is_refused() {
    let site = site();
    let eve = json!([send("s1", &json!({ "lit": "eve@e.example" }))]);
    let verdict = |approver: &str| {
        site.configure(&format!("{CONFIG}\n[[approvers]]\nuid = 1000\n{approver}\n"));
        verdicts(&review(&site, &eve, EMAIL).1)[0].to_owned()
    };
    assert_eq!(verdict(""), "person");
    assert_eq!(verdict("sources = [\"email\"]\ntools = [\"mail.*\"]"), "person");
    assert_eq!(verdict("sources = [\"chat\"]"), "refused");
    assert_eq!(verdict("tools = [\"mail.delete\"]"), "refused");
    assert_eq!(verdict("subjects = [\"user:1\"]"), "refused");
}
