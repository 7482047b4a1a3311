//! Where several people have to say yes, over the real binary: each counts once, a no ends it, and a kill loses none.

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::approvals::{asked, client, questions, resume};
use crate::support::Site;
use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway};

/// Whoever is no other user.
const NOBODY: u32 = 65_534;
const TWO: &str = r#"
[[approvers]]
uid = 0

[[approvers]]
uid = 65534

[[quorums]]
people = 2
tools = ["tools.write", "tools.send"]
"#;

/// Starts the gateway under another user, so that two can ask at its admin socket: that one and root.
fn start(site: &Site) -> Gateway {
    let mut command = site.command(&["serve", "--config", "gateway.toml"]);
    command.uid(NOBODY).gid(NOBODY);
    site.try_start_by(command).unwrap_or_else(|said| panic!("the gateway did not start: {said}"))
}

/// A site of that user.
fn site() -> Site {
    assert!(rustix::process::geteuid().is_root(), "two people need two users: run this test as root");
    let site = Site::with_oracle(TWO);
    let dir = site.path("gateway.toml").parent().unwrap().to_owned();
    for path in [dir, site.path("gateway.toml")] {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    site
}

/// The journal is what the gateway signed. Read by its folder: the configuration names one of another user.
fn check_signed(site: &Site) {
    let key = std::fs::read_to_string(site.path("state/audit-key.pub")).unwrap();
    let (code, out, err) = site.run(&["audit", "verify", "--state-dir", "state", "--key", key.trim_end()]);
    assert_eq!(code, 0, "{out}{err}");
}

/// What `approvals …` says to the user `uid`: exit code and what it wrote.
fn says(site: &Site, uid: u32, args: &[&str]) -> (i32, String) {
    let mut command = site.command(&[&["approvals"], args].concat());
    let output = command.uid(uid).gid(uid).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap_or(-1), text)
}

#[tokio::test]
async fn two_different_people_have_to_say_yes_and_one_no_is_the_end() {
    let site = site();
    let gateway = start(&site);
    let chat = client(&gateway, CHAT_KEY).await;
    let id = asked(&chat.call("tools__write", "a").await);
    let (_, shown) = says(&site, 0, &["show", &id]);
    assert!(shown.contains("2 have to say yes; nobody did, 2 more have to"), "{shown}");
    let (code, said) = says(&site, 0, &["approve", &id]);
    assert!(code == 0 && said.contains("uid 0 did, 1 more have to"), "{said}");
    // Once is once, and it is not several at once either.
    let (code, said) = says(&site, 0, &["approve", &id]);
    assert!(code != 0 && said.contains("you said yes already"), "{said}");
    let (code, said) = says(&site, NOBODY, &["approve", &id, "--like", "3", "--for", "1m"]);
    assert!(code != 0 && said.contains("2 different people have to say yes"), "{said}");
    assert_eq!(resume(&chat, &id).await.reason(), "approval_pending");
    gateway.kill();
    for _ in 0..2 {
        // The second time from the state at the head of a segment.
        is_known_again(&site, &id);
    }
    let gateway = start(&site);
    let chat = client(&gateway, CHAT_KEY).await;
    assert_eq!(asked(&chat.call("tools__write", "a").await), id);
    let (code, said) = says(&site, NOBODY, &["approve", &id]);
    assert!(code == 0 && said.contains("is approved"), "{said}");
    assert_eq!(resume(&chat, &id).await.reason(), "ok");
    // One no is enough, after a yes as well.
    let id = asked(&chat.call("tools__write", "b").await);
    assert_eq!(says(&site, NOBODY, &["approve", &id]).0, 0);
    assert_eq!(says(&site, 0, &["deny", &id]).0, 0);
    assert_eq!(resume(&chat, &id).await.reason(), "approval_denied");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["a"]);
    let told: Vec<_> = of_kind(&site, "approval")
        .iter()
        .map(|it| (it["change"].as_str().unwrap().to_owned(), it["by"]["uid"].clone()))
        .collect();
    let said = |change: &str, by: Value| (change.to_owned(), by);
    let expected = [
        said("asked", Value::Null),
        said("agreed", json!(0)),
        said("approved", json!(NOBODY)),
        said("asked", Value::Null),
        said("agreed", json!(NOBODY)),
        said("denied", json!(0)),
    ];
    assert_eq!(told, expected);
    check_signed(&site);
}

/// Starts it and kills it: who said yes is known.
fn is_known_again(site: &Site, id: &str) {
    let gateway = start(site);
    let waiting = questions(site);
    assert_eq!((&waiting[0]["id"], &waiting[0]["people"]["needed"]), (&json!(id), &json!(2)));
    assert_eq!(waiting[0]["people"]["agreed"], json!([{ "uid": 0 }]));
    gateway.kill();
}

#[tokio::test]
async fn a_step_of_a_plan_needs_as_many_people_as_a_call_of_its_tool() {
    let site = site();
    let gateway = start(&site);
    let mail = client(&gateway, EMAIL_KEY).await;
    let plan = json!({ "v": 1, "steps": [{ "id": "s1", "tool": "tools__send", "args": { "id": { "lit": "ann" } } }] });
    let call = json!({ "name": "sluicegate__submit_plan", "arguments": plan });
    mail.request(5, "tools/call", &call).await;
    let waiting = questions(&site);
    let id = waiting[0]["id"].as_str().unwrap();
    assert_eq!(waiting[0]["people"]["needed"], 2, "{waiting:?}");
    let (code, said) = says(&site, 0, &["approve", id]);
    assert!(code == 0 && said.contains("1 more have to"), "{said}");
    assert_ne!(says(&site, 0, &["approve", id]).0, 0);
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "plan_required");
    gateway.kill();
    let gateway = start(&site);
    let mail = client(&gateway, EMAIL_KEY).await;
    assert_eq!(questions(&site)[0]["people"]["agreed"], json!([{ "uid": 0 }]));
    // Whoever may answer no more has said nothing, and has once they may again.
    let rule = "[[approvers]]\nuid = 0\n";
    for (from, to, agreed) in [
        (rule, "[[approvers]]\nuid = 4711\n", json!(null)),
        ("uid = 4711\n", "uid = 0\n", json!([{ "uid": 0 }])),
    ] {
        site.edit(|config| config.replace(from, to));
        let (code, _, err) = site.run(&["reload"]);
        assert_eq!(code, 0, "{err}");
        assert_eq!(questions(&site)[0]["people"]["agreed"], agreed);
    }
    assert_eq!(says(&site, NOBODY, &["approve", id]).0, 0);
    assert_eq!(mail.call("tools__send", "ann").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["ann"]);
    check_signed(&site);
}
