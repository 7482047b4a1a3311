//! What starts a reload beside a person: a service manager's signal, and a file that changed.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use rustix::process::Signal;

use super::{Edited, records};
use crate::support::gateway::CHAT_KEY;
use crate::support::{Client, check_audit};

/// Longest wait for anything here.
const PATIENCE: Duration = Duration::from_secs(30);

/// One message to the manager.
fn heard(manager: &UnixDatagram) -> Vec<String> {
    let mut buffer = [0; 4096];
    let length = manager.recv(&mut buffer).unwrap();
    std::str::from_utf8(&buffer[..length]).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn a_service_manager_hears_when_it_is_ready_reloads_and_stops() {
    let mut edited = Edited::new("");
    let path = edited.site.path("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let gateway = edited.site.try_start_with(&[("NOTIFY_SOCKET", path.as_os_str())]).unwrap();
    let said = heard(&manager);
    assert_eq!(said[0], "READY=1");
    assert!(
        said[1].starts_with("STATUS=serving, configuration ") && said[1].ends_with("(number 1)"),
        "{said:?}"
    );
    let expected =
        [("ask = []", "reloaded", "(number 2)"), ("ask = 1", "a reload was refused", "(number 2)")];
    let mut from = "ask = [\"tools.write\"]";
    for (to, what, number) in expected {
        edited.edit(from, to);
        from = to;
        let before = sluicegate::clock::since_boot().as_micros();
        gateway.signal(Signal::HUP);
        let said = heard(&manager);
        let after = sluicegate::clock::since_boot().as_micros();
        assert_eq!((said[0].as_str(), said[2].as_str()), ("RELOADING=1", "STATUS=reloading"));
        let time: u128 = said[1].strip_prefix("MONOTONIC_USEC=").unwrap().parse().unwrap();
        assert!((before..=after).contains(&time), "{before} {time} {after}");
        let said = heard(&manager);
        assert_eq!(said[0], "READY=1");
        assert!(
            said[1].starts_with(&format!("STATUS={what}; serving, ")) && said[1].ends_with(number),
            "{said:?}"
        );
    }
    assert!(gateway.stop().success());
    assert_eq!(heard(&manager)[0], "STOPPING=1");
    edited.edit(from, "ask = []");
    assert_eq!(records(&edited.site).len(), 3);
    check_audit(&edited.site);
}

#[tokio::test]
async fn a_file_that_changes_is_read_anew_where_that_is_asked_for() {
    let mut edited = Edited::new("[reload]\nwatch = true\n");
    edited.edit("[gateway]", "include = [\"part.toml\"]\n[gateway]");
    std::fs::write(edited.site.path("part.toml"), "[sources.part]\n").unwrap();
    let gateway = edited.site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    edited.edit("ask = [\"tools.write\"]", "ask = []");
    until(&client, "ok").await;
    // A file that is included counts as well, also where an editor puts another in its place.
    std::fs::write(edited.site.path("part.new"), "[sources.part\n").unwrap();
    std::fs::rename(edited.site.path("part.new"), edited.site.path("part.toml")).unwrap();
    until_record(&edited, "refused").await;
    assert_eq!(client.call("tools__write", "stays").await.reason(), "ok");
    std::fs::write(edited.site.path("part.toml"), "[sources.part]\n").unwrap();
    edited.edit("ask = []", "ask = [\"tools.write\"]");
    edited.edit("watch = true", "watch = false");
    until(&client, "approval_pending").await;
    assert!(gateway.stop().success());
    check_audit(&edited.site);
}

async fn until(client: &Client, reason: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut tries = tokio::time::interval(Duration::from_millis(50));
    for number in 0.. {
        let said = client.call("tools__write", &format!("{reason}_{number}")).await.reason();
        // Each try is a question of its own, of which there can be only so many.
        if said == reason || (reason, said.as_str()) == ("approval_pending", "questions_full") {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "the change is not heeded");
        tries.tick().await;
    }
}

async fn until_record(edited: &Edited, result: &str) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    let mut looks = tokio::time::interval(Duration::from_millis(50));
    let dir = edited.site.path("state/journal");
    let needle = format!("\"result\":\"{result}\"");
    let is_there = || {
        let entries = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
        entries.filter_map(|path| std::fs::read_to_string(path).ok()).any(|text| text.contains(&needle))
    };
    while !is_there() {
        assert!(tokio::time::Instant::now() < deadline, "no such record");
        looks.tick().await;
    }
}
