//! Runs that tokens claim, over the real binary: nothing that holds or makes tokens launders what was read.

use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::tokens::{minted, minting};
use crate::support::{Client, Site, check_audit};

/// A token of the gateway's own for mail of `user:1`, with `more` to say.
fn token(site: &Site, more: &[&str]) -> String {
    let label = ["--source", "email", "--subject", "user:1", "--role", "assistant"];
    minted(site, &[&label, more].concat())
}

/// What a tool says to whoever holds `token`.
async fn called(url: &str, token: &str, tool: &str, id: &str) -> String {
    let params = json!({ "name": tool, "arguments": { "id": id } });
    Client::new(url, token).modern(1, "tools/call", params).await.reason()
}

/// A site that mints, whose mail says who sent it.
fn site(more: &str) -> Site {
    let site = Site::with_oracle(&format!("{}{more}", minting()));
    site.edit(|config| {
        config.replace("[sources.email]", "[sources.email]\ntrigger = { sender = \"string\" }")
    });
    site
}

fn open_runs(site: &Site) -> Vec<Value> {
    let (code, out, err) = site.run(&["runs", "list", "--json"]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

#[tokio::test]
async fn i3_i4_no_renewal_session_child_agent_or_restart_launders_a_claimed_run() {
    let site = site("");
    let gateway = site.start();
    let mail = ["--txn", "mail-1", "--agent", "inbox", "--trigger", "sender=x@y.example"];
    let first = token(&site, &mail);
    assert_eq!(called(&gateway.url, &first, "tools__count", "clean").await, "ok");
    assert_eq!(called(&gateway.url, &first, "browser__read", "page").await, "ok");
    // The page has joined the run. Each of these is the same run, whoever holds it.
    let again = token(&site, &mail);
    let child = token(
        &site,
        &["--txn", "mail-1", "--agent", "helper", "--agent", "inbox", "--trigger", "sender=x@y.example"],
    );
    let wider = token(
        &site,
        &["--txn", "mail-1", "--agent", "inbox", "--source", "web", "--trigger", "email:sender=x@y.example"],
    );
    let tokens = [("first", &first), ("again", &again), ("child", &child), ("wider", &wider)];
    for (who, token) in tokens {
        // What the credential's own sources deny is as if nonexistent; what the run has read, denied.
        let refused = if who == "wider" { "Unknown tool: tools__count" } else { "source_denies" };
        assert_eq!(called(&gateway.url, token, "tools__count", who).await, refused, "{who}");
        assert_eq!(called(&gateway.url, token, "tools__read", &format!("{who}-reads")).await, "ok", "{who}");
    }
    assert_eq!(open_runs(&site).len(), 1);
    gateway.kill();
    let gateway = site.start();
    for (who, token) in [("killed", &first), ("killed-child", &child)] {
        assert_eq!(called(&gateway.url, token, "tools__count", who).await, "source_denies", "{who}");
    }
    // Another trigger is another run.
    let other = token(&site, &["--txn", "mail-2", "--agent", "inbox"]);
    assert_eq!(called(&gateway.url, &other, "tools__count", "another").await, "ok");
    assert!(gateway.stop().success());
    let started = of_kind(&site, "run_start");
    assert_eq!(started.len(), 2, "{started:?}");
    check_audit(&site);
}

#[tokio::test]
async fn i4_a_later_token_that_changes_what_was_settled_is_refused_and_the_run_goes_on() {
    let site = site("");
    let gateway = site.start();
    let label =
        |agent, goal, trigger| ["--txn", "mail-1", "--agent", agent, "--goal", goal, "--trigger", trigger];
    let first = token(&site, &label("inbox", "triage_mail", "sender=a@b.example"));
    assert_eq!(called(&gateway.url, &first, "tools__read", "settled").await, "ok");
    let changed = [
        ("goal", label("inbox", "triage_all", "sender=a@b.example")),
        ("agent", label("other", "triage_mail", "sender=a@b.example")),
        ("sender", label("inbox", "triage_mail", "sender=c@d.example")),
    ];
    for (what, label) in changed {
        let token = token(&site, &label);
        assert_eq!(called(&gateway.url, &token, "tools__read", what).await, "run_changed", "{what}");
    }
    let label = [
        "token",
        "mint",
        "--source",
        "email",
        "--subject",
        "user:2",
        "--role",
        "assistant",
        "--txn",
        "mail-1",
        "--json",
    ];
    let (code, out, _) = site.run(&label);
    assert_eq!(code, 0);
    let minted: Value = serde_json::from_str(&out).unwrap();
    let stranger = minted["token"].as_str().unwrap();
    assert_eq!(called(&gateway.url, stranger, "tools__read", "subject").await, "run_changed");
    assert_eq!(called(&gateway.url, &first, "tools__read", "goes-on").await, "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["settled", "goes-on"]);
    check_audit(&site);
}

#[tokio::test]
async fn a_bearers_run_is_pinned_to_the_listener_where_it_began() {
    let site = site("\n[listen.second]\naddress = \"127.0.0.1:0\"\n");
    let gateway = site.start();
    let second = gateway.place("second");
    let stolen = token(&site, &["--txn", "mail-1"]);
    assert_eq!(called(&gateway.url, &stolen, "tools__read", "here").await, "ok");
    assert_eq!(called(&second, &stolen, "tools__read", "there").await, "run_pinned");
    let other = token(&site, &["--txn", "mail-2"]);
    assert_eq!(called(&second, &other, "tools__read", "its-own").await, "ok");
    gateway.kill();
    let gateway = site.start();
    let second = gateway.place("second");
    assert_eq!(called(&second, &stolen, "tools__read", "still-there").await, "run_pinned");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["here", "its-own"]);
    check_audit(&site);
}

#[tokio::test]
async fn i4_an_ended_or_revoked_run_opens_again_for_no_token_also_after_a_kill() {
    let site = site("");
    let gateway = site.start();
    let (ended, revoked) = (token(&site, &["--txn", "mail-1"]), token(&site, &["--txn", "mail-2"]));
    for token in [&ended, &revoked] {
        assert_eq!(called(&gateway.url, token, "tools__read", "open").await, "ok");
    }
    let run_of = |txn: &str| {
        let runs = open_runs(&site);
        let run = runs.iter().find(|run| run["claim"]["txn"] == txn).unwrap();
        run["run"].as_str().unwrap().to_owned()
    };
    let (one, two) = (run_of("mail-1"), run_of("mail-2"));
    assert_eq!(site.run(&["runs", "end", &one]).0, 0);
    assert_eq!(site.run(&["runs", "revoke", &two]).0, 0);
    assert_eq!(called(&gateway.url, &ended, "tools__read", "running").await, "run_ended");
    gateway.kill();
    let gateway = site.start();
    assert_eq!(called(&gateway.url, &ended, "tools__read", "killed").await, "run_ended");
    assert_eq!(called(&gateway.url, &revoked, "tools__read", "revoked").await, "credential_revoked");
    // Nor is a token made that would open nothing.
    let label = ["token", "mint", "--source", "email", "--subject", "user:1", "--role", "assistant", "--txn"];
    for txn in ["mail-1", "mail-2"] {
        let (code, out, err) = site.run(&[&label[..], &[txn]].concat());
        assert_ne!(code, 0, "{out}");
        assert!(out.is_empty() && !err.is_empty(), "{out}{err}");
    }
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["open", "open"]);
    let refusals = of_kind(&site, "mint").into_iter().filter(|record| record["reason"].is_string());
    let reasons: Vec<_> = refusals.map(|record| record["reason"].clone()).collect();
    assert_eq!(reasons, ["run_ended", "credential_revoked"]);
    check_audit(&site);
}

#[tokio::test]
async fn i11_a_flooded_run_table_refuses_the_new_and_launders_nothing() {
    let site = site("\n[limits]\nruns_max = 2\n");
    let gateway = site.start();
    let first = token(&site, &["--txn", "mail-1"]);
    assert_eq!(called(&gateway.url, &first, "browser__read", "page").await, "ok");
    let mut refused = 0;
    for number in 2..12 {
        let flood = token(&site, &["--txn", &format!("mail-{number}")]);
        match called(&gateway.url, &flood, "tools__read", &format!("flood-{number}")).await.as_str() {
            "ok" => {}
            "runs_full" => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert_eq!(refused, 9);
    assert_eq!(called(&gateway.url, &first, "tools__count", "laundered").await, "source_denies");
    assert_eq!(called(&gateway.url, &first, "tools__read", "goes-on").await, "ok");
    assert!(gateway.stop().success());
    check_audit(&site);
}
