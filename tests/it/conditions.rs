//! Conditions, guardrails, tests and shadow, in front of a real tool server; and what is said of them beforehand.

use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::Gateway;
use crate::support::tokens::minted;
use crate::support::{Client, Site, check_audit};

const HEAD: &str = r#"
[gateway]
state_dir = "./state"
url = "http://gateway.test/mcp"

[listen.main]
address = "127.0.0.1:0"

[auth.mint]
may_assert = { sources = ["chat", "email"], subjects = ["user:*"], roles = ["assistant"] }

[upstreams.mail]
command = ["sluicegate", "demo-upstream", "mail"]
returns = "email"
tools = [
    { tool = "send", returns = "trusted", destinations = ["to"], content = ["subject", "body"], classes = ["sends"] },
    { tool = "*", classes = ["reads", "writes"] },
]

[roles.assistant]
allow = ["mail.*"]

[sources.chat]
allow = ["*"]
"#;

const TO_THE_SENDER: &str = r#"
[sources.email]
trigger = { sender = "string", auth = "string" }
allow = [
    "mail.read_inbox",
    { tool = "mail.send", when = "args.to == trigger.sender && trigger.auth == \"dkim-pass\"" },
]
"#;

fn site(rest: &str) -> Site {
    Site::new(&format!("{HEAD}{rest}"))
}

fn mint(site: &Site, arguments: &[&str]) -> String {
    minted(site, &[&["--subject", "user:1", "--role", "assistant"], arguments].concat())
}

async fn send(gateway: &Gateway, token: &str, arguments: Value) -> String {
    let params = json!({ "name": "mail__send", "arguments": arguments });
    let answer = Client::new(&gateway.url, token).modern(1, "tools/call", params).await;
    match answer.json()["result"]["isError"].as_bool() {
        Some(false) => "allowed".to_owned(),
        _ => answer.reason().to_owned(),
    }
}

fn mail(to: &str) -> Value {
    json!({ "to": to, "subject": "s", "body": "b" })
}

#[tokio::test]
async fn a_condition_lets_an_answer_to_the_sender_through_and_nothing_else() {
    let site = site(TO_THE_SENDER);
    let gateway = site.start();
    let label = ["--source", "email", "--trigger", "sender=a@b.example", "--trigger", "auth=dkim-pass"];
    let token = mint(&site, &label);
    assert_eq!(send(&gateway, &token, mail("a@b.example")).await, "allowed");
    assert_eq!(send(&gateway, &token, mail("c@d.example")).await, "source_denies");
    // Byte for byte, and not as a careless reader would take it.
    assert_eq!(send(&gateway, &token, mail("A@b.example")).await, "source_denies");
    // What is absent leaves it open, and the stricter counts.
    assert_eq!(send(&gateway, &token, json!({ "subject": "s", "body": "b" })).await, "source_denies");
    assert_eq!(send(&gateway, &token, json!({ "to": ["a@b.example"] })).await, "condition_error");
    let smuggled = json!({ "to": "a@b.example", "subject": "s", "body": "b", "To": "c@d.example" });
    assert_eq!(send(&gateway, &token, smuggled).await, "argument_unknown");
    let unsigned = mint(&site, &["--source", "email", "--trigger", "sender=a@b.example"]);
    assert_eq!(send(&gateway, &unsigned, mail("a@b.example")).await, "source_denies");
    assert!(gateway.stop().success());
    let allowed = of_kind(&site, "intent");
    assert_eq!(allowed.len(), 1);
    let rules = allowed[0]["decision"]["rules"].as_array().unwrap();
    let condition = rules.iter().find_map(|rule| rule.get("when")).unwrap();
    assert_eq!(condition, "args.to == trigger.sender && trigger.auth == \"dkim-pass\"");
    check_audit(&site);
}

#[tokio::test]
async fn i5_a_condition_changes_no_list_and_a_tool_that_it_does_not_fit_is_closed_and_says_so() {
    let misfit = r#"
[sources.email]
allow = [{ tool = "mail.send", when = "args.recipient == \"a@b.example\"", unconstrained = ["to"] }, "mail.search"]
"#;
    // Nothing is accepted yet, so nobody can know that it does not fit.
    let site = site(misfit);
    let (code, said, _) = site.run(&["check"]);
    assert_eq!(code, 0, "{said}");
    let gateway = site.start();
    let token = mint(&site, &["--source", "email"]);
    let listed = Client::new(&gateway.url, &token).modern(1, "tools/list", json!({})).await;
    assert_eq!(crate::support::client::names(&listed), ["mail__search", "mail__send"]);
    assert_eq!(send(&gateway, &token, mail("a@b.example")).await, "condition_invalid");
    assert!(gateway.stop().success());
    // Now it is known, and the place is told.
    let (code, said, _) = site.run(&["check"]);
    assert_eq!(code, 78, "{said}");
    assert!(said.contains("error[condition_invalid]: `mail.send` has no argument `recipient`"), "{said}");
    site.edit(|config| config.replace("args.recipient", "args.to"));
    check_audit(&site);
}

#[tokio::test]
async fn a_guardrail_forbids_whatever_the_lists_say_and_a_failing_test_keeps_a_policy_out() {
    let site = site(&format!(
        "{TO_THE_SENDER}\n[[tests]]\nname = \"chat sends\"\nsource = \"chat\"\nrole = \"assistant\"\nallow = [\"mail.send\"]\n"
    ));
    let gateway = site.start();
    let token = mint(&site, &["--source", "chat"]);
    assert_eq!(send(&gateway, &token, mail("boss@evil.example")).await, "allowed");
    let guardrail = "@id(\"not to evil\")\nforbid(principal, action, resource == Tool::\"mail.send\")\nwhen { context.args has to && context.args.to like \"*@evil.example\" };\n";
    std::fs::write(site.path("evil.cedar"), guardrail).unwrap();
    site.edit(|config| format!("guardrails = [\"evil.cedar\"]\n{config}"));
    let (code, said, err) = site.run(&["reload"]);
    assert_eq!(code, 0, "{said}{err}");
    assert_eq!(send(&gateway, &token, mail("boss@evil.example")).await, "guardrail_denies");
    assert_eq!(send(&gateway, &token, mail("boss@good.example")).await, "allowed");
    // A policy whose own test fails is not put in force, and nothing changes.
    site.edit(|config| {
        config.replace("[sources.chat]\nallow = [\"*\"]", "[sources.chat]\nallow = [\"mail.search\"]")
    });
    let (code, said, err) = site.run(&["reload"]);
    assert_ne!(code, 0, "{said}{err}");
    assert!(format!("{said}{err}").contains("test_failed"), "{said}{err}");
    assert_eq!(send(&gateway, &token, mail("boss@good.example")).await, "allowed");
    // Without the guardrail it would be wider, and that is told.
    site.edit(|config| {
        config
            .replace("allow = [\"mail.search\"]", "allow = [\"*\"]")
            .replace("guardrails = [\"evil.cedar\"]", "")
    });
    let (code, said, err) = site.run(&["reload", "--json"]);
    assert_eq!(code, 0, "{said}{err}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert!(answer["widened"].to_string().contains("guardrail not to evil is gone"), "{answer}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn what_is_not_enforced_yet_refuses_nothing_and_every_record_says_what_it_would_be() {
    let site = site("[sources.email]\nenforce = false\nuntil = \"2999-01-01\"\nallow = [\"mail.search\"]\n");
    let (_, said, _) = site.run(&["check"]);
    assert!(said.contains("warning[shadow]: NOT ENFORCED"), "{said}");
    let gateway = site.start();
    let token = mint(&site, &["--source", "email"]);
    assert_eq!(send(&gateway, &token, mail("a@b.example")).await, "allowed");
    let listed = Client::new(&gateway.url, &token).modern(1, "tools/list", json!({})).await;
    assert!(crate::support::client::names(&listed).contains(&"mail__delete".to_owned()));
    assert!(gateway.stop().success());
    let intents = of_kind(&site, "intent");
    assert_eq!(intents[0]["decision"]["verdict"], "allow");
    assert_eq!(intents[0]["decision"]["would_be"]["verdict"], "deny");
    assert_eq!(intents[0]["decision"]["would_be"]["reason"], "not_visible");
    check_audit(&site);
}

#[test]
fn explain_who_can_and_matrix_say_what_the_policy_says() {
    let site = site(TO_THE_SENDER);
    std::fs::copy(
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/config/mail.lock"),
        site.path("gateway.lock"),
    )
    .unwrap();
    let caller = ["explain", "--source", "email", "--role", "assistant", "--trigger", "auth=dkim-pass"];
    let ask = |arguments: &[&str]| site.run(&[&caller[..], arguments].concat());
    let to = r#"{"to":"a@b.example","subject":"s","body":"b"}"#;
    let (code, said, _) = ask(&["--trigger", "sender=a@b.example", "mail.send", to]);
    assert_eq!(code, 0, "{said}");
    assert!(said.starts_with("mail.send: allow (allowed)\n"), "{said}");
    let (code, said, _) = ask(&["--trigger", "sender=c@d.example", "--json", "mail.send", to]);
    assert_eq!(code, 1, "{said}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["decision"]["reason"], "source_denies");
    assert!(answer["voices"][0]["remedies"][0].as_str().unwrap().contains("would have to hold"), "{answer}");
    let (code, _, said) = ask(&["mail.sent"]);
    assert_eq!(code, 1);
    assert!(said.contains("known here: mail.delete"), "{said}");
    let (_, said, _) = site.run(&["who-can", "--json", "mail.send"]);
    let answer: Value = serde_json::from_str(&said).unwrap();
    let spans: Vec<_> = answer["ways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| ["source", "loosest", "strictest"].map(|key| way[key].as_str().unwrap()))
        .collect();
    assert_eq!(spans, [["chat", "allow", "allow"], ["email", "allow", "deny"]]);
    let (_, said, _) = site.run(&["who-can", "mail.delete"]);
    assert!(said.contains("chat") && !said.contains("email"), "{said}");
    let (_, said, _) = site.run(&["matrix"]);
    assert!(said.contains("mail.send        A     A-\n"), "{said}");
    let (code, ..) = site.run(&["matrix", "--html", "policy.html"]);
    assert_eq!(code, 0);
    let page = std::fs::read_to_string(site.path("policy.html")).unwrap();
    assert!(page.contains("<th scope=\"row\">mail.send</th>") && !page.contains("<script"), "{page}");
    let (_, said, _) = site.run(&["check", "--coverage"]);
    assert!(said.contains("no test exercises source `email`: allow mail.send when args.to"), "{said}");
}
