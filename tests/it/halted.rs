//! A journal that cannot be written: no call reaches an upstream, callers are told, and it goes on by itself.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use http::Method;
use serde_json::Value;

use crate::support::audit::{check_signed, newest_segment, of_kind};
use crate::support::gateway::{CHAT_KEY, Gateway};
use crate::support::tracer::Tracer;
use crate::support::{Client, Site, check_audit, namespace};

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
    let halts = of_kind(&site, "halted");
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

#[tokio::test]
async fn a80_a_journal_that_is_a_link_is_refused_at_the_start() {
    let site = Site::with_oracle("");
    assert!(site.start().stop().success());
    std::fs::rename(site.path("state/journal"), site.path("elsewhere")).unwrap();
    std::os::unix::fs::symlink(site.path("elsewhere"), site.path("state/journal")).unwrap();
    let said = site.try_start().err().expect("it must not start");
    assert!(said.contains("state/journal` is not a folder"), "{said}");
}

/// What a disk does on a bad day: which calls of the journal fail from then on, with what, and what is said of it.
const BAD_DAYS: [(&str, &str, &str); 4] = [
    ("pwrite64", "EIO", "write"),
    ("fdatasync", "EIO", "sync"),
    ("pwrite64", "ENOSPC", "space"),
    // A file system that the kernel has made read-only.
    ("pwrite64,openat,fallocate,renameat", "EROFS", "write"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f57_f60_a_disk_that_fails_halts_calls_and_they_go_on_when_it_is_well() {
    for (syscall, error, cause) in BAD_DAYS {
        let site = site();
        let gateway = site.start();
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
        all_recorded(&newest_segment(&site)).await;
        let tracer = Tracer::fail(&gateway, syscall, error);
        halted(&site, &gateway, &client).await;
        drop(tracer);
        goes_again(&gateway, &client).await;
        assert!(gateway.stop().success());
        assert_eq!(site.executed().iter().filter(|id| *id == "during").count(), 0, "{error}");
        let halts = of_kind(&site, "halted");
        assert!(halts.iter().any(|halt| halt["cause"] == cause), "{syscall} {error}: {halts:?}");
        check_audit(&site);
        check_signed(&site);
    }
}

/// A file system of its own at `path`, in memory.
struct Mounted(PathBuf);

impl Mounted {
    fn new(path: PathBuf, options: &str) -> Self {
        std::fs::create_dir_all(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", options, "none"], &path);
        Self(path)
    }

    fn remount(&self, options: &str) {
        mount(&["-o", options], &self.0);
    }
}

fn mount(args: &[&str], path: &Path) {
    assert!(Command::new("mount").args(args).arg(path).status().unwrap().success(), "{args:?}");
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Whoever still uses it keeps it.
        let _gone = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn f60_a_start_on_a_read_only_file_system_says_so_and_changes_nothing() {
    if !namespace::is_root() {
        return namespace::as_root(
            "halted::f60_a_start_on_a_read_only_file_system_says_so_and_changes_nothing",
        );
    }
    let site = site();
    let disk = Mounted::new(site.path("state"), "size=256m,mode=0700");
    assert!(site.start().stop().success());
    let before = crate::support::audit::lines(&site);
    disk.remount("remount,ro");
    let said = site.try_start().err().expect("it must not start");
    assert!(said.contains("Read-only file system"), "{said}");
    assert_eq!(crate::support::audit::lines(&site), before);
    disk.remount("remount,rw");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "after").await.reason(), "ok");
    assert!(gateway.stop().success());
    check_audit(&site);
    check_signed(&site);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f60_without_inodes_calls_go_on_in_what_is_reserved_and_then_halt() {
    if !namespace::is_root() {
        return namespace::as_root(
            "halted::f60_without_inodes_calls_go_on_in_what_is_reserved_and_then_halt",
        );
    }
    let site = site();
    site.edit(|text| text + "[audit]\nsegment_bytes = \"4MiB\"\nqueue_max = 64\n");
    let disk = Mounted::new(site.path("state"), "size=256m,nr_inodes=256,mode=0700");
    let gateway = site.start();
    let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    assert_eq!(client.call("tools__read", "before").await.reason(), "ok");
    all_recorded(&newest_segment(&site)).await;
    // Other files take what there is: a segment can be filled, and the one that stands by, and no other begun.
    let full = (0..).find(|number| std::fs::write(disk.0.join(format!("other-{number}")), "").is_err());
    let mut fills = tokio::task::JoinSet::new();
    for lane in 0..16 {
        let client = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
        fills.spawn(async move {
            let mut passed = 0;
            loop {
                let reason = client.call("tools__read", &format!("fill-{lane}-{passed}")).await.reason();
                if reason != "ok" {
                    return (passed, reason);
                }
                passed += 1;
            }
        });
    }
    let filled = fills.join_all().await;
    assert!(filled.iter().all(|(_, refused)| refused == "journal_halted"), "{filled:?}");
    assert!(filled.iter().map(|(passed, _)| passed).sum::<usize>() > 1000, "{filled:?}");
    halted(&site, &gateway, &client).await;
    for number in 0..full.unwrap() {
        std::fs::remove_file(disk.0.join(format!("other-{number}"))).unwrap();
    }
    goes_again(&gateway, &client).await;
    assert!(gateway.stop().success());
    assert!(of_kind(&site, "halted").iter().any(|halt| halt["cause"] == "space"));
    check_audit(&site);
    check_signed(&site);
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
    for attempt in 0_u32.. {
        // Each is a call of its own: the refusal of one may be on the record by the time that the next one passes.
        let reason = client.call("tools__read", &format!("again{attempt}")).await.reason();
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
