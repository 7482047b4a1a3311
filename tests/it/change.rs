//! A policy is changed without fear: what a journal holds is decided again, and the least policy is learnt from it.

use serde_json::{Value, json};

use crate::support::gateway::{CHAT_KEY, EMAIL_KEY};
use crate::support::{Client, Site, audit, check_audit};

/// A site whose journal holds calls of a person and of a mail, allowed and refused.
async fn recorded() -> Site {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for id in ["1", "2", "3"] {
        chat.call("tools__read", id).await;
    }
    chat.call("tools__send", "s").await;
    assert_eq!(chat.call("tools__write", "w").await.reason(), "approval_pending");
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    mail.call("tools__read", "m").await;
    mail.call("browser__read", "b").await;
    assert_eq!(mail.call("tools__count", "c").await.reason(), "source_denies");
    assert!(gateway.stop().success());
    check_audit(&site);
    site
}

/// `sluicegate diff --json`: exit code and answer.
fn diff(site: &Site, new: &str) -> (i32, Value) {
    let (code, out, err) = site.run(&["diff", new, "--json", "--since", "1h"]);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out}{err}")))
}

fn write(site: &Site, name: &str, change: impl FnOnce(String) -> String) {
    let config = std::fs::read_to_string(site.path("gateway.toml")).unwrap();
    std::fs::write(site.path(name), change(config)).unwrap();
}

#[tokio::test]
async fn diff_tells_what_is_newly_refused_and_newly_allowed_by_whom_and_how_often() {
    let site = recorded().await;
    let (code, same) = diff(&site, "gateway.toml");
    assert_eq!(code, 0, "{same:#}");
    assert_eq!((&same["newly_refused"]["calls"], &same["newly_allowed"]["calls"]), (&json!(0), &json!(0)));
    // A pattern allows what was called, also where no definition of it is accepted here.
    write(&site, "elsewhere.toml", |config| {
        config.replace("[gateway]\n", "[gateway]\nlock_file = \"none.lock\"\n")
    });
    let (code, elsewhere) = diff(&site, "elsewhere.toml");
    assert_eq!(code, 0, "{elsewhere:#}");
    write(&site, "new.toml", |config| {
        let chat = "[sources.chat]\nallow = [\"*\"]\nask = [\"tools.write\"]";
        assert!(config.contains(chat));
        config
            .replace(chat, "[sources.chat]\nallow = [\"tools.send\", \"tools.write\"]")
            .replace("allow = [\"tools.read\", \"browser.read\"]", "allow = [\"tools.*\", \"browser.read\"]")
    });
    let (code, changed) = diff(&site, "new.toml");
    assert_eq!(code, 1, "{changed:#}");
    let refused = &changed["newly_refused"];
    assert_eq!((&refused["calls"], &refused["groups"]), (&json!(3), &json!(1)), "{changed:#}");
    let call = &refused["shown"][0];
    assert_eq!(call["call"]["target"], "tools.read");
    assert_eq!(call["call"]["provenance"], json!(["chat"]));
    assert_eq!(call["seen"]["subjects"], json!(["user:1"]));
    let then = call["seen"]["rules_then"][0].as_str().unwrap();
    assert!(then.starts_with("source chat allow by `*` at gateway.toml:"), "{then}");
    assert_eq!(call["seen"]["rules_now"][0], "source chat deny, which nothing names");
    // A person's write, and a mail's count after a page.
    assert_eq!(changed["newly_allowed"]["calls"], 2, "{changed:#}");
    let (_, text, _) = site.run(&["diff", "new.toml"]);
    let told = "newly refused: 3\n  3x tools.read sources chat roles assistant: allow (allowed), now deny";
    assert!(text.contains(told), "{text}");
}

#[tokio::test]
async fn what_arguments_would_decide_is_told_apart_and_not_guessed() {
    let site = recorded().await;
    write(&site, "new.toml", |config| format!("guardrails = [\"guard.cedar\"]\n{config}"));
    let guardrail =
        "forbid(principal, action, resource == Tool::\"tools.send\") when { context.subject == \"user:9\" };";
    std::fs::write(site.path("guard.cedar"), guardrail).unwrap();
    let (code, answer) = diff(&site, "new.toml");
    assert_eq!(code, 0, "{answer:#}");
    assert_eq!(answer["undetermined"]["calls"], 1, "{answer:#}");
    assert_eq!(answer["undetermined"]["shown"][0]["call"]["target"], "tools.send");
}

#[tokio::test]
async fn what_is_learnt_from_a_journal_refuses_nothing_of_it() {
    let site = recorded().await;
    let learn = |whose: &[&str]| {
        let (code, out, err) = site.run(&[&["learn", "--since", "1h"], whose].concat());
        assert_eq!(code, 0, "{err}");
        out
    };
    let chat = learn(&["--source", "chat"]);
    assert!(chat.contains("\n[sources.\"chat\"]\nallow = [\n    \"tools.read\", # 3x, last "), "{chat}");
    assert!(!chat.contains("tools.write"), "refused calls are not proposed: {chat}");
    assert!(
        learn(&["--source", "chat", "--include-denied"]).contains("# only refused: tool tools.write (1x")
    );
    let email = learn(&["--source", "email"]);
    let web = learn(&["--source", "web"]);
    let role = learn(&["--role", "assistant", "--generalise"]);
    write(&site, "learnt.toml", |config| {
        let head = config.split("[sources.chat]").next().unwrap().to_owned();
        format!("{head}{chat}{email}{web}{role}")
    });
    let (code, said, _) = site.run(&["check", "--config", "learnt.toml"]);
    assert_eq!(code, 0, "{said}");
    let (_, answer) = diff(&site, "learnt.toml");
    assert_eq!(answer["newly_refused"]["calls"], 0, "{answer:#}");
    assert_eq!(answer["newly_allowed"]["calls"], 0, "{answer:#}");
}

#[tokio::test]
async fn a_recorded_decision_is_explained_beside_that_of_the_policy_of_now() {
    let site = recorded().await;
    let denied = audit::of_kind(&site, "denial");
    let seq = denied.iter().find(|denial| denial["tool"] == "tools.count").unwrap()["seq"].to_string();
    let (code, said, _) = site.run(&["explain", &seq]);
    assert_eq!(code, 1, "{said}");
    assert!(said.starts_with(&format!("#{seq} ")), "{said}");
    assert!(said.contains("tools.count was deny (source_denies)"), "{said}");
    assert!(said.contains("By the policy of now:\ntools.count: deny (source_denies)"), "{said}");
    site.edit(|config| {
        config
            .replace("allow = [\"tools.read\", \"browser.read\"]", "allow = [\"tools.*\", \"browser.read\"]")
    });
    let (code, said, _) = site.run(&["explain", "--json", &seq]);
    assert_eq!(code, 0, "{said}");
    let answer: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(answer["then"]["verdict"], "deny");
    assert_eq!(answer["now"]["decision"]["verdict"], "allow");
    let (code, _, err) = site.run(&["explain", "0"]);
    assert_eq!(code, 1);
    assert!(err.contains("decides on no call"), "{err}");
}

#[tokio::test]
async fn what_a_budget_refused_was_not_called_and_is_not_decided_again() {
    let budget = "[[budgets]]\nname = \"one\"\ntools = [\"tools.send\"]\ncalls_per_day = 1\n";
    let site = Site::with_oracle(budget);
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(chat.call("tools__send", "1").await.reason(), "ok");
    assert_eq!(chat.call("tools__send", "2").await.reason(), "budget_exceeded");
    assert!(gateway.stop().success());
    let (_, learnt, _) = site.run(&["learn", "--source", "chat", "--since", "1h"]);
    assert!(learnt.contains("\"tools.send\", # 1x, refused 1x, last "), "{learnt}");
    let (code, answer) = diff(&site, "gateway.toml");
    assert_eq!((code, &answer["refused_beyond_policy"]), (0, &json!(1)), "{answer:#}");
    check_audit(&site);
}

#[tokio::test]
async fn what_was_not_read_is_told_beside_what_was() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(chat.call("tools__read", "1").await.reason(), "ok");
    assert!(gateway.stop().success());
    let (_, learnt, _) = site.run(&["learn", "--source", "web", "--since", "1d"]);
    let said: Vec<_> = learnt.lines().filter(|line| line.starts_with('#')).collect();
    assert!(said[0].starts_with("# the journal begins at "), "{learnt}");
    assert_eq!(said[1], "# nothing was allowed in this time");
    // A copy whose last line is damaged, behind a segment that somebody gave up.
    let copy = site.path("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::write(copy.join(format!("{:020}.damaged", 0)), "").unwrap();
    for entry in std::fs::read_dir(site.path("state").join("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "jsonl") {
            let text = std::fs::read_to_string(&path).unwrap();
            std::fs::write(copy.join(format!("{:020}.jsonl", 1)), format!("{text}{{damaged\n")).unwrap();
        }
    }
    let (_, out, _) = site.run(&["diff", "gateway.toml", "--against", copy.to_str().unwrap(), "--json"]);
    let answer: Value = serde_json::from_str(&out).unwrap();
    let caveats = answer["caveats"].as_array().unwrap();
    assert_eq!(caveats[0], "1 damaged lines were left out: `sluicegate audit verify`");
    assert_eq!(caveats[1], "1 segments that were declared damaged were left out");
    check_audit(&site);
}
