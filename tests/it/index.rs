//! The index of calls against the journal that it is made of: whatever happened to either, both say the same.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use crate::support::Site;
use crate::support::gateway::{CHAT_KEY, EMAIL_KEY, Gateway};
use crate::support::{Client, check_audit};

async fn calls(gateway: &Gateway, prefix: &str) {
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let email = Client::new(&gateway.url, EMAIL_KEY).initialize("2025-11-25").await;
    for number in 0..4 {
        assert_eq!(chat.call("tools__read", &format!("{prefix}{number}")).await.reason(), "ok");
    }
    assert_eq!(chat.call("tools__write", &format!("{prefix}w")).await.reason(), "approval_pending");
    assert_eq!(email.call("browser__read", &format!("{prefix}b")).await.reason(), "ok");
    assert_eq!(email.call("tools__send", &format!("{prefix}s")).await.reason(), "source_denies");
}

async fn recorded() -> Site {
    let site = Site::with_oracle("");
    let gateway = site.start();
    calls(&gateway, "a").await;
    assert!(gateway.stop().success());
    site
}

fn asked(site: &Site, more: &[&str]) -> (String, String) {
    let (code, out, err) = site.run(&[&["audit", "query", "--json"], more].concat());
    assert_eq!(code, 0, "{err}");
    (out, err)
}

/// The index says what the journal says, without a word of trouble. Gives how many calls that are.
#[track_caller]
fn assert_same(site: &Site, filter: &[&str]) -> usize {
    let (indexed, said) = asked(site, filter);
    let (scanned, _) = asked(site, &[filter, &["--no-index"]].concat());
    assert_eq!(indexed, scanned, "{filter:?}");
    assert_eq!(said, "");
    indexed.lines().count()
}

#[tokio::test]
async fn whatever_is_asked_the_index_answers_as_the_journal_does_while_it_grows() {
    let site = recorded().await;
    let (all, _) = asked(&site, &["--no-index"]);
    let run = all.split("\"run\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let filters: [&[&str]; 12] = [
        &[],
        &["--source", "web"],
        &["--source", "we"],
        &["--tool", "tools.*"],
        &["--tool", "*.read", "--source", "chat"],
        &["--upstream", "browser"],
        &["--verdict", "refused"],
        &["--reason", "approval_pending", "--verdict", "forwarded"],
        &["--run", &run],
        &["--subject", "user:1' OR '1'='1"],
        &["--since", "1h", "--subject", "user:1"],
        &["--until", "1h"],
    ];
    let counts = filters.map(|filter| assert_same(&site, filter));
    assert_eq!(counts, [7, 1, 0, 6, 4, 1, 2, 0, 5, 0, 7, 0]);
    let mode = |path: &str| site.path(path).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("state/index"), mode("state/index/calls.sqlite")), (0o700, 0o600));
    let gateway = site.start();
    calls(&gateway, "b").await;
    // A call that has not ended is open, and is not any more once it has.
    let chat = Client::new(&gateway.url, CHAT_KEY).initialize("2025-11-25").await;
    let held = tokio::spawn(async move { chat.call("tools__hang", "held").await.reason() });
    site.wait_for_ledger(|entry| entry["id"] == "held").await;
    assert_eq!(assert_same(&site, &["--reason", "open"]), 1);
    assert_eq!(held.await.unwrap(), "upstream_timeout");
    assert_eq!((assert_same(&site, &["--reason", "open"]), assert_same(&site, &[])), (0, 15));
    assert!(gateway.stop().success());
    check_audit(&site);
}

#[tokio::test]
async fn an_index_that_is_gone_damaged_old_or_of_another_journal_is_made_anew() {
    let (site, other) = (recorded().await, recorded().await);
    let index = site.path("state/index/calls.sqlite");
    assert_eq!(assert_same(&site, &[]), 7);
    let whole = std::fs::read(&index).unwrap();
    let flipped: Vec<u8> =
        whole.iter().enumerate().map(|(at, byte)| if at % 997 == 0 { !byte } else { *byte }).collect();
    let damaged: [&[u8]; 4] = [b"", b"no index at all", &whole[..whole.len() / 2], &flipped];
    for bytes in damaged {
        std::fs::remove_dir_all(site.path("state/index")).unwrap();
        std::fs::create_dir(site.path("state/index")).unwrap();
        std::fs::write(&index, bytes).unwrap();
        assert_eq!(assert_same(&site, &[]), 7, "{} bytes", bytes.len());
    }
    std::fs::remove_dir_all(site.path("state/index")).unwrap();
    assert_eq!(assert_same(&site, &[]), 7);
    // Another journal in the place of this one, which knows other calls.
    std::fs::rename(site.path("state/journal"), site.path("kept")).unwrap();
    std::fs::rename(other.path("state/journal"), site.path("state/journal")).unwrap();
    assert_eq!(assert_same(&site, &[]), 7);
    // And one in which no index can be made is read all the same.
    std::fs::remove_dir_all(site.path("state/index")).unwrap();
    std::fs::write(site.path("state/index"), "in the way").unwrap();
    let (out, said) = asked(&site, &[]);
    assert_eq!(out.lines().count(), 7);
    assert!(said.starts_with("note: without an index"), "{said}");
}

#[tokio::test]
async fn several_who_make_the_index_at_once_all_get_the_whole_answer() {
    let site = recorded().await;
    let ask = || {
        let mut command = site.command(&["audit", "query", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let (scanned, _) = asked(&site, &["--no-index"]);
    for answer in [ask(), ask(), ask(), ask()].map(|child| child.wait_with_output().unwrap()) {
        let said = String::from_utf8(answer.stderr).unwrap();
        assert_eq!((String::from_utf8(answer.stdout).unwrap(), said.as_str()), (scanned.clone(), ""));
    }
}
