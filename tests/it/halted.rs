//! A journal that cannot be written: no call reaches an upstream, callers are told, and it goes on by itself.

use std::os::unix::fs::PermissionsExt as _;

use http::Method;
use serde_json::Value;

use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::{Client, Site, check_audit};

/// The site, with probes.
fn site() -> Site {
    Site::with_oracle("[admin]\naddress = \"127.0.0.1:0\"\n")
}

#[tokio::test]
async fn f60_a_journal_that_was_deleted_halts_and_goes_on_without_a_restart() {
    let site = site();
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
    std::fs::remove_dir_all(site.path("state/journal")).unwrap();
    // Something else stands in its place: it cannot be made anew.
    std::fs::write(site.path("state/journal"), "not a folder").unwrap();
    halted(&site, &gateway, &client).await;
    std::fs::remove_file(site.path("state/journal")).unwrap();
    goes_again(&gateway, &client).await;
    assert!(gateway.stop().success());
    assert!(!site.executed().contains(&"during".to_owned()));
}

#[tokio::test]
async fn f60_a_segment_that_was_replaced_is_noticed_before_the_next_call() {
    let site = site();
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
    let segment = newest_segment(&site);
    all_recorded(&segment).await;
    let copy = site.path("copy");
    std::fs::copy(&segment, &copy).unwrap();
    std::fs::rename(&copy, &segment).unwrap();
    // The call that meets it is refused; a fresh segment is begun, on the record, and the next passes.
    assert_eq!(client.call("tools__read", "meets").await.reason(), "journal_halted");
    goes_again(&gateway, &client).await;
    assert!(gateway.stop().success());
    assert!(!site.executed().contains(&"meets".to_owned()));
    let halts = crate::support::audit::of_kind(&site, "halted");
    assert!(!halts.is_empty(), "the replacement is on the record");
}

#[tokio::test]
async fn f68_a_second_gateway_on_the_same_state_is_refused() {
    let site = Site::with_oracle("");
    let gateway = site.start();
    let said = site.try_start().err().expect("the second one must not start");
    assert!(said.contains("exit status: 69"), "{said}");
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "still").await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn a_state_directory_that_others_may_read_is_refused_with_the_remedy() {
    let site = Site::with_oracle("");
    std::fs::create_dir_all(site.path("state")).unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(site.path("state"), open).unwrap();
    let said = site.try_start().err().expect("it must not start");
    assert!(said.contains("chmod 700"), "{said}");
}

/// No call passes, the caller and the probe say why.
async fn halted(site: &Site, gateway: &Gateway, client: &Client) {
    assert_eq!(client.call("tools__read", "during").await.reason(), "journal_halted");
    assert_eq!(client.call("tools__nothing", "during").await.reason(), "journal_halted");
    let ready = Client::anonymous(&format!("{}/readyz", gateway.admin)).send(Method::GET, "").await;
    assert_eq!(ready.status, 503);
    let ready: Value = serde_json::from_slice(&ready.body).unwrap();
    assert_eq!(ready["halted"]["reason"], "journal_halted");
    let alive = Client::anonymous(&format!("{}/healthz", gateway.admin)).send(Method::GET, "").await;
    assert_eq!(alive.status, 200);
    assert!(!site.executed().contains(&"during".to_owned()));
}

/// Calls pass again once the journal has tried again, which it does at a bounded rate.
async fn goes_again(gateway: &Gateway, client: &Client) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut tries = tokio::time::interval(std::time::Duration::from_millis(50));
    loop {
        let reason = client.call("tools__read", "again").await.reason();
        if reason == "ok" {
            break;
        }
        assert_eq!(reason, "journal_halted");
        assert!(tokio::time::Instant::now() < deadline, "it does not go again");
        tries.tick().await;
    }
    let ready = Client::anonymous(&format!("{}/readyz", gateway.admin)).send(Method::GET, "").await;
    assert_eq!(ready.status, 200);
}

/// Waits until nothing more is recorded unasked: the definitions that were seen first, then that each upstream
/// has started. What came later would meet what the test does before the call that is to meet it.
async fn all_recorded(segment: &std::path::Path) {
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    let mut looks = tokio::time::interval(std::time::Duration::from_millis(5));
    loop {
        let text = std::fs::read_to_string(segment).unwrap();
        let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let started = records.iter().filter(|record| record["state"] == "started").count();
        if started == ["tools", "browser"].len() && records.last().unwrap()["kind"] == "commit" {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the upstreams never start");
        looks.tick().await;
    }
}

fn newest_segment(site: &Site) -> std::path::PathBuf {
    let entries = std::fs::read_dir(site.path("state/journal")).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let segments = paths.filter(|path| path.extension().is_some_and(|suffix| suffix == "jsonl"));
    segments.max().unwrap()
}
