//! What a reload changes for those who are there, and what it says that it widened.

use http::{Method, StatusCode};

use super::{Edited, records, texts};
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, OTHER_KEY};
use crate::support::{Client, check_audit};

#[tokio::test]
async fn a_policy_that_widens_is_in_force_at_once_and_the_record_says_what_is_wider() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__echo", "before").await.reason(), "Unknown tool: tools__echo");
    edited.edit(
        "allow = [\"tools.read\", \"tools.count\", \"browser.*\"]",
        "allow = [\"tools.*\", \"browser.*\"]",
    );
    let answer = edited.take_effect();
    let widened = texts(&answer["widened"]);
    assert_eq!(widened.len(), 1, "{answer:#}");
    assert!(widened[0].starts_with("source email: allow instead of deny for tools."), "{widened:?}");
    assert!(widened[0].contains("tools.echo"), "{widened:?}");
    assert_eq!(texts(&answer["changed"]), ["source email changed"]);
    assert_eq!(answer["epoch"], 2);
    // Nobody said what the tools of this site do; nothing else is wrong.
    let problems = answer["problems"].as_array().unwrap();
    assert!(problems.iter().all(|problem| problem["code"] == "labels_missing"), "{answer:#}");
    // The session goes on: its entry point is what it was.
    assert_eq!(client.call("tools__echo", "after").await.reason(), "ok");
    assert!(gateway.stop().success());
    let records = records(&edited.site);
    let [started, reloaded] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((&started["epoch"], &started["detail"]), (&1.into(), &"the gateway started".into()));
    assert_eq!(reloaded["widened"], answer["widened"]);
    assert_eq!((&reloaded["widened_count"], &reloaded["result"]), (&1.into(), &"in_force".into()));
    assert_eq!(reloaded["config"], answer["config"]);
    assert_eq!(reloaded["by"]["uid"], rustix::process::geteuid().as_raw());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_policy_that_narrows_closes_what_was_open_and_is_not_called_wider() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let mut stream = client.open(Method::GET, "").await;
    assert_eq!(client.call("tools__echo", "before").await.reason(), "ok");
    edited.edit("deny = [\"tools.refuse\"]", "deny = [\"tools.refuse\", \"tools.echo\"]");
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["widened"]), [] as [&str; 0], "{answer:#}");
    assert_eq!(stream.next().await["method"], "notifications/tools/list_changed");
    assert!(!client.list().await.contains(&"tools__echo".to_owned()));
    assert_eq!(client.call("tools__echo", "after").await.reason(), "Unknown tool: tools__echo");
    // Nothing changed but the place of a line: not even the epoch of a decision may lie about it.
    edited.edit("[listen.main]", "# moved down by a line\n[listen.main]");
    let answer = edited.take_effect();
    assert_eq!((texts(&answer["widened"]).len(), texts(&answer["changed"]).len()), (0, 0), "{answer:#}");
    assert!(gateway.stop().success());
    assert!(!edited.site.executed().contains(&"after".to_owned()));
    check_audit(&edited.site);
}

#[tokio::test]
async fn what_may_be_asked_for_and_who_answers_is_compared_and_said_where_it_is_wider() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let before = edited.config.clone();
    let rules = "
[[flows]]
name = \"out\"
from = { classes = \"reads\" }
to = { classes = \"sends\" }
answer = \"ask\"
[[requests]]
name = \"asking\"
source = \"email\"
steps = [{ tool = \"tools.echo\", max_calls = 1 }]
[[approvers]]
uid = 4711
";
    edited.config.push_str(rules);
    edited.edit("max_calls = 1", "max_calls = 2");
    let answer = edited.take_effect();
    let widened = [
        "request asking is new: email may ask for more without a person",
        "approver uid 4711 may answer questions now",
    ];
    assert_eq!(texts(&answer["widened"]), widened, "{answer:#}");
    edited.edit("max_calls = 2", "max_calls = 1");
    assert_eq!(texts(&edited.take_effect()["widened"]), [] as [&str; 0]);
    edited.edit("answer = \"ask\"", "answer = \"plan\"");
    assert_eq!(texts(&edited.take_effect()["widened"]), ["flow out holds less"]);
    edited.site.configure(&before);
    let widened =
        ["flow out is gone", "no approver is named any more: the uid that owns the gateway answers"];
    assert_eq!(texts(&edited.take_effect()["widened"]), widened);
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_key_that_goes_loses_its_stream_and_its_session_and_is_refused_from_the_next_request() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let gone = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    let stays = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(gone.call("tools__read", "before").await.reason(), "ok");
    let mut of_session = gone.open(Method::GET, "").await;
    let mut subscribed = gone.listen(7).await;
    subscribed.next().await;
    let (_, table) = edited.config.split_once("[auth.keys.other]").unwrap();
    let (table, _) = table.split_once("[upstreams.tools]").unwrap();
    edited.edit(&format!("[auth.keys.other]{table}"), "");
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["changed"]), ["entry point keys.other is gone"]);
    assert!(of_session.ends().await && subscribed.ends().await, "its streams are closed");
    let refused = gone.call("tools__read", "after").await;
    assert_eq!((refused.status, refused.reason().as_str()), (StatusCode::UNAUTHORIZED, "credential_unknown"));
    assert_eq!(stays.call("tools__read", "other").await.reason(), "ok");
    assert!(gateway.stop().success());
    assert!(!edited.site.executed().contains(&"after".to_owned()));
    check_audit(&edited.site);
}

#[tokio::test]
async fn i3_i4_a_key_of_another_label_starts_no_session_over_and_its_run_keeps_what_it_read() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__echo", "chat").await.reason(), "ok");
    edited.edit(
        "vouches = { source = \"chat\", subject = \"user:2\"",
        "vouches = { source = \"email\", subject = \"user:2\"",
    );
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["widened"]), ["entry point keys.other: no longer chat"], "{answer:#}");
    let left_over = client.call("tools__echo", "left_over").await;
    assert_eq!((left_over.status, left_over.reason().as_str()), (StatusCode::NOT_FOUND, "session_unknown"));
    let again = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(again.call("tools__echo", "email").await.reason(), "Unknown tool: tools__echo");
    assert_eq!(again.call("tools__read", "email_reads").await.reason(), "ok");
    // Back again: the run has been email's meanwhile, and stays so.
    edited.edit(
        "vouches = { source = \"email\", subject = \"user:2\"",
        "vouches = { source = \"chat\", subject = \"user:2\"",
    );
    edited.take_effect();
    let back = Client::new(&gateway.url, OTHER_KEY).initialize("2025-11-25").await;
    assert_eq!(back.call("tools__echo", "back").await.reason(), "source_denies");
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}
