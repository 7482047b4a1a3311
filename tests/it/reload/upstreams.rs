//! Tool servers come, go and are launched anew, and the calls that they have go on.

use super::{Edited, texts};
use crate::support::gateway::{CHAT_KEY, oracle};
use crate::support::{Client, check_audit};

/// The process that executed the call with this id.
fn pid_of(edited: &Edited, id: &str) -> u64 {
    let ledger = edited.site.ledger();
    let entry = ledger.iter().find(|entry| entry["id"] == id).unwrap_or_else(|| panic!("{id}: {ledger:?}"));
    entry["pid"].as_u64().unwrap()
}

#[tokio::test]
async fn a_tool_server_that_is_launched_otherwise_is_replaced_and_the_others_stay() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    for name in ["tools__count", "browser__read"] {
        assert_eq!(client.call(name, &format!("{name}_before")).await.reason(), "ok");
    }
    edited.edit("call_timeout = \"5s\"", "call_timeout = \"5s\"\nenv = { NEW = \"1\" }");
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["changed"]), ["upstream tools is launched anew"]);
    assert_eq!(client.call("tools__read", "after_tools").await.reason(), "ok");
    assert_eq!(client.call("browser__read", "after_browser").await.reason(), "ok");
    assert_ne!(pid_of(&edited, "after_tools"), pid_of(&edited, "tools__count_before"));
    assert_eq!(pid_of(&edited, "after_browser"), pid_of(&edited, "browser__read_before"));
    gone(pid_of(&edited, "tools__count_before")).await;
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_call_that_was_decided_before_ends_where_it_was_decided_for() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let slow = client.clone();
    let hanging = tokio::spawn(async move { slow.call("tools__hang", "hangs").await });
    edited.site.wait_for_ledger(|entry| entry["id"] == "hangs").await;
    edited.edit("call_timeout = \"5s\"", "call_timeout = \"6s\"");
    edited.take_effect();
    let other = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(other.call("tools__read", "meanwhile").await.reason(), "ok");
    assert_ne!(pid_of(&edited, "meanwhile"), pid_of(&edited, "hangs"));
    // Its server lives until its own deadline, and only then ends.
    assert_eq!(hanging.await.unwrap().reason(), "upstream_timeout");
    gone(pid_of(&edited, "hangs")).await;
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_tool_server_that_goes_takes_its_tools_along_and_one_that_comes_brings_its_own() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("browser__read", "before").await.reason(), "ok");
    let (oracle, ledger) = (oracle(), edited.site.path("ledger"));
    edited.edit("[upstreams.browser]", "[upstreams.pages]");
    edited.edit("browser.", "pages.");
    let answer = edited.take_effect();
    assert!(texts(&answer["changed"]).contains(&"upstream browser is gone"), "{answer:#}");
    assert!(texts(&answer["widened"]).contains(&"upstream pages is new and returns web"), "{answer:#}");
    let list = client.list().await;
    assert!(list.contains(&"pages__read".to_owned()), "it was met before the answer: {list:?}");
    assert!(!list.iter().any(|name| name.starts_with("browser__")), "{list:?}");
    assert_eq!(client.call("browser__read", "gone").await.reason(), "Unknown tool: browser__read");
    gone(pid_of(&edited, "before")).await;
    // What was accepted of it stays accepted: if it comes back with another definition, that is a change.
    let changed = format!("command = [\"python3\", {oracle:?}, {ledger:?}, \"--definitions\", \" Now.\"]");
    let plain = format!("command = [\"python3\", {oracle:?}, {ledger:?}]");
    edited.edit("[upstreams.pages]", "[upstreams.browser]");
    edited.edit("pages.", "browser.");
    let at = edited.config.find("[upstreams.browser]").unwrap();
    let tail = edited.config.split_at(at).1.replacen(&plain, &changed, 1);
    edited.config.replace_range(at.., &tail);
    edited.site.configure(&edited.config);
    edited.take_effect();
    until_pin_changed(&client).await;
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

/// A tool of a server that was seen before is listed as it was accepted until the server is up and offers
/// another: then it is refused.
async fn until_pin_changed(client: &Client) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(50));
    while client.call("browser__read", "changed").await.reason() != "pin_changed" {
        assert!(tokio::time::Instant::now() < deadline, "the change does not show");
        tries.tick().await;
    }
}

#[tokio::test]
async fn what_a_server_returns_changes_without_a_new_process_and_less_taint_is_said() {
    let mut edited = Edited::new("");
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "trusted").await.reason(), "ok");
    edited.edit("returns = \"trusted\"", "returns = \"web\"");
    assert_eq!(texts(&edited.take_effect()["widened"]), [] as [&str; 0]);
    assert_eq!(client.call("tools__read", "web").await.reason(), "ok");
    assert_eq!(pid_of(&edited, "web"), pid_of(&edited, "trusted"));
    assert_eq!(client.call("tools__echo", "tainted").await.reason(), "source_denies");
    edited.edit("call_timeout", "tools = [{ tool = \"count\", returns = \"trusted\" }]\ncall_timeout");
    let answer = edited.take_effect();
    assert_eq!(texts(&answer["widened"]), ["upstream tools: results no longer carry web, for `count`"]);
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

/// Waits until the process has ended.
async fn gone(pid: u64) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(30);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(20));
    while is_there(pid) {
        assert!(tokio::time::Instant::now() < deadline, "{pid} is still there");
        looks.tick().await;
    }
}

fn is_there(pid: u64) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // A zombie has ended; whoever started it has not asked yet.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
