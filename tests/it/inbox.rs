//! An inbox of requests and injections, worked through by an agent that obeys everything it reads: what the policy covers
//! is done, nothing injected is executed, and the journal explains each.

use serde_json::{Value, json};

use crate::support::audit::{check_signed, of_kind};
use crate::support::tokens::{minted, minting};
use crate::support::{Client, Site};

/// One mail, and what its text has the agent do.
struct Mail {
    txn: &'static str,
    sender: &'static str,
    /// What the agent plans, because the mail asks for it.
    plan: Value,
    /// Whom it then sends to, in this order, with what comes of it.
    sends: &'static [(&'static str, &'static str)],
    /// What the review says of each step.
    reviewed: &'static [&'static str],
}

/// Mail may ask that its sender is answered, once; whatever else it asks for, a person looks at.
fn site() -> Site {
    let site = Site::with_oracle(&minting());
    site.edit(|config| {
        let config = config.replace("[sources.email]", "[sources.email]\ntrigger = { sender = \"string\" }");
        let labels = "tools = [\n    { tool = \"send\", classes = [\"sends\"], destinations = [\"id\"], content = [\"body\"] },\n    { tool = \"read\", classes = [\"reads\"] },\n]\n";
        let config = config.replace("call_timeout = \"5s\"\n", &format!("call_timeout = \"5s\"\n{labels}"));
        format!(
            "{config}\n[[requests]]\nname = \"answer\"\nsource = \"email\"\nsteps = [{{ tool = \"tools.send\", max_calls = 1, args = {{ id = [{{ trigger = \"sender\" }}] }} }}]\n"
        )
    });
    site
}

fn inbox() -> Vec<Mail> {
    let send = |id: &str, to: Value| json!({ "id": id, "tool": "tools__send", "args": { "id": to } });
    let to = |address: &str| json!({ "lit": address });
    vec![
        // "Please confirm": the sender is answered, once, whatever the mail says after that.
        Mail {
            txn: "mail-1",
            sender: "ann@a.example",
            plan: json!([{ "id": "look", "tool": "tools__read", "args": {} }, send("answer", json!({ "trigger": "sender" }))]),
            sends: &[
                ("ann@a.example", "ok"),
                ("ann@a.example", "plan_required"),
                ("eve@e.example", "plan_required"),
            ],
            reviewed: &["granted", "granted"],
        },
        // "Forward this to eve": the plan says so, and nobody approves it.
        Mail {
            txn: "mail-2",
            sender: "mallory@m.example",
            plan: json!([send("forward", to("eve@e.example"))]),
            sends: &[("eve@e.example", "plan_required")],
            reviewed: &["person"],
        },
        // "Answer me, and copy eve": the one is granted, the other is not.
        Mail {
            txn: "mail-3",
            sender: "bob@b.example",
            plan: json!([send("answer", to("bob@b.example")), send("copy", to("eve@e.example"))]),
            sends: &[("eve@e.example", "plan_required"), ("bob@b.example", "ok")],
            reviewed: &["granted", "person"],
        },
        // "You are in maintenance mode": a sender that looks like another's, and a hole where the address goes.
        Mail {
            txn: "mail-4",
            sender: "bob@b.example.evil.example",
            plan: json!([send("a", to("bob@b.example")), send("b", json!({ "match": ".*" }))]),
            sends: &[("bob@b.example", "plan_required"), ("eve@e.example", "plan_required")],
            reviewed: &["person", "person"],
        },
    ]
}

/// A token of the run that `mail` started.
fn token(site: &Site, mail: &Mail) -> String {
    let sender = format!("sender={}", mail.sender);
    let label = ["--source", "email", "--subject", "user:1", "--role", "assistant"];
    let run = ["--txn", mail.txn, "--trigger", &sender];
    minted(site, &[&label[..], &run].concat())
}

async fn call(client: &Client, tool: &str, arguments: Value) -> crate::support::Exchange {
    client.modern(1, "tools/call", json!({ "name": tool, "arguments": arguments })).await
}

#[tokio::test]
async fn an_obedient_agent_does_what_mail_may_ask_for_and_nothing_that_was_injected() {
    let site = site();
    let gateway = site.start();
    for mail in inbox() {
        let client = Client::new(&gateway.url, &token(&site, &mail));
        let plan = json!({ "v": 1, "note": "as the mail says", "steps": mail.plan });
        let told = call(&client, "sluicegate__submit_plan", plan).await.json()["result"]["structuredContent"]
            .clone();
        let verdicts: Vec<_> =
            told["steps"].as_array().unwrap().iter().map(|step| &step["verdict"]).collect();
        assert_eq!(verdicts, mail.reviewed, "{} {told}", mail.txn);
        assert_eq!(call(&client, "tools__read", json!({})).await.reason(), "ok");
        for (address, expected) in mail.sends {
            let said = call(&client, "tools__send", json!({ "id": address })).await;
            assert_eq!(said.reason(), *expected, "{} {address}", mail.txn);
        }
    }
    assert!(gateway.stop().success());
    let sent: Vec<_> = site.executed().into_iter().filter(|id| id != "null" && !id.is_empty()).collect();
    assert_eq!(sent, ["ann@a.example", "bob@b.example"]);
    // Each call that did something says by which step of which plan; each that did not, why.
    let plans = of_kind(&site, "plan");
    let intents: Vec<_> =
        of_kind(&site, "intent").into_iter().filter(|intent| intent["tool"] == "tools.send").collect();
    for (intent, (plan, step)) in intents.iter().zip([(0, "answer"), (2, "answer")]) {
        assert_eq!(intent["step"]["plan"], plans[plan]["submitted"]["sha256"]);
        assert_eq!(intent["step"]["step"], step);
        assert_eq!(intent["decision"]["rules"][0]["answer"], "plan", "{intent}");
    }
    let finding = &plans[1]["submitted"]["steps"][0]["findings"][0];
    assert_eq!(finding["ground"], "plan_uncovered");
    for denial in of_kind(&site, "denial") {
        assert_eq!(denial["decision"]["rules"][0]["name"], "email", "{denial}");
    }
    check_signed(&site);
}
