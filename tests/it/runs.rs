//! What people do to runs of a running gateway: revoke, close, show; and what is left of it after a kill.

use http::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::audit::of_kind;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, Exchange, Site, check_audit};

const REVISION: &str = "2025-11-25";

/// Runs a command that has to succeed and gives its answer.
fn asked(site: &Site, args: &[&str]) -> Value {
    let (code, out, err) = site.run(&[args, &["--json"]].concat());
    assert_eq!(code, 0, "{args:?}: {out}{err}");
    serde_json::from_str(&out).unwrap()
}

fn told(answer: &Exchange) -> (StatusCode, String) {
    (answer.status, answer.reason())
}

#[tokio::test]
async fn a_revoked_subject_is_shut_out_at_once_with_its_streams_and_stays_so_after_a_kill() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    let mail = Client::new(&gateway.url, EMAIL_KEY);
    let other = Client::new(&gateway.url, OTHER_KEY).initialize(REVISION).await;
    assert_eq!(chat.call("tools__read", "before").await.reason(), "ok");
    let params = json!({ "name": "tools__read", "arguments": { "id": "mail" } });
    assert_eq!(mail.modern(1, "tools/call", params.clone()).await.reason(), "ok");
    let (stream, listening) = (chat.open(Method::GET, "").await, mail.listen(2).await);
    let others = other.open(Method::GET, "").await;

    let done = asked(&site, &["runs", "revoke", "--subject", "user:1"]);
    assert_eq!(done, json!({ "revoked": { "subject": "user:1" }, "runs_ended": 2 }));
    stream.ended().await;
    listening.ended().await;
    let refused = (StatusCode::UNAUTHORIZED, "credential_revoked".to_owned());
    assert_eq!(told(&chat.call("tools__read", "after").await), refused);
    assert_eq!(told(&mail.modern(3, "tools/call", params).await), refused);
    assert_eq!(told(&Client::new(&gateway.url, CHAT_KEY).post("not read").await), refused);
    assert_eq!(other.call("tools__read", "other").await.reason(), "ok");
    drop(others);
    // The count of what was refused before anything was read is written once a second.
    assert!(gateway.stop().success());
    let counted = of_kind(&site, "auth_failures");
    let revoked = counted.iter().filter(|record| record["reason"] == "credential_revoked");
    assert_eq!(revoked.map(|record| record["count"].as_u64().unwrap()).sum::<u64>(), 3);

    site.start().kill();
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY);
    assert_eq!(told(&chat.post("{}").await), refused);
    let list = asked(&site, &["revocations", "list"]);
    assert_eq!(list[0]["subject"], "user:1", "{list}");
    assert_eq!(asked(&site, &["revocations", "lift", "--subject", "user:1"])["lifted"]["subject"], "user:1");
    let chat = chat.initialize(REVISION).await;
    assert_eq!(chat.call("tools__send", "lifted").await.reason(), "ok");
    assert_eq!(site.run(&["revocations", "lift", "--subject", "user:1"]).0, 1);
    assert!(gateway.stop().success());
    let ends: Vec<_> = of_kind(&site, "run_end").iter().map(|end| end["why"].clone()).collect();
    assert_eq!(ends, ["revoked", "revoked"]);
    let changes: Vec<_> =
        of_kind(&site, "revocation").iter().map(|record| record["change"].clone()).collect();
    assert_eq!(changes, ["revoked", "lifted"]);
    assert_eq!(site.executed(), ["before", "mail", "other", "lifted"]);
    check_audit(&site);
}

#[tokio::test]
async fn a_revoked_entry_point_takes_its_callers_and_no_others() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    let mail = Client::new(&gateway.url, EMAIL_KEY).initialize(REVISION).await;
    assert_eq!(chat.call("tools__read", "chat").await.reason(), "ok");
    let run = asked(&site, &["runs", "list"])[0]["run"].as_str().unwrap().to_owned();
    // A run that no token claims would only start anew.
    let (code, _, err) = site.run(&["runs", "revoke", &run]);
    assert!(code == 1 && err.contains("--subject user:1") && err.contains("keys.person"), "{code}: {err}");
    for wrong in [vec![], vec![&*run, "--subject", "user:1"], vec!["--subject", "a", "--entry-point", "b"]] {
        assert_eq!(site.run(&[&["runs", "revoke"], &*wrong].concat()).0, 2, "{wrong:?}");
    }
    let (code, out, err) = site.run(&["runs", "revoke", "--entry-point", "keys.persom"]);
    assert!(
        code == 0 && out.contains("0 open runs") && err.contains("no entry point `keys.persom`"),
        "{err}"
    );
    assert_eq!(asked(&site, &["runs", "revoke", "--entry-point", "keys.person"])["runs_ended"], 1);
    assert_eq!(chat.call("tools__read", "after").await.reason(), "credential_revoked");
    assert_eq!(mail.call("tools__read", "mail").await.reason(), "ok");
    let (_, out, _) = site.run(&["revocations", "list"]);
    assert!(out.contains("keys.person") && out.contains("keys.persom"), "{out}");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_closed_source_stops_what_it_influenced_and_what_would_bring_it_until_it_is_opened() {
    let site = Site::with_oracle("");
    let mut gateway = site.start();
    let read = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    assert_eq!(read.call("browser__read", "page").await.reason(), "ok");
    let unknown = read.call("tools__wrote", "x").await.json()["error"].to_string();
    let (code, _, err) = site.run(&["source", "close", "wep"]);
    assert!(code == 1 && err.contains("no source `wep`"), "{code}: {err}");
    assert_eq!(asked(&site, &["source", "close", "web"]), json!({ "source": "web", "state": "closed" }));
    for start in 1..=2 {
        let read = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
        let clean = Client::new(&gateway.url, OTHER_KEY).initialize(REVISION).await;
        // This run has read the web, so nothing of it passes; what it may not see stays as if nonexistent.
        assert_eq!(read.call("tools__read", "tainted").await.reason(), "source_closed", "start {start}");
        assert_eq!(read.call("tools__write", "asks").await.reason(), "source_closed");
        let hidden = read.call("tools__refuse", "x").await.json()["error"].to_string();
        assert_eq!(hidden.replace("tools__refuse", "tools__wrote"), unknown);
        // This one has not, so only what would bring it is refused, and nothing joins it.
        assert_eq!(clean.call("browser__read", "brings").await.reason(), "source_closed");
        assert_eq!(clean.call("tools__send", &format!("clean {start}")).await.reason(), "ok");
        gateway.kill();
        gateway = site.start();
    }
    let listed = asked(&site, &["source", "list"]);
    let names: Vec<_> = listed.as_array().unwrap().iter().map(|entry| entry["source"].as_str()).collect();
    assert_eq!(names, [Some("chat"), Some("email"), Some("web")]);
    assert_eq!(listed[2]["closed"]["by"]["uid"], rustix::process::geteuid().as_raw());
    let (_, out, _) = site.run(&["source", "list"]);
    assert!(out.lines().any(|line| line.starts_with("web") && line.contains("closed")), "{out}");
    assert_eq!(site.run(&["source", "open", "web"]).1, "source web is open\n");
    assert_eq!(site.run(&["source", "open", "web"]).0, 1);
    let read = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    assert_eq!(read.call("tools__read", "opened").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert_eq!(site.executed(), ["page", "clean 1", "clean 2", "opened"]);
    let changes: Vec<_> = of_kind(&site, "source").iter().map(|record| record["change"].clone()).collect();
    assert_eq!(changes, ["closed", "opened"]);
    check_audit(&site);
}

/// The answer to a call in flight is withheld where a person closes its source or revokes its caller
/// meanwhile: the call itself finishes, and its outcome says how.
#[tokio::test]
async fn an_answer_does_not_leave_after_its_source_was_closed_or_its_caller_revoked() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let mut answers = Vec::new();
    for (key, id) in [(CHAT_KEY, "closed"), (OTHER_KEY, "revoked")] {
        let client = Client::new(&gateway.url, key).initialize(REVISION).await;
        let tool = if id == "closed" { "browser__hang" } else { "tools__hang" };
        let calling = tokio::spawn(async move { client.call(tool, id).await });
        site.wait_for_ledger(|entry| entry["id"] == id).await;
        answers.push(calling);
    }
    asked(&site, &["source", "close", "web"]);
    asked(&site, &["runs", "revoke", "--subject", "user:2"]);
    // Both tool servers end under their calls.
    for entry in site.ledger() {
        let pid = i32::try_from(entry["pid"].as_i64().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    }
    let mut reasons = Vec::new();
    for answer in answers {
        reasons.push(answer.await.unwrap().reason());
    }
    assert_eq!(reasons, ["source_closed", "run_closed"]);
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn the_story_of_a_run_is_told_while_it_is_open_and_after_it_ended_without_a_gateway() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize(REVISION).await;
    assert_eq!(client.call("tools__send", "before").await.reason(), "ok");
    assert_eq!(client.call("browser__read", "page").await.reason(), "ok");
    assert_eq!(client.call("tools__send", "after").await.reason(), "source_denies");
    let run = asked(&site, &["runs", "list"])[0]["run"].as_str().unwrap().to_owned();
    let open = asked(&site, &["runs", "show", &run]);
    assert_eq!((&open["open"], &open["provenance"]), (&json!(true), &json!(["chat", "web"])));
    assert_eq!(open["origin"]["listener"], "main");
    assert_eq!(open["story"]["counts"]["calls"], 2, "{open}");
    assert_eq!(open["story"]["counts"]["refusals"], 1);
    assert_eq!(open["story"]["growth"][1]["adds"], json!(["web"]));
    assert_eq!(open["story"]["growth"][1]["tool"], "browser.read");

    assert_eq!(site.run(&["runs", "end", &run]).0, 0);
    let ended = asked(&site, &["runs", "show", &run]);
    assert_eq!((&ended["open"], &ended["story"]["end"]["why"]), (&json!(false), &json!("person")));
    assert!(gateway.stop().success());
    let (code, out, err) = site.run(&["runs", "show", &run, "-n", "2"]);
    assert_eq!(code, 0, "{err}");
    for wanted in
        ["ended ", "person, by uid", "keys.person", "+chat", "+web", "browser.read", "2 calls, 1 refusals"]
    {
        assert!(out.contains(wanted), "{wanted}: {out}");
    }
    assert!(out.contains("earlier records are not told") && out.contains("source_denies"), "{out}");
    let (code, _, err) = site.run(&["runs", "show", &"0".repeat(32)]);
    assert!(code == 1 && err.contains("neither"), "{code}: {err}");
    check_audit(&site);
}
